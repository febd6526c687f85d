//! Records and the spans they become.

use crate::sample::{chat, content, milliseconds};
use insta::assert_snapshot;
use llamatelemetry_record::{
    Endpoint, Failure, FinishReason, Phases, RequestParameters, RequestRecord, SpanId,
    TimingSource, TraceContext, TraceId, Usage,
};
use llamatelemetry_telemetry::{SpanLimits, spans};
use opentelemetry::Value;
use opentelemetry_sdk::trace::SpanData;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::SystemTime;

fn golden(record: &RequestRecord) -> String {
    shown(record, &spans(record, &SpanLimits::default()))
}

/// Spans as text, times relative to the request's start.
fn shown(record: &RequestRecord, spans: &[SpanData]) -> String {
    let mut text = String::new();
    for span in spans {
        let since = |time: SystemTime| {
            time.duration_since(record.started_at)
                .expect("not before the request")
                .as_micros()
        };
        let context = &span.span_context;
        writeln!(
            text,
            "{} {:?} [{} µs – {} µs] {} {} parent {}{}{}",
            span.name,
            span.span_kind,
            since(span.start_time),
            since(span.end_time),
            context.trace_id(),
            context.span_id(),
            span.parent_span_id,
            if span.parent_span_is_remote {
                " (remote)"
            } else {
                ""
            },
            if context.is_sampled() {
                ""
            } else {
                " not sampled"
            },
        )
        .expect("text");
        writeln!(text, "  status {:?}", span.status).expect("text");
        for attribute in &span.attributes {
            let value = match &attribute.value {
                Value::String(text) => format!("{:?}", text.as_str()),
                Value::F64(number) => format!("{number:?}"),
                other => other.to_string(),
            };
            writeln!(text, "  {} = {value}", attribute.key).expect("text");
        }
    }
    text
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
    embeddings Client [0 µs – 9000 µs] 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 parent 0000000000000000
      status Unset
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
            .map(|span| span.span_context.span_id())
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
        value_length: Some(130),
    };
    let limited = &spans(&record, &limits)[0];
    let messages = limited
        .attributes
        .iter()
        .filter(|attribute| attribute.key.as_str().ends_with(".messages"));
    let mut seen = 0;
    for attribute in messages {
        let json = attribute.value.as_str();
        assert!(json.chars().count() <= 130, "{json}");
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
        seen += 1;
    }
    assert_eq!(seen, 2);

    let limits = SpanLimits {
        attributes: 3,
        value_length: Some(4),
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
    assert_eq!(limited.attributes[1].value.as_str(), "llam");
    assert_eq!(
        limited.dropped_attributes_count as usize,
        whole[0].attributes.len() - 3
    );
}
