//! What came back.

use super::{field, owned, text_of};
use llamatelemetry_record::{Delivery, Endpoint, Message, Part, SseDecoder};
use serde_json::Value;

/// More calls than any model makes in one answer: a wild index must not allocate.
const CALLS: u64 = 1024;
/// Bytes of a whole body that are read at most.
const BODY: usize = 16 << 20;

/// An answer, put together from its bytes.
#[derive(Debug)]
pub(in crate::proxy) struct Output {
    endpoint: Endpoint,
    delivery: Delivery,
    decoder: SseDecoder,
    body: Vec<u8>,
    said: Said,
}

#[derive(Debug, Default)]
struct Said {
    reasoning: String,
    text: String,
    calls: Vec<Call>,
}

#[derive(Debug, Default)]
struct Call {
    id: Option<String>,
    name: String,
    arguments: String,
}

impl Output {
    pub(in crate::proxy) fn new(endpoint: Endpoint, delivery: Delivery) -> Self {
        Self {
            endpoint,
            delivery,
            decoder: SseDecoder::default(),
            body: Vec::new(),
            said: Said::default(),
        }
    }

    pub(in crate::proxy) fn push(&mut self, bytes: &[u8]) {
        match self.delivery {
            Delivery::Streamed => {
                let (endpoint, said) = (self.endpoint, &mut self.said);
                let read = |data: &[u8]| {
                    if let Ok(event) = serde_json::from_slice(data) {
                        said.event(endpoint, &event);
                    }
                };
                // What is too large to be an event of a model says nothing.
                self.decoder.push(bytes, read).unwrap_or_default();
            }
            Delivery::Whole if self.body.len() + bytes.len() <= BODY => {
                self.body.extend_from_slice(bytes);
            }
            Delivery::Whole => {}
        }
    }

    /// What was said; `None` if nothing was.
    pub(in crate::proxy) fn message(mut self) -> Option<Message> {
        if let Ok(body) = serde_json::from_slice::<Value>(&self.body) {
            self.said.body(self.endpoint, &body);
        }
        let Said {
            reasoning,
            text,
            calls,
        } = self.said;
        let mut parts = Vec::new();
        if !reasoning.is_empty() {
            parts.push(Part::Reasoning { content: reasoning });
        }
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        parts.extend(calls.into_iter().map(|call| Part::ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        }));
        (!parts.is_empty()).then(|| Message {
            role: "assistant".into(),
            name: None,
            parts,
        })
    }
}

impl Said {
    fn event(&mut self, endpoint: Endpoint, event: &Value) {
        let delta = &event["delta"];
        match endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::NativeCompletion => {
                self.openai(event);
            }
            Endpoint::Messages => match field(event, "type") {
                Some("content_block_start") => {
                    let block = &event["content_block"];
                    if field(block, "type") == Some("tool_use") {
                        self.calls.push(Call {
                            id: field(block, "id").map(str::to_owned),
                            name: owned(block, "name"),
                            arguments: String::new(),
                        });
                    }
                }
                Some("content_block_delta") => {
                    add(&mut self.text, delta, "text");
                    add(&mut self.reasoning, delta, "thinking");
                    if let Some(call) = self.calls.last_mut() {
                        add(&mut call.arguments, delta, "partial_json");
                    }
                }
                _ => {}
            },
            // The closing event repeats the whole answer; one that is cut off has its deltas.
            Endpoint::Responses => match field(event, "type") {
                Some("response.completed" | "response.incomplete") => {
                    *self = Self::default();
                    self.body(endpoint, &event["response"]);
                }
                Some("response.output_text.delta") => add(&mut self.text, event, "delta"),
                Some("response.reasoning_text.delta") => add(&mut self.reasoning, event, "delta"),
                _ => {}
            },
            Endpoint::Embeddings | Endpoint::Rerank => {}
        }
    }

    fn body(&mut self, endpoint: Endpoint, body: &Value) {
        match endpoint {
            Endpoint::Messages => {
                for block in items(&body["content"]) {
                    add(&mut self.text, block, "text");
                    add(&mut self.reasoning, block, "thinking");
                    if field(block, "type") == Some("tool_use") {
                        self.calls.push(Call {
                            id: field(block, "id").map(str::to_owned),
                            name: owned(block, "name"),
                            arguments: text_of(&block["input"]),
                        });
                    }
                }
            }
            Endpoint::Responses => {
                for item in items(&body["output"]) {
                    match field(item, "type") {
                        Some("function_call") => self.calls.push(Call {
                            id: field(item, "call_id").map(str::to_owned),
                            name: owned(item, "name"),
                            arguments: text_of(&item["arguments"]),
                        }),
                        kind => {
                            let reasoning = kind == Some("reasoning");
                            let text = if reasoning {
                                &mut self.reasoning
                            } else {
                                &mut self.text
                            };
                            for part in items(&item["content"]) {
                                add(text, part, "text");
                            }
                        }
                    }
                }
            }
            // Vectors and scores are nothing that was said.
            Endpoint::Embeddings | Endpoint::Rerank => {}
            _ => self.openai(body),
        }
    }

    /// Of several choices the first.
    fn openai(&mut self, document: &Value) {
        add(&mut self.text, document, "content");
        for choice in items(&document["choices"]) {
            if choice["index"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            add(&mut self.text, choice, "text");
            for message in [&choice["delta"], &choice["message"]] {
                add(&mut self.text, message, "content");
                add(&mut self.reasoning, message, "reasoning_content");
                for (at, call) in (0..).zip(items(&message["tool_calls"])) {
                    self.call(call["index"].as_u64().unwrap_or(at), call);
                }
            }
        }
    }

    fn call(&mut self, index: u64, piece: &Value) {
        let index = index.min(CALLS);
        let Ok(index) = usize::try_from(index) else {
            return;
        };
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Call::default);
        }
        let call = &mut self.calls[index];
        if let Some(id) = field(piece, "id") {
            call.id = Some(id.to_owned());
        }
        add(&mut call.name, &piece["function"], "name");
        add(&mut call.arguments, &piece["function"], "arguments");
    }
}

