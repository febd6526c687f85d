//! Every way a file can be wrong ends in an error that names the byte.

use llamatelemetry_gguf::{Endianness, GgmlType, Gguf, GgufError, GgufWriter, OwnedValue, Problem};

use crate::allocation::largest;
use crate::files::small;

/// Most memory that refusing a small file may ask for at once: room for a thousand entries.
const LARGEST_PIECE: usize = 256 * 1024;

/// What is wrong with a file, and where.
fn refused(bytes: Vec<u8>) -> (Problem, u64) {
    let (size, opened) = largest(|| Gguf::from_bytes(bytes));
    assert!(size <= LARGEST_PIECE, "{size} bytes at once");
    let error = opened.expect_err("the file is malformed");
    let GgufError::Malformed {
        problem,
        offset,
        path: None,
    } = error
    else {
        panic!("{error:?}");
    };
    (problem, offset)
}

/// A file written byte by byte.
struct Raw(Vec<u8>);

impl Raw {
    fn new(tensors: u64, entries: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(3).u64(tensors).u64(entries)
    }

    fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        self = self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    /// A tensor's description.
    fn tensor(mut self, name: &str, shape: &[u64], ggml_type: u32, offset: u64) -> Self {
        self = self
            .text(name)
            .u32(u32::try_from(shape.len()).expect("few"));
        for &axis in shape {
            self = self.u64(axis);
        }
        self.u32(ggml_type).u64(offset)
    }

    /// Zeros up to the data section and then some.
    fn data(mut self, bytes: usize) -> Self {
        self.0.resize(self.0.len().next_multiple_of(32) + bytes, 0);
        self
    }
}

const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const F32: u32 = 0;
const Q8_0: u32 = 8;

#[test]
fn not_a_gguf_file() {
    let (problem, offset) = refused(b"PK\x03\x04 a zip archive".to_vec());
    assert_eq!(
        (problem, offset),
        (
            Problem::Magic {
                found: *b"PK\x03\x04"
            },
            0
        )
    );
    let (problem, offset) = refused(b"GG".to_vec());
    assert!(matches!(
        problem,
        Problem::Truncated {
            needed: 4,
            available: 2,
            ..
        }
    ));
    assert_eq!(offset, 0);
    let error = Gguf::from_bytes(b"version https://git-lfs".to_vec()).expect_err("a pointer");
    assert!(error.hints()[0].contains("git lfs pull"));
    assert_eq!(
        error.to_string(),
        "malformed GGUF, at byte 0: not a GGUF file, it starts with \"vers\""
    );
}

#[test]
fn wrong_version() {
    for version in [0, 4, 5, 256, 0x0001_0001, u32::MAX] {
        let mut bytes = small(3, Endianness::Little);
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        assert_eq!(refused(bytes), (Problem::Version { version }, 4));
    }
    // Of the other byte order, and of no version of that either.
    let mut bytes = small(3, Endianness::Big);
    bytes[4..8].copy_from_slice(&9_u32.to_be_bytes());
    assert_eq!(refused(bytes), (Problem::Version { version: 9 }, 4));
}

#[test]
fn giant_counts() {
    let tensors = refused(Raw::new(u64::MAX, 0).0);
    assert_eq!(
        tensors,
        (
            Problem::Count {
                what: "tensors",
                count: u64::MAX,
                available: 0
            },
            8
        )
    );
    let entries = refused(Raw::new(0, 1 << 60).0);
    let what = "metadata entries";
    assert_eq!(
        entries,
        (
            Problem::Count {
                what,
                count: 1 << 60,
                available: 0
            },
            16
        )
    );

    let array = |element: u32, count: u64| {
        Raw::new(0, 1)
            .text("k")
            .u32(ARRAY)
            .u32(element)
            .u64(count)
            .u64(0)
            .0
    };
    for (element, count) in [
        (0, 9),
        (U32, 3),
        (STRING, 2),
        (ARRAY, 1),
        (11, u64::MAX / 8 + 2),
    ] {
        let (problem, offset) = refused(array(element, count));
        let what = "array elements";
        assert_eq!(
            (problem, offset),
            (
                Problem::Count {
                    what,
                    count,
                    available: 8
                },
                41
            )
        );
    }
    let string = Raw::new(0, 1).text("k").u32(STRING).u64(u64::MAX).0;
    let (problem, offset) = refused(string);
    assert!(matches!(
        problem,
        Problem::Truncated {
            needed: u64::MAX,
            available: 0,
            ..
        }
    ));
    assert_eq!(offset, 45);
    let in_array = Raw::new(0, 1)
        .text("k")
        .u32(ARRAY)
        .u32(STRING)
        .u64(2)
        .text("ab")
        .u64(7)
        .0;
    let (problem, offset) = refused(in_array);
    assert!(matches!(
        problem,
        Problem::Truncated {
            needed: 7,
            available: 0,
            ..
        }
    ));
    assert_eq!(offset, 67);
}

