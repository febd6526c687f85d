//! From a record to spans. Pure: the same record makes the same spans, ids included.

use crate::content;
use crate::limits::SpanLimits;
use crate::names::{self, attribute, span};
use llamatelemetry_record::{FinishReason, RequestRecord, SpanId as RecordSpanId};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder(names::SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
});

/// The spans of one request: the request itself, then those of its phases that are known, in
/// order. All are marked as sampled; whether a trace is kept is decided before.
pub fn spans(record: &RequestRecord, limits: &SpanLimits) -> Vec<SpanData> {
    let mut spans = Vec::with_capacity(4);
    spans.push(request(record, limits));
    phases(record, &mut spans);
    for span in &mut spans {
        limits.apply(span);
    }
    spans
}

fn request(record: &RequestRecord, limits: &SpanLimits) -> SpanData {
    // A parent of another trace would tear this span from its own.
    let parent = record
        .parent
        .filter(|parent| parent.trace_id == record.trace_id);
    let operation = record.endpoint.operation().as_str();
    let name = if record.model.is_empty() {
        Cow::Borrowed(operation)
    } else {
        Cow::Owned(format!("{operation} {}", record.model))
    };
    SpanData {
        span_context: context(record, record.span_id),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| {
            SpanId::from_bytes(parent.span_id.0)
        }),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Client,
        name,
        start_time: record.started_at,
        end_time: record.started_at + record.phases.total,
        attributes: request_attributes(record, limits),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: match &record.failure {
            Some(failure) => Status::error(failure.message.clone()),
            None => Status::Unset,
        },
        instrumentation_scope: SCOPE.clone(),
    }
}

/// Collects attributes: those with a value are kept.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn set(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.push(KeyValue::new(key, value));
        }
    }

    /// A count of tokens. One above `i64::MAX` is no count.
    fn count(&mut self, key: &'static str, count: Option<u64>) {
        self.set(key, count.and_then(|count| i64::try_from(count).ok()));
    }

    /// A duration in seconds.
    fn seconds(&mut self, key: &'static str, time: Option<Duration>) {
        self.set(key, time.map(|time| time.as_secs_f64()));
    }
}

fn request_attributes(record: &RequestRecord, limits: &SpanLimits) -> Vec<KeyValue> {
    let mut all = Attributes(Vec::with_capacity(32));
    let operation = record.endpoint.operation();
    all.set(attribute::OPERATION, Some(operation.as_str()));
    all.set(attribute::PROVIDER, Some(names::PROVIDER));
    all.set(
        attribute::REQUEST_MODEL,
        Some(record.model.clone()).filter(|model| !model.is_empty()),
    );
    all.set(attribute::REQUEST_STREAM, record.streamed.then_some(true));
    all.set(attribute::CONVERSATION, record.conversation_id.clone());

    let parameters = &record.parameters;
    all.set(attribute::REQUEST_TEMPERATURE, parameters.temperature);
    all.set(attribute::REQUEST_TOP_P, parameters.top_p);
    all.set(attribute::REQUEST_TOP_K, parameters.top_k);
    all.count(attribute::REQUEST_MAX_TOKENS, parameters.max_tokens);
    all.set(attribute::REQUEST_SEED, parameters.seed);
    all.set(
        attribute::REQUEST_STOP,
        (!parameters.stop.is_empty()).then(|| strings(parameters.stop.iter().cloned())),
    );

    all.set(attribute::RESPONSE_ID, record.response_id.clone());
    all.set(attribute::RESPONSE_MODEL, record.response_model.clone());
    all.set(
        attribute::FINISH_REASONS,
        record
            .finish_reason
            .as_ref()
            .map(|reason| strings([reason.as_str().to_owned()])),
    );
    all.seconds(
        attribute::TIME_TO_FIRST_CHUNK,
        record.phases.ttft().filter(|_| record.streamed),
    );
    all.count(attribute::INPUT_TOKENS, record.usage.prompt_tokens);
    all.count(attribute::CACHED_TOKENS, record.usage.cached_tokens);
    all.count(attribute::OUTPUT_TOKENS, record.usage.completion_tokens);
    all.set(
        attribute::ERROR_TYPE,
        record.failure.as_ref().map(|failure| failure.kind.clone()),
    );

    all.set(attribute::ENDPOINT, Some(record.endpoint.path()));
    all.seconds(attribute::QUEUE_DURATION, record.phases.queue);
    all.seconds(attribute::PREFILL_DURATION, record.phases.prefill);
    all.seconds(attribute::DECODE_DURATION, record.phases.decode);
    all.set(
        attribute::TIMINGS_SOURCE,
        Some(record.phases.source.as_str()),
    );
    all.set(attribute::PREFILL_RATE, record.prompt_per_second());
    all.set(attribute::DECODE_RATE, record.decode_per_second());
    if let Some(timings) = &record.server_timings {
        all.seconds(attribute::SERVER_PREFILL, timings.prefill());
        all.seconds(attribute::SERVER_DECODE, timings.decode());
        all.count(attribute::DRAFT_TOKENS, timings.draft_n);
        all.count(attribute::DRAFT_ACCEPTED, timings.draft_n_accepted);
    }
    all.set(attribute::SLOT, record.slot.map(i64::from));
    all.set(attribute::BUILD, record.llama_build.clone());
    all.set(attribute::MODEL_SHA256, record.model_sha256.clone());
    if let Some(content) = &record.content {
        let reason = match (&record.failure, &record.finish_reason) {
            (Some(_), _) => "error",
            // The conventions' word for it, which is not the server's.
            (None, Some(FinishReason::ToolCalls)) => "tool_call",
            (None, Some(reason)) => reason.as_str(),
            (None, None) => "unknown",
        };
        all.set(
            attribute::INPUT_MESSAGES,
            content::input(content, limits.value_length),
        );
        all.set(
            attribute::OUTPUT_MESSAGES,
            content::output(content, reason, limits.value_length),
        );
    }
    all.0
}

