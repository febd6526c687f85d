//! What is measured of requests, and with which metric each profile records it.

use super::profile::Profile;
use super::registry::Metric;

/// Something measured of a request that the GenAI conventions have, or had, a metric for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// A client's request to a model, from first byte sent to last byte read, s.
    InferenceDuration,
    /// Any other request of a client, such as embeddings, s.
    OperationDuration,
    /// Request sent → first chunk, s; streamed answers only.
    TimeToFirstChunk,
    /// From one chunk to the next, s; streamed answers only.
    TimePerOutputChunk,
    /// Tokens of prompts so far.
    InputTokens,
    /// Tokens generated so far.
    OutputTokens,
    /// Tokens of prompts that came from the cache so far.
    CachedTokens,
    /// Tokens generated as reasoning so far.
    ReasoningTokens,
    /// Tokens of one request's prompt.
    InputTokensOfRequest,
    /// Tokens generated for one request.
    OutputTokensOfRequest,
    /// A request as the server saw it, s.
    ServerDuration,
    /// Request → first token as the server saw it, s.
    ServerTimeToFirstToken,
    /// Time per token after the first as the server saw it, s.
    ServerTimePerOutputToken,
    /// The execution of a tool, s.
    ToolDuration,
}

/// How a profile records a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instrumented {
    /// The metric.
    pub metric: &'static Metric,
    /// Attributes that each point needs beside those of the request.
    pub attributes: &'static [(&'static str, &'static str)],
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::InferenceDuration,
        Self::OperationDuration,
        Self::TimeToFirstChunk,
        Self::TimePerOutputChunk,
        Self::InputTokens,
        Self::OutputTokens,
        Self::CachedTokens,
        Self::ReasoningTokens,
        Self::InputTokensOfRequest,
        Self::OutputTokensOfRequest,
        Self::ServerDuration,
        Self::ServerTimeToFirstToken,
        Self::ServerTimePerOutputToken,
        Self::ToolDuration,
    ];

    pub(super) fn in_profile(self, profile: Profile) -> Option<Instrumented> {
        let (name, attributes) = match profile {
            Profile::Latest => self.latest(),
            Profile::V1_36 | Profile::V1_41 => self.classic()?,
        };
        // v1.36 has fewer metrics than v1.41 and none under another name.
        let metric = profile.registry().metric(name)?;
        Some(Instrumented { metric, attributes })
    }

    const fn latest(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        // llama-server does not count by modality.
        const MODALITY: &[(&str, &str)] = &[("gen_ai.token.modality", "unknown")];
        match self {
            Self::InferenceDuration => ("gen_ai.client.inference.duration", &[]),
            Self::OperationDuration => ("gen_ai.client.operation.duration", &[]),
            Self::TimeToFirstChunk => ("gen_ai.client.inference.time_to_first_chunk", &[]),
            Self::TimePerOutputChunk => ("gen_ai.client.inference.time_per_output_chunk", &[]),
            Self::InputTokens => ("gen_ai.client.inference.usage.input_tokens", MODALITY),
            Self::OutputTokens => ("gen_ai.client.inference.usage.output_tokens", MODALITY),
            Self::CachedTokens => (
                "gen_ai.client.inference.usage.cache_read.input_tokens",
                MODALITY,
            ),
            Self::ReasoningTokens => (
                "gen_ai.client.inference.usage.reasoning.output_tokens",
                MODALITY,
            ),
            Self::InputTokensOfRequest => ("gen_ai.client.inference.operation.input_tokens", &[]),
            Self::OutputTokensOfRequest => ("gen_ai.client.inference.operation.output_tokens", &[]),
            Self::ServerDuration => ("gen_ai.server.request.duration", &[]),
            Self::ServerTimeToFirstToken => ("gen_ai.server.time_to_first_token", &[]),
            Self::ServerTimePerOutputToken => ("gen_ai.server.time_per_output_token", &[]),
            Self::ToolDuration => ("gen_ai.execute_tool.duration", &[]),
        }
    }

    /// In core's conventions. Token counters are left out there: the sum of the histogram
    /// `gen_ai.client.token.usage` is the same figure.
    const fn classic(self) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
        const INPUT: &[(&str, &str)] = &[("gen_ai.token.type", "input")];
        const OUTPUT: &[(&str, &str)] = &[("gen_ai.token.type", "output")];
        Some(match self {
            Self::InferenceDuration | Self::OperationDuration => {
                ("gen_ai.client.operation.duration", &[])
            }
            Self::TimeToFirstChunk => ("gen_ai.client.operation.time_to_first_chunk", &[]),
            Self::TimePerOutputChunk => ("gen_ai.client.operation.time_per_output_chunk", &[]),
            Self::InputTokensOfRequest => ("gen_ai.client.token.usage", INPUT),
            Self::OutputTokensOfRequest => ("gen_ai.client.token.usage", OUTPUT),
            Self::ServerDuration => ("gen_ai.server.request.duration", &[]),
            Self::ServerTimeToFirstToken => ("gen_ai.server.time_to_first_token", &[]),
            Self::ServerTimePerOutputToken => ("gen_ai.server.time_per_output_token", &[]),
            Self::InputTokens
            | Self::OutputTokens
            | Self::CachedTokens
            | Self::ReasoningTokens
            | Self::ToolDuration => return None,
        })
    }
}
