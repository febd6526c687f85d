//! The embedded store of traces, metrics and logs.
//!
//! ```text
//! append ──▶ journal (one a process, synced before the answer) ──▶ blocks (columns, zstd)
//!               └─────────────── read by any process, without waiting ───────┘
//! ```
//!
//! `docs/store.md` describes the format and what it costs.

#![expect(
    clippy::cast_possible_truncation,
    reason = "places within a block fit 32 bits: it is closed at 16,384 rows or 12 MiB of texts, \
              and what is read from a disk is checked against those bounds"
)]

mod answer;
mod block;
mod codec;
mod compact;
mod error;
mod file;
mod folder;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod inspect;
mod journal;
mod otlp;
mod purge;
mod query;
mod reader;
mod rollup;
mod tail;
mod writer;

pub use block::Signal;
pub use compact::{Compacted, Retention, compact};
pub use error::StoreError;
pub use inspect::files_holding;
pub use otlp::rows;
pub use purge::{Purge, Purged, purge};
pub use query::{
    Attribute, Batch, Condition, Content, Found, Literal, NumberColumn, Query, Sums, TextColumn,
    Texts, column,
};
pub use reader::{Part, Reader, Snapshot};
pub use rollup::{Histogram, Rollup, RollupKey, Rollups, TotalKey, Totals};
pub use writer::Writer;
