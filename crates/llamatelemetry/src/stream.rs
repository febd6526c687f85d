//! An answer on its way, and the record that every request leaves, however it ends.

use crate::error::Cause;
use crate::manager::LiveServer;
use crate::{Error, InferResult, ServerManager};
use llamatelemetry_api::{AnswerStream as ApiStream, ApiError, Delta, ToolCall};
use llamatelemetry_record::{
    Content, Endpoint, Failure, FinishReason, Message, Observed, Part, PhaseClock,
    RequestParameters, RequestRecord, Sink, SpanId, StreamScanner, TraceContext, TraceId,
};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a connection breaks, the child's exit is waited for so long to say why.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// On a busy machine the server's log line lags behind the answer it belongs to; it is waited for
/// so long before the slot stays unknown.
const LAUNCH_LINE_PATIENCE: Duration = Duration::from_millis(50);

/// What was asked and by whom: everything of a record that is known before the answer.
pub(crate) struct Asked {
    /// Runs from before the request is sent; it dates a request that never got an answer.
    pub(crate) clock: PhaseClock,
    pub(crate) server: Arc<ServerManager>,
    /// The run of the server that was asked.
    pub(crate) live: Arc<LiveServer>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) endpoint: Endpoint,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent: Option<TraceContext>,
    pub(crate) parameters: RequestParameters,
    pub(crate) conversation_id: Option<String>,
    /// What was said so far, if it is captured.
    pub(crate) content: Option<Content>,
    /// Whether the server answered or refused; until then a drop is a cancelled request.
    pub(crate) answered: bool,
}

/// An answer on its way. Dropping it cancels the request: the server frees the slot.
pub struct AnswerStream {
    asked: Asked,
    answer: ApiStream,
    text: String,
    reasoning: String,
    tool_calls: Vec<ToolCall>,
    recorded: bool,
}

impl Asked {
    /// The request was sent: either an answer streams, or it failed and that is recorded.
    pub(crate) async fn opened(
        mut self,
        answer: Result<ApiStream, ApiError>,
    ) -> Result<AnswerStream, Error> {
        self.answered = true;
        match answer {
            Ok(answer) => Ok(AnswerStream {
                asked: self,
                answer,
                text: String::new(),
                reasoning: String::new(),
                tool_calls: Vec::new(),
                recorded: false,
            }),
            Err(error) => {
                let scanner = StreamScanner::new(self.endpoint, self.clock.clone());
                let observed = scanner.finish(Instant::now());
                let content = self.content.take();
                let record = self.record(&self.clock, observed, Some(failure(&error)), content);
                self.sink.record(Arc::new(record));
                Err(explain(&self.live, error).await)
            }
        }
    }

    fn record(
        &self,
        clock: &PhaseClock,
        observed: Observed,
        failure: Option<Failure>,
        content: Option<Content>,
    ) -> RequestRecord {
        let model = self.server.model();
        RequestRecord {
            parent: self.parent,
            streamed: true,
            phases: observed.phases,
            server_timings: observed.timings,
            model: model.name.clone(),
            model_sha256: model.sha256.clone(),
            llama_build: Some(self.server.runtime().build.text.clone()),
            response_id: observed.response_id,
            response_model: observed.model,
            conversation_id: self.conversation_id.clone(),
            slot: observed.slot,
            parameters: self.parameters.clone(),
            usage: observed.usage,
            finish_reason: observed.finish_reason,
            failure,
            content,
            ..RequestRecord::new(self.trace_id, self.span_id, self.endpoint, clock.sent_at())
        }
    }
}

impl Drop for Asked {
    /// A request that is dropped while it waits for a slot leaves its record too.
    fn drop(&mut self) {
        if !self.answered {
            let scanner = StreamScanner::new(self.endpoint, self.clock.clone());
            let mut observed = scanner.finish(Instant::now());
            observed.finish_reason = Some(FinishReason::Cancelled);
            let content = self.content.take();
            let record = self.record(&self.clock, observed, None, content);
            self.sink.record(Arc::new(record));
        }
    }
}

