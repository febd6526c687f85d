//! The record's fields.

use crate::{
    Content, Energy, Mark, Phases, SpanId, TimingSource, TraceContext, TraceId, TraceState, Wait,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// What kind of work a request asks for, by the GenAI conventions' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Generated tokens that were reasoning, where a server counts them apart: llama-server does
    /// not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
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
            reasoning_tokens: None,
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
    /// Answers asked for.
    pub choices: Option<u64>,
    /// The form that the answer must have.
    pub output: Option<OutputType>,
}

/// The form that an answer must have, by the GenAI conventions' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// Any text.
    Text,
    /// JSON, by a schema or at large.
    Json,
}

impl OutputType {
    /// The value of `gen_ai.output.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
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
    /// The file's quantization: `Q4_K_M`.
    pub quantization: Option<String>,
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
    /// How often it was sent again because an idle connection turned out to be closed.
    pub resends: u32,
    /// Deltas that came: about as many as tokens, and the only count of an answer that broke off.
    pub deltas: u64,
    /// From each delta of a streamed answer to the next, in order.
    pub gaps: Vec<Duration>,
    /// W3C baggage that came with the request, decoded.
    pub baggage: Vec<(String, String)>,
    /// The caller's `tracestate`, passed along.
    pub trace_state: Option<TraceState>,
    /// Host and port that were asked; `None` for a Unix socket.
    pub server: Option<(String, u16)>,
    /// Energy used, where it is measured.
    pub energy: Option<Energy>,
}

impl RequestRecord {
    /// A record in which nothing else is known yet.
    pub fn new(
        trace_id: TraceId,
        span_id: SpanId,
        endpoint: Endpoint,
        started_at: SystemTime,
    ) -> Self {
        Self {
            trace_id,
            span_id,
            parent: None,
            endpoint,
            streamed: false,
            started_at,
            phases: Phases {
                queue: None,
                prefill: None,
                decode: None,
                total: Duration::ZERO,
                source: TimingSource::Wall,
            },
            server_timings: None,
            model: String::new(),
            model_sha256: None,
            quantization: None,
            llama_build: None,
            response_id: None,
            response_model: None,
            conversation_id: None,
            slot: None,
            parameters: RequestParameters::default(),
            usage: Usage::default(),
            finish_reason: None,
            failure: None,
            content: None,
            waits: Vec::new(),
            marks: Vec::new(),
            retries_of: Vec::new(),
            resends: 0,
            deltas: 0,
            gaps: Vec::new(),
            baggage: Vec::new(),
            trace_state: None,
            server: None,
            energy: None,
        }
    }

    /// When its span begins: with the first wait, else when it was sent.
    pub fn begun_at(&self) -> SystemTime {
        self.waits
            .first()
            .map_or(self.started_at, |wait| wait.started_at)
    }

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

    /// Energy over the tokens generated, J; `None` where either is not known or no token came.
    pub fn joules_per_token(&self) -> Option<f64> {
        let tokens = self.usage.completion_tokens.filter(|tokens| *tokens > 0)?;
        Some(self.energy?.joules / tokens as f64)
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
