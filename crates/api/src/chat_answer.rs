//! Answers of `/v1/chat/completions`.

use crate::stream::{StreamEvent, from_json};
use crate::{
    Answer, Answering, ChatMessage, Delta, Extra, Logprobs, PromptProgress, Timings, TokenUsage,
    ToolCall, ToolCallDelta,
};
use llamatelemetry_record::{Endpoint, FinishReason};
use serde::{Deserialize, Serialize};

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatCompletion {
    /// Its id, by which [`chat_control`](crate::Endpoints::chat_control) knows it.
    pub id: String,
    /// The model as the server names it.
    pub model: String,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// The answers: one, unless `n` asked for more.
    pub choices: Vec<ChatChoice>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// The server's own times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatCompletion {
    /// The first answer, put together.
    pub fn answer(&self) -> Answer {
        let Some(choice) = self.choices.first() else {
            return Answer::default();
        };
        let message = &choice.message;
        Answer {
            text: message.content.clone().unwrap_or_default(),
            reasoning: message.reasoning_content.clone().unwrap_or_default(),
            tool_calls: message.tool_calls.iter().map(ToolCall::from).collect(),
            finish_reason: choice.finish_reason.clone(),
        }
    }
}

/// One answer of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChoice {
    /// Its number.
    #[serde(default)]
    pub index: u32,
    /// What the model said.
    pub message: AnswerMessage,
    /// Why it ended.
    pub finish_reason: Option<FinishReason>,
    /// How likely its tokens were, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Logprobs>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What the model said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerMessage {
    /// `assistant`.
    pub role: String,
    /// The text.
    pub content: Option<String>,
    /// The reasoning that came before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The tools it calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<MessageToolCall>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl From<AnswerMessage> for ChatMessage {
    /// The message as the next request of the conversation has it; reasoning is left out.
    fn from(answer: AnswerMessage) -> Self {
        let message = Self::text(answer.role, answer.content.unwrap_or_default());
        if answer.tool_calls.is_empty() {
            message
        } else {
            message.calling(answer.tool_calls)
        }
    }
}

/// A tool call as a message has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageToolCall {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// `function`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What is called.
    pub function: CalledFunction,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The function that a call calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CalledFunction {
    /// Its name.
    pub name: String,
    /// The arguments as JSON text, as the model wrote it.
    pub arguments: String,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl MessageToolCall {
    pub(crate) fn into_json(self) -> serde_json::Value {
        let Self {
            id,
            kind,
            function,
            mut extra,
        } = self;
        let mut called = function.extra;
        called.insert("name".into(), function.name.into());
        called.insert("arguments".into(), function.arguments.into());
        extra.insert("id".into(), id.into());
        extra.insert("type".into(), kind.into());
        extra.insert("function".into(), called.into());
        extra.into()
    }
}

impl From<&MessageToolCall> for ToolCall {
    fn from(call: &MessageToolCall) -> Self {
        Self {
            id: call.id.clone(),
            name: call.function.name.clone(),
            arguments: call.function.arguments.clone(),
        }
    }
}

impl From<ToolCall> for MessageToolCall {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id,
            kind: "function".into(),
            function: CalledFunction {
                name: call.name,
                arguments: call.arguments,
                extra: Extra::new(),
            },
            extra: Extra::new(),
        }
    }
}

/// One event of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The answer's id, by which [`chat_control`](crate::Endpoints::chat_control) knows it.
    #[serde(default)]
    pub id: String,
    /// The model as the server names it.
    #[serde(default)]
    pub model: String,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// Pieces of the answers. Empty in the event that carries `usage`.
    #[serde(default)]
    pub choices: Vec<ChunkChoice>,
    /// Tokens, where `stream_options` asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// The server's own times, in the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// How far the prompt is evaluated, where `return_progress` asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_progress: Option<PromptProgress>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of one answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// The answer's number.
    #[serde(default)]
    pub index: u32,
    /// The piece.
    #[serde(default)]
    pub delta: ChunkDelta,
    /// Why it ended, in its last event.
    #[serde(default)]
    pub finish_reason: Option<FinishReason>,
    /// How likely its tokens were, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Logprobs>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a piece adds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkDelta {
    /// `assistant`, in the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Pieces of tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl StreamEvent for ChatChunk {
    const ENDPOINT: Option<Endpoint> = Some(Endpoint::ChatCompletions);

    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }
}

impl Answering for ChatChunk {
    fn into_delta(self, _calls: &mut usize) -> Delta {
        let mut whole = Delta::default();
        for choice in self.choices {
            let delta = choice.delta;
            whole.text.push_str(&delta.content.unwrap_or_default());
            whole
                .reasoning
                .push_str(&delta.reasoning_content.unwrap_or_default());
            whole
                .tool_calls
                .extend(delta.tool_calls.unwrap_or_default());
        }
        whole
    }
}
