//! A block: up to 16,384 rows of one signal, in columns, never changed once it is written.

mod build;
mod builders;
mod column;
mod filter;
mod layout;
mod output;
mod rows;
mod schema;
mod strings;
mod view;

pub use schema::Signal;

pub(crate) use build::{Builder, Built, LONGEST_KEY, Origin, trace_key};
pub(crate) use builders::Builders;
pub(crate) use column::ValueType;
pub(crate) use filter::{holds, key_hash};
#[cfg(any(fuzzing, test))]
pub(crate) use layout::Chunk;
pub(crate) use layout::{ATTRIBUTE_LIMIT, BlockMeta, ROW_LIMIT};
pub(crate) use output::Packing;
pub(crate) use rows::{Row, read};
pub(crate) use schema::{NAME, RESOURCE, SCOPE, SPAN, TIME, TRACE, log, point, span};
pub(crate) use view::{Block, Dictionary, Pieces, Source};
