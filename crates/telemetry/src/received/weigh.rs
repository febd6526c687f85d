//! How much memory a request's messages will take, before they are read: two bytes on the wire can
//! become a message of hundreds. What is wrong with single rows shows on the way.

use super::Refused;
use super::faults::{ATTRIBUTES, is_id};
use llamatelemetry_store::Signal;
use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, SummaryDataPoint, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};

/// Messages in messages at most; values can lie in values.
const DEPTH: usize = 64;
/// Memory of a JSON object, about: most are attributes and their values.
const OBJECT: usize = 128;

/// What a request weighs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    /// Memory of its messages, about.
    pub(super) bytes: usize,
    /// Whether every row can be kept.
    pub(super) faultless: bool,
}

/// Memory that JSON takes as messages, about: by its objects, and its numbers in lists.
pub(super) fn json(bytes: &[u8]) -> usize {
    let weights = bytes.iter().map(|byte| match byte {
        b'{' => OBJECT,
        b',' => size_of::<u64>(),
        _ => 1,
    });
    weights.sum()
}

/// Walks over a protobuf request without reading its messages.
pub(super) fn protobuf(signal: Signal, bytes: &[u8]) -> Result<Weight, Refused> {
    let mut weight = Weight {
        bytes: 0,
        faultless: true,
    };
    let whole = match signal {
        Signal::Traces => Kind::Traces,
        Signal::Metrics => Kind::Metrics,
        Signal::Logs => Kind::Logs,
    };
    walk(whole, bytes, DEPTH, &mut weight).map_err(|Malformed(reason)| Refused::Protobuf {
        signal: signal.as_str(),
        reason: reason.to_owned(),
    })?;
    Ok(weight)
}

/// Messages, as far as their parts are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Traces,
    ResourceSpans,
    ScopeSpans,
    Span,
    Event,
    Link,
    Logs,
    ResourceLogs,
    ScopeLogs,
    Record,
    Metrics,
    ResourceMetrics,
    ScopeMetrics,
    Metric,
    Numbers,
    Number,
    Histograms,
    Histogram,
    Exponentials,
    Exponential,
    Buckets,
    Summaries,
    Summary,
    Quantile,
    Exemplar,
    Resource,
    Entity,
    Scope,
    KeyValue,
    Value,
    Values,
    Pairs,
}

impl Kind {
    /// The message in this field.
    fn part(self, field: u64) -> Option<Self> {
        let part = match (self, field) {
            (Self::Traces, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Logs, 1) => Self::ResourceLogs,
            (Self::ResourceLogs, 2) => Self::ScopeLogs,
            (Self::ScopeLogs, 2) => Self::Record,
            (Self::Metrics, 1) => Self::ResourceMetrics,
            (Self::ResourceMetrics, 2) => Self::ScopeMetrics,
            (Self::ScopeMetrics, 2) => Self::Metric,
            (Self::Metric, 5 | 7) => Self::Numbers,
            (Self::Metric, 9) => Self::Histograms,
            (Self::Metric, 10) => Self::Exponentials,
            (Self::Metric, 11) => Self::Summaries,
            (Self::Numbers, 1) => Self::Number,
            (Self::Histograms, 1) => Self::Histogram,
            (Self::Exponentials, 1) => Self::Exponential,
            (Self::Exponential, 8 | 9) => Self::Buckets,
            (Self::Summaries, 1) => Self::Summary,
            (Self::Summary, 6) => Self::Quantile,
            (Self::Number, 5) | (Self::Histogram, 8) | (Self::Exponential, 11) => Self::Exemplar,
            (Self::ResourceSpans | Self::ResourceLogs | Self::ResourceMetrics, 1) => Self::Resource,
            (Self::Resource, 3) => Self::Entity,
            (Self::ScopeSpans | Self::ScopeLogs | Self::ScopeMetrics, 1) => Self::Scope,
            (Self::KeyValue, 2) | (Self::Record, 5) | (Self::Values, 1) => Self::Value,
            (Self::Value, 5) => Self::Values,
            (Self::Value, 6) => Self::Pairs,
            (Self::Pairs, 1) => Self::KeyValue,
            _ if self.attributes() == Some(field) => Self::KeyValue,
            _ => return None,
        };
        Some(part)
    }

    /// The field that holds its attributes.
    fn attributes(self) -> Option<u64> {
        Some(match self {
            Self::Resource | Self::Exponential => 1,
            Self::Scope | Self::Event => 3,
            Self::Link => 4,
            Self::Record => 6,
            Self::Number | Self::Summary | Self::Exemplar => 7,
            Self::Span | Self::Histogram => 9,
            Self::Metric => 12,
            _ => return None,
        })
    }

