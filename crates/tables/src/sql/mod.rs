//! Questions in SQL, answered by SQLite over tables that are the views.

mod guard;
mod plan;
#[expect(
    unsafe_code,
    reason = "SQLite's virtual tables are structs that begin with one of its own"
)]
mod sys;

use crate::pushdown::Pushdown;
use crate::scan::Stored;
use crate::stop::Stop;
use crate::view::VIEWS;
use crate::{Kind, TablesError};
use guard::Guard;
use llamatelemetry_store::Snapshot;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// Memory that SQLite may take, bytes; what it sorts goes to a file before.
const MEMORY: usize = 256 << 20;
/// A text of an answer at most, bytes.
const LONGEST: i32 = 64 << 20;
/// Steps of SQLite's machine between two looks at whether to stop.
const STEPS: i32 = 1_000;

/// Answers questions about one moment of a store.
#[derive(Debug)]
pub struct Sql {
    connection: Connection,
    shared: Arc<Shared>,
    guard: Guard,
}

/// What all tables of a connection share.
#[derive(Debug)]
struct Shared {
    stored: Stored,
    pushdown: Pushdown,
    /// Why a table failed: SQLite keeps only the words.
    failure: Mutex<Option<TablesError>>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Its name.
    pub name: String,
    /// Whether its texts are JSON, as far as that is known.
    pub json: bool,
}

/// A cell of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Not known.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// Takes an answer row by row. Breaking off ends the question.
pub trait RowSink {
    /// The columns, once, before any row.
    fn columns(&mut self, columns: &[Heading]) -> ControlFlow<()>;
    /// A row.
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()>;
}

impl Sql {
    /// Makes the tables of what a store held at one moment.
    pub fn open(snapshot: Snapshot, stop: Stop, pushdown: Pushdown) -> Result<Self, TablesError> {
        let shared = Arc::new(Shared {
            stored: Stored::new(snapshot, stop.clone()),
            pushdown,
            failure: Mutex::default(),
        });
        // No address of a file is taken for one: there is none.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_MEMORY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_in_memory_with_flags(flags).map_err(TablesError::Engine)?;
        let guard = Guard::default();
        prepare(&mut connection, &shared, &guard, stop).map_err(TablesError::Engine)?;
        Ok(Self {
            connection,
            shared,
            guard,
        })
    }

    /// Answers one question.
    pub fn query(&self, sql: &str, sink: &mut dyn RowSink) -> Result<(), TablesError> {
        self.answer(sql, sink)
            .map_err(|error| self.failure(error, sql))?
    }

    /// Files that could not be read so far, each with the reason.
    pub fn damaged(&self) -> BTreeSet<String> {
        self.shared.stored.damaged()
    }

    fn answer(
        &self,
        sql: &str,
        sink: &mut dyn RowSink,
    ) -> rusqlite::Result<Result<(), TablesError>> {
        let mut statement = self.connection.prepare(sql)?;
        let columns: Vec<Heading> = statement
            .columns()
            .map(|column| Heading {
                name: column.name().to_owned(),
                json: column.decl_type() == Some(Kind::Json.declared()),
            })
            .collect();
        if columns.is_empty() {
            return Ok(Err(TablesError::Empty));
        }
        match statement.parameter_count() {
            0 => {}
            count => return Ok(Err(TablesError::Parameters { count })),
        }
        if sink.columns(&columns).is_break() {
            return Ok(Ok(()));
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(columns.len());
            for place in 0..columns.len() {
                cells.push(match row.get_ref(place)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Integer(number),
                    ValueRef::Real(number) => Cell::Real(number),
                    // SQL can cut a letter in two.
                    ValueRef::Text(text) => {
                        std::str::from_utf8(text).map_or(Cell::Blob(text), Cell::Text)
                    }
                    ValueRef::Blob(bytes) => Cell::Blob(bytes),
                });
            }
            if sink.row(&cells).is_break() {
                break;
            }
        }
        Ok(Ok(()))
    }

    /// What an error of SQLite's was about.
    fn failure(&self, error: rusqlite::Error, sql: &str) -> TablesError {
        let failure = &self.shared.failure;
        let known = failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(known) = known {
            return known;
        }
        if let Some(action) = self.guard.refused() {
            return TablesError::Refused { action };
        }
        match (error.sqlite_error_code(), &error) {
            (_, rusqlite::Error::MultipleStatement) => TablesError::Several,
            (_, rusqlite::Error::SqlInputError { msg, offset, .. }) => located(msg, sql, *offset),
            (Some(ErrorCode::OperationInterrupted), _) => {
                let stopped = self.shared.stored.stop.check();
                stopped.err().unwrap_or(TablesError::Engine(error))
            }
            (Some(ErrorCode::OutOfMemory), _) => TablesError::Memory { limit: MEMORY },
            _ => TablesError::Engine(error),
        }
    }
}

/// Makes the tables, then locks everything else.
fn prepare(
    connection: &mut Connection,
    shared: &Arc<Shared>,
    guard: &Guard,
    stop: Stop,
) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("PRAGMA hard_heap_limit = {MEMORY}"))?;
    for view in VIEWS {
        sys::create(connection, view, shared)?;
        let name = view.name;
        connection.execute_batch(&format!("CREATE VIRTUAL TABLE {name} USING {name}"))?;
    }
    connection.execute_batch("PRAGMA query_only = ON")?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
    connection.progress_handler(STEPS, Some(move || stop.check().is_err()))?;
    guard.lock(connection)
}

/// A mistake in a question, with its place.
fn located(message: &str, sql: &str, offset: i32) -> TablesError {
    let offset = usize::try_from(offset).unwrap_or(0).min(sql.len());
    let before = sql.get(..offset).unwrap_or(sql);
    let after = sql.get(offset..).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    TablesError::Sql {
        message: message.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        near: after
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    }
}
