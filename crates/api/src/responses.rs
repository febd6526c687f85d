//! `/v1/responses`, OpenAI's newer endpoint. llama-server keeps nothing between requests: the
//! whole conversation is sent each time.

use crate::answer::begun;
use crate::stream::{StreamEvent, from_json};
use crate::{
    Answer, Answering, Delta, Extra, FunctionDelta, Generation, InputOutputUsage, PromptProgress,
    Timings, ToolCall, ToolCallDelta,
};
use llamatelemetry_record::Endpoint;
use serde::{Deserialize, Serialize};

/// What is asked. Fields that are `None` or empty are not sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResponsesRequest {
    /// The conversation so far.
    pub input: ResponsesInput,
    /// What the model is told to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The model's name, for servers of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens to generate at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: candidates are kept until their probabilities sum to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Random seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Tools the model may call, in this API's form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<serde_json::Value>,
    /// Whether it may, must or must not: `auto`, `required`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<String>,
    /// How to reason: `{"effort": …}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<serde_json::Value>,
    /// What llama-server understands beyond OpenAI's API.
    #[serde(flatten)]
    pub generation: Generation,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A conversation in this API's form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ResponsesInput {
    /// What the user says.
    Text(String),
    /// Messages, tool calls, their answers: items of earlier answers can be put here as they are.
    Items(Vec<serde_json::Value>),
}

impl Default for ResponsesInput {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<&str> for ResponsesInput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// An answer: whole, or as far as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Response {
    /// Its id.
    pub id: String,
    /// `in_progress` or `completed`.
    pub status: String,
    /// The model as the server names it; missing while it is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the model produced.
    pub output: Vec<OutputItem>,
    /// Tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<InputOutputUsage>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Response {
    /// The answer, put together. This API does not say why it ended.
    pub fn answer(&self) -> Answer {
        let mut answer = Answer::default();
        for item in &self.output {
            match item.kind.as_str() {
                "reasoning" => answer.reasoning.push_str(&item.text()),
                "function_call" => answer.tool_calls.push(ToolCall {
                    id: item.call_id.clone().unwrap_or_default(),
                    name: item.name.clone().unwrap_or_default(),
                    arguments: item.arguments.clone().unwrap_or_default(),
                }),
                _ => answer.text.push_str(&item.text()),
            }
        }
        answer
    }
}

/// One thing that the model produced: a message, its reasoning, a tool call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputItem {
    /// `message`, `reasoning` or `function_call`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What a message or a reasoning says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<OutputPart>,
    /// The tool that a call calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id under which the tool's answer is sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// A call's arguments as JSON text, as the model wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl OutputItem {
    fn text(&self) -> String {
        let texts = self.content.iter().map(|part| part.text.as_str());
        texts.collect()
    }
}

/// A part of what an item says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputPart {
    /// `output_text` or `reasoning_text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One event of a streamed answer, with what its kind carries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponseEvent {
    /// Its kind.
    #[serde(flatten)]
    pub kind: ResponseEventKind,
    /// The server's own times, in the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// How far the prompt is evaluated, where `return_progress` asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_progress: Option<PromptProgress>,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ResponseEventKind {
    /// The answer has an id.
    #[serde(rename = "response.created")]
    Created {
        /// The answer so far.
        response: Response,
    },
    /// A slot works on it.
    #[serde(rename = "response.in_progress")]
    InProgress {
        /// The answer so far.
        response: Response,
    },
    /// The answer is whole.
    #[serde(rename = "response.completed")]
    Completed {
        /// The whole answer.
        response: Response,
    },
    /// An item begins; a tool call shows its name here.
    #[serde(rename = "response.output_item.added")]
    ItemAdded {
        /// The item so far.
        item: OutputItem,
    },
    /// An item is whole.
    #[serde(rename = "response.output_item.done")]
    ItemDone {
        /// The whole item.
        item: OutputItem,
    },
    /// A piece of the text.
    #[serde(rename = "response.output_text.delta")]
    Text {
        /// The item it belongs to.
        item_id: String,
        /// The piece.
        delta: String,
    },
    /// A piece of the reasoning.
    #[serde(rename = "response.reasoning_text.delta")]
    Reasoning {
        /// The item it belongs to.
        item_id: String,
        /// The piece.
        delta: String,
    },
    /// A piece of a tool call's arguments.
    #[serde(rename = "response.function_call_arguments.delta")]
    Arguments {
        /// The item it belongs to.
        item_id: String,
        /// The piece.
        delta: String,
    },
    /// Any other kind, as it came.
    #[serde(untagged)]
    Other(serde_json::Value),
}

impl Default for ResponseEventKind {
    fn default() -> Self {
        Self::Other(serde_json::Value::Null)
    }
}

impl StreamEvent for ResponseEvent {
    const ENDPOINT: Option<Endpoint> = Some(Endpoint::Responses);

    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }
}

impl Answering for ResponseEvent {
    /// The piece. Events name no index: a call's pieces come one after the other, each call begun
    /// by its name.
    fn into_delta(self, calls: &mut usize) -> Delta {
        let mut delta = Delta::default();
        match self.kind {
            ResponseEventKind::Text { delta: piece, .. } => delta.text = piece,
            ResponseEventKind::Reasoning { delta: piece, .. } => delta.reasoning = piece,
            ResponseEventKind::Arguments { delta: piece, .. } => {
                delta.tool_calls.push(ToolCallDelta {
                    index: calls.saturating_sub(1),
                    id: None,
                    function: FunctionDelta {
                        name: None,
                        arguments: piece,
                    },
                });
            }
            ResponseEventKind::ItemAdded { item } if item.kind == "function_call" => {
                delta.tool_calls.push(ToolCallDelta {
                    index: begun(calls),
                    id: item.call_id,
                    function: FunctionDelta {
                        name: item.name,
                        arguments: String::new(),
                    },
                });
            }
            _ => {}
        }
        delta
    }
}
