//! `messages`

use super::shared::{SPAN_ID, START, TRACE_ID};
use super::{Column, From, Kind, Message, Source, View};
use crate::value::{Value, find, json};
use llamatelemetry_store::Signal;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::Value as Json;

/// Where messages stand, and in which direction they go.
const SOURCES: [(&str, &str); 3] = [
    ("gen_ai.system_instructions", "system"),
    ("gen_ai.input.messages", "input"),
    ("gen_ai.output.messages", "output"),
];

/// A message to or from a model a row.
pub(super) static MESSAGES: View = View {
    name: "messages",
    about: "A message to or from a model a row, in the order in which they were sent; there are \
            some only where content is captured.",
    source: Source::Parts {
        signal: Signal::Traces,
        keys: &[SOURCES[0].0, SOURCES[1].0, SOURCES[2].0],
        each: messages,
    },
    columns: &[
        TRACE_ID,
        SPAN_ID,
        START,
        Column::new(
            "direction",
            Kind::Text,
            From::View,
            "`system` for instructions apart from the messages, `input`, `output`.",
        ),
        Column::new(
            "position",
            Kind::Integer,
            From::View,
            "Its place in that direction, from 0 on.",
        ),
        Column::new(
            "role",
            Kind::Text,
            From::View,
            "`system`, `user`, `assistant`, `tool`.",
        ),
        Column::new(
            "text",
            Kind::Text,
            From::View,
            "Its parts that are text, in lines.",
        ),
        Column::new(
            "finish_reason",
            Kind::Text,
            From::View,
            "Why an answer ended.",
        ),
        Column::new("parts", Kind::Json, From::View, "All its parts, as a list."),
    ],
};

fn messages(message: &Message, rows: &mut Vec<Vec<Value>>) {
    let Message::Span(span) = message else { return };
    let head = [
        Value::id(&span.trace_id),
        Value::id(&span.span_id),
        Value::known(span.start_time_unix_nano),
    ];
    for (key, direction) in SOURCES {
        let list = match find(&span.attributes, key) {
            // The conventions allow JSON where a list cannot be sent.
            Some(Any::StringValue(text)) => serde_json::from_str(text).unwrap_or(Json::Null),
            Some(value) => json(value),
            None => continue,
        };
        // Instructions are the parts of one message.
        let list = match list {
            parts @ Json::Array(_) if direction == "system" => vec![parts],
            Json::Array(list) => list,
            _ => continue,
        };
        for (position, message) in (0..).zip(list) {
            let text = |key: &str| message.get(key).and_then(Json::as_str).unwrap_or_default();
            let (role, parts) = match &message {
                Json::Array(_) => ("system", Some(&message)),
                _ => (text("role"), message.get("parts")),
            };
            let mut row = head.to_vec();
            row.extend([
                Value::text(direction),
                Value::Integer(position),
                Value::text(role),
                Value::text(&words(parts)),
                Value::text(text("finish_reason")),
                parts.map_or(Value::Null, Value::json),
            ]);
            rows.push(row);
        }
    }
}

/// The parts of type `text`, in lines.
fn words(parts: Option<&Json>) -> String {
    let parts = parts.and_then(Json::as_array).into_iter().flatten();
    let texts = parts
        .filter(|part| part.get("type").and_then(Json::as_str) == Some("text"))
        .filter_map(|part| part.get("content").and_then(Json::as_str));
    texts.collect::<Vec<_>>().join("\n")
}
