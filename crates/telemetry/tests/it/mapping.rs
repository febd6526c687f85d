//! Records and the spans they become.

use crate::sample::{chat, content, milliseconds};
use insta::assert_snapshot;
use llamatelemetry_record::{
    Endpoint, Failure, FinishReason, Phases, RequestParameters, RequestRecord, SpanId,
    TimingSource, TraceContext, TraceId, Usage,
};
use llamatelemetry_telemetry::{SpanLimits, spans};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

fn golden(record: &RequestRecord) -> String {
    shown(record, &spans(record, &SpanLimits::default()))
}

/// Spans as text, times relative to the request's start.
pub(crate) fn shown(record: &RequestRecord, spans: &[Span]) -> String {
    let started = record.begun_at().duration_since(UNIX_EPOCH);
    let started = u64::try_from(started.expect("after 1970").as_nanos()).expect("before 2554");
    let mut text = String::new();
    for span in spans {
        let since = |time: u64| (time - started) / 1000;
        let flags = |mask: SpanFlags| span.flags & mask as u32 != 0;
        writeln!(
            text,
            "{} {:?} [{} µs – {} µs] {} {} parent {}{}{}",
            span.name,
            span.kind(),
            since(span.start_time_unix_nano),
            since(span.end_time_unix_nano),
            hex(&span.trace_id),
            hex(&span.span_id),
            if span.parent_span_id.is_empty() {
                "none".to_owned()
            } else {
                hex(&span.parent_span_id)
            },
            if flags(SpanFlags::ContextIsRemoteMask) {
                " (remote)"
            } else {
                ""
            },
            if span.flags & 1 == 1 {
                ""
            } else {
                " not sampled"
            },
        )
        .expect("text");
        match &span.status {
            Some(status) if status.code() == StatusCode::Error => {
                writeln!(text, "  status error {:?}", status.message).expect("text");
            }
            _ => writeln!(text, "  status unset").expect("text"),
        }
        attributes(&mut text, "  ", &span.attributes);
        for event in &span.events {
            let at = since(event.time_unix_nano);
            writeln!(text, "  at {at} µs: {}", event.name).expect("text");
            attributes(&mut text, "    ", &event.attributes);
        }
        for link in &span.links {
            let (trace, span) = (hex(&link.trace_id), hex(&link.span_id));
            writeln!(text, "  linked to {trace} {span}").expect("text");
            attributes(&mut text, "    ", &link.attributes);
        }
    }
    text
}

fn attributes(text: &mut String, indent: &str, attributes: &[KeyValue]) {
    for attribute in attributes {
        let value = value(attribute.value.as_ref().and_then(|any| any.value.as_ref()));
        writeln!(text, "{indent}{} = {value}", attribute.key).expect("text");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text");
        text
    })
}

fn value(value: Option<&Value>) -> String {
    match value.expect("a value") {
        Value::StringValue(text) => format!("{text:?}"),
        Value::BoolValue(yes) => yes.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => format!("{number:?}"),
        Value::ArrayValue(list) => {
            let texts = list
                .values
                .iter()
                .map(|any| self::value(any.value.as_ref()));
            format!("[{}]", texts.collect::<Vec<_>>().join(","))
        }
        other => panic!("{other:?}"),
    }
}

/// The text of an attribute.
fn text<'a>(span: &'a Span, key: &str) -> &'a str {
    let attribute = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key);
    match attribute.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn a_streamed_chat() {
    assert_snapshot!(golden(&chat()));
}

#[test]
fn everything_that_can_be_set() {
    let trace_id = chat().trace_id;
    let record = RequestRecord {
        parent: Some(TraceContext {
            trace_id,
            span_id: SpanId([7; 8]),
            sampled: true,
        }),
        conversation_id: Some("talk-7".into()),
        parameters: RequestParameters {
            temperature: Some(0.0),
            top_p: Some(0.9),
            top_k: Some(40),
            max_tokens: Some(48),
            seed: Some(-1),
            stop: vec!["\n".into(), "END".into()],
            ..chat().parameters
        },
        server_timings: chat().server_timings.map(|mut timings| {
            timings.draft_n = Some(20);
            timings.draft_n_accepted = Some(11);
            timings
        }),
        finish_reason: Some(FinishReason::ToolCalls),
        content: Some(content()),
        ..chat()
    };
    assert_snapshot!(golden(&record));
}

