//! What was said, in the words of every API, as records keep it: read only where content is
//! captured.

mod input;
mod output;

pub(super) use input::input;
pub(super) use output::Output;

use llamatelemetry_api::{ContentPart, ImageUrl};
use llamatelemetry_record::Part;
use serde_json::Value;

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn owned(value: &Value, name: &str) -> String {
    field(value, name).unwrap_or_default().to_owned()
}

/// What a message or an item holds: a text, or a list of parts in the form of any of the APIs.
/// What is of no known kind is kept as JSON, but never a picture's bytes.
fn parts(content: &Value) -> Vec<Part> {
    match content {
        Value::Null => Vec::new(),
        // A message that only calls tools says nothing.
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![Part::text(text.as_str())],
        Value::Array(parts) => parts.iter().map(part).collect(),
        other => vec![part(other)],
    }
}

fn part(part: &Value) -> Part {
    let kind = field(part, "type").unwrap_or_default();
    match kind {
        "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" => {
            Part::text(owned(part, "text"))
        }
        "thinking" => Part::Reasoning {
            content: owned(part, "thinking"),
        },
        "image_url" => picture(owned(&part["image_url"], "url")),
        "input_image" => picture(owned(part, "image_url")),
        "image" => {
            let source = &part["source"];
            picture(match field(source, "url") {
                Some(url) => url.to_owned(),
                None => format!(
                    "data:{};base64,{}",
                    field(source, "media_type").unwrap_or_default(),
                    field(source, "data").unwrap_or_default()
                ),
            })
        }
        "tool_use" => Part::ToolCall {
            id: field(part, "id").map(str::to_owned),
            name: owned(part, "name"),
            arguments: text_of(&part["input"]),
        },
        "tool_result" => Part::ToolCallResponse {
            id: field(part, "tool_use_id").map(str::to_owned),
            response: response(&part["content"]),
        },
        "" => Part::text(text_of(part)),
        other => Part::text(format!("[{other}]")),
    }
}

/// What a tool returned: its text, or its parts' texts.
fn response(content: &Value) -> String {
    let Value::Array(parts) = content else {
        return text_of(content);
    };
    let texts = parts.iter().filter_map(|part| field(part, "text"));
    texts.collect::<Vec<_>>().join("\n")
}

fn picture(url: String) -> Part {
    let image_url = ImageUrl { url };
    ContentPart::ImageUrl { image_url }.to_record()
}
