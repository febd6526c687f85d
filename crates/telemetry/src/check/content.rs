//! Rules of captured messages.

use super::rule::Rule;
use super::{At, Found};
use crate::value::find;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::Value as Json;

/// Parts and the fields that each needs.
const PARTS: &[(&str, &[&str])] = &[
    ("text", &["content"]),
    ("reasoning", &["content"]),
    ("tool_call", &["name"]),
    ("tool_call_response", &["response"]),
    ("server_tool_call", &["name", "server_tool_call"]),
    ("server_tool_call_response", &["server_tool_call_response"]),
    ("blob", &["modality", "content"]),
    ("file", &["modality", "file_id"]),
    ("uri", &["modality", "uri"]),
];

/// Checks messages that stand on a span or an event.
pub(super) fn check(at: &At<'_>, attributes: &[KeyValue], found: Found<'_>) {
    for (name, output) in [("input.messages", false), ("output.messages", true)] {
        // Where the profile lacks them they stand under our own name.
        let value = find(attributes, &format!("gen_ai.{name}"))
            .or_else(|| find(attributes, &format!("llamacpp.{name}")));
        let json = match value {
            None => continue,
            Some(Value::StringValue(text)) => serde_json::from_str(text).ok(),
            Some(structured) => json(structured),
        };
        let Some(Json::Array(messages)) = json else {
            at.report(
                found,
                Rule::MalformedContent,
                format!("`{name}` is no list of messages"),
            );
            continue;
        };
        for (index, message) in messages.iter().enumerate() {
            if let Some(wrong) = malformed(message) {
                at.report(
                    found,
                    Rule::MalformedContent,
                    format!("message {index} of `{name}` {wrong}"),
                );
            } else if output && message.get("finish_reason").is_none_or(Json::is_null) {
                at.report(
                    found,
                    Rule::NoFinishReason,
                    format!("message {index} of `{name}` has no `finish_reason`"),
                );
            }
        }
    }
}

/// What is wrong with a message, without what it says.
fn malformed(message: &Json) -> Option<String> {
    if !message.get("role").is_some_and(Json::is_string) {
        return Some("has no role".to_owned());
    }
    let Some(parts) = message.get("parts").and_then(Json::as_array) else {
        return Some("has no parts".to_owned());
    };
    parts.iter().enumerate().find_map(|(index, part)| {
        let Some(kind) = part.get("type").and_then(Json::as_str) else {
            return Some(format!("has a part {index} without a type"));
        };
        // Parts of other types are custom ones.
        let (_, needed) = PARTS.iter().find(|(known, _)| *known == kind)?;
        let missing = needed.iter().find(|field| part.get(**field).is_none())?;
        Some(format!("has a part {index} ({kind}) without `{missing}`"))
    })
}

/// A structured value as JSON.
fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::StringValue(text) => text.as_str().into(),
        Value::BoolValue(yes) => (*yes).into(),
        Value::IntValue(number) => (*number).into(),
        Value::DoubleValue(number) => (*number).into(),
        Value::ArrayValue(list) => list
            .values
            .iter()
            .map(|value| value.value.as_ref().map_or(Some(Json::Null), json))
            .collect::<Option<_>>()?,
        Value::KvlistValue(map) => {
            let pairs = map.values.iter().map(|KeyValue { key, value, .. }| {
                let value = value.as_ref().and_then(|value| value.value.as_ref());
                Some((key.clone(), value.map_or(Some(Json::Null), json)?))
            });
            Json::Object(pairs.collect::<Option<_>>()?)
        }
        Value::BytesValue(_) | Value::StringValueStrindex(_) => return None,
    })
}
