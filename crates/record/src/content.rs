//! What was said: prompts and answers, in the parts that the GenAI conventions know.

use serde_json::Value;

/// Prompts and answers, present in a record only if capture was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// Instructions given apart from the messages, as `/v1/messages` and `/v1/responses` take
    /// them. A system message among the messages stays there, so that the order is what was sent.
    pub system_instructions: Vec<Part>,
    /// The tools that the model was offered, as they were sent.
    pub tool_definitions: Vec<Value>,
    /// What was sent, in order.
    pub input: Vec<Message>,
    /// What came back; why it ended stands in the record.
    pub output: Vec<Message>,
}

/// A message as it was sent or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// The name of whoever says it, if it was given.
    pub name: Option<String>,
    /// What it says, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of plain text.
    pub fn text(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            name: None,
            parts: vec![Part::text(text)],
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        content: String,
    },
    /// Text of the reasoning that comes before an answer.
    Reasoning {
        /// The text.
        content: String,
    },
    /// The model calls a tool.
    ToolCall {
        /// The call's id.
        id: Option<String>,
        /// The tool's name.
        name: String,
        /// The arguments as the model wrote them: JSON, as a rule.
        arguments: String,
    },
    /// What a tool returned.
    ToolCallResponse {
        /// The id of the call.
        id: Option<String>,
        /// What it returned: JSON or text.
        response: String,
    },
    /// Something that lies at an address.
    Uri {
        /// What it is.
        modality: Modality,
        /// Its media type, if known.
        mime_type: Option<String>,
        /// Where it lies.
        uri: String,
    },
    /// Bytes that came with the message. They are not kept, only what tells them apart.
    Blob {
        /// What they are.
        modality: Modality,
        /// Their media type, if known.
        mime_type: Option<String>,
        /// How many there were.
        bytes: u64,
        /// Their SHA-256, lower-case hex; `None` if they could not be read.
        sha256: Option<String>,
    },
    /// A file that the server has already.
    File {
        /// What it is.
        modality: Modality,
        /// Its media type, if known.
        mime_type: Option<String>,
        /// The server's id for it.
        file_id: String,
    },
}

impl Part {
    /// A part of plain text.
    pub fn text(content: impl Into<String>) -> Self {
        Self::Text {
            content: content.into(),
        }
    }
}

/// What kind of thing a part is that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A document.
    Document,
}

impl Modality {
    /// The conventions' name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
        }
    }
}
