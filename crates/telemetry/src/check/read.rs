//! OTLP from a file: JSON documents one after another (lines or not), or one protobuf message;
//! gzip around either.

use flate2::bufread::MultiGzDecoder;
use opentelemetry_proto::tonic::logs::v1::{LogsData, ResourceLogs};
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, ResourceMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, TracesData};
use prost::Message as _;
use serde::Deserialize;
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

/// Bytes of one document at most, uncompressed.
const LIMIT: u64 = 64 << 20;

/// One document: what one export request carries.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Spans, if it is about them.
    #[serde(rename = "resourceSpans")]
    pub spans: Option<Vec<ResourceSpans>>,
    /// Metrics, if it is about them.
    #[serde(rename = "resourceMetrics")]
    pub metrics: Option<Vec<ResourceMetrics>>,
    /// Log records, if it is about them.
    #[serde(rename = "resourceLogs")]
    pub logs: Option<Vec<ResourceLogs>>,
}

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes do not come.
    #[error("cannot read it")]
    Io(#[source] io::Error),
    /// It begins as JSON and is none, or is not OTLP's.
    #[error("document {document} is no JSON of OTLP")]
    Json {
        /// Which one, from one on.
        document: u64,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// It is neither JSON nor a protobuf message of OTLP.
    #[error("it is neither OTLP as JSON nor as protobuf")]
    NotOtlp,
    /// One document is larger than can be held.
    #[error("document {document} is larger than {limit} bytes")]
    TooLarge {
        /// Which one, from one on.
        document: u64,
        /// What can be held, bytes.
        limit: u64,
    },
}

/// Reads documents and hands on each as it comes. Returns how many there were.
pub fn read(input: impl BufRead, each: &mut dyn FnMut(&Document)) -> Result<u64, ReadError> {
    within(LIMIT, input, each)
}

fn within(
    limit: u64,
    mut input: impl BufRead,
    each: &mut dyn FnMut(&Document),
) -> Result<u64, ReadError> {
    let compressed = input
        .fill_buf()
        .map_err(ReadError::Io)?
        .starts_with(&[0x1f, 0x8b]);
    if compressed {
        plain(limit, BufReader::new(MultiGzDecoder::new(input)), each)
    } else {
        plain(limit, input, each)
    }
}

fn plain(
    limit: u64,
    mut input: impl BufRead,
    each: &mut dyn FnMut(&Document),
) -> Result<u64, ReadError> {
    // A protobuf message of OTLP begins with 0x0a, which as JSON is white space.
    let mut begin = Vec::new();
    loop {
        let buffer = input.fill_buf().map_err(ReadError::Io)?;
        let Some(first) = buffer.first().copied() else {
            break;
        };
        if !first.is_ascii_whitespace() {
            break;
        }
        begin.push(first);
        input.consume(1);
        // White space this long begins no protobuf message.
        if begin.len() > 4 {
            begin.clear();
        }
    }
    match input.fill_buf().map_err(ReadError::Io)?.first() {
        Some(b'{') => json(limit, input, each),
        None if begin.is_empty() => Ok(0),
        _ => protobuf(limit, begin, input, each),
    }
}

/// A reader that counts down what one document may still take.
struct Limited<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

/// What a reader says when a document is over its limit.
const OVER: &str = "over the limit of one document";

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other(OVER));
        }
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.inner.read(&mut buffer[..most])?;
        self.left.set(left.saturating_sub(count as u64));
        Ok(count)
    }
}

fn json(
    limit: u64,
    input: impl BufRead,
    each: &mut dyn FnMut(&Document),
) -> Result<u64, ReadError> {
    let left = Rc::new(Cell::new(limit));
    let limited = Limited {
        inner: input,
        left: left.clone(),
    };
    let mut documents = 0;
    // The parser reads byte by byte; the buffer above it makes that cheap.
    let stream = serde_json::Deserializer::from_reader(limited).into_iter::<Document>();
    for document in stream {
        documents += 1;
        let document = document.map_err(|source| {
            if source.is_io() && left.get() == 0 {
                return ReadError::TooLarge {
                    document: documents,
                    limit,
                };
            }
            ReadError::Json {
                document: documents,
                source,
            }
        })?;
        if document.spans.is_none() && document.metrics.is_none() && document.logs.is_none() {
            return Err(ReadError::NotOtlp);
        }
        each(&document);
        left.set(limit);
    }
    Ok(documents)
}

fn protobuf(
    limit: u64,
    begin: Vec<u8>,
    input: impl Read,
    each: &mut dyn FnMut(&Document),
) -> Result<u64, ReadError> {
    let mut bytes = begin;
    let most = limit.saturating_add(1);
    input
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(ReadError::Io)?;
    if bytes.len() as u64 > limit {
        return Err(ReadError::TooLarge { document: 1, limit });
    }
    each(&message(&bytes).ok_or(ReadError::NotOtlp)?);
    Ok(1)
}

