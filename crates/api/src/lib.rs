//! A typed client of the whole llama-server HTTP API.
//!
//! Every endpoint is a method of the trait [`Endpoints`], defined once: [`Client`] answers with
//! futures and keeps connections alive, [`blocking::Client`] is the same for code without a
//! runtime. A method describes its question (a [`Call`] or a [`StreamCall`]: which of the
//! [`routes`], what is sent, how the answer is read); the clients know how questions are sent.
//!
//! ```no_run
//! use llamatelemetry_api::{Address, ApiError, ChatMessage, ChatRequest, Endpoints as _, blocking};
//!
//! # fn main() -> Result<(), ApiError> {
//! let client = blocking::Client::new(Address::Unix("llama.sock".into()), None)?;
//! let request = ChatRequest {
//!     messages: vec![ChatMessage::user("Why is the sky blue?")],
//!     ..ChatRequest::default()
//! };
//! for delta in client.chat_events(&request)?.deltas() {
//!     println!("{}", delta?.text);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - Only what the caller set is sent. Fields that this client does not know are kept, in requests
//!   and in answers: `extra`.
//! - Dropping an answer that is waited for, or a stream, closes its connection; the server then
//!   stops working on it and frees the slot.
//! - [`Client::within`] sets a deadline, [`Client::retrying`] tries again where that is safe,
//!   [`Client::traced`] makes requests part of a trace, [`Client::in_conversation`] has the server
//!   keep a stream so that it can be resumed, [`Client::for_model`] names the model to a router.
//! - A stream is a stream of its endpoint's own events; [`EventStream::deltas`] makes text,
//!   reasoning and tool calls of them, the same for all endpoints, and [`AnswerStream::finish`]
//!   puts them together.
//!
//! The types of an endpoint stand in the file named for it: `chat` and `chat_answer`,
//! `completion` (`/completion`, `/infill`), `completions`, `responses`, `messages`,
//! `transcription`, `embeddings`, `rerank`, `decisions`, `tokens`, `server_state` (health, props,
//! models, metrics), `slots`, `lora`, `conversation` (kept streams, control), `router`, `tools`;
//! what several share in `generation`, `usage`, `logprobs`.

mod address;
mod answer;
pub mod blocking;
mod call;
mod chat;
mod chat_answer;
mod client;
mod completion;
mod completions;
mod connection;
mod content;
mod conversation;
mod decisions;
mod embeddings;
mod endpoints;
mod error;
mod generation;
mod logprobs;
mod lora;
mod messages;
mod options;
mod rerank;
mod responses;
mod router;
pub mod routes;
mod server_state;
mod slots;
mod stream;
mod tokens;
mod tools;
mod transcription;
mod usage;

/// Connections to a server below the typed calls, for whoever passes bytes on.
pub mod transport {
    pub use crate::connection::{Connection, Pool, Sent};
}

pub use address::Address;
pub use answer::{Answer, AnswerStream, Answering, Delta, FunctionDelta, ToolCall, ToolCallDelta};
pub use call::{Call, StreamCall, Whole};
pub use chat::{
    ChatMessage, ChatRequest, ContentPart, ImageUrl, InputAudio, MessageContent, ResponseFormat,
    StreamOptions,
};
pub use chat_answer::{
    AnswerMessage, CalledFunction, ChatChoice, ChatChunk, ChatCompletion, ChunkChoice, ChunkDelta,
    MessageToolCall,
};
pub use client::{Client, Pending};
pub use completion::{Completion, CompletionRequest, InfillFile, InfillRequest, Prompt};
pub use completions::{CompletionsRequest, TextChoice, TextCompletion};
pub use conversation::{ControlAction, ControlRequest, KeptStream};
pub use decisions::{DecideRequest, Decision, DecisionQuestion, Decisions};
pub use embeddings::{Embedding, Embeddings, EmbeddingsRequest, TextEmbedding};
pub use endpoints::Endpoints;
pub use error::{ApiError, ServerComplaint};
pub use generation::{Bias, BiasedToken, Generation, LogitBias};
pub use logprobs::{Logprobs, TokenLogprob};
pub use lora::{LoraAdapter, LoraScale};
pub use messages::{
    BlockDelta, ContentBlock, InputMessage, MessageAnswer, MessageBlocks, MessageEnd, MessageEvent,
    MessageUsage, MessagesRequest,
};
pub use rerank::{RankedDocument, RerankRequest, Reranked};
pub use responses::{
    OutputItem, OutputPart, Response, ResponseEvent, ResponseEventKind, ResponsesInput,
    ResponsesRequest,
};
pub use router::{RouterEvent, RouterModel, RouterModels, RouterStatus};
pub use server_state::{
    Done, Health, Metrics, Modalities, ModelEntry, ModelList, ModelMeta, Props,
};
pub use slots::{Slot, SlotErased, SlotRestored, SlotSaved};
pub use stream::{EventStream, StreamEvent};
pub use tokens::{
    DetokenizeRequest, Detokenized, Piece, Templated, Token, TokenCount, TokenizeRequest, Tokens,
};
pub use tools::{RunToolRequest, ServerTool, ToolEvent};
pub use transcription::{Transcription, TranscriptionEvent, TranscriptionRequest};
pub use usage::{InputOutputUsage, PromptProgress, Timings, TokenDetails, TokenUsage};

/// Fields by their names: those this client does not know.
pub type Extra = serde_json::Map<String, serde_json::Value>;
