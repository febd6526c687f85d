//! A model's answer as it streams in, the same for every endpoint that makes one.

use crate::stream::Events;
use crate::{ApiError, EventStream, StreamEvent};
use llamatelemetry_record::{FinishReason, Observed, PhaseClock};
use serde::{Deserialize, Serialize};

/// A piece of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Text of the answer.
    pub text: String,
    /// Text of the reasoning that comes before it.
    pub reasoning: String,
    /// Pieces of tool calls.
    pub tool_calls: Vec<ToolCallDelta>,
}

impl Delta {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty() && self.tool_calls.is_empty()
    }
}

/// A piece of a tool call: the first carries id and name, all carry pieces of the arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which of the answer's calls this belongs to.
    #[serde(default)]
    pub index: usize,
    /// The call's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name and arguments.
    #[serde(default)]
    pub function: FunctionDelta,
}

/// The function of a [`ToolCallDelta`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDelta {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A piece of its arguments' JSON.
    #[serde(default)]
    pub arguments: String,
}

/// A whole tool call, put together from its pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text, as the model wrote it.
    pub arguments: String,
}

/// An event that carries a piece of a model's answer.
pub trait Answering: StreamEvent {
    /// The piece: empty where the event is about something else. `calls` counts the tool calls
    /// begun so far; an endpoint whose events do not number them counts on.
    fn into_delta(self, calls: &mut usize) -> Delta;
}

/// The number of a tool call that begins now.
pub(crate) fn begun(calls: &mut usize) -> usize {
    let number = *calls;
    *calls += 1;
    number
}

/// A model's answer as it streams in: its text, its reasoning and its tool calls, whatever the
/// endpoint. Of several answers to one request all come, mixed. Dropping it closes the
/// connection; the server then frees the slot: in decode at the next token, in prefill after the
/// batch it works on.
#[derive(Debug)]
pub struct AnswerStream {
    events: Events,
    read: ReadDelta,
    calls: usize,
}

/// How an event's piece is read, however its endpoint writes it.
type ReadDelta = fn(&[u8], &mut usize) -> Result<Delta, serde_json::Error>;

impl<E: Answering> EventStream<E> {
    /// The pieces of the answer alone.
    pub fn deltas(self) -> AnswerStream {
        AnswerStream {
            events: self.events,
            read: |data, calls| Ok(E::read(data)?.into_delta(calls)),
            calls: 0,
        }
    }
}

impl AnswerStream {
    /// The clock so far.
    pub fn clock(&self) -> &PhaseClock {
        self.events.clock()
    }

    /// How often the request was sent again because an idle connection turned out to be closed.
    pub fn resends(&self) -> u32 {
        self.events.resends
    }

    /// The next piece; `None` once the answer is whole, or after an error.
    pub async fn next(&mut self) -> Result<Option<Delta>, ApiError> {
        while let Some(data) = self.events.next().await? {
            let delta = (self.read)(&data, &mut self.calls);
            let delta = self.events.checked(delta)?;
            if !delta.is_empty() {
                return Ok(Some(delta));
            }
        }
        Ok(None)
    }

    /// What is known now: of a whole answer everything, of one that broke off what was seen.
    pub fn observed(&self) -> Observed {
        self.events.observed()
    }

    /// Reads what is left and puts it together.
    pub async fn finish(mut self) -> Result<Answer, ApiError> {
        let mut answer = Answer::default();
        while let Some(delta) = self.next().await? {
            answer.push(delta);
        }
        answer.finish_reason = self.observed().finish_reason;
        Ok(answer)
    }
}

/// A whole answer, put together from its pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Text of the answer.
    pub text: String,
    /// Text of the reasoning that came before it.
    pub reasoning: String,
    /// Tool calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended, if the endpoint says so.
    pub finish_reason: Option<FinishReason>,
}

impl Answer {
    /// Adds the next piece.
    pub fn push(&mut self, delta: Delta) {
        self.text.push_str(&delta.text);
        self.reasoning.push_str(&delta.reasoning);
        for piece in delta.tool_calls {
            ToolCall::assemble(&mut self.tool_calls, piece);
        }
    }
}

impl ToolCall {
    /// Adds a piece to the calls put together so far.
    pub fn assemble(calls: &mut Vec<Self>, piece: ToolCallDelta) {
        /// More calls than any model makes in one answer: a wild index must not allocate.
        const CALLS_AT_MOST: usize = 1024;
        if piece.index >= CALLS_AT_MOST {
            return;
        }
        if calls.len() <= piece.index {
            calls.resize_with(piece.index + 1, Self::default);
        }
        let call = &mut calls[piece.index];
        if let Some(id) = piece.id {
            call.id = id;
        }
        call.name.push_str(&piece.function.name.unwrap_or_default());
        call.arguments.push_str(&piece.function.arguments);
    }
}