#[test]
fn wrong_keys_and_values() {
    let empty = Raw::new(0, 1).text("").u32(U32).u32(1).u64(0).0;
    assert_eq!(refused(empty), (Problem::EmptyKey, 24));
    let twice = Raw::new(0, 3)
        .text("aa")
        .u32(U32)
        .u32(1)
        .text("b")
        .u32(U32)
        .u32(1);
    let twice = twice.text("aa").u32(U32).u32(2).0;
    // The second one's text: behind the header, 18 bytes, 17 bytes, and its length.
    assert_eq!(
        refused(twice),
        (Problem::DuplicateKey { key: "aa".into() }, 24 + 18 + 17 + 8)
    );
    let unknown = Raw::new(0, 1).text("k").u32(13).u64(0).0;
    assert_eq!(refused(unknown), (Problem::ValueType { number: 13 }, 33));
    let unknown = Raw::new(0, 1).text("k").u32(ARRAY).u32(99).u64(0).0;
    assert_eq!(refused(unknown), (Problem::ValueType { number: 99 }, 37));
}

#[test]
fn deep_nesting() {
    let nested = |depth: u64| {
        let mut raw = Raw::new(0, 1).text("k").u32(ARRAY);
        for _ in 1..depth {
            raw = raw.u32(ARRAY).u64(1);
        }
        raw.u32(U32).u64(0).0
    };
    assert!(
        Gguf::from_bytes(nested(16))
            .expect("deep enough")
            .check()
            .is_ok()
    );
    assert_eq!(
        refused(nested(17)),
        (Problem::Nesting { limit: 16 }, 37 + 16 * 12)
    );
    // Deep enough to overflow the stack of a reader that recurses without limit.
    assert!(matches!(
        refused(nested(1_000_000)),
        (Problem::Nesting { .. }, _)
    ));
}

#[test]
fn wrong_alignments() {
    let with = |value: OwnedValue| {
        let mut writer = GgufWriter::new();
        writer.set("general.alignmenT", value).expect("set");
        let mut bytes = writer.to_bytes().expect("a file");
        let at = bytes.iter().position(|&byte| byte == b'T').expect("there");
        bytes[at] = b't';
        bytes
    };
    for alignment in [0, 3, 48, u32::MAX] {
        let found = refused(with(alignment.into()));
        assert_eq!(found, (Problem::Alignment { alignment }, 53));
    }
    assert_eq!(
        refused(with(32_u64.into())),
        (Problem::AlignmentType { found: "u64" }, 53)
    );
    assert_eq!(
        refused(with("32".into())),
        (Problem::AlignmentType { found: "str" }, 53)
    );
    let largest = Gguf::from_bytes(with((1_u32 << 31).into())).expect("a power of two");
    assert_eq!(
        (largest.alignment(), largest.data_offset()),
        (1 << 31, 1 << 31)
    );
}

