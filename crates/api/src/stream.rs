//! Answers that stream in: events, as the endpoint sends them.

use crate::client::Client;
use crate::connection::{Connection, Pool};
use crate::{ApiError, ServerComplaint};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use llamatelemetry_record::{Delivery, Endpoint, Observed, PhaseClock, SseDecoder, StreamScanner};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One kind of event.
pub trait StreamEvent: Sized + Send + 'static {
    /// The endpoint whose answers consist of these, where they are a model's answers: then their
    /// figures are read as they pass by.
    const ENDPOINT: Option<Endpoint> = None;

    /// Reads the data of one event.
    fn read(data: &[u8]) -> Result<Self, serde_json::Error>;

    /// Whether the stream is whole once this has come; of a model's answers the figures tell. A
    /// stream that ends before it is whole is broken.
    fn is_last(&self) -> bool {
        false
    }
}

/// How an event that is one JSON document is read.
pub(crate) fn from_json<E: DeserializeOwned>(data: &[u8]) -> Result<E, serde_json::Error> {
    serde_json::from_slice(data)
}

/// An answer that streams in. Dropping it closes the connection; the server then frees the slot:
/// in decode at the next token, in prefill after the batch it works on. A stream of a
/// [conversation](Client::in_conversation) is worked on to its end instead, unless it is
/// [stopped](crate::Endpoints::stop_stream).
#[derive(Debug)]
pub struct EventStream<E> {
    pub(crate) events: Events,
    read: fn(&[u8]) -> Result<E, serde_json::Error>,
}

impl<E: StreamEvent> EventStream<E> {
    pub(crate) fn new(events: Events, read: fn(&[u8]) -> Result<E, serde_json::Error>) -> Self {
        Self { events, read }
    }

    /// The next event; `None` once the answer is whole, or after an error.
    pub async fn next(&mut self) -> Result<Option<E>, ApiError> {
        let Some(data) = self.events.next().await? else {
            return Ok(None);
        };
        let event = self.events.checked((self.read)(&data))?;
        self.events.whole |= event.is_last();
        Ok(Some(event))
    }

    /// Goes on after the connection broke or the client's limit was over, where it broke, and has
    /// as long again: for streams of a
    /// [conversation](Client::in_conversation), which the server keeps. No event is lost and none
    /// comes twice.
    pub async fn resume(&mut self, client: &Client, conversation: &str) -> Result<(), ApiError> {
        self.events.resume(client, conversation).await
    }
}

impl<E> EventStream<E> {
    /// The clock so far.
    pub fn clock(&self) -> &PhaseClock {
        self.events.clock()
    }

    /// What is known now: of a whole answer everything, of one that broke off what was seen, of
    /// what is no model's answer the time alone.
    pub fn observed(&self) -> Observed {
        self.events.observed()
    }

    /// How often the request was sent again because an idle connection turned out to be closed.
    pub fn resends(&self) -> u32 {
        self.events.resends
    }
}

/// The events of a body, undecoded.
#[derive(Debug)]
pub(crate) struct Events {
    path: String,
    body: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
    decoder: SseDecoder,
    watch: Watch,
    /// What came and was not handed on yet: events, or why there are no more.
    ready: VecDeque<Result<Vec<u8>, ServerComplaint>>,
    /// Bytes of the stream that came, with those that were not asked for.
    received: u64,
    done: bool,
    /// Whether the event came that makes the answer whole.
    whole: bool,
    pub(crate) resends: u32,
    until: Option<(Instant, Duration)>,
}

/// Who looks at the figures.
#[derive(Debug)]
pub(crate) enum Watch {
    /// A model's answer.
    Answer(Box<StreamScanner>),
    /// Anything else has a clock only.
    Clock(PhaseClock),
}

impl Watch {
    /// The response's headers came at this moment.
    pub(crate) fn new(
        endpoint: Option<Endpoint>,
        mut clock: PhaseClock,
        status: StatusCode,
        at: Instant,
    ) -> Self {
        let Some(endpoint) = endpoint else {
            clock.headers(at);
            return Self::Clock(clock);
        };
        let mut scanner = StreamScanner::new(endpoint, clock);
        scanner.headers(status.as_u16(), Delivery::Streamed, at);
        Self::Answer(Box::new(scanner))
    }
}

