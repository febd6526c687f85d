//! Stores with known rows, and their answers.

use llamatelemetry_store::{Reader, Signal, Snapshot, Writer};
use llamatelemetry_tables::{Cell, Heading, Pushdown, RowSink, Sql, Stop, TablesError};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics,
    ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message as _;
use std::ops::ControlFlow;
use std::path::Path;

/// 2026-11-18 11:06:40, ns since 1970.
pub(crate) const BEGAN: u64 = 1_795_000_000_000_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn list(values: &[&str]) -> Value {
    let values = values.iter().map(|value| AnyValue {
        value: Some(Value::StringValue((*value).to_owned())),
    });
    Value::ArrayValue(ArrayValue {
        values: values.collect(),
    })
}

fn resource(service: &str) -> Resource {
    Resource {
        attributes: vec![text("service.name", service)],
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "tests".to_owned(),
        version: "1".to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(crate) fn traces(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans {
        scope: Some(scope()),
        spans,
        ..ScopeSpans::default()
    }];
    let resource_spans = vec![ResourceSpans {
        resource: Some(resource(service)),
        scope_spans,
        ..ResourceSpans::default()
    }];
    TracesData { resource_spans }.encode_to_vec()
}

/// Two traces, one of which failed, with all that spans can have.
pub(crate) fn spans() -> Vec<Span> {
    let input = r#"[{"role":"user","parts":[{"type":"text","content":"Explain CUDA."}]}]"#;
    let output = r#"[{"role":"assistant","parts":[{"type":"reasoning","content":"…"},{"type":"text","content":"It is"},{"type":"text","content":"a platform."}],"finish_reason":"stop"}]"#;
    let chat = Span {
        trace_id: vec![0xa1; 16],
        span_id: vec![1; 8],
        name: "chat smollm2".to_owned(),
        kind: 3,
        start_time_unix_nano: BEGAN,
        end_time_unix_nano: BEGAN + SECOND,
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "smollm2"),
            attribute("gen_ai.usage.input_tokens", Value::IntValue(36)),
            attribute("gen_ai.usage.output_tokens", Value::IntValue(48)),
            attribute(
                "gen_ai.response.time_to_first_chunk",
                Value::DoubleValue(0.067),
            ),
            attribute("llamacpp.energy", Value::DoubleValue(2.5)),
            attribute("gen_ai.response.finish_reasons", list(&["stop"])),
            text("gen_ai.input.messages", input),
            text("gen_ai.output.messages", output),
            attribute("server.port", Value::IntValue(8080)),
        ],
        events: vec![Event {
            time_unix_nano: BEGAN + 67_000_000,
            name: "llamacpp.first_token".to_owned(),
            attributes: vec![attribute("n", Value::IntValue(1))],
            ..Event::default()
        }],
        ..Span::default()
    };
    let queue = Span {
        trace_id: vec![0xa1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![1; 8],
        name: "queue".to_owned(),
        kind: 1,
        start_time_unix_nano: BEGAN,
        // It has not ended.
        end_time_unix_nano: 0,
        ..Span::default()
    };
    let failed = Span {
        trace_id: vec![0xb2; 16],
        span_id: vec![3; 8],
        name: "chat smollm2".to_owned(),
        start_time_unix_nano: BEGAN + 60 * SECOND,
        end_time_unix_nano: BEGAN + 62 * SECOND,
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "smollm2"),
            text("error.type", "server_error"),
        ],
        links: vec![Link {
            trace_id: vec![0xa1; 16],
            span_id: vec![1; 8],
            attributes: vec![text("llamacpp.link", "resent")],
            ..Link::default()
        }],
        status: Some(Status {
            code: 2,
            message: "out of memory".to_owned(),
        }),
        ..Span::default()
    };
    vec![chat, queue, failed]
}