fn phases(record: &RequestRecord, spans: &mut Vec<SpanData>) {
    let phases = &record.phases;
    let mut from = record.started_at;
    let known = [
        (span::QUEUE, phases.queue),
        (span::PREFILL, phases.prefill),
        (span::DECODE, phases.decode),
    ];
    for (index, (name, time)) in (1_u64..).zip(known) {
        // Where one phase is not known, nothing says when the next began.
        let Some(time) = time else { return };
        let to = from + time;
        spans.push(phase(record, index, name, from, to));
        from = to;
    }
}

fn phase(
    record: &RequestRecord,
    index: u64,
    name: &'static str,
    from: SystemTime,
    to: SystemTime,
) -> SpanData {
    let mut all = Attributes(Vec::new());
    // Tokens stand on the request's span under their standard names; under those names here too
    // they would be counted twice by backends that sum over spans.
    match name {
        span::PREFILL => {
            let usage = &record.usage;
            let evaluated = usage
                .prompt_tokens
                .zip(usage.cached_tokens)
                .and_then(|(all, cached)| all.checked_sub(cached));
            all.count(attribute::PREFILL_TOKENS, evaluated);
            all.count(attribute::PREFILL_CACHED_TOKENS, usage.cached_tokens);
            all.set(attribute::PREFILL_RATE, record.prompt_per_second());
        }
        span::DECODE => {
            all.count(attribute::DECODE_TOKENS, record.usage.completion_tokens);
            all.set(attribute::DECODE_RATE, record.decode_per_second());
        }
        _ => all.set(attribute::SLOT, record.slot.map(i64::from)),
    }
    SpanData {
        span_context: context(record, child_id(record.span_id, index)),
        parent_span_id: SpanId::from_bytes(record.span_id.0),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(name),
        start_time: from,
        end_time: to,
        attributes: all.0,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: SCOPE.clone(),
    }
}

fn context(record: &RequestRecord, span_id: RecordSpanId) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(record.trace_id.0),
        SpanId::from_bytes(span_id.0),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

/// A phase's id follows from its request's, so that the same record sent twice is the same spans:
/// one step of the splitmix64 generator, seeded with both.
fn child_id(parent: RecordSpanId, index: u64) -> RecordSpanId {
    let step = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bits = u64::from_be_bytes(parent.0).wrapping_add(step);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // All zero is no id.
    RecordSpanId(bits.max(1).to_be_bytes())
}

fn strings(texts: impl IntoIterator<Item = String>) -> Value {
    Value::Array(Array::String(
        texts.into_iter().map(StringValue::from).collect(),
    ))
}
