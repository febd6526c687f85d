//! What happens around requests: loads, restarts, tools, lines of the log.

use crate::{Failure, ServerExit, SpanId, TraceContext, TraceId};
use std::time::{Duration, SystemTime};

/// Something with a beginning and an end that is no request to a model. It becomes a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Its own span.
    pub span_id: SpanId,
    /// The span that caused it, if one did.
    pub parent: Option<TraceContext>,
    /// Spans that it has to do with: the requests that ran when a server ended.
    pub links: Vec<TraceContext>,
    /// When it began.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// What it was.
    pub what: What,
    /// How it failed, if it did.
    pub failure: Option<Failure>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// A server loaded its model.
    ModelLoad {
        /// The model as the caller named it.
        model: String,
        /// SHA-256 of the model's file, lower-case hex, once known.
        model_sha256: Option<String>,
        /// The file's quantization: `Q4_K_M`.
        quantization: Option<String>,
        /// The llama.cpp build.
        llama_build: Option<String>,
    },
    /// A server was stopped because its model was not to stay loaded.
    ModelUnload {
        /// The model as the caller named it.
        model: String,
        /// Why.
        reason: UnloadReason,
        /// Bytes that it took, on the machine and on GPUs, if they could be measured.
        freed_bytes: Option<u64>,
    },
    /// A server that ended was started again, or given up. It lasts from the end of one run until
    /// the next is ready; the model's load is a child of it.
    Restart {
        /// The model as the caller named it.
        model: String,
        /// How the server ended.
        exit: ServerExit,
        /// How many times it was started again so far, this one included.
        restarts: u32,
    },
    /// A tool that the model called was executed by the caller.
    ToolExecution {
        /// The tool's name.
        name: String,
        /// The id of the call that the model made.
        call_id: Option<String>,
        /// Arguments and result as JSON, if capture was asked for.
        content: Option<ToolContent>,
    },
}

/// Why a model was unloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnloadReason {
    /// Nobody had asked it for long.
    Idle,
    /// Its memory was needed for another.
    Room,
    /// Somebody asked for it.
    Asked,
    /// It does not run any more and is not started again.
    GivenUp,
    /// Its settings are others now, or it is served no more.
    Reconfigured,
    /// The program ends.
    Shutdown,
}

impl UnloadReason {
    /// Its name, low in cardinality: for figures and spans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Room => "room",
            Self::Asked => "asked",
            Self::GivenUp => "given_up",
            Self::Reconfigured => "reconfigured",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What a tool was given and gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolContent {
    /// Its arguments, as JSON.
    pub arguments: String,
    /// What it returned, as JSON or text.
    pub result: Option<String>,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Each step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What goes on.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// One line of a log: of a server, or of this program.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedLine {
    /// When it was written, as nearly as is known.
    pub at: SystemTime,
    /// How grave it is.
    pub severity: Severity,
    /// Who wrote it: `llama_server`, or the module of this program.
    pub source: String,
    /// The text.
    pub text: String,
    /// The span that it belongs to, if that is known: the request whose slot the line names.
    pub context: Option<TraceContext>,
    /// Further facts: `pid`, `llamacpp.slot.id`, a tracing event's fields.
    pub fields: Vec<(String, String)>,
}
