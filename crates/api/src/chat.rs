//! Requests to `/v1/chat/completions`.

use crate::{Extra, Generation, MessageToolCall};
use serde::{Deserialize, Serialize};

/// Messages to answer through the model's chat template. Fields that are `None` or empty are not
/// sent, so that the server's own defaults hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatRequest {
    /// The conversation so far.
    pub messages: Vec<ChatMessage>,
    /// The model's name, for servers of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens to generate at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: candidates are kept until their probabilities sum to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Candidates kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Random seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// What form the answer must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Tools the model may call, in OpenAI's form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<serde_json::Value>,
    /// Whether it may, must or must not: `auto`, `required`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<String>,
    /// Whether it may call several at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How hard to reason, where the template knows it; `none` turns reasoning off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Where reasoning goes: `none` leaves it in the text, `deepseek` and `auto` take it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_format: Option<String>,
    /// Variables of the chat template.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub chat_template_kwargs: Extra,
    /// Whether the answer tells how likely its tokens were. Not together with tools in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many tokens it tells of at each place; needs `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// Answers to give, at most as many as there are slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// What else a stream tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// What llama-server understands beyond OpenAI's API.
    #[serde(flatten)]
    pub generation: Generation,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What else a stream tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// Tokens, in an event of their own at the end.
    #[serde(default)]
    pub include_usage: bool,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What it says.
    pub content: MessageContent,
    /// Any further fields: `name`, `tool_calls`, `tool_call_id`.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatMessage {
    /// A message of plain text.
    pub fn text(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: MessageContent::Text(text.into()),
            extra: Extra::new(),
        }
    }

    /// What the user says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text("user", text)
    }

    /// What the model is told to be.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text("system", text)
    }

    /// What the model said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text("assistant", text)
    }

    /// What a tool answered to a call of this id.
    pub fn tool(call_id: impl Into<String>, text: impl Into<String>) -> Self {
        let mut message = Self::text("tool", text);
        let id = serde_json::Value::String(call_id.into());
        message.extra.insert("tool_call_id".into(), id);
        message
    }

    /// The same message with the tools that the model called.
    #[must_use]
    pub fn calling(mut self, calls: impl IntoIterator<Item = MessageToolCall>) -> Self {
        let calls = calls.into_iter().map(MessageToolCall::into_json);
        self.extra.insert("tool_calls".into(), calls.collect());
        self
    }
}

/// What a message says: text, or parts of several kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MessageContent {
    /// Plain text.
    Text(String),
    /// Texts and images, in order.
    Parts(Vec<ContentPart>),
}

impl MessageContent {
    /// The text of it, parts joined by line breaks.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts = parts.iter().filter_map(|part| match part {
                    ContentPart::Text { text } => Some(text.as_str()),
                    ContentPart::ImageUrl { .. } | ContentPart::InputAudio { .. } => None,
                });
                texts.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
    /// Sound.
    InputAudio {
        /// The sound.
        input_audio: InputAudio,
    },
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// An address, or the image itself as a `data:` URL.
    pub url: String,
}

/// Sound in a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputAudio {
    /// The file's bytes in base64.
    pub data: String,
    /// `wav` or `mp3`.
    pub format: String,
}

/// What form an answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Plain text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that satisfies a schema.
    JsonSchema {
        /// The schema, wrapped as OpenAI's API wants it: `{"schema": …}`.
        json_schema: serde_json::Value,
    },
}

impl ResponseFormat {
    /// JSON that satisfies this schema.
    pub fn schema(schema: &serde_json::Value) -> Self {
        Self::JsonSchema {
            json_schema: serde_json::json!({ "name": "answer", "schema": schema, "strict": true }),
        }
    }
}