/// What a stream begins with.
pub(crate) struct Opened {
    pub(crate) path: String,
    pub(crate) body: Incoming,
    pub(crate) connection: Connection,
    pub(crate) pool: Arc<Pool>,
    pub(crate) watch: Watch,
    pub(crate) resends: u32,
    /// Until when it must be whole, and the time that was given.
    pub(crate) until: Option<(Instant, Duration)>,
}

impl Events {
    /// The events from this byte of the stream on.
    pub(crate) fn new(opened: Opened, from: u64) -> Self {
        Self {
            path: opened.path,
            body: opened.body,
            connection: Some(opened.connection),
            pool: opened.pool,
            decoder: SseDecoder::default(),
            watch: opened.watch,
            ready: VecDeque::new(),
            received: from,
            done: false,
            whole: false,
            resends: opened.resends,
            until: opened.until,
        }
    }

    pub(crate) fn clock(&self) -> &PhaseClock {
        match &self.watch {
            Watch::Answer(scanner) => scanner.clock(),
            Watch::Clock(clock) => clock,
        }
    }

    pub(crate) fn observed(&self) -> Observed {
        let scanner = match &self.watch {
            Watch::Answer(scanner) => StreamScanner::clone(scanner),
            // Without a body it does not matter whose answer it would be.
            Watch::Clock(clock) => StreamScanner::new(Endpoint::NativeCompletion, clock.clone()),
        };
        scanner.finish(Instant::now())
    }

    /// An event that was read; one that cannot be read ends the stream.
    pub(crate) fn checked<E>(
        &mut self,
        event: Result<E, serde_json::Error>,
    ) -> Result<E, ApiError> {
        event.map_err(|source| {
            let path = self.path.clone();
            self.failed(ApiError::Unexpected { path, source })
        })
    }

    /// The data of the next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        loop {
            match self.ready.pop_front() {
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(complaint)) => {
                    let (path, status) = (self.path.clone(), 200);
                    return Err(self.failed(ApiError::Refused {
                        path,
                        status,
                        complaint,
                    }));
                }
                None => {}
            }
            if self.done {
                return Ok(None);
            }
            let read = match self.until {
                None => self.read().await,
                Some((until, limit)) => {
                    let read = tokio::time::timeout_at(until.into(), self.read()).await;
                    read.unwrap_or_else(|_| {
                        let path = self.path.clone();
                        Err(ApiError::TimedOut { path, limit })
                    })
                }
            };
            if let Err(error) = read {
                return Err(self.failed(error));
            }
        }
    }

    /// What follows a failure is worth nothing: the connection is closed, not kept.
    pub(crate) fn failed(&mut self, error: ApiError) -> ApiError {
        self.done = true;
        self.ready.clear();
        self.connection = None;
        error
    }

    /// Reads one frame of the body.
    async fn read(&mut self) -> Result<(), ApiError> {
        let broken = |source| ApiError::Broken {
            path: self.path.clone(),
            source,
        };
        match self.body.frame().await {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(bytes) => self.take(bytes, Instant::now()),
                None => Ok(()),
            },
            Some(Err(source)) => Err(broken(Some(source))),
            None if !self.is_whole() => Err(broken(None)),
            None => {
                self.done = true;
                if let Some(connection) = self.connection.take() {
                    self.pool.keep(connection);
                }
                Ok(())
            }
        }
    }

    fn is_whole(&self) -> bool {
        match &self.watch {
            Watch::Answer(scanner) => scanner.finished(),
            Watch::Clock(_) => self.whole,
        }
    }

    fn take(&mut self, bytes: &[u8], at: Instant) -> Result<(), ApiError> {
        self.received += bytes.len() as u64;
        let (watch, ready) = (&mut self.watch, &mut self.ready);
        let event = |data: &[u8]| {
            if data == b"[DONE]" {
                return;
            }
            if let Watch::Answer(scanner) = &mut *watch {
                scanner.event(data, at);
            }
            ready.push_back(match ServerComplaint::of_event(data) {
                Some(complaint) => Err(complaint),
                None => Ok(data.to_vec()),
            });
        };
        self.decoder
            .push(bytes, event)
            .map_err(|source| ApiError::Stream {
                path: self.path.clone(),
                source,
            })
    }

    /// Goes on where the connection broke.
    async fn resume(&mut self, client: &Client, conversation: &str) -> Result<(), ApiError> {
        let opened = client.reopen(conversation, self.received).await?;
        self.body = opened.body;
        self.connection = Some(opened.connection);
        self.until = opened.until;
        self.done = false;
        Ok(())
    }
}