#[test]
fn wrong_tensors() {
    let one = |shape: &[u64], ggml_type, offset| {
        Raw::new(1, 0)
            .tensor("t", shape, ggml_type, offset)
            .data(4096)
            .0
    };
    let t = || "t".to_owned();
    // Behind the header: the name at 24, axes at 33, shape at 37.
    assert_eq!(
        refused(one(&[1; 5], F32, 0)),
        (
            Problem::Dimensions {
                tensor: t(),
                dimensions: 5
            },
            33
        )
    );
    for shape in [
        &[1 << 62, 4][..],
        &[u64::MAX],
        &[1 << 32, 1 << 32, 1 << 32],
        &[1 << 62],
    ] {
        assert_eq!(
            refused(one(shape, F32, 0)),
            (Problem::TooLarge { tensor: t() }, 33)
        );
    }
    let row = Problem::Row {
        tensor: t(),
        row: 33,
        block: 32,
        ggml_type: GgmlType(Q8_0),
    };
    assert_eq!(refused(one(&[33], Q8_0, 0)), (row, 45));
    let misaligned = Problem::Misaligned {
        tensor: t(),
        start: 4,
        alignment: 32,
    };
    assert_eq!(refused(one(&[1], F32, 4)), (misaligned, 49));
    let outside = Problem::DataOutside {
        tensor: t(),
        end: 64 + 4128,
        length: 64 + 4096,
    };
    assert_eq!(refused(one(&[1032], F32, 0)), (outside, 64));
    let far = Problem::DataOutside {
        tensor: t(),
        end: u64::MAX,
        length: 64 + 4096,
    };
    assert_eq!(refused(one(&[1], F32, !31)), (far, u64::MAX));
}

#[test]
fn overlapping_tensors() {
    let two = |first: (u64, u64), second: (u64, u64)| {
        let raw = Raw::new(2, 0).tensor("a", &[first.0], F32, first.1);
        raw.tensor("b", &[second.0], F32, second.1).data(4096).0
    };
    // Two descriptions of 33 bytes behind the header: the data starts at 96.
    let overlap = |tensor: &str, other: &str| Problem::Overlap {
        tensor: tensor.to_owned(),
        other: other.to_owned(),
    };
    assert_eq!(refused(two((9, 0), (1, 32))), (overlap("b", "a"), 96 + 32));
    assert_eq!(refused(two((1, 32), (9, 0))), (overlap("a", "b"), 96 + 32));
    assert_eq!(refused(two((1, 0), (1, 0))), (overlap("b", "a"), 96));
    // Inside of it, and not next to it.
    assert_eq!(
        refused(two((100, 0), (1, 64))),
        (overlap("b", "a"), 96 + 64)
    );
    assert!(Gguf::from_bytes(two((8, 0), (1, 32))).is_ok());
    assert!(Gguf::from_bytes(two((1, 32), (8, 0))).is_ok());
    // An empty tensor has no bytes to share.
    assert!(Gguf::from_bytes(two((0, 0), (9, 0))).is_ok());

    let twice = Raw::new(2, 0)
        .tensor("a", &[1], F32, 0)
        .tensor("a", &[1], F32, 32)
        .data(64)
        .0;
    let problem = Problem::DuplicateTensor {
        tensor: "a".to_owned(),
    };
    assert_eq!(refused(twice), (problem, 24 + 33 + 8));
}

#[test]
fn the_error_names_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.gguf");
    let bytes = small(3, Endianness::Little);
    std::fs::write(&path, &bytes[..30]).expect("written");
    let error = Gguf::open(&path).expect_err("cut off");
    let said = format!(
        "malformed GGUF, at byte 8: 2 tensors cannot fit into the 6 bytes that are left: {}",
        path.display()
    );
    // The metadata count is looked at first.
    let entries = said.replace("at byte 8: 2 tensors", "at byte 16: 5 metadata entries");
    assert_eq!(error.to_string(), entries);
    assert_eq!(error.offset(), Some(16));
    assert!(error.hints()[0].contains("fetch it again"));

    std::fs::write(&path, b"").expect("written");
    let error = Gguf::open(&path).expect_err("empty");
    assert!(matches!(
        error.problem(),
        Some(Problem::Truncated { available: 0, .. })
    ));
    let error = Gguf::open(folder.path()).expect_err("a folder");
    assert!(matches!(error, GgufError::NotAFile { .. }));
    let error = Gguf::open(folder.path().join("none")).expect_err("nothing");
    assert!(matches!(error, GgufError::Io { action: "open", .. }));
}
