//! What a caller gets: the answer with its figures.

use llamatelemetry_api::ToolCall;
use llamatelemetry_record::{
    self as record, EnergyMethod, FinishReason, Operation, RequestRecord, SpanId, TimingSource,
    TraceContext, TraceId, Usage,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// An answer with its figures. Serialises to the document that `llt run --json` prints; what is
/// unknown is `null`, never 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InferResult {
    /// The version of this document's form.
    pub schema_version: u32,
    /// The answer.
    pub text: String,
    /// The reasoning that came before it, apart.
    pub reasoning: String,
    /// The tools the model calls.
    pub tool_calls: Vec<ToolCall>,
    /// `chat` if the prompt went through the model's chat template, `text_completion` if it went
    /// to the model as it stands.
    #[serde(
        serialize_with = "operation_name",
        deserialize_with = "operation_of_name"
    )]
    pub operation: Operation,
    /// The model, as the caller named it.
    pub model: String,
    /// Why the answer ended.
    pub finish_reason: Option<FinishReason>,
    /// The slot that worked on it, if known.
    pub slot: Option<u32>,
    /// Tokens, counted by the server.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
    /// Energy used, where it is measured: as well as it is known at once.
    pub energy: Option<Energy>,
    /// The trace that the request belongs to.
    pub trace_id: TraceId,
    /// The request's own span: the parent of what the answer causes, such as tool runs.
    #[serde(skip, default = "untold")]
    pub trace_context: TraceContext,
    /// SHA-256 of the model's file, once known.
    pub model_sha256: Option<String>,
    /// The llama.cpp build that answered.
    pub llama_build: Option<String>,
}

/// Where the time went, in milliseconds. `docs/figures.md` defines each figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Waiting for a slot.
    pub queue_ms: Option<f64>,
    /// Request sent → first token: queue and prefill.
    pub ttft_ms: Option<f64>,
    /// Evaluating the prompt.
    pub prefill_ms: Option<f64>,
    /// First token → last.
    pub decode_ms: Option<f64>,
    /// Request sent → last token.
    pub total_ms: f64,
    /// Prompt tokens evaluated a second, cached ones excluded.
    pub prompt_per_second: Option<f64>,
    /// Tokens generated a second.
    pub decode_per_second: Option<f64>,
    /// Where the phases come from.
    pub source: TimingSource,
}

/// Energy used by a request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// Joules in all.
    pub joules: f64,
    /// Joules a generated token; `None` where no token came or their number is not known.
    pub joules_per_token: Option<f64>,
    /// Joules of evaluating the prompt, where the split is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill_joules: Option<f64>,
    /// Joules of generating, where the split is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_joules: Option<f64>,
    /// Half width of the 95 % interval around `joules`, J.
    pub error: f64,
    /// How it was measured.
    pub method: EnergyMethod,
}

impl Energy {
    fn new(energy: record::Energy, tokens: Option<u64>) -> Self {
        let record::Energy {
            joules,
            prefill_joules,
            decode_joules,
            error,
            method,
        } = energy;
        let tokens = tokens.filter(|tokens| *tokens > 0);
        Self {
            joules,
            joules_per_token: tokens.map(|tokens| joules / tokens as f64),
            prefill_joules,
            decode_joules,
            error,
            method,
        }
    }
}

impl InferResult {
    pub(crate) const SCHEMA_VERSION: u32 = 1;

    pub(crate) fn new(
        record: &RequestRecord,
        trace_context: TraceContext,
        energy: Option<record::Energy>,
        text: String,
        reasoning: String,
        tool_calls: Vec<ToolCall>,
    ) -> Self {
        let phases = &record.phases;
        Self {
            schema_version: Self::SCHEMA_VERSION,
            text,
            reasoning,
            tool_calls,
            operation: record.endpoint.operation(),
            model: record.model.clone(),
            finish_reason: record.finish_reason.clone(),
            slot: record.slot,
            usage: record.usage,
            timings: Timings {
                queue_ms: phases.queue.map(milliseconds),
                ttft_ms: phases.ttft().map(milliseconds),
                prefill_ms: phases.prefill.map(milliseconds),
                decode_ms: phases.decode.map(milliseconds),
                total_ms: milliseconds(phases.total),
                prompt_per_second: record.prompt_per_second(),
                decode_per_second: record.decode_per_second(),
                source: phases.source,
            },
            energy: energy.map(|energy| Energy::new(energy, record.usage.completion_tokens)),
            trace_id: record.trace_id,
            trace_context,
            model_sha256: record.model_sha256.clone(),
            llama_build: record.llama_build.clone(),
        }
    }
}

/// Milliseconds to the microsecond: finer digits are the clock's noise.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn operation_name<S: Serializer>(operation: &Operation, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(operation.as_str())
}

fn operation_of_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Operation, D::Error> {
    let name = String::deserialize(deserializer)?;
    [
        Operation::Chat,
        Operation::TextCompletion,
        Operation::Embeddings,
        Operation::Rerank,
    ]
    .into_iter()
    .find(|operation| operation.as_str() == name)
    .ok_or_else(|| D::Error::custom("no such operation"))
}

/// A document does not tell its span: whoever reads one says it.
fn untold() -> TraceContext {
    TraceContext {
        trace_id: TraceId([0; 16]),
        span_id: SpanId([0; 8]),
        sampled: false,
    }
}
