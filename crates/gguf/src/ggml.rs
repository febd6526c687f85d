//! The tensor types of ggml, with their exact block sizes.

use std::fmt;

use serde::{Serialize, Serializer};

/// The number of a ggml tensor type, as it stands in the file.
///
/// Any number can be held: those that llama.cpp b11434 knows have a [block](GgmlType::block),
/// those that it once knew are [removed](GgmlType::is_removed), all others are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GgmlType(pub u32);

/// The unit in which a type stores its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Elements in a block; rows of a tensor are whole blocks.
    pub elements: u32,
    /// Bytes of a block.
    pub bytes: u32,
}

enum State {
    Current(Block),
    Removed,
}

struct Known {
    name: &'static str,
    state: State,
}

const fn current(name: &'static str, elements: u32, bytes: u32) -> Known {
    Known {
        name,
        state: State::Current(Block { elements, bytes }),
    }
}

const fn removed(name: &'static str) -> Known {
    Known {
        name,
        state: State::Removed,
    }
}

/// Indexed by the type's number.
const KNOWN: [Known; 43] = [
    current("F32", 1, 4),
    current("F16", 1, 2),
    current("Q4_0", 32, 2 + 16),
    current("Q4_1", 32, 2 + 2 + 16),
    removed("Q4_2"),
    removed("Q4_3"),
    current("Q5_0", 32, 2 + 4 + 16),
    current("Q5_1", 32, 2 + 2 + 4 + 16),
    current("Q8_0", 32, 2 + 32),
    current("Q8_1", 32, 2 + 2 + 32),
    current("Q2_K", 256, 16 + 64 + 2 + 2),
    current("Q3_K", 256, 32 + 64 + 12 + 2),
    current("Q4_K", 256, 2 + 2 + 12 + 128),
    current("Q5_K", 256, 2 + 2 + 12 + 32 + 128),
    current("Q6_K", 256, 128 + 64 + 16 + 2),
    current("Q8_K", 256, 4 + 256 + 32),
    current("IQ2_XXS", 256, 2 + 64),
    current("IQ2_XS", 256, 2 + 64 + 8),
    current("IQ3_XXS", 256, 2 + 64 + 32),
    current("IQ1_S", 256, 2 + 32 + 16),
    current("IQ4_NL", 32, 2 + 16),
    current("IQ3_S", 256, 2 + 64 + 8 + 32 + 4),
    current("IQ2_S", 256, 2 + 64 + 16),
    current("IQ4_XS", 256, 2 + 2 + 4 + 128),
    current("I8", 1, 1),
    current("I16", 1, 2),
    current("I32", 1, 4),
    current("I64", 1, 8),
    current("F64", 1, 8),
    current("IQ1_M", 256, 32 + 16 + 8),
    current("BF16", 1, 2),
    removed("Q4_0_4_4"),
    removed("Q4_0_4_8"),
    removed("Q4_0_8_8"),
    current("TQ1_0", 256, 48 + 4 + 2),
    current("TQ2_0", 256, 64 + 2),
    removed("IQ4_NL_4_4"),
    removed("IQ4_NL_4_8"),
    removed("IQ4_NL_8_8"),
    current("MXFP4", 32, 1 + 16),
    current("NVFP4", 64, 4 + 32),
    current("Q1_0", 128, 2 + 16),
    current("Q2_0", 64, 2 + 16),
];

impl GgmlType {
    /// 32-bit floats.
    pub const F32: Self = Self(0);
    /// 16-bit IEEE floats.
    pub const F16: Self = Self(1);
    /// 4-bit blocks of 32 with one scale.
    pub const Q4_0: Self = Self(2);
    /// 4-bit blocks of 32 with scale and minimum.
    pub const Q4_1: Self = Self(3);
    /// 8-bit blocks of 32 with one scale.
    pub const Q8_0: Self = Self(8);
    /// 4-bit super-blocks of 256.
    pub const Q4_K: Self = Self(12);
    /// 6-bit super-blocks of 256.
    pub const Q6_K: Self = Self(14);
    /// 8-bit integers.
    pub const I8: Self = Self(24);
    /// 32-bit integers.
    pub const I32: Self = Self(26);
    /// 64-bit floats.
    pub const F64: Self = Self(28);
    /// bfloat16.
    pub const BF16: Self = Self(30);

    /// Every type that llama.cpp b11434 can load, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).zip(&KNOWN).filter_map(|(number, known)| {
            matches!(known.state, State::Current(_)).then_some(Self(number))
        })
    }

    /// The type of the given name, in any case (`Q4_K`, `q4_k`).
    pub fn from_name(name: &str) -> Option<Self> {
        (0..).zip(&KNOWN).find_map(|(number, known)| {
            known
                .name
                .eq_ignore_ascii_case(name)
                .then_some(Self(number))
        })
    }

    fn known(self) -> Option<&'static Known> {
        KNOWN.get(usize::try_from(self.0).ok()?)
    }

    /// The type's name, of removed types too; `None` for unknown numbers.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|known| known.name)
    }

    /// The type's block; `None` for removed and unknown types, whose sizes cannot be known.
    pub fn block(self) -> Option<Block> {
        match self.known()?.state {
            State::Current(block) => Some(block),
            State::Removed => None,
        }
    }

    /// Whether llama.cpp once had this type and dropped it.
    pub fn is_removed(self) -> bool {
        matches!(
            self.known(),
            Some(Known {
                state: State::Removed,
                ..
            })
        )
    }

    /// Bytes of `elements` elements; `None` if the size is unknown, overflows, or is not a whole
    /// number of blocks.
    pub fn bytes_of(self, elements: u64) -> Option<u64> {
        let block = self.block()?;
        let of_block = u64::from(block.elements);
        if !elements.is_multiple_of(of_block) {
            return None;
        }
        (elements / of_block).checked_mul(u64::from(block.bytes))
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.is_removed()) {
            (Some(name), false) => f.pad(name),
            (Some(name), true) => write!(f, "{name} (removed)"),
            (None, _) => write!(f, "type {}", self.0),
        }
    }
}

impl Serialize for GgmlType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_pinned_build_is_there() {
        assert_eq!(GgmlType::all().count(), 35);
        assert_eq!(GgmlType(42).name(), Some("Q2_0"));
        assert_eq!(GgmlType(43).name(), None);
        assert_eq!(GgmlType(u32::MAX).block(), None);
    }

    #[test]
    fn removed_types_are_named_so() {
        for number in [4, 5, 31, 32, 33, 36, 37, 38] {
            let ggml_type = GgmlType(number);
            assert!(ggml_type.is_removed());
            assert!(ggml_type.block().is_none());
            assert!(ggml_type.to_string().ends_with("(removed)"));
        }
        assert_eq!(GgmlType(99).to_string(), "type 99");
    }

    #[test]
    fn sizes_are_whole_blocks() {
        assert_eq!(GgmlType::Q4_K.bytes_of(512), Some(288));
        assert_eq!(GgmlType::Q4_K.bytes_of(100), None);
        assert_eq!(GgmlType::F64.bytes_of(u64::MAX), None);
        assert_eq!(GgmlType::from_name("q6_k"), Some(GgmlType::Q6_K));
        assert_eq!(
            GgmlType::from_name("q4_2").map(GgmlType::is_removed),
            Some(true)
        );
    }
}
