//! Every name that goes out, in one place.
//!
//! The GenAI conventions are moving (all of `gen_ai.*` is in development); these are the names of
//! their current text. What they do not name (queue, prefill, decode, slot, build) is ours, under
//! `llamacpp.`.

/// The instrumentation scope.
pub const SCOPE: &str = "llamatelemetry";

/// `gen_ai.provider.name` of llama.cpp: no convention lists one.
pub const PROVIDER: &str = "llama_cpp";

/// Names of spans.
pub mod span {
    /// Waiting for a slot.
    pub const QUEUE: &str = "queue";
    /// Evaluating the prompt.
    pub const PREFILL: &str = "prefill";
    /// Generating.
    pub const DECODE: &str = "decode";
}

/// Names of span attributes.
pub mod attribute {
    /// What was asked for: `chat`, `text_completion`, `embeddings`, `rerank`.
    pub const OPERATION: &str = "gen_ai.operation.name";
    /// Who answers: [`super::PROVIDER`].
    pub const PROVIDER: &str = "gen_ai.provider.name";
    /// The model as the caller named it.
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    /// Whether the answer was streamed; present only if it was.
    pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
    /// Sampling temperature.
    pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
    /// Nucleus sampling.
    pub const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
    /// Candidates kept.
    pub const REQUEST_TOP_K: &str = "gen_ai.request.top_k";
    /// Tokens to generate at most.
    pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    /// Random seed.
    pub const REQUEST_SEED: &str = "gen_ai.request.seed";
    /// Stop sequences.
    pub const REQUEST_STOP: &str = "gen_ai.request.stop_sequences";
    /// The model as the server names it.
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    /// The server's id for the answer.
    pub const RESPONSE_ID: &str = "gen_ai.response.id";
    /// Why each choice ended.
    pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    /// Request sent → first non-empty delta, s; streamed answers only.
    pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    /// Prompt tokens, cached ones included.
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    /// Prompt tokens taken from the cache.
    pub const CACHED_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
    /// Tokens generated.
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    /// The conversation, if the caller named one.
    pub const CONVERSATION: &str = "gen_ai.conversation.id";
    /// What was sent, as JSON; only with content capture.
    pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
    /// What came back, as JSON; only with content capture.
    pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
    /// Instructions given apart from the messages, as JSON; only with content capture.
    pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
    /// The tools that were offered, as JSON; only with content capture.
    pub const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
    /// The attributes that hold content.
    pub(crate) const CONTENT: &[&str] = &[
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        SYSTEM_INSTRUCTIONS,
        TOOL_DEFINITIONS,
    ];
    /// The class of failure.
    pub const ERROR_TYPE: &str = "error.type";

    /// The path asked.
    pub const ENDPOINT: &str = "llamacpp.endpoint";
    /// Request sent → slot started, s.
    pub const QUEUE_DURATION: &str = "llamacpp.queue.duration";
    /// Slot started → first delta, s.
    pub const PREFILL_DURATION: &str = "llamacpp.prefill.duration";
    /// First delta → last delta, s.
    pub const DECODE_DURATION: &str = "llamacpp.decode.duration";
    /// Where the phases come from: `stream`, `server_timings`, `wall`.
    pub const TIMINGS_SOURCE: &str = "llamacpp.timings.source";
    /// Prompt tokens evaluated, cached ones excluded.
    pub const PREFILL_TOKENS: &str = "llamacpp.prefill.tokens";
    /// Prompt tokens that needed no evaluation.
    pub const PREFILL_CACHED_TOKENS: &str = "llamacpp.prefill.cached_tokens";
    /// Prompt tokens evaluated a second.
    pub const PREFILL_RATE: &str = "llamacpp.prefill.tokens_per_second";
    /// Tokens generated.
    pub const DECODE_TOKENS: &str = "llamacpp.decode.tokens";
    /// Tokens generated a second, the first one excluded.
    pub const DECODE_RATE: &str = "llamacpp.decode.tokens_per_second";
    /// Tokens drafted, when speculating.
    pub const DRAFT_TOKENS: &str = "llamacpp.draft.tokens";
    /// Drafted tokens that were accepted.
    pub const DRAFT_ACCEPTED: &str = "llamacpp.draft.accepted_tokens";
    /// Prefill as the server measured it, s.
    pub const SERVER_PREFILL: &str = "llamacpp.server.prefill.duration";
    /// Decode as the server measured it, s.
    pub const SERVER_DECODE: &str = "llamacpp.server.decode.duration";
    /// The slot that worked on it.
    pub const SLOT: &str = "llamacpp.slot.id";
    /// The llama.cpp build.
    pub const BUILD: &str = "llamacpp.build";
    /// SHA-256 of the model's file.
    pub const MODEL_SHA256: &str = "llamacpp.model.sha256";
}

#[cfg(test)]
mod tests {
    use crate::conventions::tables::{CORE, LATEST, LLAMACPP};

    /// Every name of this file, read from its own text.
    fn names() -> impl Iterator<Item = &'static str> {
        include_str!("names.rs")
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once("= "))
            .map(|(_, value)| value.trim_matches([';', '"']))
    }

    /// A new name of ours goes into `conventions/llamacpp.toml`; `cargo xtask generate` then makes
    /// its row in the table and in the docs.
    #[test]
    fn every_attribute_is_defined() {
        let tables = [&LATEST, &CORE, &LLAMACPP];
        let attributes: Vec<_> = names()
            .filter(|name| {
                ["gen_ai.", "llamacpp.", "error.", "server."]
                    .iter()
                    .any(|space| name.starts_with(space))
            })
            .collect();
        assert!(attributes.len() > 30);
        for name in attributes {
            let known = tables.iter().any(|table| {
                table
                    .attribute(name)
                    .is_some_and(|a| a.deprecated.is_none())
                    || table.metric(name).is_some()
                    || table.event(name).is_some()
            });
            assert!(known, "{name}");
        }
    }
}