/// A call in a message of `/v1/chat/completions`.
pub(super) fn chat_call(call: &Value) -> Part {
    let function = call.get("function").unwrap_or(call);
    Part::ToolCall {
        id: field(call, "id").map(str::to_owned),
        name: owned(function, "name"),
        arguments: text_of(&function["arguments"]),
    }
}

/// A call among the items of `/v1/responses`.
pub(super) fn called(item: &Value) -> Part {
    Part::ToolCall {
        id: field(item, "call_id").map(str::to_owned),
        name: owned(item, "name"),
        arguments: text_of(&item["arguments"]),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn add(text: &mut String, value: &Value, name: &str) {
    text.push_str(field(value, name).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(endpoint: Endpoint, events: &[&str]) -> Vec<Part> {
        let mut output = Output::new(endpoint, Delivery::Streamed);
        for event in events {
            output.push(format!("data: {event}\n\n").as_bytes());
        }
        output
            .message()
            .map(|message| message.parts)
            .unwrap_or_default()
    }

    fn call(id: &str) -> Part {
        Part::ToolCall {
            id: Some(id.into()),
            name: "f".into(),
            arguments: "{\"a\":1}".into(),
        }
    }

    #[test]
    fn pieces_are_put_together() {
        let chat = [
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"he"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"y"}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"other"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}"#,
            "[DONE]",
        ];
        let reasoning = Part::Reasoning {
            content: "hm".into(),
        };
        let expected = [reasoning, Part::text("hey"), call("c")];
        assert_eq!(said(Endpoint::ChatCompletions, &chat), expected);
        let messages = [
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"hey"}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"c","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
        ];
        assert_eq!(said(Endpoint::Messages, &messages), expected);
        let responses = [
            r#"{"type":"response.output_text.delta","delta":"he"}"#.to_owned(),
            r#"{"type":"response.completed","response":{"output":[
                {"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},
                {"type":"message","content":[{"type":"output_text","text":"hey"}]},
                {"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"}]}}"#
                .replace('\n', " "),
        ];
        let responses = responses.each_ref().map(String::as_str);
        assert_eq!(said(Endpoint::Responses, &responses), expected);
    }

    #[test]
    fn a_whole_answer_is_read_too() {
        let mut output = Output::new(Endpoint::ChatCompletions, Delivery::Whole);
        output.push(br#"{"choices":[{"index":0,"message":{"role":"assistant","#);
        output.push(br#""content":"hey"}}]}"#);
        assert_eq!(output.message().unwrap().parts, [Part::text("hey")]);
        assert!(
            Output::new(Endpoint::Rerank, Delivery::Whole)
                .message()
                .is_none()
        );
    }
}
