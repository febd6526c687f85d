//! The record's fields.

use crate::{Energy, Phases, SpanId, TraceContext, TraceId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// What kind of work a request asks for, by the GenAI conventions' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Messages through the model's chat template.
    Chat,
    /// A prompt continued as it stands.
    TextCompletion,
    /// Texts into vectors.
    Embeddings,
    /// Documents scored against a query.
    Rerank,
}

impl Operation {
    /// The value of `gen_ai.operation.name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
        }
    }
}

/// The endpoint of llama-server that a request went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/completions`
    Completions,
    /// `/completion`, llama-server's own.
    NativeCompletion,
    /// `/v1/responses`
    Responses,
    /// `/v1/messages`, Anthropic's.
    Messages,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/rerank`
    Rerank,
}

impl Endpoint {
    /// The path on the server.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::NativeCompletion => "/completion",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::Embeddings => "/v1/embeddings",
            Self::Rerank => "/v1/rerank",
        }
    }

    /// The operation that this endpoint performs.
    pub const fn operation(self) -> Operation {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Messages => Operation::Chat,
            Self::Completions | Self::NativeCompletion => Operation::TextCompletion,
            Self::Embeddings => Operation::Embeddings,
            Self::Rerank => Operation::Rerank,
        }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop sequence was met.
    Stop,
    /// The limit of tokens or of the context was reached.
    Length,
    /// The model called tools.
    ToolCalls,
    /// The caller went away.
    Cancelled,
    /// A reason this version does not know, as the server put it.
    #[serde(untagged)]
    Other(String),
}

impl FinishReason {
    /// The reason as the server put it.
    pub fn from_server(text: &str) -> Self {
        match text {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name used in results and on spans.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Cancelled => "cancelled",
            Self::Other(text) => text,
        }
    }
}

/// Tokens counted by the server. `None` where it did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, those taken from the cache included.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the prompt that were taken from the cache.
    pub cached_tokens: Option<u64>,
    /// Tokens generated.
    pub completion_tokens: Option<u64>,
}

/// llama-server's own `timings` object. Unknown fields are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ServerTimings {
    /// Prompt tokens taken from the cache.
    #[serde(default)]
    pub cache_n: u64,
    /// Prompt tokens evaluated.
    pub prompt_n: u64,
    /// Time spent on them, ms.
    pub prompt_ms: f64,
    /// Tokens generated.
    pub predicted_n: u64,
    /// Time spent on them from the first one on, ms.
    pub predicted_ms: f64,
    /// Tokens drafted, when speculating.
    #[serde(default)]
    pub draft_n: Option<u64>,
    /// Drafted tokens that were accepted.
    #[serde(default)]
    pub draft_n_accepted: Option<u64>,
}

impl ServerTimings {
    /// Time to evaluate the prompt. `None` if the server's number is no duration.
    pub fn prefill(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.prompt_ms / 1e3).ok()
    }

    /// Time to generate. `None` if the server's number is no duration.
    pub fn decode(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.predicted_ms / 1e3).ok()
    }

    /// Tokens as the server counted them.
    pub fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: Some(self.cache_n + self.prompt_n),
            cached_tokens: Some(self.cache_n),
            completion_tokens: Some(self.predicted_n),
        }
    }
}

/// What the caller set. Only what was set is here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestParameters {
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Candidates kept.
    pub top_k: Option<i64>,
    /// Tokens to generate at most.
    pub max_tokens: Option<u64>,
    /// Random seed.
    pub seed: Option<i64>,
    /// Stop sequences.
    pub stop: Vec<String>,
}

/// A message as it was sent or received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// Its text.
    pub content: String,
}

/// Prompts and answers, present only if capture was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// What was sent.
    pub input: Vec<Message>,
    /// What came back.
    pub output: String,
    /// The reasoning that came back apart from the answer.
    pub reasoning: String,
}

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class of failure, low in cardinality: the value of `error.type`.
    pub kind: String,
    /// What a person reads.
    pub message: String,
}

/// One request, finished.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRecord {
    /// The trace that the request belongs to.
    pub trace_id: TraceId,
    /// The request's own span.
    pub span_id: SpanId,
    /// The span that caused it, if the caller named one.
    pub parent: Option<TraceContext>,
    /// Where it went.
    pub endpoint: Endpoint,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// When it was sent.
    pub started_at: SystemTime,
    /// Where the time went.
    pub phases: Phases,
    /// The server's own account of it, if it gave one.
    pub server_timings: Option<ServerTimings>,
    /// The model as the caller named it.
    pub model: String,
    /// SHA-256 of the model's file, lower-case hex, once known.
    pub model_sha256: Option<String>,
    /// The llama.cpp build that answered, such as `b11434-…`.
    pub llama_build: Option<String>,
    /// The server's id for the answer.
    pub response_id: Option<String>,
    /// The model as the server names it in the answer.
    pub response_model: Option<String>,
    /// The conversation it belongs to, if the caller named one.
    pub conversation_id: Option<String>,
    /// The slot that worked on it, if known.
    pub slot: Option<u32>,
    /// What the caller set.
    pub parameters: RequestParameters,
    /// Tokens.
    pub usage: Usage,
    /// Why it ended, if it was answered.
    pub finish_reason: Option<FinishReason>,
    /// How it failed, if it did.
    pub failure: Option<Failure>,
    /// Prompts and answers, if capture was asked for.
    pub content: Option<Content>,
    /// What the request had to wait for before it could be sent, in order: the span of the request
    /// begins with the first of them.
    pub waits: Vec<Wait>,
    /// What the server told of the request while it ran, in order.
    pub marks: Vec<Mark>,
    /// Earlier attempts of the same request.
    pub retries_of: Vec<TraceContext>,
    /// W3C baggage that came with the request, decoded.
    pub baggage: Vec<(String, String)>,
    /// Host and port that were asked; `None` for a Unix socket.
    pub server: Option<(String, u16)>,
    /// Energy used, where it is measured.
    pub energy: Option<Energy>,
}

/// Something that a request had to wait for before it could be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What it was.
    pub cause: WaitCause,
    /// When the wait began.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
}

/// What a request had to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCause {
    /// The model was being loaded.
    ModelLoad,
    /// The server had ended and was being started again.
    Restart,
}

/// Something that the server told of a request while it ran. It becomes an event on its span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, as nearly as is known.
    pub at: SystemTime,
    /// What.
    pub kind: MarkKind,
}

/// What a server told of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MarkKind {
    /// The context was full: so many of its tokens were thrown away.
    ContextShift {
        /// Tokens thrown away, if the server said.
        discarded: Option<u64>,
    },
    /// A saved state of the context was used.
    CheckpointRestored,
    /// Drafted tokens and how many of them were accepted, in all.
    DraftAcceptance {
        /// Tokens drafted.
        drafted: u64,
        /// Drafted tokens that were accepted.
        accepted: u64,
    },
}

impl RequestRecord {
    /// Prompt tokens evaluated a second, cached ones excluded: the server's figure where it gave
    /// one, else tokens over the prefill phase.
    pub fn prompt_per_second(&self) -> Option<f64> {
        if let Some(timings) = self.server_timings {
            return rate(timings.prompt_n, timings.prefill());
        }
        let Usage {
            prompt_tokens,
            cached_tokens,
            ..
        } = self.usage;
        rate(
            prompt_tokens?.checked_sub(cached_tokens?)?,
            self.phases.prefill,
        )
    }

    /// Tokens generated a second after the first one: the first token is prefill's product, so
    /// the decode phase made one token fewer than the answer has. By the server's account where
    /// it gave one, else tokens over the decode phase.
    pub fn decode_per_second(&self) -> Option<f64> {
        let (tokens, time) = match self.server_timings {
            Some(timings) => (timings.predicted_n, timings.decode()),
            None => (self.usage.completion_tokens?, self.phases.decode),
        };
        rate(tokens.checked_sub(1)?, time)
    }
}

/// Count over time, if both are more than nothing.
fn rate(count: u64, time: Option<Duration>) -> Option<f64> {
    let seconds = time?.as_secs_f64();
    (count > 0 && seconds > 0.0).then(|| count as f64 / seconds)
}
