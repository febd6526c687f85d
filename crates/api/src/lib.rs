//! A typed client of the llama-server HTTP API.
//!
//! [`Client`] is async and keeps connections alive; [`blocking::Client`] is the same for code
//! without a runtime. Only what the caller set is sent. Answers are always streamed from the
//! server, also where the caller wants them whole: dropping an [`AnswerStream`] closes its
//! connection, and the server frees the slot.

mod address;
mod answer;
pub mod blocking;
mod chat;
mod client;
mod completion;
mod connection;
mod content;
mod error;
mod server_state;

/// Connections to a server below the typed calls, for whoever passes bytes on.
pub mod transport {
    pub use crate::connection::{Connection, Pool, Sent};
}

pub use address::Address;
pub use answer::{AnswerStream, Delta, FunctionDelta, ToolCall, ToolCallDelta};
pub use chat::{ChatMessage, ChatRequest, ContentPart, ImageUrl, MessageContent, ResponseFormat};
pub use client::Client;
pub use completion::CompletionRequest;
pub use error::{ApiError, ServerComplaint};
pub use server_state::{Health, ModelEntry, ModelList, Props, Slot};
