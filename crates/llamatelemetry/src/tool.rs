//! The run of a tool that a model called, in the trace of the answer that called it.

use crate::ToolCall;
use crate::moment::Moment;
use llamatelemetry_record::{Failure, Happening, Sink, SpanId, ToolContent, TraceContext, What};
use std::fmt;
use std::sync::Arc;

/// A tool that runs. It becomes a span `execute_tool NAME` below the request whose answer called
/// it, with the call's id, how long it took and how it failed. Arguments and result stand on it
/// only if content is captured.
///
/// ```no_run
/// # async fn example(engine: llamatelemetry::InferenceEngine) -> Result<(), llamatelemetry::Error> {
/// # use llamatelemetry::{ChatMessage, GenerateOptions};
/// # fn weather(_arguments: &str) -> Result<String, std::io::Error> { Ok(String::new()) }
/// let question = [ChatMessage::user("What is the weather in Paris?")];
/// let answer = engine.chat(&question, &GenerateOptions::default()).await?;
/// for call in &answer.tool_calls {
///     let run = engine.tool_run(answer.trace_context, call);
///     match weather(&call.arguments) {
///         Ok(result) => run.succeeded(&result),
///         Err(error) => run.failed("weather_unavailable", &error.to_string()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a run that is dropped is recorded as given up"]
pub struct ToolRun {
    sink: Arc<dyn Sink>,
    cause: TraceContext,
    span_id: SpanId,
    name: String,
    call_id: Option<String>,
    content: Option<ToolContent>,
    began: Moment,
    recorded: bool,
}

impl ToolRun {
    pub(crate) fn start(
        sink: Arc<dyn Sink>,
        cause: TraceContext,
        call: &ToolCall,
        capture: bool,
    ) -> Self {
        Self {
            sink,
            cause,
            span_id: SpanId::random(),
            name: call.name.clone(),
            call_id: Some(call.id.clone()).filter(|id| !id.is_empty()),
            content: capture.then(|| ToolContent {
                arguments: call.arguments.clone(),
                result: None,
            }),
            began: Moment::now(),
            recorded: false,
        }
    }

    /// The run's own span: the parent of whatever the tool does, such as requests of its own.
    pub fn trace_context(&self) -> TraceContext {
        TraceContext {
            span_id: self.span_id,
            ..self.cause
        }
    }

    /// The tool gave this result, as JSON or text.
    pub fn succeeded(mut self, result: &str) {
        if let Some(content) = &mut self.content {
            content.result = Some(result.to_owned());
        }
        self.leave_record(None);
    }

    /// The tool failed. `kind` is the class of failure, low in cardinality; `message` is what a
    /// person reads; it may quote what the tool was given, so only the kind is recorded unless
    /// content is captured.
    pub fn failed(mut self, kind: &str, message: &str) {
        let message = self.content.as_ref().map_or("", |_| message);
        self.leave_record(Some(Failure {
            kind: kind.to_owned(),
            message: message.to_owned(),
        }));
    }

    fn leave_record(&mut self, failure: Option<Failure>) {
        self.recorded = true;
        let from = self.began.instant;
        self.sink.happened(Happening {
            trace_id: self.cause.trace_id,
            span_id: self.span_id,
            parent: Some(self.cause),
            links: Vec::new(),
            started_at: self.began.wall(from),
            duration: from.elapsed(),
            what: What::ToolExecution {
                name: std::mem::take(&mut self.name),
                call_id: self.call_id.take(),
                content: self.content.take(),
            },
            failure,
        });
    }
}

impl Drop for ToolRun {
    fn drop(&mut self) {
        if !self.recorded {
            self.leave_record(Some(Failure {
                kind: "cancelled".into(),
                message: "the run was given up".into(),
            }));
        }
    }
}

impl fmt::Debug for ToolRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolRun")
            .field("name", &self.name)
            .field("call_id", &self.call_id)
            .finish_non_exhaustive()
    }
}
