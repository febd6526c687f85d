//! `spans`

use super::shared::{
    ATTRIBUTES, RESOURCE_ID, SCOPE_NAME, SCOPE_VERSION, SERVICE, SPAN_ID, START, TRACE_ID,
};
use super::{Column, From, Kind, Message, Narrows, Source, View};
use crate::value::Value;
use llamatelemetry_store::{Signal, column};

/// A span a row.
pub(super) static SPANS: View = View {
    name: "spans",
    about: "A span a row. Columns of model requests are `NULL` on other spans, and where the \
            sender does not state them.",
    source: Source::Rows(Signal::Traces),
    columns: &[
        TRACE_ID,
        SPAN_ID,
        Column::new(
            "parent_span_id",
            Kind::Text,
            From::Id(column::span::PARENT),
            "The parent's id; `NULL` for the first of a trace.",
        ),
        Column::new(
            "name",
            Kind::Text,
            From::Text(column::NAME),
            "The span's name.",
        )
        .narrows(Narrows::Name),
        Column::new(
            "kind",
            Kind::Text,
            From::Number(column::span::KIND, kind),
            "`internal`, `server`, `client`, `producer`, `consumer`.",
        ),
        START,
        Column::new(
            "end_time_unix_nano",
            Kind::Integer,
            From::TimeAnd(column::span::DURATION, |start, time| match lasted(time) {
                Value::Null => Value::Null,
                _ => Value::count(start.wrapping_add(time)),
            }),
            "When it ended, nanoseconds since 1970.",
        ),
        Column::new(
            "duration_ns",
            Kind::Integer,
            From::Number(column::span::DURATION, lasted),
            "From begin to end, nanoseconds; `NULL` where the end is not stated or lies before.",
        )
        .narrows(Narrows::Duration),
        Column::new(
            "status",
            Kind::Text,
            From::Number(column::span::STATUS, status),
            "`unset`, `ok`, `error`.",
        )
        .narrows(Narrows::Status),
        Column::new(
            "status_message",
            Kind::Text,
            From::Text(column::span::MESSAGE),
            "What the status says.",
        ),
        SERVICE,
        Column::attribute(
            "operation",
            Kind::Text,
            "gen_ai.operation.name",
            "What was asked of a model: `chat`, `text_completion`, `embeddings`, `execute_tool`.",
        ),
        Column::attribute(
            "model",
            Kind::Text,
            "gen_ai.request.model",
            "The model as the caller named it.",
        ),
        Column::attribute(
            "response_model",
            Kind::Text,
            "gen_ai.response.model",
            "The model as the server names it.",
        ),
        Column::attribute(
            "provider",
            Kind::Text,
            "gen_ai.provider.name",
            "Who answers: `llama_cpp`.",
        ),
        Column::attribute(
            "conversation_id",
            Kind::Text,
            "gen_ai.conversation.id",
            "The conversation, if the caller named one.",
        ),
        Column::attribute(
            "input_tokens",
            Kind::Integer,
            "gen_ai.usage.input_tokens",
            "Prompt tokens, cached ones included.",
        ),
        Column::attribute(
            "cached_tokens",
            Kind::Integer,
            "gen_ai.usage.cache_read.input_tokens",
            "Prompt tokens taken from the cache.",
        ),
        Column::attribute(
            "output_tokens",
            Kind::Integer,
            "gen_ai.usage.output_tokens",
            "Tokens generated.",
        ),
        Column::attribute(
            "reasoning_tokens",
            Kind::Integer,
            "gen_ai.usage.reasoning.output_tokens",
            "Generated tokens that were reasoning.",
        ),
        Column::new(
            "ttft_ns",
            Kind::Integer,
            From::Nanos("gen_ai.response.time_to_first_chunk"),
            "Request sent → first token, nanoseconds; streamed answers only.",
        ),
        Column::new(
            "queue_ns",
            Kind::Integer,
            From::Nanos("llamacpp.queue.duration"),
            "Request sent → slot started, nanoseconds.",
        ),
        Column::new(
            "prefill_ns",
            Kind::Integer,
            From::Nanos("llamacpp.prefill.duration"),
            "Slot started → first token, nanoseconds.",
        ),
        Column::new(
            "decode_ns",
            Kind::Integer,
            From::Nanos("llamacpp.decode.duration"),
            "First token → last token, nanoseconds.",
        ),
        Column::attribute(
            "finish_reasons",
            Kind::Json,
            "gen_ai.response.finish_reasons",
            "Why each choice ended, as a list.",
        ),
        Column::attribute(
            "error_type",
            Kind::Text,
            "error.type",
            "The class of a failure.",
        ),
        Column::attribute(
            "energy_joules",
            Kind::Real,
            "llamacpp.energy",
            "Energy used, joules.",
        ),
        Column::attribute(
            "slot_id",
            Kind::Integer,
            "llamacpp.slot.id",
            "The slot that worked on it.",
        ),
        Column::attribute(
            "build",
            Kind::Text,
            "llamacpp.build",
            "The llama.cpp build.",
        ),
        Column::attribute(
            "model_sha256",
            Kind::Text,
            "llamacpp.model.sha256",
            "SHA-256 of the model's file.",
        ),
        Column::attribute(
            "tool_name",
            Kind::Text,
            "gen_ai.tool.name",
            "The tool that was called.",
        ),
        Column::new(
            "trace_state",
            Kind::Text,
            From::Text(column::span::STATE),
            "W3C's trace state.",
        ),
        SCOPE_NAME,
        SCOPE_VERSION,
        RESOURCE_ID,
        Column::new(
            "event_count",
            Kind::Integer,
            From::Message(|message| match message {
                Message::Span(span) => Value::count(span.events.len() as u64),
                _ => Value::Null,
            }),
            "How many events it has. Dear to read.",
        ),
        Column::new(
            "link_count",
            Kind::Integer,
            From::Message(|message| match message {
                Message::Span(span) => Value::count(span.links.len() as u64),
                _ => Value::Null,
            }),
            "How many links it has. Dear to read.",
        ),
        ATTRIBUTES,
    ],
};

fn kind(kind: u64) -> Value {
    Value::text(match kind {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "",
    })
}

fn status(status: u64) -> Value {
    Value::text(match status {
        0 | 1 => "unset",
        2 => "ok",
        3 => "error",
        _ => "",
    })
}

/// Without an end, or with one before the start, the difference wraps around.
fn lasted(nanos: u64) -> Value {
    Value::count(nanos)
}
