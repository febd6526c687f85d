//! The store's rows as tables: views that SQL can ask, and Parquet files of them.
//!
//! ```text
//! store ──▶ view (columns, documented) ──▶ scan (block by block, in order) ──▶ sql · parquet
//! ```
//!
//! A [`View`] says what its columns are and where their values come from; everything else follows
//! from that: the tables of SQL, the schema of Parquet files and `docs/sql.md`. A scan reads one
//! block at a time and only the columns that are asked for, so that memory does not grow with the
//! store.

mod error;
mod fill;
mod parquet_file;
mod pushdown;
mod scan;
mod sql;
mod stop;
mod value;
mod view;

pub use error::TablesError;
pub use parquet_file::{Written, write_parquet};
pub use pushdown::Pushdown;
pub use sql::{Cell, Heading, RowSink, Sql};
pub use stop::Stop;
pub use view::{Column, Kind, VIEWS, View, markdown, view};
