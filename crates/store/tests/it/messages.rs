//! OTLP messages for tests, and ways to compare them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use std::path::{Path, PathBuf};

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

/// A chat span of a trace; `n` makes it different from others.
pub(crate) fn chat(n: u64) -> Span {
    Span {
        trace_id: (u128::from(n / 4) + 1).to_be_bytes().to_vec(),
        span_id: (n + 1).to_be_bytes().to_vec(),
        name: "chat smollm2".to_owned(),
        kind: 3,
        start_time_unix_nano: 1_700_000_000_000_000_000 + n * 1_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_000 + n * 1_000_000 + 5_000_000 * (n % 7 + 1),
        attributes: vec![
            attribute("gen_ai.operation.name", text("chat")),
            attribute(
                "gen_ai.request.model",
                text(if n.is_multiple_of(5) {
                    "gemma3"
                } else {
                    "smollm2"
                }),
            ),
            attribute(
                "gen_ai.usage.input_tokens",
                Value::IntValue((n % 100).cast_signed()),
            ),
            attribute("gen_ai.usage.output_tokens", Value::IntValue(48)),
            attribute(
                "gen_ai.response.time_to_first_chunk",
                Value::DoubleValue(n as f64 / 1e3),
            ),
            attribute("gen_ai.conversation.id", text(&format!("c{}", n % 10))),
        ],
        events: vec![span::Event {
            time_unix_nano: 7,
            name: "first_token".to_owned(),
            ..span::Event::default()
        }],
        status: n.is_multiple_of(11).then(|| Status {
            code: 2,
            message: "the server was killed".to_owned(),
        }),
        ..Span::default()
    }
}

pub(crate) fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", text("tests"))],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "tests".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans,
                schema_url: "https://example.test/1".to_owned(),
            }],
            schema_url: String::new(),
        }],
    }
}

/// All spans of a request, sorted by id.
pub(crate) fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut all: Vec<Span> = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();
    all.sort_by(|one, other| one.span_id.cmp(&other.span_id));
    all
}

/// Files with this extension below a folder, sorted.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            all.push(path);
        }
    }
    all.sort();
    all
}
