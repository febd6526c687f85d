//! Questions to a snapshot.

mod batch;
mod condition;
mod sums;

pub use batch::{Attribute, Batch, Content, NumberColumn, TextColumn, Texts, column};
pub use condition::{Condition, Literal};
pub use sums::Sums;

use crate::StoreError;
use crate::block::{self, Block, Pieces, Row, Signal, TIME};
use crate::otlp::{self, Request};
use crate::reader::{Part, Snapshot, with_cause};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;

/// Which rows are wanted: those that meet every condition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Times of rows, ns since 1970; `None` for all.
    pub time: Option<Range<u64>>,
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// Rows at most, the newest.
    pub limit: Option<usize>,
}

/// Rows that were found: which of which blocks.
#[derive(Debug)]
pub struct Found<'a> {
    signal: Signal,
    /// Newest block first; the rows rise within each.
    blocks: Vec<(&'a Part, Vec<u32>)>,
    /// Blocks that could not be read, with the reason.
    pub damaged: Vec<String>,
}

impl Snapshot {
    /// The rows of a signal that meet a query. A damaged block is named and passed over.
    pub fn find(&self, signal: Signal, query: &Query) -> Result<Found<'_>, StoreError> {
        let mut found = Found {
            signal,
            blocks: Vec::new(),
            damaged: Vec::new(),
        };
        let limit = query.limit.unwrap_or(usize::MAX);
        // The times of what was found, so that older blocks need not be opened.
        let mut times: Vec<u64> = Vec::new();
        for part in self.of(signal) {
            let outside = query
                .time
                .as_ref()
                .is_some_and(|time| part.newest < time.start || part.oldest >= time.end);
            let enough =
                times.len() >= limit && times.last().is_none_or(|last| *last > part.newest);
            let without = |condition: &Condition| !condition.may_hold_part(part);
            if outside || enough || query.conditions.iter().any(without) {
                continue;
            }
            match part.block().and_then(|block| rows_of(&block, query)) {
                Ok(rows) if rows.is_empty() => {}
                Ok(rows) => {
                    if limit < usize::MAX {
                        times.extend(rows.iter().map(|(_, time)| *time));
                        times.sort_unstable_by(|one, other| other.cmp(one));
                        times.truncate(limit);
                    }
                    let rows = rows.into_iter().map(|(row, _)| row).collect();
                    found.blocks.push((part, rows));
                }
                Err(error) if error.is_of_file() => found.damaged.push(with_cause(&error)),
                Err(error) => return Err(error),
            }
        }
        found.cut(limit, &times);
        Ok(found)
    }

    /// The spans of one trace, whichever process sent them.
    pub fn trace(&self, trace_id: [u8; 16]) -> Result<ExportTraceServiceRequest, StoreError> {
        let query = Query {
            conditions: vec![Condition::Trace(trace_id)],
            ..Query::default()
        };
        self.find(Signal::Traces, &query)?.traces()
    }
}

impl Part {
    /// The rows of this block that meet a query, but for its limit.
    pub fn find(&self, query: &Query) -> Result<Batch, StoreError> {
        let without = |condition: &Condition| !condition.may_hold_part(self);
        let block = self.block()?;
        let rows = if query.conditions.iter().any(without) {
            Vec::new()
        } else {
            rows_of(&block, query)?
        };
        Ok(Batch::new(block, rows))
    }
}

/// The rows of a block that meet the query, rising, with their times.
pub(crate) fn rows_of(block: &Block, query: &Query) -> Result<Vec<(u32, u64)>, StoreError> {
    for condition in &query.conditions {
        if !condition.may_hold(block)? {
            return Ok(Vec::new());
        }
    }
    let mut rows: Option<Vec<u32>> = None;
    for condition in &query.conditions {
        let mut met = condition.rows(block)?;
        if let Some(rows) = rows {
            met.retain(|row| rows.binary_search(row).is_ok());
        }
        if met.is_empty() {
            return Ok(Vec::new());
        }
        rows = Some(met);
    }
    let times = block.values(&block.meta.numbers[TIME])?;
    let rows = rows.unwrap_or_else(|| (0..block.meta.rows as u32).collect());
    let with_time = rows.into_iter().map(|row| (row, times[row as usize]));
    Ok(match &query.time {
        Some(time) => with_time.filter(|(_, at)| time.contains(at)).collect(),
        None => with_time.collect(),
    })
}

/// The times of all rows of a block.
fn times_of(part: &Part) -> Result<Vec<u64>, StoreError> {
    let block = part.block()?;
    block.values(&block.meta.numbers[TIME])
}

/// Time and trace of these rows. A row without a trace has none.
pub(crate) fn ids_of(block: &Block, rows: &[u32]) -> Result<Vec<(u64, [u8; 16])>, StoreError> {
    let times = block.values(&block.meta.numbers[TIME])?;
    let column = &block.meta.texts[block::TRACE];
    let (codes, dictionary) = (block.values(column)?, block.dictionary(column)?);
    let mut pieces = Pieces::new(block);
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows.iter().map(|row| *row as usize) {
        let id = dictionary.string(codes[row] as usize, &mut pieces)?;
        ids.extend(<[u8; 16]>::try_from(id).ok().map(|id| (times[row], id)));
    }
    Ok(ids)
}

