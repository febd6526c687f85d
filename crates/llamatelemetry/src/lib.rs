//! Run any GGUF model with one call, and see what it does.
//!
//! ```no_run
//! # async fn example() -> Result<(), llamatelemetry::Error> {
//! use llamatelemetry::{ChatMessage, GenerateOptions, InferenceEngine, LoadOptions};
//!
//! let engine = InferenceEngine::load_model("smollm2", LoadOptions::from_environment()?).await?;
//! let question = [ChatMessage::user("Explain CUDA in one sentence.")];
//! let answer = engine.chat(&question, &GenerateOptions::default()).await?;
//! println!("{}", answer.text);
//! println!("first token after {:?} ms", answer.timings.ttft_ms);
//! engine.unload().await;
//! # Ok(())
//! # }
//! ```
//!
//! | you want | use |
//! |---|---|
//! | a prompt continued as it stands | [`InferenceEngine::infer`], [`InferenceEngine::stream`] |
//! | messages through the model's chat template | [`InferenceEngine::chat`], [`InferenceEngine::chat_stream`] |
//! | the same without an async runtime | [`blocking::InferenceEngine`] |
//! | a tool's run in the trace of the answer that called it | [`InferenceEngine::tool_run`] |
//! | a server and no engine | [`ServerManager`] |
//! | the record of a request that you send yourself | [`Exchange`] |
//! | spans on the console or over OTLP | [`setup_telemetry`] |
//!
//! Everything the engine needs is found, fetched or built when it is first used: a llama.cpp that
//! is proved to run on this machine, and the model's file, verified.

pub mod blocking;
mod body;
mod engine;
mod error;
mod exchange;
mod failure;
mod lifecycle;
mod manager;
mod moment;
mod options;
mod purpose;
mod request;
mod result;
mod served;
mod stream;
mod tasks;
mod telemetry;
mod tool;

pub use engine::InferenceEngine;
pub use error::{Error, ErrorKind};
pub use exchange::{Asked, End, Exchange};
pub use llamatelemetry_api::{
    ApiError, ChatMessage, Client, ContentPart, Delta, Endpoints, ImageUrl, MessageContent,
    ToolCall,
};
pub use llamatelemetry_record::{
    Baggage, Discard, EnergyMethod, FinishReason, RequestRecord, Sink, TraceContext, TraceState,
    UnloadReason, Usage,
};
#[cfg(feature = "telemetry")]
pub use llamatelemetry_telemetry::{LogTap, TapFilter, TapLayer, energy::Totals as EnergyTotals};
pub use manager::{LiveServer, ServerManager};
pub use options::{GenerateOptions, LoadOptions};
pub use purpose::LoadFor;
pub use result::{Energy, InferResult, Timings};
pub use stream::AnswerStream;
pub use telemetry::{TelemetryHandle, setup_telemetry};
pub use tool::ToolRun;

/// The typed client of llama-server.
pub use llamatelemetry_api as api;
/// GGUF files.
pub use llamatelemetry_gguf as gguf;
/// What this machine is.
pub use llamatelemetry_machine as machine;
/// Names into files.
pub use llamatelemetry_models as models;
/// What long steps tell.
pub use llamatelemetry_progress as progress;
/// llama.cpp builds.
pub use llamatelemetry_runtime as runtime;
/// The child process.
pub use llamatelemetry_server as server;
/// Settings and their origins.
pub use llamatelemetry_settings as settings;
