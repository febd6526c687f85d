//! What was sent.

use super::{field, owned, parts, response, text_of};
use llamatelemetry_record::{Content, Endpoint, Message, Part};
use serde_json::Value;

/// What a request's body says. A body that is not what its endpoint takes says nothing.
pub(in crate::proxy) fn input(endpoint: Endpoint, body: &[u8]) -> Content {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Content::default();
    };
    let tools = match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::Responses => &body["tools"],
        _ => &Value::Null,
    };
    let mut content = Content {
        tool_definitions: tools.as_array().cloned().unwrap_or_default(),
        ..Content::default()
    };
    match endpoint {
        Endpoint::ChatCompletions => content.input = list(&body["messages"], chat_message),
        Endpoint::Messages => {
            content.system_instructions = parts(&body["system"]);
            content.input = list(&body["messages"], message);
        }
        Endpoint::Responses => {
            content.system_instructions = parts(&body["instructions"]);
            content.input = match &body["input"] {
                Value::Array(items) => items.iter().map(item).collect(),
                text => users(text),
            };
        }
        Endpoint::Completions | Endpoint::NativeCompletion => {
            content.input = users(&body["prompt"]);
        }
        Endpoint::Embeddings => {
            let texts = body.get("input").or_else(|| body.get("content"));
            content.input = texts.map(users).unwrap_or_default();
        }
        Endpoint::Rerank => {
            content.input = users(&body["query"]);
            let documents = body.get("documents").or_else(|| body.get("texts"));
            content
                .input
                .extend(documents.map(users).unwrap_or_default());
        }
    }
    content
}

fn list(values: &Value, read: fn(&Value) -> Message) -> Vec<Message> {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().map(read).collect()
}

/// Texts that are no messages: one from the user each. Tokens stay one list of numbers.
fn users(value: &Value) -> Vec<Message> {
    let user = |value: &Value| Message::text("user", text_of(value));
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) if !values.iter().all(Value::is_number) => {
            values.iter().map(user).collect()
        }
        one => vec![user(one)],
    }
}

/// A message of `/v1/chat/completions`.
fn chat_message(value: &Value) -> Message {
    let mut said = Vec::new();
    if let Some(reasoning) = field(value, "reasoning_content") {
        said.push(Part::Reasoning {
            content: reasoning.to_owned(),
        });
    }
    if field(value, "role") == Some("tool") {
        said.push(Part::ToolCallResponse {
            id: field(value, "tool_call_id").map(str::to_owned),
            response: response(&value["content"]),
        });
    } else {
        said.extend(parts(&value["content"]));
    }
    let calls = value["tool_calls"].as_array();
    said.extend(calls.into_iter().flatten().map(super::output::chat_call));
    Message {
        role: owned(value, "role"),
        name: field(value, "name").map(str::to_owned),
        parts: said,
    }
}

/// A message of `/v1/messages`.
fn message(value: &Value) -> Message {
    Message {
        role: owned(value, "role"),
        name: None,
        parts: parts(&value["content"]),
    }
}

/// An item of the input of `/v1/responses`.
fn item(value: &Value) -> Message {
    let of = |role: &str, part| Message {
        role: role.to_owned(),
        name: None,
        parts: vec![part],
    };
    match field(value, "type") {
        Some("function_call") => of("assistant", super::output::called(value)),
        Some("function_call_output") => of(
            "tool",
            Part::ToolCallResponse {
                id: field(value, "call_id").map(str::to_owned),
                response: response(&value["output"]),
            },
        ),
        Some("reasoning") => Message {
            role: "assistant".into(),
            name: None,
            parts: parts(&value["content"]),
        },
        _ => message(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(endpoint: Endpoint, body: &Value) -> Content {
        input(endpoint, body.to_string().as_bytes())
    }

    #[test]
    fn a_conversation_is_the_same_in_every_api() {
        let called = Part::ToolCall {
            id: Some("c1".into()),
            name: "weather".into(),
            arguments: r#"{"city":"Rome"}"#.into(),
        };
        let answered = Part::ToolCallResponse {
            id: Some("c1".into()),
            response: "22 C".into(),
        };
        let chat = read(
            Endpoint::ChatCompletions,
            &json!({"messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "22 C"}]}),
        );
        let messages = read(
            Endpoint::Messages,
            &json!({"system": "be kind", "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c1",
                    "name": "weather", "input": {"city": "Rome"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "22 C"}]}]}]}),
        );
        let responses = read(
            Endpoint::Responses,
            &json!({"instructions": "be kind", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "function_call", "call_id": "c1", "name": "weather",
                    "arguments": "{\"city\":\"Rome\"}"},
                {"type": "function_call_output", "call_id": "c1", "output": "22 C"}]}),
        );
        for content in [&chat, &messages, &responses] {
            let parts: Vec<_> = content.input.iter().flat_map(|said| &said.parts).collect();
            assert_eq!(parts, [&Part::text("hi"), &called, &answered]);
        }
        assert_eq!(messages.system_instructions, [Part::text("be kind")]);
        assert_eq!(responses.system_instructions, [Part::text("be kind")]);
    }

    #[test]
    fn a_picture_is_never_kept() {
        let content = read(
            Endpoint::Messages,
            &json!({"messages": [{"role": "user", "content": [{"type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}]}]}),
        );
        assert!(matches!(
            content.input[0].parts[..],
            [Part::Blob { bytes: 5, .. }]
        ));
    }

    #[test]
    fn prompts_are_texts_or_tokens() {
        let said =
            |prompt: Value| read(Endpoint::NativeCompletion, &json!({"prompt": prompt})).input;
        assert_eq!(said(json!("a")), [Message::text("user", "a")]);
        assert_eq!(said(json!(["a", "b"])).len(), 2);
        assert_eq!(said(json!([1, 2])), [Message::text("user", "[1,2]")]);
        assert_eq!(input(Endpoint::Messages, b"{"), Content::default());
    }
}
