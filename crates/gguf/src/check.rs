//! Decoding everything that opening a file leaves alone.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::GgufError;
use crate::array::Array;
use crate::cursor::Endianness;
use crate::ggml::GgmlType;
use crate::reader::{Gguf, Tensor};
use crate::value::{Text, Value, ValueType};

/// Notes kept; a vocabulary of broken tokens shall not fill the memory.
const NOTES_KEPT: usize = 100;

/// Longest tensor name that llama.cpp loads, in bytes.
const LONGEST_NAME: usize = 63;

/// What [`Gguf::check`] found in a file that could be read as a whole.
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

impl Gguf {
    /// Decodes every string, number and tensor description of the file and reports what is odd.
    ///
    /// # Errors
    /// Opening has found everything that cannot be read; this fails only where the file was
    /// changed since.
    pub fn check(&self) -> Result<CheckReport, GgufError> {
        let mut check = Check {
            file: self,
            report: CheckReport::default(),
        };
        check.header();
        check.metadata().map_err(|error| self.in_this_file(error))?;
        check.vocabulary();
        check.tensors();
        Ok(check.report)
    }
}

struct Check<'a> {
    file: &'a Gguf,
    report: CheckReport,
}

impl<'a> Check<'a> {
    fn note(&mut self, offset: usize, refused: bool, finding: impl FnOnce() -> Finding) {
        if self.report.notes.len() < NOTES_KEPT {
            let note = Note {
                offset: offset as u64,
                finding: finding(),
                refused,
            };
            self.report.notes.push(note);
        } else {
            self.report.notes_left_out += 1;
        }
    }

    fn header(&mut self) {
        if self.file.version() == 1 {
            self.note(4, true, || Finding::VersionOne);
        }
        let native = if cfg!(target_endian = "big") {
            Endianness::Big
        } else {
            Endianness::Little
        };
        if self.file.endianness() != native {
            self.note(4, true, || Finding::ByteOrder);
        }
    }

    fn metadata(&mut self) -> Result<(), GgufError> {
        let file = self.file;
        let bytes = file.as_bytes();
        for (entry, (key, value)) in file.index().entries.iter().zip(file.metadata()) {
            self.report.keys += 1;
            self.text(key, entry.key.start, key);
            let at = entry.value.start;
            match value {
                Value::String(text) => self.text(text, at, key),
                Value::Array(array) => self.array(array, at, key)?,
                Value::Bool(_) => {
                    self.truths(entry.value.of(bytes), at, key);
                    self.report.numbers += 1;
                }
                _ => self.report.numbers += 1,
            }
        }
        Ok(())
    }

    #[inline]
    fn text(&mut self, text: Text<'a>, at: usize, of: Text<'a>) {
        self.report.strings += 1;
        self.report.string_bytes += text.as_bytes().len() as u64;
        if text.to_str().is_err() {
            self.note(at, false, || Finding::NotUtf8 { of: of.to_string() });
        }
    }

    fn truths(&mut self, bytes: &[u8], at: usize, key: Text<'a>) {
        for (place, &byte) in bytes.iter().enumerate().filter(|&(_, &byte)| byte > 1) {
            self.note(at + place, false, || Finding::Truth {
                key: key.to_string(),
                byte,
            });
        }
    }

    fn array(&mut self, array: Array<'a>, at: usize, key: Text<'a>) -> Result<(), GgufError> {
        let length = self.file.index().layout.lengths.bytes();
        // Past the element type and the count.
        let mut at = at + 4 + length;
        let mut found = 0;
        match array.element_type() {
            ValueType::String => {
                for text in array.texts().into_iter().flatten() {
                    self.text(text, at, key);
                    at += length + text.as_bytes().len();
                    found += 1;
                }
            }
            ValueType::Array => {
                self.note(at, true, || Finding::NestedArray {
                    key: key.to_string(),
                });
                for inner in array.iter().filter_map(|value| value.as_array()) {
                    self.array(inner, at, key)?;
                    at += 4 + length + inner.as_bytes().len();
                    found += 1;
                }
            }
            element => {
                if element == ValueType::Bool {
                    self.truths(array.as_bytes(), at, key);
                }
                found = array.as_bytes().len() as u64 / element.size().max(1);
                self.report.numbers += found;
            }
        }
        if found == array.len() {
            return Ok(());
        }
        let problem = crate::Problem::Truncated {
            what: "an array that was whole when the file was opened",
            needed: array.len(),
            available: found,
        };
        Err(GgufError::malformed(problem, at))
    }

    /// Lists beside the tokens and the numbers of special tokens must fit the tokens.
    fn vocabulary(&mut self) {
        let file = self.file;
        let tokens = file
            .get("tokenizer.ggml.tokens")
            .and_then(|value| value.as_array());
        let Some(tokens) = tokens.map(|tokens| tokens.len()) else {
            return;
        };
        for (entry, (key, value)) in file.index().entries.iter().zip(file.metadata()) {
            let Some(name) = key.as_bytes().strip_prefix(b"tokenizer.ggml.") else {
                continue;
            };
            let at = entry.value.start;
            match value {
                Value::Array(list)
                    if matches!(name, b"scores" | b"token_type") && list.len() != tokens =>
                {
                    let found = list.len();
                    let key = key.to_string();
                    self.note(at, false, || Finding::ListLength { key, found, tokens });
                }
                number if name.ends_with(b"_token_id") => {
                    if let Some(token) = number.as_u64().filter(|&token| token >= tokens) {
                        let key = key.to_string();
                        self.note(at, false, || Finding::TokenOutside { key, token, tokens });
                    }
                }
                _ => {}
            }
        }
    }

    fn tensors(&mut self) {
        let file = self.file;
        let alignment = u64::from(file.alignment());
        let mut expected = Some(0);
        for (entry, tensor) in file.index().tensors.iter().zip(file.tensors()) {
            let at = entry.name.start;
            let name = tensor.name();
            self.report.tensors += 1;
            self.report.tensor_bytes += tensor.size().unwrap_or(0);
            self.text(name, at, name);
            if name.as_bytes().len() > LONGEST_NAME {
                self.note(at, true, || Finding::LongName {
                    tensor: name.to_string(),
                });
            }
            if let Some(expected) = expected.filter(|&expected| expected != tensor.offset()) {
                let start = tensor.offset();
                let tensor = name.to_string();
                self.note(at, true, || Finding::Gap {
                    tensor,
                    start,
                    expected,
                });
            }
            expected = self
                .end_of(&tensor, at)
                .map(|end| end.next_multiple_of(alignment));
        }
    }

    /// The end of a tensor's data; `None`, with a note, where its type is not known.
    fn end_of(&mut self, tensor: &Tensor<'_>, at: usize) -> Option<u64> {
        let Some(size) = tensor.size() else {
            let ggml_type = tensor.ggml_type();
            let tensor = tensor.name().to_string();
            self.note(at, true, || Finding::TensorType { tensor, ggml_type });
            return None;
        };
        tensor.offset().checked_add(size)
    }
}