/// The three messages begin alike; which one it is shows in what it holds.
fn message(bytes: &[u8]) -> Option<Document> {
    if let Ok(TracesData { resource_spans }) = TracesData::decode(bytes) {
        let mut spans = resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans);
        if spans.all(|span| span.start_time_unix_nano > 0) {
            return Some(Document {
                spans: Some(resource_spans),
                ..Document::default()
            });
        }
    }
    if let Ok(MetricsData { resource_metrics }) = MetricsData::decode(bytes) {
        let mut metrics = resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics)
            .flat_map(|scope| &scope.metrics);
        if metrics.all(|metric| metric.data.is_some() && !metric.name.is_empty()) {
            return Some(Document {
                metrics: Some(resource_metrics),
                ..Document::default()
            });
        }
    }
    let LogsData { resource_logs } = LogsData::decode(bytes).ok()?;
    Some(Document {
        logs: Some(resource_logs),
        ..Document::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, ScopeMetrics, metric};
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
    use std::io::Write as _;

    fn kinds(bytes: &[u8]) -> Result<Vec<&'static str>, ReadError> {
        let mut kinds = Vec::new();
        read(bytes, &mut |document: &Document| {
            kinds.push(match document {
                Document { spans: Some(_), .. } => "spans",
                Document {
                    metrics: Some(_), ..
                } => "metrics",
                _ => "logs",
            });
        })?;
        Ok(kinds)
    }

    fn traces() -> TracesData {
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: "chat smollm2".into(),
            start_time_unix_nano: 1_795_000_000_000_000_000,
            end_time_unix_nano: 1_795_000_000_500_000_000,
            kind: 3,
            ..Span::default()
        };
        TracesData {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    #[test]
    fn every_form_is_read() {
        let json = serde_json::to_string(&traces()).expect("it is data");
        assert_eq!(kinds(json.as_bytes()).expect("json"), ["spans"]);
        let lines = format!("{json}\n{{\"resourceLogs\":[]}}\n\n{{\"resourceMetrics\":[]}}\n");
        assert_eq!(
            kinds(lines.as_bytes()).expect("lines"),
            ["spans", "logs", "metrics"]
        );
        let pretty = serde_json::to_string_pretty(&traces()).expect("it is data");
        assert_eq!(
            kinds(format!("\n\n\n\n\n\n{pretty}").as_bytes()).expect("pretty"),
            ["spans"]
        );
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(lines.as_bytes()).expect("memory");
        let gzip = packer.finish().expect("memory");
        assert_eq!(kinds(&gzip).expect("gzip").len(), 3);
        assert!(kinds(b"").expect("nothing").is_empty());
    }

    #[test]
    fn protobuf_messages_are_told_apart() {
        assert_eq!(kinds(&traces().encode_to_vec()).expect("spans"), ["spans"]);
        let metrics = MetricsData {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![Metric {
                        name: "hw.power".into(),
                        unit: "W".into(),
                        data: Some(metric::Data::Gauge(Gauge::default())),
                        ..Metric::default()
                    }],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        assert_eq!(
            kinds(&metrics.encode_to_vec()).expect("metrics"),
            ["metrics"]
        );
        let logs = LogsData {
            resource_logs: vec![ResourceLogs {
                scope_logs: vec![ScopeLogs {
                    log_records: vec![LogRecord {
                        time_unix_nano: 1_795_000_000_000_000_000,
                        event_name: "x".into(),
                        ..LogRecord::default()
                    }],
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        };
        assert_eq!(kinds(&logs.encode_to_vec()).expect("logs"), ["logs"]);
    }

    #[test]
    fn what_is_no_otlp_is_refused() {
        assert!(matches!(
            kinds(b"{\"resourceSpans\":[]}\n{\"a\":"),
            Err(ReadError::Json { document: 2, .. })
        ));
        assert!(matches!(kinds(b"{\"a\":1}"), Err(ReadError::NotOtlp)));
        assert!(matches!(kinds(b"trace"), Err(ReadError::NotOtlp)));
        assert!(matches!(kinds(&[0x1f, 0x8b, 1]), Err(ReadError::Io(_))));
    }

    #[test]
    fn a_document_without_end_is_refused() {
        let begun = |with: &'static [u8]| BufReader::new(with.chain(std::io::repeat(b' ')));
        for with in [&b"{\"resourceSpans\":["[..], b"\x0a\x01"] {
            assert!(matches!(
                within(1 << 16, begun(with), &mut |_| {}),
                Err(ReadError::TooLarge { document: 1, .. })
            ));
        }
    }
}
