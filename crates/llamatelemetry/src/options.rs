//! What a caller may choose when loading and when asking.

use crate::{Error, LoadFor};
use llamatelemetry_progress::{Progress, Silent};
use llamatelemetry_record::{
    Baggage, Discard, Incoming, OutputType, RequestParameters, Sink, TraceContext, TraceState,
};
use llamatelemetry_settings::{Environment, Flags, Settings, resolve};
use std::fmt;
use std::sync::Arc;

/// How a model is loaded.
#[derive(Clone)]
pub struct LoadOptions {
    /// All settings, resolved.
    pub settings: Settings,
    /// Who watches the long steps.
    pub progress: Arc<dyn Progress>,
    /// Where each request's record goes.
    pub sink: Arc<dyn Sink>,
    /// The span that asks for the load, if one does.
    pub parent: Option<TraceContext>,
    /// What the server calls its model; `None`: by the model's own name.
    pub alias: Option<String>,
    /// What the model is loaded for.
    pub load_for: LoadFor,
}

impl LoadOptions {
    /// Settings from the config file and the environment; nobody watches, records go nowhere.
    pub fn from_environment() -> Result<Self, Error> {
        Ok(Self::new(
            resolve(Environment::from_process(), &Flags::default())?.settings,
        ))
    }

    /// These settings; nobody watches, records go nowhere.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            progress: Arc::new(Silent),
            sink: Arc::new(Discard),
            parent: None,
            alias: None,
            load_for: LoadFor::Model,
        }
    }

    /// The same with somebody who watches.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// The same with a place for records.
    #[must_use]
    pub fn with_sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = sink;
        self
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// How an answer is generated. What is `None` or empty is not sent, so that the server's own
/// defaults hold.
#[derive(Debug, Clone, Default)]
pub struct GenerateOptions {
    /// Tokens to generate at most.
    pub max_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    pub temperature: Option<f64>,
    /// Nucleus sampling: candidates are kept until their probabilities sum to this.
    pub top_p: Option<f64>,
    /// Candidates kept.
    pub top_k: Option<i64>,
    /// Random seed.
    pub seed: Option<i64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// A JSON schema that the answer must satisfy.
    pub json_schema: Option<serde_json::Value>,
    /// Tools the model may call, in OpenAI's form; `chat` only.
    pub tools: Vec<serde_json::Value>,
    /// Any further fields of the endpoint, sent as they are.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// The span that causes the request: its trace is joined.
    pub parent: Option<TraceContext>,
    /// The caller's `tracestate`, passed along with its trace.
    pub trace_state: Option<TraceState>,
    /// W3C baggage: travels with the request and stands on its span.
    pub baggage: Baggage,
    /// Earlier attempts of the same request: the span links to them.
    pub retry_of: Vec<TraceContext>,
    /// The conversation that the request belongs to, for telemetry.
    pub conversation_id: Option<String>,
}

impl GenerateOptions {
    /// The same, caused by whoever sent these HTTP headers: joins the trace of its `traceparent`
    /// and passes `tracestate` and `baggage` on.
    #[must_use]
    pub fn caused_by<'a>(mut self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let Incoming {
            parent,
            state,
            baggage,
        } = Incoming::read(headers);
        self.parent = parent;
        self.trace_state = state;
        self.baggage = baggage;
        self
    }

    pub(crate) fn parameters(&self) -> RequestParameters {
        RequestParameters {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            max_tokens: self.max_tokens,
            seed: self.seed,
            stop: self.stop.clone(),
            choices: self.extra.get("n").and_then(serde_json::Value::as_u64),
            output: Some(if self.json_schema.is_some() {
                OutputType::Json
            } else {
                OutputType::Text
            }),
        }
    }
}