impl<'a> Found<'a> {
    /// How many rows were found.
    pub fn len(&self) -> usize {
        self.blocks.iter().map(|(_, rows)| rows.len()).sum()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in pieces of this many, the oldest first, so that not all need be held at once.
    /// Rows of one time stay together. What is damaged is named by the piece that meets it.
    pub fn pieces(&self, rows: usize) -> Result<Vec<Found<'a>>, StoreError> {
        let mut all: Vec<(u64, usize, u32)> = Vec::with_capacity(self.len());
        let mut damaged = Vec::new();
        for (place, (part, found)) in self.blocks.iter().enumerate() {
            match times_of(part) {
                Ok(times) => {
                    all.extend(found.iter().map(|row| (times[*row as usize], place, *row)));
                }
                Err(error) if error.is_of_file() => damaged.push(with_cause(&error)),
                Err(error) => return Err(error),
            }
        }
        all.sort_unstable();
        let mut pieces = Vec::new();
        if !damaged.is_empty() {
            pieces.push(Found {
                signal: self.signal,
                blocks: Vec::new(),
                damaged,
            });
        }
        let mut rest = all.as_mut_slice();
        while !rest.is_empty() {
            let last = rest[rows.clamp(1, rest.len()) - 1].0;
            let count = rest.partition_point(|(time, ..)| *time <= last);
            let (piece, after) = rest.split_at_mut(count);
            rest = after;
            piece.sort_unstable_by_key(|(_, place, row)| (*place, *row));
            let blocks = piece.chunk_by(|one, next| one.1 == next.1).map(|rows| {
                let part = self.blocks[rows[0].1].0;
                (part, rows.iter().map(|(.., row)| *row).collect())
            });
            pieces.push(Found {
                signal: self.signal,
                blocks: blocks.collect(),
                damaged: Vec::new(),
            });
        }
        Ok(pieces)
    }

    /// Keeps the newest rows. `times` are those of the newest, newest first.
    fn cut(&mut self, limit: usize, times: &[u64]) {
        if self.len() <= limit {
            return;
        }
        let oldest = times.last().copied().unwrap_or(0);
        // Of those that share the oldest time only as many as fit.
        let mut room = times.iter().filter(|time| **time == oldest).count();
        let damaged = &mut self.damaged;
        for (part, rows) in &mut self.blocks {
            let at = match times_of(part) {
                Ok(at) => at,
                Err(error) => {
                    damaged.push(with_cause(&error));
                    rows.clear();
                    continue;
                }
            };
            rows.retain(|row| match at[*row as usize].cmp(&oldest) {
                std::cmp::Ordering::Greater => true,
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => {
                    let fits = room > 0;
                    room -= usize::from(fits);
                    fits
                }
            });
        }
        self.blocks.retain(|(_, rows)| !rows.is_empty());
    }

    /// The rows themselves, oldest first. Those of a block that turns out to be damaged are left
    /// out, and the block is named.
    fn rows(
        &mut self,
        read: impl Fn(&Block, &[u32]) -> Result<Vec<Row>, StoreError>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut all = Vec::new();
        for (part, rows) in self.blocks.iter().rev() {
            match part.block().and_then(|block| read(&block, rows)) {
                Ok(rows) => all.extend(rows),
                Err(error) if error.is_of_file() => self.damaged.push(with_cause(&error)),
                Err(error) => return Err(error),
            }
        }
        // Among equal times by what the rows hold: the same rows come in the same order however
        // they lie in files.
        all.sort_by(|one, other| {
            let by_time = one.numbers[TIME].cmp(&other.numbers[TIME]);
            by_time.then_with(|| one.texts.cmp(&other.texts))
        });
        Ok(all)
    }

    /// The traces that the rows belong to, that of the newest row first.
    pub fn trace_ids(&mut self) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut all = Vec::with_capacity(self.len());
        for (part, rows) in &self.blocks {
            match part.block().and_then(|block| ids_of(&block, rows)) {
                Ok(ids) => all.extend(ids),
                Err(error) if error.is_of_file() => self.damaged.push(with_cause(&error)),
                Err(error) => return Err(error),
            }
        }
        all.sort_unstable_by_key(|(time, id)| (Reverse(*time), *id));
        let mut seen = BTreeSet::new();
        all.retain(|(_, id)| seen.insert(*id));
        Ok(all.into_iter().map(|(_, id)| id).collect())
    }

    fn request(&mut self) -> Result<Request, StoreError> {
        let known = self.damaged.len();
        let rows = self.rows(block::read)?;
        if let Ok(request) = otlp::gather(self.signal, rows) {
            return Ok(request);
        }
        // Checked by their checksums, the rows are as they were written: what makes no message was
        // written wrong. Which block that is is asked only now, since it costs a second reading.
        self.damaged.truncate(known);
        let signal = self.signal;
        let rows = self.rows(|block, rows| {
            otlp::gather(signal, block::read(block, rows)?)
                .map_err(|broken| block.damaged(broken.0))?;
            block::read(block, rows)
        })?;
        otlp::gather(signal, rows).map_err(|broken| StoreError::Damaged {
            what: broken.0,
            path: std::path::PathBuf::default(),
        })
    }

    /// The rows as spans, oldest first; empty for another signal.
    pub fn traces(&mut self) -> Result<ExportTraceServiceRequest, StoreError> {
        match self.request()? {
            Request::Traces(request) => Ok(request),
            _ => Ok(ExportTraceServiceRequest::default()),
        }
    }

    /// The rows as metrics, oldest first; empty for another signal.
    pub fn metrics(&mut self) -> Result<ExportMetricsServiceRequest, StoreError> {
        match self.request()? {
            Request::Metrics(request) => Ok(request),
            _ => Ok(ExportMetricsServiceRequest::default()),
        }
    }

    /// The rows as log records, oldest first; empty for another signal.
    pub fn logs(&mut self) -> Result<ExportLogsServiceRequest, StoreError> {
        match self.request()? {
            Request::Logs(request) => Ok(request),
            _ => Ok(ExportLogsServiceRequest::default()),
        }
    }
}
