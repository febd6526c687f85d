//! An answer as it streams in.

use crate::connection::{Connection, Pool};
use crate::{ApiError, ServerComplaint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use llamatelemetry_record::{Endpoint, Observed, PhaseClock, SseDecoder, StreamScanner};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ToolCallDelta {
    /// Which of the answer's calls this belongs to.
    #[serde(default)]
    pub index: usize,
    /// The call's id.
    pub id: Option<String>,
    /// Name and arguments.
    #[serde(default)]
    pub function: FunctionDelta,
}

/// The function of a [`ToolCallDelta`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct FunctionDelta {
    /// Its name.
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

/// An answer that streams in. Dropping it closes the connection; the server then frees the slot:
/// in decode at the next token, in prefill after the batch it works on.
#[derive(Debug)]
pub struct AnswerStream {
    endpoint: Endpoint,
    body: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
    decoder: SseDecoder,
    scanner: StreamScanner,
    ready: VecDeque<Delta>,
    done: bool,
    resends: u32,
}

impl AnswerStream {
    pub(crate) fn new(
        endpoint: Endpoint,
        scanner: StreamScanner,
        body: Incoming,
        connection: Connection,
        pool: Arc<Pool>,
        resends: u32,
    ) -> Self {
        Self {
            endpoint,
            body,
            connection: Some(connection),
            pool,
            decoder: SseDecoder::default(),
            scanner,
            ready: VecDeque::new(),
            done: false,
            resends,
        }
    }

    /// The clock so far.
    pub fn clock(&self) -> &PhaseClock {
        self.scanner.clock()
    }

    /// How often the request was sent again because an idle connection turned out to be closed.
    pub fn resends(&self) -> u32 {
        self.resends
    }

    /// The next piece; `None` once the answer is whole, or after an error.
    pub async fn next(&mut self) -> Result<Option<Delta>, ApiError> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Ok(Some(delta));
            }
            if self.done {
                return Ok(None);
            }
            if let Err(error) = self.read().await {
                self.done = true;
                // What follows a failure is worth nothing: the connection is closed, not kept.
                self.connection = None;
                return Err(error);
            }
        }
    }

    /// Reads one frame of the body.
    async fn read(&mut self) -> Result<(), ApiError> {
        let broken = |source| ApiError::Broken {
            path: self.endpoint.path().into(),
            source,
        };
        match self.body.frame().await {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(bytes) => self.take(bytes, Instant::now()),
                None => Ok(()),
            },
            Some(Err(source)) => Err(broken(Some(source))),
            None if !self.scanner.finished() => Err(broken(None)),
            None => {
                self.done = true;
                if let Some(connection) = self.connection.take() {
                    self.pool.keep(connection);
                }
                Ok(())
            }
        }
    }

    /// What is known now: of a whole answer everything, of one that broke off what was seen.
    pub fn observed(&self) -> Observed {
        self.scanner.clone().finish(Instant::now())
    }

    fn take(&mut self, bytes: &[u8], at: Instant) -> Result<(), ApiError> {
        let path = self.endpoint.path();
        let (scanner, ready) = (&mut self.scanner, &mut self.ready);
        let mut outcome = Ok(());
        let event = |data: &[u8]| {
            if outcome.is_ok() && data != b"[DONE]" {
                scanner.event(data, at);
                outcome = read_event(path, data).map(|delta| {
                    if !delta.is_empty() {
                        ready.push_back(delta);
                    }
                });
            }
        };
        self.decoder
            .push(bytes, event)
            .map_err(|source| ApiError::Stream {
                path: path.into(),
                source,
            })?;
        outcome
    }
}

/// The text of one event. Figures are the scanner's business.
fn read_event(path: &str, data: &[u8]) -> Result<Delta, ApiError> {
    let event: Event = serde_json::from_slice(data).map_err(|source| ApiError::Unexpected {
        path: path.into(),
        source,
    })?;
    if event.error.is_some() {
        let complaint = ServerComplaint::read(data);
        return Err(ApiError::Refused {
            path: path.into(),
            status: 200,
            complaint,
        });
    }
    let mut delta = Delta {
        text: event.content.unwrap_or_default(),
        ..Delta::default()
    };
    for choice in event.choices {
        delta
            .text
            .push_str(&choice.delta.content.unwrap_or_default());
        delta
            .reasoning
            .push_str(&choice.delta.reasoning_content.unwrap_or_default());
        delta
            .tool_calls
            .extend(choice.delta.tool_calls.unwrap_or_default());
    }
    Ok(delta)
}

/// An event of either dialect: chat's `choices`, or the native endpoint's flat fields.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    content: Option<String>,
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: ChoiceDelta,
}

#[derive(Default, Deserialize)]
struct ChoiceDelta {
    content: Option<String>,
    reasoning_content: Option<String>,
    tool_calls: Option<Vec<ToolCallDelta>>,
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
