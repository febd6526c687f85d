//! `/v1/messages`, Anthropic's endpoint.

use crate::answer::begun;
use crate::stream::{StreamEvent, from_json};
use crate::{Answer, Answering, Delta, Extra, FunctionDelta, Generation, ToolCall, ToolCallDelta};
use llamatelemetry_record::{Endpoint, FinishReason};
use serde::{Deserialize, Serialize};

/// What is asked. Fields that are `None` or empty are not sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessagesRequest {
    /// The model's name; a server of one takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens to generate at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// What the model is told to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<MessageBlocks>,
    /// The conversation so far.
    pub messages: Vec<InputMessage>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: candidates are kept until their probabilities sum to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Candidates kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// Tools the model may call, in this API's form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<serde_json::Value>,
    /// Whether it may, must or must not: `{"type": "auto"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<serde_json::Value>,
    /// How to reason: `{"type": "enabled", "budget_tokens": …}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<serde_json::Value>,
    /// What llama-server understands beyond Anthropic's API.
    #[serde(flatten)]
    pub generation: Generation,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputMessage {
    /// `user` or `assistant`.
    pub role: String,
    /// What it says.
    pub content: MessageBlocks,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl InputMessage {
    /// What the user says.
    pub fn user(content: impl Into<MessageBlocks>) -> Self {
        Self::new("user", content)
    }

    /// What the model said.
    pub fn assistant(content: impl Into<MessageBlocks>) -> Self {
        Self::new("assistant", content)
    }

    fn new(role: &str, content: impl Into<MessageBlocks>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            extra: Extra::new(),
        }
    }
}

/// What a message says: text, or blocks of several kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MessageBlocks {
    /// Plain text.
    Text(String),
    /// Blocks, in order: those of an earlier answer can be put here as they are.
    Blocks(Vec<ContentBlock>),
}

impl From<&str> for MessageBlocks {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<ContentBlock>> for MessageBlocks {
    fn from(blocks: Vec<ContentBlock>) -> Self {
        Self::Blocks(blocks)
    }
}

/// One block of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// Reasoning.
    Thinking {
        /// The text.
        thinking: String,
        /// Empty: nothing is signed here.
        #[serde(default)]
        signature: String,
    },
    /// A tool call.
    ToolUse {
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments; in the event that begins a call there are none yet.
        #[serde(default)]
        input: serde_json::Value,
    },
    /// What a tool answered.
    ToolResult {
        /// The call's id.
        tool_use_id: String,
        /// The answer.
        content: serde_json::Value,
    },
    /// Any other block: an image, a document.
    #[serde(untagged)]
    Other(serde_json::Value),
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageAnswer {
    /// Its id.
    pub id: String,
    /// `assistant`.
    pub role: String,
    /// What the model said.
    pub content: Vec<ContentBlock>,
    /// The model as the server names it.
    pub model: String,
    /// Why it ended: `end_turn`, `max_tokens`, `tool_use`; `None` while it streams.
    pub stop_reason: Option<String>,
    /// The text that ended it, if one did.
    pub stop_sequence: Option<String>,
    /// Tokens.
    pub usage: MessageUsage,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl MessageAnswer {
    /// The answer, put together.
    pub fn answer(&self) -> Answer {
        let mut answer = Answer {
            finish_reason: self.stop_reason.as_deref().map(finish_reason),
            ..Answer::default()
        };
        for block in &self.content {
            match block {
                ContentBlock::Text { text } => answer.text.push_str(text),
                ContentBlock::Thinking { thinking, .. } => answer.reasoning.push_str(thinking),
                ContentBlock::ToolUse { id, name, input } => answer.tool_calls.push(ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: input.to_string(),
                }),
                ContentBlock::ToolResult { .. } | ContentBlock::Other(_) => {}
            }
        }
        answer
    }
}

/// The reason by the name that all endpoints share here.
fn finish_reason(stop_reason: &str) -> FinishReason {
    match stop_reason {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// Tokens in Anthropic's form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageUsage {
    /// Tokens of the prompt, those from the cache excluded. Missing in the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the prompt that were taken from the cache. Missing in the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
    /// Tokens generated.
    #[serde(default)]
    pub output_tokens: u64,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One event of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageEvent {
    /// The answer begins.
    MessageStart {
        /// The answer so far.
        message: MessageAnswer,
    },
    /// A block begins; a tool call shows its name here.
    ContentBlockStart {
        /// The block's number.
        index: usize,
        /// The block so far.
        content_block: ContentBlock,
    },
    /// A piece of a block.
    ContentBlockDelta {
        /// The block's number.
        index: usize,
        /// The piece.
        delta: BlockDelta,
    },
    /// A block is whole.
    ContentBlockStop {
        /// The block's number.
        index: usize,
    },
    /// Why it ended, and tokens.
    MessageDelta {
        /// Why it ended.
        delta: MessageEnd,
        /// Tokens.
        usage: MessageUsage,
    },
    /// The answer is whole.
    MessageStop,
    /// Any other kind, as it came.
    #[serde(untagged)]
    Other(serde_json::Value),
}

/// A piece of a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BlockDelta {
    /// Text.
    TextDelta {
        /// The piece.
        text: String,
    },
    /// Reasoning.
    ThinkingDelta {
        /// The piece.
        thinking: String,
    },
    /// Arguments of a tool call.
    InputJsonDelta {
        /// The piece of their JSON.
        partial_json: String,
    },
    /// Any other kind, as it came: an empty signature.
    #[serde(untagged)]
    Other(serde_json::Value),
}

/// Why an answer ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageEnd {
    /// `end_turn`, `max_tokens`, `tool_use`.
    pub stop_reason: Option<String>,
    /// The text that ended it, if one did.
    pub stop_sequence: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl StreamEvent for MessageEvent {
    const ENDPOINT: Option<Endpoint> = Some(Endpoint::Messages);

    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }
}

impl Answering for MessageEvent {
    /// The piece. Blocks are numbered, calls are not: a call's pieces come one after the other,
    /// each call begun by its name.
    fn into_delta(self, calls: &mut usize) -> Delta {
        let mut delta = Delta::default();
        match self {
            Self::ContentBlockStart {
                content_block: ContentBlock::ToolUse { id, name, .. },
                ..
            } => delta.tool_calls.push(ToolCallDelta {
                index: begun(calls),
                id: Some(id),
                function: FunctionDelta {
                    name: Some(name),
                    arguments: String::new(),
                },
            }),
            Self::ContentBlockDelta { delta: piece, .. } => match piece {
                BlockDelta::TextDelta { text } => delta.text = text,
                BlockDelta::ThinkingDelta { thinking } => delta.reasoning = thinking,
                BlockDelta::InputJsonDelta { partial_json } => {
                    delta.tool_calls.push(ToolCallDelta {
                        index: calls.saturating_sub(1),
                        id: None,
                        function: FunctionDelta {
                            name: None,
                            arguments: partial_json,
                        },
                    });
                }
                BlockDelta::Other(_) => {}
            },
            _ => {}
        }
        delta
    }
}
