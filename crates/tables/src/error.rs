//! What can go wrong while rows are asked for as tables.

use llamatelemetry_store::StoreError;
use std::path::PathBuf;
use std::time::Duration;

/// What can go wrong while rows are asked for as tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TablesError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The question is no SQL, or names what is not there.
    #[error("{message}, at line {line}, column {column}: {near}")]
    Sql {
        /// What SQLite says.
        message: String,
        /// Line of the question, from 1 on.
        line: usize,
        /// Letter of the line, from 1 on.
        column: usize,
        /// The line from there on.
        near: String,
    },
    /// The question would do more than read.
    #[error("only questions are answered: {action} is refused")]
    Refused {
        /// What it would do: `ATTACH`, `PRAGMA journal_mode`.
        action: String,
    },
    /// There is nothing to answer.
    #[error("there is no question in it: one begins with SELECT")]
    Empty,
    /// More than one statement.
    #[error("one question at a time: there is more behind the first `;`")]
    Several,
    /// The question has `?` or `:name` in it.
    #[error("the question has {count} parameters, and nothing gives them values")]
    Parameters {
        /// How many.
        count: usize,
    },
    /// SQLite could not answer.
    #[error("the question cannot be answered")]
    Engine(#[source] rusqlite::Error),
    /// It took more memory than it may.
    #[error("the question needs more than {limit} bytes of memory")]
    Memory {
        /// The limit, bytes.
        limit: usize,
    },
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
    /// It took longer than it may.
    #[error("no answer within {limit:?}")]
    TimedOut {
        /// How long it might take.
        limit: Duration,
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Rows could not be put into Parquet's form.
    #[error("cannot write Parquet: {path}")]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: parquet::errors::ParquetError,
    },
}

impl TablesError {
    /// What the user can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(error) => error.hints(),
            Self::Sql { .. } | Self::Empty => {
                vec!["`llt trace sql --views` lists every view and its columns".to_owned()]
            }
            Self::TimedOut { .. } => vec![
                "a time range narrows what is read: `WHERE start_time_unix_nano > …`".to_owned(),
                "or give it longer: `--timeout 5m`".to_owned(),
            ],
            Self::Memory { .. } => {
                vec![
                    "group or limit the rows, or export them: `llt trace export --format parquet`"
                        .to_owned(),
                ]
            }
            _ => Vec::new(),
        }
    }
}
