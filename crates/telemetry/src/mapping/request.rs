//! The span of the request itself.

use super::attributes::Attributes;
use super::links::{self, Reason};
use super::{events, ids};
use crate::content;
use crate::limits::SpanLimits;
use crate::names::{self, attribute};
use crate::value::unix_nanos;
use llamatelemetry_record::{Content, FinishReason, OutputType, RequestRecord};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

pub(super) fn span(record: &RequestRecord, content: Option<&Content>, limits: &SpanLimits) -> Span {
    // A parent of another trace would tear this span from its own.
    let parent = record
        .parent
        .filter(|parent| parent.trace_id == record.trace_id);
    let operation = record.endpoint.operation().as_str();
    let name = if record.model.is_empty() {
        operation.to_owned()
    } else {
        format!("{operation} {}", record.model)
    };
    Span {
        trace_id: record.trace_id.0.to_vec(),
        span_id: record.span_id.0.to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |parent| parent.span_id.0.to_vec()),
        flags: ids::flags(parent.is_some()),
        name,
        kind: SpanKind::Client.into(),
        trace_state: ids::state(record),
        start_time_unix_nano: unix_nanos(record.begun_at()),
        end_time_unix_nano: unix_nanos(record.started_at + record.phases.total),
        attributes: attributes(record, content, limits),
        events: events::of_request(record),
        links: links::to(&record.retries_of, Reason::Retry),
        status: record.failure.as_ref().map(ids::error),
        ..Span::default()
    }
}

fn attributes(
    record: &RequestRecord,
    content: Option<&Content>,
    limits: &SpanLimits,
) -> Vec<KeyValue> {
    let mut all = Attributes::with_capacity(40);
    asked(record, &mut all);
    answered(record, &mut all);
    measured(record, &mut all);
    if let Some(content) = content {
        said(record, content, limits, &mut all);
    }
    baggage(record, &mut all);
    all.into_vec()
}

/// What was asked of whom.
fn asked(record: &RequestRecord, all: &mut Attributes) {
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
        (!parameters.stop.is_empty()).then(|| parameters.stop.clone()),
    );
    all.count(
        attribute::CHOICE_COUNT,
        parameters.choices.filter(|choices| *choices != 1),
    );
    all.set(
        attribute::OUTPUT_TYPE,
        parameters.output.map(OutputType::as_str),
    );
}

/// What came back.
fn answered(record: &RequestRecord, all: &mut Attributes) {
    all.set(attribute::RESPONSE_ID, record.response_id.clone());
    all.set(attribute::RESPONSE_MODEL, record.response_model.clone());
    all.set(
        attribute::FINISH_REASONS,
        record
            .finish_reason
            .as_ref()
            .map(|reason| vec![reason.as_str().to_owned()]),
    );
    all.seconds(
        attribute::TIME_TO_FIRST_CHUNK,
        record.phases.ttft().filter(|_| record.streamed),
    );
    all.count(attribute::INPUT_TOKENS, record.usage.prompt_tokens);
    all.count(attribute::CACHED_TOKENS, record.usage.cached_tokens);
    all.count(attribute::OUTPUT_TOKENS, record.usage.completion_tokens);
    all.count(attribute::REASONING_TOKENS, record.usage.reasoning_tokens);
    all.set(
        attribute::ERROR_TYPE,
        record.failure.as_ref().map(|failure| failure.kind.clone()),
    );

    if let Some((address, port)) = &record.server {
        all.set(attribute::SERVER_ADDRESS, Some(address.as_str()));
        all.set(attribute::SERVER_PORT, Some(i64::from(*port)));
    }
}

/// Where the time and the energy went, and who worked on it.
fn measured(record: &RequestRecord, all: &mut Attributes) {
    all.set(attribute::ENDPOINT, Some(record.endpoint.path()));
    all.seconds(
        attribute::WAIT_DURATION,
        (!record.waits.is_empty()).then(|| record.waits.iter().map(|wait| wait.duration).sum()),
    );
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
    all.set(attribute::QUANTIZATION, record.quantization.clone());
    all.count(
        attribute::RESENDS,
        Some(u64::from(record.resends)).filter(|resends| *resends > 0),
    );
    // Where the server counted, its count stands for itself.
    let uncounted =
        record.failure.is_some() || record.finish_reason == Some(FinishReason::Cancelled);
    all.count(
        attribute::DELTAS,
        Some(record.deltas).filter(|deltas| uncounted && *deltas > 0),
    );
    if let Some(energy) = &record.energy {
        all.set(attribute::ENERGY, Some(energy.joules));
        all.set(attribute::PREFILL_ENERGY, energy.prefill_joules);
        all.set(attribute::DECODE_ENERGY, energy.decode_joules);
        all.set(attribute::TOKEN_ENERGY, record.joules_per_token());
        all.set(attribute::ENERGY_ERROR, Some(energy.error));
        all.set(attribute::ENERGY_METHOD, Some(energy.method.as_str()));
    }
}

/// Prompts and answers.
fn said(record: &RequestRecord, content: &Content, limits: &SpanLimits, all: &mut Attributes) {
    let reason = content::finish_reason(record);
    all.set(
        attribute::SYSTEM_INSTRUCTIONS,
        content::system_instructions(content, limits.value_length),
    );
    all.set(
        attribute::TOOL_DEFINITIONS,
        content::tool_definitions(content, limits.value_length),
    );
    all.set(
        attribute::INPUT_MESSAGES,
        content::input(content, limits.value_length),
    );
    all.set(
        attribute::OUTPUT_MESSAGES,
        content::output(content, reason, limits.value_length),
    );
}

/// Baggage stands on the span under its own names, as backends look for them (`session.id`); names
/// that mean something of ours are not the caller's to set.
fn baggage(record: &RequestRecord, all: &mut Attributes) {
    const OURS: [&str; 4] = ["gen_ai.", "llamacpp.", "error.", "server."];
    for (key, value) in &record.baggage {
        if !OURS.iter().any(|space| key.starts_with(space)) {
            all.set_new(key, value.clone());
        }
    }
}