fn logs() -> Vec<u8> {
    let record = |time: u64, observed: u64, severity: i32, said: &str| LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: observed,
        severity_number: severity,
        body: Some(AnyValue {
            value: Some(Value::StringValue(said.to_owned())),
        }),
        ..LogRecord::default()
    };
    let log_records = vec![
        LogRecord {
            trace_id: vec![0xb2; 16],
            severity_text: "ERROR".to_owned(),
            attributes: vec![text("llamacpp.log.source", "llama_server")],
            ..record(BEGAN + 62 * SECOND, 0, 17, "CUDA error")
        },
        record(0, BEGAN, 0, "seen"),
    ];
    let scope_logs = vec![ScopeLogs {
        scope: Some(scope()),
        log_records,
        ..ScopeLogs::default()
    }];
    let resource_logs = vec![ResourceLogs {
        resource: Some(resource("tests")),
        scope_logs,
        ..ResourceLogs::default()
    }];
    LogsData { resource_logs }.encode_to_vec()
}

fn metrics() -> Vec<u8> {
    let power = NumberDataPoint {
        time_unix_nano: BEGAN + SECOND,
        attributes: vec![text("hw.id", "0")],
        value: Some(Number::AsDouble(71.5)),
        ..NumberDataPoint::default()
    };
    let times = HistogramDataPoint {
        time_unix_nano: BEGAN + SECOND,
        start_time_unix_nano: BEGAN,
        count: 3,
        sum: Some(1.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.25],
        ..HistogramDataPoint::default()
    };
    let metrics = vec![
        Metric {
            name: "hw.power".to_owned(),
            unit: "W".to_owned(),
            data: Some(Data::Gauge(Gauge {
                data_points: vec![power],
            })),
            ..Metric::default()
        },
        Metric {
            name: "gen_ai.client.operation.duration".to_owned(),
            unit: "s".to_owned(),
            data: Some(Data::Histogram(Histogram {
                data_points: vec![times],
                aggregation_temporality: 2,
            })),
            ..Metric::default()
        },
    ];
    let scope_metrics = vec![ScopeMetrics {
        scope: Some(scope()),
        metrics,
        ..ScopeMetrics::default()
    }];
    let resource_metrics = vec![ResourceMetrics {
        resource: Some(resource("tests")),
        scope_metrics,
        ..ResourceMetrics::default()
    }];
    MetricsData { resource_metrics }.encode_to_vec()
}

/// A store with all of the above.
pub(crate) fn stored() -> (tempfile::TempDir, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    writer
        .append(Signal::Traces, traces("tests", spans()))
        .unwrap();
    writer.append(Signal::Logs, logs()).unwrap();
    writer.append(Signal::Metrics, metrics()).unwrap();
    drop(writer);
    let snapshot = snapshot(folder.path());
    (folder, snapshot)
}

pub(crate) fn snapshot(folder: &Path) -> Snapshot {
    Reader::open(folder).unwrap().snapshot().unwrap()
}

/// An answer as text: columns by `|`, `NULL` as it is called.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<String>,
}

impl RowSink for Answer {
    fn columns(&mut self, columns: &[Heading]) -> ControlFlow<()> {
        self.columns = columns.iter().map(|column| column.name.clone()).collect();
        ControlFlow::Continue(())
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        let cells = cells.iter().map(|cell| match cell {
            Cell::Null => "NULL".to_owned(),
            Cell::Integer(number) => number.to_string(),
            Cell::Real(number) => format!("{number:?}"),
            Cell::Text(text) => (*text).to_owned(),
            Cell::Blob(bytes) => format!("{bytes:?}"),
        });
        self.rows.push(cells.collect::<Vec<_>>().join("|"));
        ControlFlow::Continue(())
    }
}

pub(crate) fn ask(
    snapshot: &Snapshot,
    pushdown: Pushdown,
    sql: &str,
) -> Result<Answer, TablesError> {
    let mut answer = Answer::default();
    Sql::open(snapshot.clone(), Stop::new(), pushdown)?.query(sql, &mut answer)?;
    Ok(answer)
}

/// The rows of an answer.
pub(crate) fn rows(snapshot: &Snapshot, sql: &str) -> Vec<String> {
    match ask(snapshot, Pushdown::On, sql) {
        Ok(answer) => answer.rows,
        Err(error) => panic!("{error}: {sql}"),
    }
}
