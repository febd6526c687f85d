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
    /// A request waits until it is let in.
    pub const ADMISSION: &str = "admission";
    /// The time from the end of a server until it is launched again (below a request) or ready
    /// again (by itself).
    pub const RESTART: &str = "restart";
    /// A server loads its model.
    pub const MODEL_LOAD: &str = "model.load";
    /// A server is stopped because its model is not to stay loaded.
    pub const MODEL_UNLOAD: &str = "model.unload";
}

/// Names of events, on spans and as log records.
pub mod event {
    /// A request with all that its span has, as a log record: for those who keep content apart
    /// from traces.
    pub const DETAILS: &str = "gen_ai.client.inference.operation.details";
    /// A request that failed, as a log record.
    pub const EXCEPTION: &str = "gen_ai.client.operation.exception";
    /// A slot began to work on the request.
    pub const SLOT_ACQUIRED: &str = "llamacpp.slot.acquired";
    /// The client had gone away, and now the slot was free.
    pub const SLOT_RELEASED: &str = "llamacpp.slot.released";
    /// The first delta came.
    pub const FIRST_TOKEN: &str = "llamacpp.first_token";
    /// The context was full, and tokens were thrown away.
    pub const CONTEXT_SHIFT: &str = "llamacpp.context.shift";
    /// A saved state of the context was used.
    pub const CHECKPOINT_RESTORED: &str = "llamacpp.checkpoint.restored";
    /// How many drafted tokens were accepted.
    pub const DRAFT_ACCEPTANCE: &str = "llamacpp.draft.acceptance";
    /// The server ended.
    pub const SERVER_EXIT: &str = "llamacpp.server.exit";
}

/// Names of attributes of log records.
pub mod log {
    /// Who wrote the line: `llama_server`, or the module of this program.
    pub const SOURCE: &str = "llamacpp.log.source";
    /// Equal lines that were left out and that this one stands for.
    pub const REPEATS: &str = "llamacpp.log.repeats";
    /// The class of a failure.
    pub const EXCEPTION_TYPE: &str = "exception.type";
    /// What a failure says.
    pub const EXCEPTION_MESSAGE: &str = "exception.message";
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
    /// Tokens that a slot's context held when it was free again.
    pub const SLOT_TOKENS: &str = "llamacpp.slot.tokens";
    /// Tokens generated after the client had gone.
    pub const WASTED_TOKENS: &str = "llamacpp.wasted_tokens";
    /// The llama.cpp build.
    pub const BUILD: &str = "llamacpp.build";
    /// SHA-256 of the model's file.
    pub const MODEL_SHA256: &str = "llamacpp.model.sha256";
    /// Bytes that an unloaded model took.
    pub const FREED: &str = "llamacpp.model.freed";
    /// Why a model was unloaded.
    pub const UNLOAD_REASON: &str = "llamacpp.model.unload.reason";
    /// The file's quantization.
    pub const QUANTIZATION: &str = "llamacpp.model.quantization";
    /// The form that the answer must have: `text`, `json`.
    pub const OUTPUT_TYPE: &str = "gen_ai.output.type";
    /// Answers asked for, if not one.
    pub const CHOICE_COUNT: &str = "gen_ai.request.choice.count";
    /// Generated tokens that were reasoning.
    pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
    /// The tool's name.
    pub const TOOL_NAME: &str = "gen_ai.tool.name";
    /// The id of the model's call.
    pub const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
    /// `function`: the tool runs on the caller's side.
    pub const TOOL_TYPE: &str = "gen_ai.tool.type";
    /// The call's arguments; only with content capture.
    pub const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
    /// What the tool returned; only with content capture.
    pub const TOOL_RESULT: &str = "gen_ai.tool.call.result";
    /// The host that was asked; absent for a Unix socket.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// The port that was asked.
    pub const SERVER_PORT: &str = "server.port";
    /// Time waited before the request could be sent, s.
    pub const WAIT_DURATION: &str = "llamacpp.wait.duration";
    /// How often the request was sent again on a new connection.
    pub const RESENDS: &str = "llamacpp.request.resends";
    /// Deltas of an answer that broke off.
    pub const DELTAS: &str = "llamacpp.response.deltas";
    /// Tokens thrown away by a context shift.
    pub const DISCARDED_TOKENS: &str = "llamacpp.context.discarded_tokens";
    /// How often the server was restarted.
    pub const RESTARTS: &str = "llamacpp.server.restarts";
    /// How a server ended: `killed`, `out_of_memory`.
    pub const EXIT_CLASS: &str = "llamacpp.server.exit.class";
    /// The code that it returned.
    pub const EXIT_CODE: &str = "llamacpp.server.exit.code";
    /// The signal that ended it.
    pub const EXIT_SIGNAL: &str = "llamacpp.server.exit.signal";
    /// The last lines of its log.
    pub const EXIT_LOG: &str = "llamacpp.server.exit.log";
    /// Why two spans are linked.
    pub const LINK: &str = "llamacpp.link";
    /// Energy used, J.
    pub const ENERGY: &str = "llamacpp.energy";
    /// Energy of evaluating the prompt, J.
    pub const PREFILL_ENERGY: &str = "llamacpp.prefill.energy";
    /// Energy of generating, J.
    pub const DECODE_ENERGY: &str = "llamacpp.decode.energy";
    /// Energy over the tokens generated, J.
    pub const TOKEN_ENERGY: &str = "llamacpp.energy.per_output_token";
    /// Half width of the 95 % interval around the energy, J.
    pub const ENERGY_ERROR: &str = "llamacpp.energy.error";
    /// How the energy was measured.
    pub const ENERGY_METHOD: &str = "llamacpp.energy.method";
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
