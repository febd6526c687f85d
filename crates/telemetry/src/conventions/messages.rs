//! Messages as the conventions' JSON, read back for OpenInference's flat attributes.

use serde_json::Value;

/// One message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    pub(super) role: String,
    /// Its text parts, in order. Reasoning is not among them: it is no part of the answer.
    pub(super) texts: Vec<String>,
    pub(super) tool_calls: Vec<ToolCall>,
    /// The call that it answers, if it is a tool's.
    pub(super) tool_call_id: Option<String>,
}

/// A tool that the model called.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ToolCall {
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// As JSON.
    pub(super) arguments: Option<String>,
}

/// Reads messages. What is not of the form is left out: whoever made the attribute may have cut
/// it short.
pub(super) fn read(json: &str) -> Vec<Message> {
    let Ok(Value::Array(messages)) = serde_json::from_str(json) else {
        return Vec::new();
    };
    messages.iter().map(message).collect()
}

fn message(json: &Value) -> Message {
    let mut message = Message {
        role: text(json, "role").unwrap_or_default(),
        ..Message::default()
    };
    let parts = json.get("parts").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        match part.get("type").and_then(Value::as_str) {
            Some("text") => message.texts.extend(text(part, "content")),
            Some("tool_call") => message.tool_calls.push(ToolCall {
                id: text(part, "id"),
                name: text(part, "name").unwrap_or_default(),
                arguments: part.get("arguments").map(plain),
            }),
            Some("tool_call_response") => {
                message.tool_call_id = text(part, "id");
                message.texts.extend(part.get("response").map(plain));
            }
            _ => {}
        }
    }
    message
}

fn text(json: &Value, key: &str) -> Option<String> {
    json.get(key)?.as_str().map(str::to_owned)
}

/// Text as it is, anything else as JSON.
fn plain(json: &Value) -> String {
    json.as_str()
        .map_or_else(|| json.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_what_is_none_is_not() {
        let messages = read(
            r#"[{"role":"assistant","parts":[
                {"type":"reasoning","content":"hm"},
                {"type":"text","content":"one"},
                {"type":"tool_call","id":"c1","name":"f","arguments":{"a":1}}]},
               {"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"x"}]}]"#,
        );
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].texts, ["one"]);
        assert_eq!(
            messages[0].tool_calls[0].arguments.as_deref(),
            Some(r#"{"a":1}"#)
        );
        assert_eq!(messages[1].tool_call_id.as_deref(), Some("c1"));
        assert_eq!(messages[1].texts, ["x"]);
        assert!(read("[{\"role\":").is_empty());
        assert!(read("{}").is_empty());
    }
}
