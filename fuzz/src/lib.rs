//! OTLP requests out of arbitrary choices, for the targets that fuzz the store.

use arbitrary::Arbitrary;
use llamatelemetry_store::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

/// Keys that mean something to the store, and some that do not.
const KEYS: [&str; 10] = [
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.response.time_to_first_chunk",
    "llamacpp.energy.joules",
    "gen_ai.input.messages",
    "a",
    "",
];

/// A request of one signal.
#[derive(Debug, Arbitrary)]
pub struct Request {
    signal: u8,
    service: u8,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Arbitrary)]
struct Row {
    time: u64,
    lasts: u32,
    name: u8,
    trace: u8,
    status: Option<i8>,
    attributes: Vec<(u8, Leaf)>,
    /// How often the row is there.
    times: u8,
}

#[derive(Debug, Clone, Arbitrary)]
enum Leaf {
    Text(u8),
    /// A list of messages, which is kept in pieces.
    Messages(u8),
    Bool(bool),
    Int(i64),
    Double(f64),
    List(u8),
    Empty(bool),
}

impl Leaf {
    fn value(&self) -> Option<AnyValue> {
        let value = match self {
            Self::Text(length) => Value::StringValue("text ".repeat(usize::from(*length))),
            Self::Messages(count) => {
                let message = |n| format!(r#"{{"role": "user", "content": "{n} of many"}}"#);
                let messages: Vec<String> = (0..*count).map(message).collect();
                Value::StringValue(format!("[{}]", messages.join(", ")))
            }
            Self::Bool(value) => Value::BoolValue(*value),
            Self::Int(value) => Value::IntValue(*value),
            Self::Double(value) => Value::DoubleValue(*value),
            Self::List(count) => Value::ArrayValue(ArrayValue {
                values: vec![AnyValue::default(); usize::from(*count)],
            }),
            Self::Empty(there) => return there.then(AnyValue::default),
        };
        Some(AnyValue { value: Some(value) })
    }
}

impl Row {
    fn attributes(&self) -> Vec<KeyValue> {
        let attribute = |(key, leaf): &(u8, Leaf)| KeyValue {
            key: KEYS[usize::from(*key) % KEYS.len()].to_owned(),
            value: leaf.value(),
            ..KeyValue::default()
        };
        self.attributes.iter().map(attribute).collect()
    }

    fn trace_id(&self) -> Vec<u8> {
        vec![self.trace; 16]
    }

    fn name(&self) -> String {
        format!("name {}", self.name % 4)
    }
}

impl Request {
    /// Its signal and its bytes.
    pub fn encode(&self) -> (Signal, Vec<u8>) {
        let signal = Signal::ALL[usize::from(self.signal) % 3];
        let resource = Some(Resource {
            attributes: vec![KeyValue {
                key: "service.name".to_owned(),
                value: Leaf::Text(self.service % 4).value(),
                ..KeyValue::default()
            }],
            ..Resource::default()
        });
        let rows = (self.rows.iter())
            .flat_map(|row| std::iter::repeat_n(row, usize::from(row.times % 16) + 1));
        let bytes = match signal {
            Signal::Traces => ExportTraceServiceRequest {
                resource_spans: vec![ResourceSpans {
                    resource,
                    scope_spans: vec![ScopeSpans {
                        spans: rows.map(span).collect(),
                        ..ScopeSpans::default()
                    }],
                    ..ResourceSpans::default()
                }],
            }
            .encode_to_vec(),
            Signal::Logs => ExportLogsServiceRequest {
                resource_logs: vec![ResourceLogs {
                    resource,
                    scope_logs: vec![ScopeLogs {
                        log_records: rows.map(record).collect(),
                        ..ScopeLogs::default()
                    }],
                    ..ResourceLogs::default()
                }],
            }
            .encode_to_vec(),
            Signal::Metrics => ExportMetricsServiceRequest {
                resource_metrics: vec![ResourceMetrics {
                    resource,
                    scope_metrics: vec![ScopeMetrics {
                        metrics: rows.map(metric).collect(),
                        ..ScopeMetrics::default()
                    }],
                    ..ResourceMetrics::default()
                }],
            }
            .encode_to_vec(),
        };
        (signal, bytes)
    }
}

fn span(row: &Row) -> Span {
    Span {
        trace_id: row.trace_id(),
        span_id: vec![row.trace; 8],
        name: row.name(),
        start_time_unix_nano: row.time,
        end_time_unix_nano: row.time.wrapping_add(u64::from(row.lasts)),
        attributes: row.attributes(),
        status: row.status.map(|code| Status {
            code: i32::from(code),
            message: row.name(),
        }),
        ..Span::default()
    }
}

fn record(row: &Row) -> LogRecord {
    LogRecord {
        time_unix_nano: row.time,
        severity_number: i32::from(row.status.unwrap_or(0)),
        trace_id: row.trace_id(),
        event_name: row.name(),
        body: Leaf::Messages(row.name).value(),
        attributes: row.attributes(),
        ..LogRecord::default()
    }
}

fn metric(row: &Row) -> Metric {
    Metric {
        name: row.name(),
        data: Some(Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint {
                attributes: row.attributes(),
                time_unix_nano: row.time,
                start_time_unix_nano: row.time.wrapping_sub(u64::from(row.lasts)),
                value: Some(number_data_point::Value::AsInt(i64::from(row.name))),
                ..NumberDataPoint::default()
            }],
        })),
        ..Metric::default()
    }
}

/// A folder in memory where there is one: what is written there is synced all the time.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder")
}

/// The points of a metric, each as its bytes.
pub fn points(metric: &Metric) -> Vec<Vec<u8>> {
    fn each<P: prost::Message>(points: &[P]) -> Vec<Vec<u8>> {
        points.iter().map(P::encode_to_vec).collect()
    }
    match &metric.data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => each(&data.data_points),
        Some(Data::Sum(data)) => each(&data.data_points),
        Some(Data::Histogram(data)) => each(&data.data_points),
        Some(Data::ExponentialHistogram(data)) => each(&data.data_points),
        Some(Data::Summary(data)) => each(&data.data_points),
    }
}