    /// Whether the store keeps it as a row.
    fn is_row(self) -> bool {
        matches!(
            self,
            Self::Span
                | Self::Record
                | Self::Number
                | Self::Histogram
                | Self::Exponential
                | Self::Summary
        )
    }

    /// Whether these bytes may be its field: ids have their lengths.
    fn accepts(self, field: u64, bytes: &[u8]) -> bool {
        match (self, field) {
            (Self::Span, 1) => is_id(bytes, 16),
            (Self::Span, 2) => is_id(bytes, 8),
            (Self::Record, 9) => matches!(bytes.len(), 0 | 16),
            (Self::Record, 10) => matches!(bytes.len(), 0 | 8),
            _ => true,
        }
    }

    /// Bytes of memory of one, without what it points to.
    fn size(self) -> usize {
        match self {
            Self::ResourceSpans => size_of::<ResourceSpans>(),
            Self::ScopeSpans => size_of::<ScopeSpans>(),
            Self::Span => size_of::<Span>(),
            Self::Event => size_of::<span::Event>(),
            Self::Link => size_of::<span::Link>(),
            Self::ResourceLogs => size_of::<ResourceLogs>(),
            Self::ScopeLogs => size_of::<ScopeLogs>(),
            Self::Record => size_of::<LogRecord>(),
            Self::ResourceMetrics => size_of::<ResourceMetrics>(),
            Self::ScopeMetrics => size_of::<ScopeMetrics>(),
            Self::Metric => size_of::<Metric>(),
            Self::Number => size_of::<NumberDataPoint>(),
            Self::Histogram => size_of::<HistogramDataPoint>(),
            Self::Exponential => size_of::<ExponentialHistogramDataPoint>(),
            Self::Summary => size_of::<SummaryDataPoint>(),
            Self::Quantile => size_of::<ValueAtQuantile>(),
            Self::Exemplar => size_of::<Exemplar>(),
            Self::Resource => size_of::<Resource>(),
            Self::Entity => size_of::<EntityRef>(),
            Self::Scope => size_of::<InstrumentationScope>(),
            Self::KeyValue => size_of::<KeyValue>(),
            Self::Value => size_of::<AnyValue>(),
            // Within what holds them, or at its beginning.
            Self::Traces
            | Self::Logs
            | Self::Metrics
            | Self::Numbers
            | Self::Histograms
            | Self::Exponentials
            | Self::Summaries
            | Self::Buckets
            | Self::Values
            | Self::Pairs => 0,
        }
    }
}

#[derive(Debug)]
struct Malformed(&'static str);

fn walk(kind: Kind, bytes: &[u8], depth: usize, weight: &mut Weight) -> Result<(), Malformed> {
    let depth = depth
        .checked_sub(1)
        .ok_or(Malformed("its messages lie too deep in each other"))?;
    let mut rest = bytes;
    let mut attributes = 0;
    // An id that is not there is none.
    let mut ids = 0;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let field = key >> 3;
        match key & 7 {
            0 => drop(varint(&mut rest)?),
            1 => drop(split(&mut rest, 8)?),
            5 => drop(split(&mut rest, 4)?),
            2 => {
                let length = varint(&mut rest)?;
                let length = usize::try_from(length).or(Err(Malformed(CUT)))?;
                let inside = split(&mut rest, length)?;
                if kind.attributes() == Some(field) {
                    attributes += 1;
                }
                ids += usize::from(kind == Kind::Span && matches!(field, 1 | 2));
                weight.faultless &= kind.accepts(field, inside);
                if let Some(part) = kind.part(field) {
                    weight.bytes += part.size();
                    walk(part, inside, depth, weight)?;
                } else if kind == Kind::Buckets {
                    // A count can be one byte on the wire.
                    weight.bytes += length.saturating_mul(size_of::<u64>());
                } else {
                    weight.bytes += length;
                }
            }
            // Groups, which OTLP never had, and what is no kind at all.
            _ => return Err(Malformed("a field of no kind that OTLP has")),
        }
    }
    if kind.is_row() && attributes > ATTRIBUTES || kind == Kind::Span && ids < 2 {
        weight.faultless = false;
    }
    Ok(())
}

const CUT: &str = "it is cut short";

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Malformed(CUT))?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first().ok_or(Malformed(CUT))?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed("a number without end"))
}
