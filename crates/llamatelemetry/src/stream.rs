//! An answer on its way.

use crate::error::Cause;
use crate::exchange::{End, Exchange};
use crate::request::fail;
use crate::{Error, InferResult};
use llamatelemetry_api::{AnswerStream as ApiStream, ApiError, Delta, ToolCall};
use llamatelemetry_record::{FinishReason, Message, Part, RequestRecord, TraceContext};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// On a busy machine the server's log line lags behind the answer it belongs to; it is waited for
/// so long before the slot stays unknown.
const LAUNCH_LINE_PATIENCE: Duration = Duration::from_millis(50);

/// An answer on its way. Dropping it cancels the request: the server frees the slot.
pub struct AnswerStream {
    exchange: Exchange,
    answer: ApiStream,
    text: String,
    reasoning: String,
    tool_calls: Vec<ToolCall>,
}

impl AnswerStream {
    pub(crate) fn new(exchange: Exchange, answer: ApiStream) -> Self {
        Self {
            exchange,
            answer,
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
        }
    }

    /// The request's own span: the parent for what its answer causes, such as tool runs, and what
    /// a retry names in [`GenerateOptions::retry_of`](crate::GenerateOptions::retry_of).
    pub fn trace_context(&self) -> TraceContext {
        self.exchange.context()
    }

    /// The next piece of the answer; `None` once it is whole.
    pub async fn next(&mut self) -> Result<Option<Delta>, Error> {
        let span = self.exchange.span().clone();
        self.next_in_span().instrument(span).await
    }

    async fn next_in_span(&mut self) -> Result<Option<Delta>, Error> {
        match self.answer.next().await {
            Ok(Some(delta)) => {
                self.exchange.delta(self.answer.clock());
                self.text.push_str(&delta.text);
                self.reasoning.push_str(&delta.reasoning);
                for piece in &delta.tool_calls {
                    ToolCall::assemble(&mut self.tool_calls, piece.clone());
                }
                Ok(Some(delta))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.exchange.clock(self.answer.clock());
                let observed = self.answer.observed();
                let output = self.output();
                Err(fail(&mut self.exchange, error, observed, output).await)
            }
        }
    }

    /// Reads what is left and returns the whole answer with its figures.
    pub async fn finish(mut self) -> Result<InferResult, Error> {
        self.complete().await
    }

    /// The same for an answer that is kept: if this is given up on its way, it can be asked again.
    /// Once it has returned, the answer is over.
    pub async fn complete(&mut self) -> Result<InferResult, Error> {
        while self.next().await?.is_some() {}
        if self.exchange.recorded() {
            // It failed before, and the caller was told; half an answer is not an answer.
            let path = self.exchange.endpoint().path().into();
            let broken = Cause::Request(ApiError::Broken { path, source: None });
            return Err(Error::from(broken).of_request(self.exchange.context()));
        }
        if self.answer.observed().slot.is_none() {
            self.exchange.clock(self.answer.clock());
            self.exchange.await_slot(LAUNCH_LINE_PATIENCE).await;
        }
        let record = self.leave_record(None);
        let energy = self.exchange.sink().energy(&record);
        let text = std::mem::take(&mut self.text);
        let reasoning = std::mem::take(&mut self.reasoning);
        let tool_calls = std::mem::take(&mut self.tool_calls);
        Ok(InferResult::new(
            &record,
            self.exchange.context(),
            energy,
            text,
            reasoning,
            tool_calls,
        ))
    }

    fn leave_record(&mut self, ended: Option<FinishReason>) -> Arc<RequestRecord> {
        let mut observed = self.answer.observed();
        observed.finish_reason = ended.or(observed.finish_reason);
        self.exchange.clock(self.answer.clock());
        let output = self.output();
        self.exchange.end(End {
            observed,
            failure: None,
            exit: None,
            output,
        })
    }

    /// The answer so far, if content is captured.
    fn output(&self) -> Option<Message> {
        if !self.exchange.captures_content() {
            return None;
        }
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
        Some(Message {
            role: "assistant".into(),
            name: None,
            parts,
        })
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        if !self.exchange.recorded() && !self.exchange.failing() {
            self.leave_record(Some(FinishReason::Cancelled));
        }
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream")
            .field("endpoint", &self.exchange.endpoint())
            .field("trace_id", &self.exchange.context().trace_id)
            .finish_non_exhaustive()
    }
}
