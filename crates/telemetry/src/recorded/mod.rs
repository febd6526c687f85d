//! What lies in the store of this machine, as people and programs ask for it.

mod error;
mod figures;
mod import;
mod lines;
mod log;
mod moment;
mod series;
mod summary;

pub use crate::console::{Detail, SpanTree};
pub use error::RecordedError;
pub use figures::{Figures, Step, figures, figures_by_step};
pub use import::{Import, Imported};
pub use lines::{json, lines};
pub use log::LogLine;
pub use moment::Moment;
pub use series::Point;
pub use summary::TraceSummary;

use crate::check::Document;
use llamatelemetry_store::{
    Condition, Query, Reader, Rollups, Signal, Snapshot, StoreError, Totals,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::path::Path;
use summary::Summaries;

/// Rows that are held at once while many are handed on.
const PIECE: usize = 4_096;
/// Candidates that are named for an ambiguous beginning of an id.
const NAMED: usize = 5;

/// The store at one moment. Damaged files are passed over and remembered.
#[derive(Debug)]
pub struct Recorded {
    snapshot: Snapshot,
    damaged: BTreeSet<String>,
}

impl Recorded {
    /// What the store in this folder holds now.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self::new(Reader::open(folder)?.snapshot()?))
    }

    /// What a snapshot holds.
    pub fn new(snapshot: Snapshot) -> Self {
        let damaged = snapshot.damaged().values().cloned().collect();
        Self { snapshot, damaged }
    }

    /// Files that could not be read so far, each with the reason.
    pub fn damaged(&self) -> impl Iterator<Item = &str> {
        self.damaged.iter().map(String::as_str)
    }

    /// Whether there is no row of this signal.
    pub fn is_empty(&self, signal: Signal) -> bool {
        self.snapshot.rows(signal) == 0
    }

    /// The ids of traces with a span that meets the query, the newest first; `limit` counts traces.
    pub fn trace_ids(&mut self, query: &Query) -> Result<Vec<[u8; 16]>, StoreError> {
        let limit = query.limit.unwrap_or(usize::MAX);
        // A trace has several spans, nobody knows how many: more rows until they are enough.
        let mut rows = limit.saturating_mul(8);
        loop {
            let query = Query {
                limit: Some(rows),
                ..query.clone()
            };
            let mut found = self.snapshot.find(Signal::Traces, &query)?;
            let all = found.len() < rows;
            let mut ids = found.trace_ids()?;
            if all || ids.len() >= limit {
                self.damaged
                    .append(&mut found.damaged.into_iter().collect());
                ids.truncate(limit);
                return Ok(ids);
            }
            rows = rows.saturating_mul(8);
        }
    }

    /// The traces with a span that meets the query, the newest first; `limit` counts traces.
    pub fn traces(&mut self, query: &Query) -> Result<Vec<TraceSummary>, StoreError> {
        let ids = self.trace_ids(query)?;
        let mut summaries = Summaries::default();
        let whole = Query {
            conditions: vec![Condition::AnyTrace(ids.into_iter().collect())],
            ..Query::default()
        };
        self.documents(Signal::Traces, &whole, &mut |document| {
            summaries.add(&document);
            ControlFlow::Continue(())
        })?;
        Ok(summaries.newest_first())
    }

    /// The one trace whose id begins like this, in hexadecimal; `last` is the newest.
    pub fn trace_id(&mut self, name: &str) -> Result<[u8; 16], RecordedError> {
        if name == "last" {
            let newest = Query {
                limit: Some(1),
                ..Query::default()
            };
            let ids = self.trace_ids(&newest)?;
            return ids.first().copied().ok_or(RecordedError::NoTraces);
        }
        let within = beginning(name).ok_or_else(|| RecordedError::NoId {
            name: name.to_owned(),
        })?;
        let condition = if within.start() == within.end() {
            Condition::Trace(*within.start())
        } else {
            Condition::TraceWithin(within)
        };
        let query = Query {
            conditions: vec![condition],
            ..Query::default()
        };
        let ids = self.trace_ids(&query)?;
        match ids.as_slice() {
            [id] => Ok(*id),
            [] => Err(RecordedError::NotFound {
                name: name.to_owned(),
            }),
            [..] => Err(RecordedError::Ambiguous {
                name: name.to_owned(),
                count: ids.len(),
                ids: ids.iter().take(NAMED).map(|id| hex(id)).collect(),
            }),
        }
    }

    /// A whole trace as one document.
    pub fn trace(&mut self, trace_id: [u8; 16]) -> Result<Document, StoreError> {
        let query = Query {
            conditions: vec![Condition::Trace(trace_id)],
            ..Query::default()
        };
        let mut found = self.snapshot.find(Signal::Traces, &query)?;
        let spans = found.traces()?.resource_spans;
        self.damaged.extend(found.damaged);
        Ok(Document {
            spans: Some(spans),
            ..Document::default()
        })
    }

    /// The log records that meet the query, oldest first.
    pub fn logs(&mut self, query: &Query) -> Result<Vec<LogLine>, StoreError> {
        let mut all = Vec::new();
        self.documents(Signal::Logs, query, &mut |document| {
            all.extend(log::lines(document));
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    /// The points of metrics that meet the query, oldest first.
    pub fn points(&mut self, query: &Query) -> Result<Vec<Point>, StoreError> {
        let mut all = Vec::new();
        self.documents(Signal::Metrics, query, &mut |document| {
            all.extend(series::points(document));
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    /// Rows of a signal.
    pub fn rows(&self, signal: Signal) -> u64 {
        self.snapshot.rows(signal)
    }

    /// Bytes of the files that hold it all.
    pub fn bytes(&self) -> u64 {
        self.snapshot.bytes()
    }

    /// Hands on what meets the query, oldest first, some thousand rows at a time, until `each`
    /// breaks off.
    pub fn documents(
        &mut self,
        signal: Signal,
        query: &Query,
        each: &mut dyn FnMut(Document) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let found = self.snapshot.find(signal, query)?;
        let pieces = found.pieces(PIECE)?;
        self.damaged.extend(found.damaged);
        for mut piece in pieces {
            let mut document = Document::default();
            match signal {
                Signal::Traces => document.spans = Some(piece.traces()?.resource_spans),
                Signal::Metrics => document.metrics = Some(piece.metrics()?.resource_metrics),
                Signal::Logs => document.logs = Some(piece.logs()?.resource_logs),
            }
            self.damaged.extend(piece.damaged);
            if each(document).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Sums over model requests that began in these minutes since 1970, minute by minute.
    pub fn rollups(&mut self, minutes: Option<&Range<u64>>) -> Result<Rollups, StoreError> {
        let summed = self.snapshot.rollups(minutes)?;
        self.damaged.extend(summed.damaged);
        Ok(summed.sums)
    }

    /// Sums over model requests that began in these minutes since 1970, of all times without.
    pub fn totals(&mut self, minutes: Option<&Range<u64>>) -> Result<Totals, StoreError> {
        let summed = self.snapshot.totals(minutes)?;
        self.damaged.extend(summed.damaged);
        Ok(summed.sums)
    }
}

/// The spans of a document.
pub fn spans(document: Document) -> Vec<Span> {
    let resources = document.spans.into_iter().flatten();
    resources
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

/// All ids that begin with these hexadecimal digits.
fn beginning(digits: &str) -> Option<RangeInclusive<[u8; 16]>> {
    const DIGITS: usize = 32;
    let missing = DIGITS.checked_sub(digits.len())?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let bound = |fill: &str| {
        let digits = format!("{digits}{}", fill.repeat(missing));
        u128::from_str_radix(&digits, 16).ok()
    };
    let (first, last) = (bound("0")?, bound("f")?);
    Some(first.to_be_bytes()..=last.to_be_bytes())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_range_of_ids() {
        let of = |digits: &str| beginning(digits).expect("digits");
        let mut first = [0; 16];
        first[..2].copy_from_slice(&[0x0a, 0xf0]);
        assert_eq!(*of("0aF").start(), first);
        let mut last = [0xff; 16];
        last[..2].copy_from_slice(&[0x0a, 0xff]);
        assert_eq!(*of("0aF").end(), last);
        let whole = of("0af7651916cd43dd8448eb211c80319c");
        assert_eq!(whole.start(), whole.end());
        for wrong in ["", "0g", "0af7651916cd43dd8448eb211c80319c0", "é", "+1"] {
            assert_eq!(beginning(wrong), None, "{wrong}");
        }
    }
}