impl AnswerStream {
    /// The next piece of the answer; `None` once it is whole.
    pub async fn next(&mut self) -> Result<Option<Delta>, Error> {
        match self.answer.next().await {
            Ok(Some(delta)) => {
                self.text.push_str(&delta.text);
                self.reasoning.push_str(&delta.reasoning);
                for piece in &delta.tool_calls {
                    ToolCall::assemble(&mut self.tool_calls, piece.clone());
                }
                Ok(Some(delta))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.leave_record(Some(failure(&error)), None);
                Err(explain(&self.asked.live, error).await)
            }
        }
    }

    /// Reads what is left and returns the whole answer with its figures.
    pub async fn finish(mut self) -> Result<InferResult, Error> {
        while self.next().await?.is_some() {}
        if self.recorded {
            // It failed before, and the caller was told; half an answer is not an answer.
            let path = self.asked.endpoint.path().into();
            return Err(Cause::Request(ApiError::Broken { path, source: None }).into());
        }
        self.await_slot().await;
        let record = self.leave_record(None, None);
        let text = std::mem::take(&mut self.text);
        let reasoning = std::mem::take(&mut self.reasoning);
        let tool_calls = std::mem::take(&mut self.tool_calls);
        Ok(InferResult::new(&record, text, reasoning, tool_calls))
    }

    /// Waits for the log line that names the slot, where the answer does not and it is not here.
    async fn await_slot(&self) {
        let clock = self.answer.clock();
        if self.answer.observed().slot.is_some() || self.asked.live.slot_of(clock).is_some() {
            return;
        }
        let (process, sent) = (self.asked.live.process().clone(), clock.sent());
        let waiting = move || process.wait_slot_launches(sent, LAUNCH_LINE_PATIENCE);
        // Without a thread to wait on, what is known now is what there is.
        drop(tokio::task::spawn_blocking(waiting).await);
    }

    /// What was said, the answer so far included.
    fn whole_content(&mut self) -> Option<Content> {
        let mut content = self.asked.content.take()?;
        let mut parts = Vec::new();
        if !self.reasoning.is_empty() {
            parts.push(Part::Reasoning {
                content: self.reasoning.clone(),
            });
        }
        if !self.text.is_empty() {
            parts.push(Part::text(self.text.as_str()));
        }
        parts.extend(self.tool_calls.iter().map(ToolCall::to_record));
        content.output = vec![Message {
            role: "assistant".into(),
            name: None,
            parts,
        }];
        Some(content)
    }

    fn leave_record(
        &mut self,
        failure: Option<Failure>,
        ended: Option<FinishReason>,
    ) -> Arc<RequestRecord> {
        self.recorded = true;
        let mut observed = self.answer.observed();
        observed.finish_reason = ended.or(observed.finish_reason);
        observed.slot = observed
            .slot
            .or_else(|| self.asked.live.slot_of(self.answer.clock()));
        let content = self.whole_content();
        let record = self
            .asked
            .record(self.answer.clock(), observed, failure, content);
        let record = Arc::new(record);
        self.asked.sink.record(record.clone());
        record
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        if !self.recorded {
            self.leave_record(None, Some(FinishReason::Cancelled));
        }
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream")
            .field("endpoint", &self.asked.endpoint)
            .field("trace_id", &self.asked.trace_id)
            .finish_non_exhaustive()
    }
}

fn failure(error: &ApiError) -> Failure {
    Failure {
        kind: error.kind(),
        message: error.to_string(),
    }
}

/// A broken connection says little; the child's exit and its last lines say why.
async fn explain(live: &LiveServer, error: ApiError) -> Error {
    if !error.is_disconnect() {
        return Cause::Request(error).into();
    }
    let process = live.process().clone();
    let exit = tokio::task::spawn_blocking(move || process.wait_exit(EXIT_PATIENCE)).await;
    match exit {
        Ok(Some(exit)) => Cause::ServerDied {
            exit,
            source: error,
        }
        .into(),
        _ => Cause::Request(error).into(),
    }
}