#[test]
fn a_failed_request() {
    let record = RequestRecord {
        phases: Phases {
            queue: Some(milliseconds(2)),
            prefill: None,
            decode: None,
            total: milliseconds(120),
            source: TimingSource::Wall,
        },
        server_timings: None,
        response_id: None,
        response_model: None,
        slot: None,
        usage: Usage::default(),
        finish_reason: None,
        failure: Some(Failure {
            kind: "exceed_context_size_error".into(),
            message: "the request exceeds the available context size".into(),
        }),
        content: Some(content()),
        ..chat()
    };
    assert_snapshot!(golden(&record));
}

#[test]
fn an_answer_in_one_piece_that_shows_only_the_wall_time() {
    let record = RequestRecord {
        endpoint: Endpoint::Embeddings,
        streamed: false,
        phases: Phases {
            queue: None,
            prefill: None,
            decode: None,
            total: milliseconds(9),
            source: TimingSource::Wall,
        },
        server_timings: None,
        model: String::new(),
        model_sha256: None,
        quantization: None,
        llama_build: None,
        response_id: None,
        slot: None,
        usage: Usage {
            prompt_tokens: Some(9),
            ..Usage::default()
        },
        finish_reason: None,
        ..chat()
    };
    assert_snapshot!(golden(&record), @r#"
    embeddings Client [0 µs – 9000 µs] 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 parent none
      status unset
      gen_ai.operation.name = "embeddings"
      gen_ai.provider.name = "llama_cpp"
      gen_ai.response.model = "SmolLM2-135M-Instruct.Q4_1.gguf"
      gen_ai.usage.input_tokens = 9
      llamacpp.endpoint = "/v1/embeddings"
      llamacpp.timings.source = "wall"
    "#);
}

#[test]
fn ids_are_the_same_each_time_and_different_from_each_other() {
    let ids = |record: &RequestRecord| -> Vec<_> {
        spans(record, &SpanLimits::default())
            .iter()
            .map(|span| span.span_id.clone())
            .collect()
    };
    assert_eq!(ids(&chat()), ids(&chat()));
    let mut all = HashSet::new();
    for _ in 0..1000 {
        let record = RequestRecord {
            span_id: SpanId::random(),
            ..chat()
        };
        all.extend(ids(&record));
    }
    assert_eq!(all.len(), 4000);
}

#[test]
fn a_parent_in_another_trace_is_no_parent() {
    let record = RequestRecord {
        parent: Some(TraceContext {
            trace_id: TraceId([9; 16]),
            span_id: SpanId([7; 8]),
            sampled: true,
        }),
        ..chat()
    };
    assert_eq!(
        spans(&record, &SpanLimits::default()),
        spans(&chat(), &SpanLimits::default())
    );
}

#[test]
fn limits_hold_and_messages_stay_json() {
    let record = RequestRecord {
        content: Some(content()),
        ..chat()
    };
    let limits = SpanLimits {
        attributes: 100,
        value_length: Some(200),
        ..SpanLimits::default()
    };
    let limited = &spans(&record, &limits)[0];
    for key in ["gen_ai.input.messages", "gen_ai.output.messages"] {
        let json = text(limited, key);
        assert!(json.chars().count() <= 200, "{json}");
        serde_json::from_str::<serde_json::Value>(json).expect("JSON");
    }

    let limits = SpanLimits {
        attributes: 3,
        value_length: Some(4),
        ..SpanLimits::default()
    };
    let limited = &spans(&record, &limits)[0];
    let whole = spans(
        &record,
        &SpanLimits {
            value_length: Some(4),
            ..SpanLimits::default()
        },
    );
    assert_eq!(limited.attributes.len(), 3);
    assert_eq!(text(limited, "gen_ai.provider.name"), "llam");
    assert_eq!(
        limited.dropped_attributes_count as usize,
        whole[0].attributes.len() - 3
    );
}
