//! What can be wrong with a GGUF file, and where.

use std::io;
use std::path::{Path, PathBuf};

use crate::GgmlType;

/// Why a GGUF file could not be read, understood or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The operating system refused an operation.
    #[error("cannot {action} the file: {}", path.display())]
    Io {
        /// What was tried: `open`, `map`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The path names a folder, a pipe or a device.
    #[error("not a regular file: {}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The bytes are not a well-formed GGUF file.
    #[error("malformed GGUF, at byte {offset}: {problem}{}", in_file(path.as_deref()))]
    Malformed {
        /// What is wrong.
        problem: Problem,
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// The file, if it is one.
        path: Option<PathBuf>,
    },
    /// A metadata key that is needed is not there.
    #[error("the metadata has no key {key}{}", in_file(path.as_deref()))]
    MissingKey {
        /// The key.
        key: String,
        /// The file, if it is one.
        path: Option<PathBuf>,
    },
    /// A metadata key has a value of the wrong type or range.
    #[error("the metadata key {key}, at byte {offset}, is {found} instead of {expected}{}", in_file(path.as_deref()))]
    WrongType {
        /// The key.
        key: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
        /// Where the value lies, in bytes from the start of the file.
        offset: u64,
        /// The file, if it is one.
        path: Option<PathBuf>,
    },
    /// The parts of a split file do not fit together.
    #[error("{problem}: {}", path.display())]
    Split {
        /// What does not fit.
        problem: SplitProblem,
        /// The part.
        path: PathBuf,
    },
    /// The writer was given something that cannot be written.
    #[error("cannot write {what}: {reason}")]
    Unwritable {
        /// The key or tensor.
        what: String,
        /// Why not.
        reason: String,
    },
}

/// What is wrong at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file does not start with `GGUF`.
    #[error("not a GGUF file, it starts with \"{}\"", found.escape_ascii())]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The file is of a version that nobody has defined yet, or of none.
    #[error("version {version} is not supported, only 1 to 3 are")]
    Version {
        /// The version.
        version: u32,
    },
    /// The file ends inside something.
    #[error("the file ends inside {what}: {needed} bytes are needed and {available} are left")]
    Truncated {
        /// Inside what.
        what: &'static str,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are left.
        available: u64,
    },
    /// A count is larger than the rest of the file could hold.
    #[error("{count} {what} cannot fit into the {available} bytes that are left")]
    Count {
        /// What is counted.
        what: &'static str,
        /// The count.
        count: u64,
        /// Bytes that are left.
        available: u64,
    },
    /// A metadata key is empty.
    #[error("a metadata key is empty")]
    EmptyKey,
    /// A metadata key stands there twice.
    #[error("the metadata key {key} stands there twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A metadata value is of a type that does not exist.
    #[error("metadata value type {number} does not exist")]
    ValueType {
        /// The type's number.
        number: u32,
    },
    /// Arrays of arrays go too deep.
    #[error("arrays are nested more than {limit} deep")]
    Nesting {
        /// The deepest nesting that is read.
        limit: u32,
    },
    /// The alignment is no power of two.
    #[error("alignment {alignment} is not a power of two")]
    Alignment {
        /// The alignment.
        alignment: u32,
    },
    /// The alignment is not a 32-bit unsigned integer.
    #[error("general.alignment is {found} instead of u32")]
    AlignmentType {
        /// The type's name.
        found: &'static str,
    },
    /// A tensor has more than four dimensions.
    #[error("tensor {tensor} has {dimensions} dimensions, at most 4 are possible")]
    Dimensions {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        dimensions: u32,
    },
    /// The elements or bytes of a tensor cannot be counted in 63 bits.
    #[error("tensor {tensor} is too large to exist")]
    TooLarge {
        /// The tensor.
        tensor: String,
    },
    /// The rows of a tensor are not whole blocks of its type.
    #[error(
        "tensor {tensor} has rows of {row} elements, not a multiple of the {block} of {ggml_type}"
    )]
    Row {
        /// The tensor.
        tensor: String,
        /// Elements of a row.
        row: u64,
        /// Elements of a block.
        block: u32,
        /// The tensor's type.
        ggml_type: GgmlType,
    },
    /// A tensor's name stands there twice.
    #[error("tensor {tensor} stands there twice")]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
    },
    /// A tensor's data does not start on a multiple of the alignment.
    #[error(
        "tensor {tensor} starts at {start} of the data, not a multiple of the alignment {alignment}"
    )]
    Misaligned {
        /// The tensor.
        tensor: String,
        /// Start of its data, from the start of the data section.
        start: u64,
        /// The alignment.
        alignment: u32,
    },
    /// A tensor's data runs past the end of the file.
    #[error("the data of tensor {tensor} ends at byte {end}, past the end of the file at {length}")]
    DataOutside {
        /// The tensor.
        tensor: String,
        /// End of its data in the file.
        end: u64,
        /// Length of the file.
        length: u64,
    },
    /// Two tensors share bytes.
    #[error("the data of tensor {tensor} overlaps that of tensor {other}")]
    Overlap {
        /// The tensor that starts later.
        tensor: String,
        /// The one before it.
        other: String,
    },
}

