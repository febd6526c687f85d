//! Messages as a record keeps them: the conventions' parts, and of pictures no more than what tells
//! them apart.

use crate::{ChatMessage, ContentPart, InputAudio, MessageContent, ToolCall};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llamatelemetry_record::{Message, Modality, Part};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

impl ChatMessage {
    /// The message as a record keeps it. Reads every byte of its pictures.
    pub fn to_record(&self) -> Message {
        let field = |name| self.extra.get(name).and_then(Value::as_str);
        let mut parts = Vec::new();
        if let Some(reasoning) = field("reasoning_content") {
            parts.push(Part::Reasoning {
                content: reasoning.to_owned(),
            });
        }
        if self.role == "tool" {
            parts.push(Part::ToolCallResponse {
                id: field("tool_call_id").map(Into::into),
                response: self.content.to_text(),
            });
        } else {
            parts.extend(self.content.to_parts());
        }
        if let Some(calls) = self.extra.get("tool_calls").and_then(Value::as_array) {
            parts.extend(calls.iter().map(tool_call));
        }
        Message {
            role: self.role.clone(),
            name: field("name").map(Into::into),
            parts,
        }
    }
}

impl MessageContent {
    fn to_parts(&self) -> Vec<Part> {
        match self {
            // An assistant's message that only calls tools says nothing.
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => vec![Part::text(text)],
            Self::Parts(parts) => parts.iter().map(ContentPart::to_record).collect(),
        }
    }
}

impl ContentPart {
    /// The part as a record keeps it. Reads every byte of a picture.
    pub fn to_record(&self) -> Part {
        match self {
            Self::Text { text } => Part::text(text),
            Self::ImageUrl { image_url } => picture(&image_url.url),
            Self::InputAudio { input_audio } => sound(input_audio),
        }
    }
}

impl ToolCall {
    /// The call as a record keeps it.
    pub fn to_record(&self) -> Part {
        Part::ToolCall {
            id: Some(self.id.clone()).filter(|id| !id.is_empty()),
            name: self.name.clone(),
            arguments: self.arguments.clone(),
        }
    }
}

/// A call as OpenAI's form has it in a message.
fn tool_call(call: &Value) -> Part {
    let function = call.get("function").unwrap_or(call);
    Part::ToolCall {
        id: call.get("id").and_then(Value::as_str).map(Into::into),
        name: function
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        arguments: match function.get("arguments") {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        },
    }
}

/// A sound: its size and digest.
fn sound(audio: &InputAudio) -> Part {
    let bytes = STANDARD.decode(audio.data.trim()).ok();
    Part::Blob {
        modality: Modality::Audio,
        mime_type: Some(format!("audio/{}", audio.format)),
        bytes: bytes.as_ref().map_or(audio.data.len(), Vec::len) as u64,
        sha256: bytes.as_deref().map(digest),
    }
}

/// A picture: its address, or, if the address holds the picture, its size and digest.
fn picture(url: &str) -> Part {
    let Some(data) = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
    else {
        return Part::Uri {
            modality: Modality::Image,
            mime_type: None,
            uri: url.to_owned(),
        };
    };
    let rest = &url[data.len()..];
    let (head, body) = rest.split_once(',').unwrap_or((rest, ""));
    let mime_type = head.split(';').next().filter(|mime| !mime.is_empty());
    let bytes = if head.ends_with(";base64") {
        STANDARD.decode(body.trim()).ok()
    } else {
        Some(body.as_bytes().to_vec())
    };
    Part::Blob {
        modality: Modality::Image,
        mime_type: mime_type.map(Into::into),
        bytes: bytes.as_ref().map_or(body.len(), Vec::len) as u64,
        sha256: bytes.as_deref().map(digest),
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a text cannot fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageUrl;
    use serde_json::json;

    fn read(message: Value) -> Message {
        serde_json::from_value::<ChatMessage>(message)
            .unwrap()
            .to_record()
    }

    #[test]
    fn calls_and_their_answers_are_parts() {
        let called = read(json!({
            "role": "assistant", "content": "", "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function",
                "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}}],
        }));
        assert_eq!(
            called.parts,
            [
                Part::Reasoning {
                    content: "hm".into()
                },
                Part::ToolCall {
                    id: Some("c1".into()),
                    name: "weather".into(),
                    arguments: "{\"city\":\"Rome\"}".into(),
                },
            ]
        );
        let answered = read(json!({"role": "tool", "tool_call_id": "c1", "content": "22 C"}));
        assert_eq!(
            answered.parts,
            [Part::ToolCallResponse {
                id: Some("c1".into()),
                response: "22 C".into(),
            }]
        );
    }

    #[test]
    fn a_picture_in_an_address_becomes_size_and_digest() {
        let part = |url: &str| {
            ContentPart::ImageUrl {
                image_url: ImageUrl { url: url.into() },
            }
            .to_record()
        };
        assert_eq!(
            part("data:image/png;base64,aGVsbG8="),
            Part::Blob {
                modality: Modality::Image,
                mime_type: Some("image/png".into()),
                bytes: 5,
                sha256: Some(
                    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".into()
                ),
            }
        );
        assert!(matches!(
            part("DATA:image/png;base64,!"),
            Part::Blob {
                sha256: None,
                bytes: 1,
                ..
            }
        ));
        assert!(matches!(part("https://host/p.png"), Part::Uri { .. }));
        assert!(matches!(part("dät"), Part::Uri { .. }));
    }
}
