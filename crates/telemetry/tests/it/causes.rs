//! What stood around a request and what happened apart from one, as spans, events and links.

use crate::mapping::shown;
use crate::sample::{chat, milliseconds};
use insta::assert_snapshot;
use llamatelemetry_record::{
    Energy, EnergyMethod, Failure, Happening, Mark, MarkKind, OutputType, ServerExit, SpanId,
    ToolContent, TraceContext, TraceId, Wait, WaitCause, What,
};
use llamatelemetry_telemetry::{SpanLimits, happening, spans};

#[test]
fn a_request_that_waited_and_was_cut_off() {
    let mut record = chat();
    let span = |id: u8| TraceContext {
        trace_id: TraceId([id; 16]),
        span_id: SpanId([id; 8]),
        sampled: true,
    };
    let exit = ServerExit {
        class: "killed".into(),
        code: None,
        signal: Some(9),
        log_tail: vec!["its last line".into()],
    };
    let started_at = record.started_at;
    record.waits = vec![
        Wait {
            cause: WaitCause::Restart,
            started_at: started_at - milliseconds(700),
            duration: milliseconds(250),
            exit: Some(exit.clone()),
            span: Some(span(1)),
        },
        Wait {
            cause: WaitCause::ModelLoad,
            started_at: started_at - milliseconds(450),
            duration: milliseconds(450),
            exit: Some(exit.clone()),
            span: Some(span(2)),
        },
    ];
    let mark = |after, kind| Mark {
        at: started_at + milliseconds(after),
        kind,
    };
    record.marks = vec![
        mark(2, MarkKind::SlotAcquired { slot: 0 }),
        mark(
            100,
            MarkKind::ContextShift {
                discarded: Some(127),
            },
        ),
        mark(3, MarkKind::CheckpointRestored),
        mark(
            500,
            MarkKind::DraftAcceptance {
                drafted: 14,
                accepted: 8,
            },
        ),
        mark(537, MarkKind::ServerEnded(exit)),
    ];
    record.retries_of = vec![span(3)];
    record.resends = 1;
    record.deltas = 40;
    record.trace_state = "vendor=1".parse().ok();
    record.baggage = [("session.id", "s1"), ("gen_ai.request.model", "other")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
    record.server = Some(("127.0.0.1".into(), 8080));
    record.parameters.choices = Some(2);
    record.parameters.output = Some(OutputType::Json);
    record.energy = Some(Energy {
        joules: 12.5,
        prefill_joules: Some(2.5),
        decode_joules: Some(10.0),
        error: 0.75,
        method: EnergyMethod::Counter,
    });
    record.finish_reason = None;
    record.failure = Some(Failure {
        kind: "server_killed".into(),
        message: "llama-server ended: killed (signal 9)".into(),
    });
    let spans = spans(&record, &SpanLimits::default());
    assert!(spans.iter().all(|span| span.trace_state == "vendor=1"));
    let ends: Vec<u64> = spans[1..]
        .iter()
        .map(|span| span.end_time_unix_nano)
        .collect();
    let begins: Vec<u64> = spans[1..]
        .iter()
        .map(|span| span.start_time_unix_nano)
        .collect();
    assert_eq!(
        begins[1..],
        ends[..ends.len() - 1],
        "nothing is missing between them"
    );
    assert_eq!(spans[0].start_time_unix_nano, begins[0]);
    assert_eq!(spans[0].end_time_unix_nano, ends[ends.len() - 1]);
    assert_snapshot!(shown(&record, &spans));
}

#[test]
fn what_is_too_much_is_dropped_and_counted() {
    let mut record = chat();
    let kind = MarkKind::ContextShift { discarded: None };
    let at = record.started_at;
    record.marks = vec![Mark { at, kind }; 5];
    let limits = SpanLimits {
        events: 2,
        links: 1,
        ..SpanLimits::default()
    };
    let earlier = TraceContext {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([1; 8]),
        sampled: true,
    };
    record.retries_of = vec![earlier; 3];
    let span = &spans(&record, &limits)[0];
    assert_eq!((span.events.len(), span.dropped_events_count), (2, 4));
    assert_eq!((span.links.len(), span.dropped_links_count), (1, 2));
}

#[test]
fn loads_restarts_and_tool_runs() {
    let record = chat();
    let context = |id: u8| TraceContext {
        trace_id: record.trace_id,
        span_id: SpanId([id; 8]),
        sampled: true,
    };
    let apart = |id, parent, what| Happening {
        trace_id: record.trace_id,
        span_id: SpanId([id; 8]),
        parent,
        links: Vec::new(),
        started_at: record.started_at,
        duration: milliseconds(500),
        what,
        failure: None,
    };
    let restart = What::Restart {
        model: "smollm2".into(),
        exit: ServerExit {
            class: "crashed".into(),
            signal: Some(11),
            ..ServerExit::default()
        },
        restarts: 2,
    };
    let load = What::ModelLoad {
        model: "smollm2".into(),
        model_sha256: None,
        quantization: Some("Q4_1".into()),
        llama_build: Some("b11434".into()),
    };
    let tool = |content| What::ToolExecution {
        name: "weather".into(),
        call_id: Some("call_1".into()),
        content,
    };
    let said = ToolContent {
        arguments: r#"{"city":"Paris"}"#.into(),
        result: Some("12 degrees".into()),
    };
    let happenings = [
        Happening {
            links: vec![context(9)],
            ..apart(1, None, restart)
        },
        apart(2, Some(context(1)), load),
        apart(3, Some(context(9)), tool(None)),
        Happening {
            failure: Some(Failure {
                kind: "timeout".into(),
                message: "nobody answered".into(),
            }),
            ..apart(4, Some(context(9)), tool(Some(said)))
        },
    ];
    let limits = SpanLimits::default();
    let spans = happenings.map(|happened| happening(&happened, &limits));
    assert_snapshot!(shown(&record, &spans));
}
