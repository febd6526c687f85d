//! Messages and their parts as the conventions' JSON schemas have them.

use llamatelemetry_record::{Message, Modality, Part};
use serde_json::{Map, Value};

pub(super) fn messages(messages: &[Message]) -> Vec<Value> {
    messages
        .iter()
        .map(|message| Value::Object(fields(message)))
        .collect()
}

/// Messages of the model, which say why they ended.
pub(super) fn answers(messages: &[Message], finish_reason: &str) -> Vec<Value> {
    messages
        .iter()
        .map(|message| {
            let mut fields = fields(message);
            fields.insert("finish_reason".into(), finish_reason.into());
            Value::Object(fields)
        })
        .collect()
}

pub(super) fn all(parts: &[Part]) -> Vec<Value> {
    parts.iter().map(part).collect()
}

/// Tools in OpenAI's form, whose inner object the conventions do not have.
pub(super) fn tools(tools: &[Value]) -> Vec<Value> {
    let flat = |tool: &Value| {
        let (Some(outer), Some(inner)) = (
            tool.as_object(),
            tool.get("function").and_then(Value::as_object),
        ) else {
            return tool.clone();
        };
        let outer = outer.iter().filter(|(key, _)| *key != "function");
        let fields = outer.chain(inner);
        Value::Object(
            fields
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    };
    tools.iter().map(flat).collect()
}

fn fields(message: &Message) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("role".into(), message.role.as_str().into());
    set(&mut fields, "name", message.name.as_deref());
    fields.insert("parts".into(), all(&message.parts).into());
    fields
}

fn part(part: &Part) -> Value {
    let mut fields = Map::new();
    let of_type = |fields: &mut Map<String, Value>, name: &str| {
        fields.insert("type".into(), name.into());
    };
    match part {
        Part::Text { content } => {
            of_type(&mut fields, "text");
            set(&mut fields, "content", Some(content.as_str()));
        }
        Part::Reasoning { content } => {
            of_type(&mut fields, "reasoning");
            set(&mut fields, "content", Some(content.as_str()));
        }
        Part::ToolCall {
            id,
            name,
            arguments,
        } => {
            of_type(&mut fields, "tool_call");
            set(&mut fields, "id", id.as_deref());
            set(&mut fields, "name", Some(name.as_str()));
            set(&mut fields, "arguments", Some(document(arguments)));
        }
        Part::ToolCallResponse { id, response } => {
            of_type(&mut fields, "tool_call_response");
            set(&mut fields, "id", id.as_deref());
            set(&mut fields, "response", Some(document(response)));
        }
        Part::Uri {
            modality,
            mime_type,
            uri,
        } => {
            of_type(&mut fields, "uri");
            thing(&mut fields, *modality, mime_type.as_deref());
            set(&mut fields, "uri", Some(uri.as_str()));
        }
        Part::Blob {
            modality,
            mime_type,
            bytes,
            sha256,
        } => {
            of_type(&mut fields, "blob");
            thing(&mut fields, *modality, mime_type.as_deref());
            // The schema wants the bytes here; they were not kept.
            set(&mut fields, "content", Some(""));
            set(&mut fields, "bytes", Some(*bytes));
            set(&mut fields, "sha256", sha256.as_deref());
        }
        Part::File {
            modality,
            mime_type,
            file_id,
        } => {
            of_type(&mut fields, "file");
            thing(&mut fields, *modality, mime_type.as_deref());
            set(&mut fields, "file_id", Some(file_id.as_str()));
        }
        // Kinds that a later record has and this mapping does not.
        _ => of_type(&mut fields, "unknown"),
    }
    Value::Object(fields)
}

fn thing(fields: &mut Map<String, Value>, modality: Modality, mime_type: Option<&str>) {
    set(fields, "modality", Some(modality.as_str()));
    set(fields, "mime_type", mime_type);
}

fn set(fields: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(key.into(), value.into());
    }
}

/// A JSON object or list as such; everything else, text that looks like a number included, as the
/// text that it is.
fn document(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => text.into(),
    }
}
