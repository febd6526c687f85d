//! Records with known fields, and settings with known variables.

use llamatelemetry_record::{
    Content, Endpoint, FinishReason, Message, Part, Phases, RequestParameters, RequestRecord,
    ServerTimings, SpanId, TimingSource, TraceId, Usage,
};
use llamatelemetry_settings::{CaptureContent, Settings};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry};
use llamatelemetry_testbed::{ScratchHome, scratch_home};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::{Duration, SystemTime};

/// Where nobody listens: no program is given this port by chance.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

pub(crate) fn milliseconds(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A streamed chat that went well.
pub(crate) fn chat() -> RequestRecord {
    RequestRecord {
        trace_id: TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()),
        span_id: SpanId(0xb7ad_6b71_6920_3331_u64.to_be_bytes()),
        parent: None,
        endpoint: Endpoint::ChatCompletions,
        streamed: true,
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000),
        phases: Phases {
            queue: Some(milliseconds(2)),
            prefill: Some(milliseconds(65)),
            decode: Some(milliseconds(470)),
            total: milliseconds(537),
            source: TimingSource::Stream,
        },
        server_timings: Some(ServerTimings {
            cache_n: 10,
            prompt_n: 26,
            prompt_ms: 65.0,
            predicted_n: 48,
            predicted_ms: 470.0,
            draft_n: None,
            draft_n_accepted: None,
        }),
        model: "smollm2".into(),
        model_sha256: Some("ab".repeat(32)),
        quantization: Some("Q4_1".into()),
        llama_build: Some("b11434-0123abc".into()),
        response_id: Some("chatcmpl-1".into()),
        response_model: Some("SmolLM2-135M-Instruct.Q4_1.gguf".into()),
        conversation_id: None,
        slot: Some(0),
        parameters: RequestParameters::default(),
        usage: Usage {
            prompt_tokens: Some(36),
            cached_tokens: Some(10),
            completion_tokens: Some(48),
            reasoning_tokens: None,
        },
        finish_reason: Some(FinishReason::Length),
        failure: None,
        content: None,
        waits: Vec::new(),
        marks: Vec::new(),
        retries_of: Vec::new(),
        resends: 0,
        deltas: 0,
        gaps: Vec::new(),
        baggage: Vec::new(),
        trace_state: None,
        server: None,
        energy: None,
    }
}

/// What was said, if capture is on.
pub(crate) fn content() -> Content {
    Content {
        input: vec![
            Message::text("system", "Be brief."),
            Message::text("user", "Explain \"CUDA\"\nin one sentence."),
        ],
        output: vec![Message {
            role: "assistant".into(),
            name: None,
            parts: vec![
                Part::Reasoning {
                    content: "They ask about GPUs.".into(),
                },
                Part::text("CUDA runs code on GPUs."),
            ],
        }],
        ..Content::default()
    }
}

/// Settings in which exactly these `OTEL_*` variables are set, and the home they belong to. Spans
/// alone are sent where nothing is said of the others, so that they can be counted.
pub(crate) fn settings(variables: &[(&str, &str)]) -> (ScratchHome, Settings) {
    let home = scratch_home();
    let mut settings = home.settings();
    // What a record has of content is shown.
    settings.telemetry.capture_content = CaptureContent::SpanOnly;
    let spans_only = [
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    settings.telemetry.store = false;
    settings.telemetry.otel = spans_only
        .iter()
        .chain(variables)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<BTreeMap<_, _>>();
    // Tests count what arrives: metrics only where they are asked for.
    let none = || "none".to_owned();
    let metrics = "OTEL_METRICS_EXPORTER".to_owned();
    settings.telemetry.otel.entry(metrics).or_insert_with(none);
    (home, settings)
}

/// A running pipeline and the home it belongs to.
pub(crate) struct Running {
    telemetry: Telemetry,
    _home: ScratchHome,
}

impl Deref for Running {
    type Target = Telemetry;

    fn deref(&self) -> &Telemetry {
        &self.telemetry
    }
}

/// A pipeline set up by these variables, without a console, in a home of its own.
pub(crate) fn telemetry(variables: &[(&str, &str)]) -> Running {
    let (home, settings) = settings(variables);
    let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None);
    Running {
        telemetry: telemetry.expect("the variables are valid"),
        _home: home,
    }
}
