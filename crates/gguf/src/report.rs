//! What a check found.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::ggml::GgmlType;

/// Longest tensor name that llama.cpp loads, in bytes.
pub(crate) const LONGEST_NAME: usize = 63;

/// What [`check`](crate::Gguf::check) found in a file that could be read as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// Metadata keys.
    pub keys: u64,
    /// Strings decoded: keys, values and elements of arrays.
    pub strings: u64,
    /// Their bytes.
    pub string_bytes: u64,
    /// Numbers and truth values decoded.
    pub numbers: u64,
    /// Tensors.
    pub tensors: u64,
    /// Bytes of the tensors whose type is known.
    pub tensor_bytes: u64,
    /// What is odd, in the order found; the first 100.
    pub notes: Vec<Note>,
    /// Further notes that were not kept.
    pub notes_left_out: u64,
}

impl CheckReport {
    /// The notes that keep llama.cpp from loading the file.
    pub fn refusals(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|note| note.refused)
    }
}

/// Something odd that does not keep this reader from reading the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// What.
    #[serde(serialize_with = "as_text")]
    pub finding: Finding,
    /// Whether llama.cpp b11434 refuses to load a file with it.
    pub refused: bool,
}

/// What is odd.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The file is of version 1.
    VersionOne,
    /// The file's byte order is not this machine's.
    ByteOrder,
    /// Text is not UTF-8.
    NotUtf8 {
        /// The metadata key that holds it, or the tensor that is so named.
        of: String,
    },
    /// A truth value is neither 0 nor 1.
    Truth {
        /// The metadata key.
        key: String,
        /// Its byte.
        byte: u8,
    },
    /// An array holds arrays.
    NestedArray {
        /// The metadata key.
        key: String,
    },
    /// A list is not as long as the list of tokens it belongs to.
    ListLength {
        /// The metadata key.
        key: String,
        /// Its length.
        found: u64,
        /// Tokens of the vocabulary.
        tokens: u64,
    },
    /// A special token is not in the vocabulary.
    TokenOutside {
        /// The metadata key.
        key: String,
        /// The token's number.
        token: u64,
        /// Tokens of the vocabulary.
        tokens: u64,
    },
    /// A tensor's name is too long.
    LongName {
        /// The tensor.
        tensor: String,
    },
    /// A tensor's type was removed from llama.cpp or is not known.
    TensorType {
        /// The tensor.
        tensor: String,
        /// Its type.
        ggml_type: GgmlType,
    },
    /// A tensor does not start where the one before it ends.
    Gap {
        /// The tensor.
        tensor: String,
        /// Where its data starts in the data section.
        start: u64,
        /// Where the data before it ends, padded.
        expected: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionOne => write!(f, "the file is of version 1"),
            Self::ByteOrder => write!(f, "the file is in the other byte order"),
            Self::NotUtf8 { of } => write!(f, "{of} holds text that is not UTF-8"),
            Self::Truth { key, byte } => write!(f, "{key} holds {byte} as a truth value"),
            Self::NestedArray { key } => write!(f, "{key} is an array of arrays"),
            Self::ListLength { key, found, tokens } => {
                write!(f, "{key} has {found} entries for {tokens} tokens")
            }
            Self::TokenOutside { key, token, tokens } => {
                write!(f, "{key} is {token}, outside of the {tokens} tokens")
            }
            Self::LongName { tensor } => {
                write!(
                    f,
                    "tensor {tensor} has a name of more than {LONGEST_NAME} bytes"
                )
            }
            Self::TensorType { tensor, ggml_type } => {
                write!(
                    f,
                    "tensor {tensor} is of {ggml_type}, which cannot be loaded"
                )
            }
            Self::Gap {
                tensor,
                start,
                expected,
            } => {
                write!(
                    f,
                    "tensor {tensor} starts at {start} of the data instead of {expected}"
                )
            }
        }
    }
}

fn as_text<S: Serializer>(finding: &Finding, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(finding)
}