/// Why the parts of a split file do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitProblem {
    /// The metadata says that the file is a part, its name does not say which.
    #[error("the name of part {part} of {count} must end in -{part:05}-of-{count:05}.gguf")]
    Name {
        /// The part, from 1.
        part: u32,
        /// How many there are.
        count: u32,
    },
    /// A part is not there.
    #[error("part {part} of {count} is missing")]
    Missing {
        /// The part, from 1.
        part: u32,
        /// How many there are.
        count: u32,
    },
    /// A part says something else about itself than its place.
    #[error("{key} is {found} instead of {expected}")]
    Mismatch {
        /// The metadata key.
        key: &'static str,
        /// What the part says.
        found: String,
        /// What the first part and the name say.
        expected: u64,
    },
    /// A tensor stands in two parts.
    #[error("tensor {tensor} stands in part {first} and in part {second}")]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
        /// The part that has it first, from 1.
        first: u32,
        /// The other, from 1.
        second: u32,
    },
}

impl GgufError {
    /// Where in the file the problem lies, in bytes from its start.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Malformed { offset, .. } | Self::WrongType { offset, .. } => Some(*offset),
            _ => None,
        }
    }

    /// What is wrong with the bytes, if that is the reason.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Malformed { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Advice for the person who sees this error.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Malformed { problem, .. } => match problem {
                Problem::Magic {
                    found: [b'v', b'e', b'r', b's'],
                } => {
                    "this is a Git LFS pointer, not the model: fetch the file itself with `git lfs pull`"
                }
                Problem::Magic { found } if matches!(found[0], b'<' | b'{') => {
                    "a web page or an error message was saved under this name: download the model again"
                }
                Problem::Magic { .. } => {
                    "only GGUF files can be loaded: convert other formats first"
                }
                Problem::Version { .. } => {
                    "a newer build may know this version: update llamatelemetry"
                }
                Problem::Truncated { .. } | Problem::Count { .. } | Problem::DataOutside { .. } => {
                    "the file is shorter than it says: the download was probably cut off, fetch it again"
                }
                _ => {
                    "the file is damaged or was written by a faulty tool: fetch or convert it again"
                }
            },
            Self::Split {
                problem: SplitProblem::Missing { .. } | SplitProblem::Name { .. },
                ..
            } => "all parts of a split model must lie in one folder under their original names",
            Self::Split { .. } => {
                "the parts come from different models or downloads: fetch all of them again"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }

    /// The same error, naming the file it is about.
    pub(crate) fn in_file_at(mut self, file: &Path) -> Self {
        match &mut self {
            Self::Malformed { path, .. }
            | Self::MissingKey { path, .. }
            | Self::WrongType { path, .. } => *path = Some(file.to_owned()),
            _ => {}
        }
        self
    }

    pub(crate) fn malformed(problem: Problem, offset: impl TryInto<u64>) -> Self {
        let offset = offset.try_into().unwrap_or(u64::MAX);
        Self::Malformed {
            problem,
            offset,
            path: None,
        }
    }
}

fn in_file(path: Option<&Path>) -> String {
    path.map(|path| format!(": {}", path.display()))
        .unwrap_or_default()
}
