//! Read, check and write GGUF files: the format in which llama.cpp keeps models.
//!
//! [`Gguf::open`] maps a file and checks every offset, length, alignment and count in it without
//! decoding strings or arrays; [`Gguf::facts`] says what the model is; [`Gguf::check`] decodes
//! everything; [`open_model`] also finds the other parts of a split model. [`GgufWriter`] writes
//! files, [`proof_model`] the smallest one that llama-server loads and completes with.
//!
//! What a file says is never trusted: a malformed file ends in a [`GgufError`] that names the byte,
//! without a panic and without memory for counts that the file cannot hold. What a file says that
//! we do not know (metadata keys, tensor types) is kept and passed on.

mod array;
mod check;
mod cursor;
mod error;
mod facts;
mod file_type;
mod ggml;
mod index;
mod kind;
mod owned;
mod proof;
mod reader;
mod report;
mod split;
mod strings;
mod sys;
mod utf8;
mod value;
mod write;

pub use array::{Array, Elements, Texts};
pub use cursor::Endianness;
pub use error::{GgufError, Problem, SplitProblem};
pub use facts::{ModelFacts, PerLayer, QuantizationShare};
pub use file_type::FileType;
pub use ggml::{Block, GgmlType};
pub use kind::{ModelKind, PoolingType};
pub use owned::OwnedValue;
pub use proof::{PROOF_PROMPT, PROOF_TEXT, letters_model, proof_model};
pub use reader::{Bytes, Gguf, Tensor};
pub use report::{CheckReport, Finding, Note};
pub use split::{SplitGguf, open_model, parse_split_name, split_name};
pub use value::{Text, Value, ValueType};
pub use write::GgufWriter;
