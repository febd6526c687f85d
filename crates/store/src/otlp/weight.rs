//! What a request will take once it is decoded, counted from its bytes before anything is set
//! aside: two bytes can stand for a whole span, and 64 MB of them for gigabytes.

use crate::StoreError;
use crate::block::Signal;
use crate::codec::{Cursor, Malformed};

/// Rows of a request at most.
const ROW_LIMIT: usize = 1 << 18;
/// Messages, texts and lists of a request at most.
const PART_LIMIT: usize = 1 << 21;
/// Bytes of a resource or a scope at most.
const ORIGIN_LIMIT: usize = 1 << 20;
/// Bytes that a decoded part takes beside its content, about.
const PART: usize = 96;
/// Deeper than this no message is decoded.
const DEEPEST: u32 = 100;

/// What a request holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Spans, data points or log records.
    rows: usize,
    /// Messages, texts and lists.
    parts: usize,
    bounded: bool,
}

impl Weight {
    /// Bytes of memory that it takes, undecoded and decoded, about.
    pub(crate) fn memory(self, length: usize) -> usize {
        2 * length + self.parts * PART
    }
}

/// The messages that hold others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    /// With the resource in field 1 and scopes in field 2, in all signals.
    OfResource,
    /// With the scope in field 1 and rows or metrics in field 2, in all signals.
    OfScope,
    Resource,
    Scope,
    Span,
    /// An event or link of a span: attributes in this field.
    Attributed(u64),
    LogRecord,
    Metric,
    /// A gauge, sum, histogram or summary: points in field 1.
    Points(Point),
    Point(Point),
    Buckets,
    Pair,
    Value,
    Values,
    /// What holds nothing that is counted.
    Leaf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Number,
    Histogram,
    Exponential,
    Summary,
}

impl Kind {
    /// What a field with a length is.
    fn of_field(self, signal: Signal, field: u64) -> Self {
        match (self, field) {
            (Self::Request, 1) => Self::OfResource,
            (Self::OfResource, 1) => Self::Resource,
            (Self::OfResource, 2) => Self::OfScope,
            (Self::OfScope, 1) => Self::Scope,
            (Self::OfScope, 2) => match signal {
                Signal::Traces => Self::Span,
                Signal::Metrics => Self::Metric,
                Signal::Logs => Self::LogRecord,
            },
            (Self::Resource | Self::Point(Point::Exponential), 1)
            | (Self::Scope, 3)
            | (Self::LogRecord, 6)
            | (Self::Point(Point::Number | Point::Summary), 7)
            | (Self::Span | Self::Point(Point::Histogram), 9)
            | (Self::Metric, 12) => Self::Pair,
            // An entity: its keys are counted one by one.
            (Self::Resource, 3) => Self::Attributed(0),
            (Self::Attributed(attributes), field) if attributes == field => Self::Pair,
            (Self::Span, 11) => Self::Attributed(3),
            (Self::Span, 13) => Self::Attributed(4),
            (Self::Pair, 2) | (Self::Values, 1) | (Self::LogRecord, 5) => Self::Value,
            (Self::Value, 5) => Self::Values,
            // A map: pairs in field 1.
            (Self::Value, 6) => Self::Attributed(1),
            (Self::Metric, 5 | 7) => Self::Points(Point::Number),
            (Self::Metric, 9) => Self::Points(Point::Histogram),
            (Self::Metric, 10) => Self::Points(Point::Exponential),
            (Self::Metric, 11) => Self::Points(Point::Summary),
            (Self::Points(point), 1) => Self::Point(point),
            // Exemplars.
            (Self::Point(Point::Number), 5)
            | (Self::Point(Point::Histogram), 8)
            | (Self::Point(Point::Exponential), 11) => Self::Attributed(7),
            (Self::Point(Point::Exponential), 8 | 9) => Self::Buckets,
            _ => Self::Leaf,
        }
    }

    const fn is_row(self) -> bool {
        matches!(self, Self::Span | Self::LogRecord | Self::Point(_))
    }
}

/// The spans, data points or log records of an export request (protobuf), however many; up to where
/// it stops making sense.
pub fn rows(signal: Signal, payload: &[u8]) -> usize {
    let mut weight = Weight::default();
    // Without bounds nothing is refused.
    drop(walk(signal, Kind::Request, payload, DEEPEST, &mut weight));
    weight.rows
}

