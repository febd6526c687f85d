//! Streams that the server keeps under a conversation's name.

use crate::Extra;
use serde::{Deserialize, Serialize};

/// A stream that the server keeps: for 5 minutes after its end, its last 4 MiB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptStream {
    /// The conversation's name.
    pub conversation_id: String,
    /// Whether it has ended.
    pub is_done: bool,
    /// Bytes of it so far.
    pub total_bytes: u64,
    /// When it began, in seconds since 1970.
    pub started_at: u64,
    /// When it ended, in seconds since 1970; 0 while it has not.
    pub completed_at: u64,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The names that are looked for.
#[derive(Serialize)]
pub(crate) struct Lookup<'a> {
    pub(crate) conversation_ids: &'a [&'a str],
}

/// What is done to a chat that is being answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlRequest {
    /// The answer's id: [`ChatChunk::id`](crate::ChatChunk::id).
    pub id: String,
    /// What is done.
    pub action: ControlAction,
    /// The model's name, for servers of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is done to a chat that is being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlAction {
    /// Ends the reasoning: the answer begins. The chat must have asked for `reasoning_control`.
    ReasoningEnd,
}

impl ControlRequest {
    /// Ends the reasoning of this answer.
    pub fn end_reasoning(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            action: ControlAction::ReasoningEnd,
            model: None,
            extra: Extra::new(),
        }
    }
}
