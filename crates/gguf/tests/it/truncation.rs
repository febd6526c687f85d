//! A file that ends anywhere too early is refused.

use llamatelemetry_gguf::{GgmlType, Gguf, GgufError, proof_model};

use crate::files::{FORMS, every_type, small};

/// The end of the last byte that the file needs.
fn needed(bytes: &[u8]) -> usize {
    let file = Gguf::from_bytes(bytes.to_vec()).expect("it opens");
    let ends = file
        .tensors()
        .map(|tensor| tensor.file_offset() + tensor.size().unwrap_or(0));
    usize::try_from(ends.max().expect("tensors")).expect("small")
}

fn assert_refused(bytes: &[u8], length: usize) {
    match Gguf::from_bytes(bytes[..length].to_vec()) {
        Err(GgufError::Malformed { offset, .. }) => {
            // The place is in the file, or is that of data behind its end.
            assert!(offset <= bytes.len() as u64, "byte {offset} of {length}");
        }
        other => panic!("{length} bytes of {}: {other:?}", bytes.len()),
    }
}

#[test]
fn at_every_byte_of_a_small_file() {
    for (version, endianness) in FORMS {
        let bytes = small(version, endianness);
        let needed = needed(&bytes);
        for length in 0..needed {
            assert_refused(&bytes, length);
        }
        // What is left out then is padding, which nobody reads.
        for length in needed..=bytes.len() {
            let file = Gguf::from_bytes(bytes[..length].to_vec()).expect("it opens");
            assert!(file.check().is_ok());
        }
    }
}

#[test]
fn at_many_bytes_of_larger_files() {
    let types: Vec<_> = GgmlType::all().collect();
    let everything = every_type(&types, 3, llamatelemetry_gguf::Endianness::Little);
    for bytes in [everything.to_bytes().expect("a file"), proof_model()] {
        let needed = needed(&bytes);
        for length in (0..needed).step_by(97).chain(needed - 8..needed) {
            assert_refused(&bytes, length);
        }
    }
}