/// Counts what a request holds. What cannot be read is not counted: decoding it fails as well.
pub(crate) fn weigh(signal: Signal, bytes: &[u8]) -> Result<Weight, StoreError> {
    let mut weight = Weight {
        bounded: true,
        ..Weight::default()
    };
    match walk(signal, Kind::Request, bytes, DEEPEST, &mut weight) {
        Ok(()) | Err(Stop::Malformed) => Ok(weight),
        Err(Stop::Refused(error)) => Err(error),
    }
}

enum Stop {
    Malformed,
    Refused(StoreError),
}

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

fn walk(
    signal: Signal,
    kind: Kind,
    bytes: &[u8],
    depth: u32,
    weight: &mut Weight,
) -> Result<(), Stop> {
    let depth = depth.checked_sub(1).ok_or(Stop::Malformed)?;
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let tag = cursor.number()?;
        match tag & 7 {
            0 => drop(cursor.number()?),
            1 => drop(cursor.take(8)?),
            5 => drop(cursor.take(4)?),
            2 => {
                let inner = cursor.bytes()?;
                let of = kind.of_field(signal, tag >> 3);
                weight.add(of, inner);
                if weight.bounded {
                    weight.check(of, inner)?;
                }
                if of != Kind::Leaf {
                    walk(signal, of, inner, depth, weight)?;
                }
            }
            // Groups: OTLP has none.
            _ => return Err(Stop::Malformed),
        }
    }
    Ok(())
}

impl Weight {
    fn add(&mut self, kind: Kind, bytes: &[u8]) {
        self.rows += usize::from(kind.is_row());
        self.parts += 1;
        if kind == Kind::Buckets {
            // Each byte may be a count of its own, of eight bytes.
            self.parts += bytes.len() / (PART / 8);
        }
    }

    fn check(&self, kind: Kind, bytes: &[u8]) -> Result<(), Stop> {
        let large = matches!(kind, Kind::Resource | Kind::Scope) && bytes.len() > ORIGIN_LIMIT;
        let refused = if self.rows > ROW_LIMIT {
            StoreError::TooMany {
                what: "rows",
                count: self.rows,
                limit: ROW_LIMIT,
            }
        } else if self.parts > PART_LIMIT {
            StoreError::TooMany {
                what: "parts",
                count: self.parts,
                limit: PART_LIMIT,
            }
        } else if large {
            StoreError::LargeOrigin {
                size: bytes.len(),
                limit: ORIGIN_LIMIT,
            }
        } else {
            return Ok(());
        };
        Err(Stop::Refused(refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    fn request(spans: Vec<Span>, resource: Resource) -> Vec<u8> {
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans {
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        request.encode_to_vec()
    }

    #[test]
    fn rows_and_parts_are_counted() {
        let pair = KeyValue {
            key: "k".into(),
            ..KeyValue::default()
        };
        let span = Span {
            attributes: vec![pair; 3],
            ..Span::default()
        };
        let bytes = request(vec![span; 5], Resource::default());
        let weight = weigh(Signal::Traces, &bytes).unwrap();
        assert_eq!(weight.rows, 5);
        // Request, resource, scope, spans, pairs, keys.
        assert_eq!(weight.parts, 1 + 1 + 1 + 5 + 15 + 15);
        assert_eq!(rows(Signal::Traces, &bytes), 5);
        assert_eq!(rows(Signal::Traces, &[0xff; 9]), 0);
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        let bytes = request(vec![Span::default(); ROW_LIMIT + 1], Resource::default());
        assert!(bytes.len() < 1 << 20);
        assert!(matches!(
            weigh(Signal::Traces, &bytes),
            Err(StoreError::TooMany { what: "rows", .. })
        ));
        let full = Span {
            attributes: vec![KeyValue::default(); PART_LIMIT],
            ..Span::default()
        };
        assert!(matches!(
            weigh(Signal::Traces, &request(vec![full], Resource::default())),
            Err(StoreError::TooMany { what: "parts", .. })
        ));
        let large = Resource {
            attributes: vec![KeyValue {
                key: "k".repeat(ORIGIN_LIMIT),
                ..KeyValue::default()
            }],
            ..Resource::default()
        };
        assert!(matches!(
            weigh(Signal::Traces, &request(Vec::new(), large)),
            Err(StoreError::LargeOrigin { .. })
        ));
    }
}
