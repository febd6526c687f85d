//! The client for code without an async runtime. Each call is its async twin, waited for.

use crate::call::{Call, StreamCall};
use crate::options::{CallOptions, options};
use crate::{Address, ApiError, ChatRequest, CompletionRequest, Delta, Endpoints, StreamEvent};
use bytes::Bytes;
use http::Method;
use llamatelemetry_record::{Observed, Propagation};
use llamatelemetry_settings::Secret;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// A client of one server. Must not be used from within an async runtime: waiting there would
/// stop it. Every endpoint is a method of [`Endpoints`].
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    runtime: Arc<Runtime>,
}

impl Endpoints for Client {
    type Answer<T: Send + 'static> = Result<T, ApiError>;
    type Stream<E: StreamEvent> = Result<EventStream<E>, ApiError>;

    fn run<T: Send + 'static>(&self, call: Call<T>) -> Result<T, ApiError> {
        self.runtime.block_on(self.client.run(call))
    }

    fn open<E: StreamEvent>(&self, call: StreamCall<E>) -> Result<EventStream<E>, ApiError> {
        let stream = self.runtime.block_on(self.client.open(call))?;
        Ok(EventStream {
            stream,
            runtime: self.runtime.clone(),
        })
    }
}

impl Client {
    /// A client of the server at this address. Nothing is sent yet.
    pub fn new(address: Address, key: Option<Secret>) -> Result<Self, ApiError> {
        // Connections are driven while a call waits, so the caller's own thread is enough.
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ApiError::Runtime)?;
        Ok(Self {
            client: crate::Client::new(address, key),
            runtime: Arc::new(runtime),
        })
    }

    options!();

    fn with(&self, set: impl FnOnce(&mut CallOptions)) -> Self {
        Self {
            client: self.client.with(set),
            runtime: self.runtime.clone(),
        }
    }

    /// See [`crate::Client::chat_stream`].
    pub fn chat_stream(
        &self,
        request: &ChatRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        let stream = self.client.chat_stream(request, trace);
        Ok(AnswerStream {
            stream: self.runtime.block_on(stream)?,
            runtime: self.runtime.clone(),
        })
    }

    /// See [`crate::Client::completion_stream`].
    pub fn completion_stream(
        &self,
        request: &CompletionRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        let stream = self.client.completion_stream(request, trace);
        Ok(AnswerStream {
            stream: self.runtime.block_on(stream)?,
            runtime: self.runtime.clone(),
        })
    }

    /// See [`crate::Client::get`].
    pub fn get(&self, path: &str) -> Result<Bytes, ApiError> {
        self.runtime.block_on(self.client.get(path))
    }

    /// See [`crate::Client::call`].
    pub fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<serde_json::Value, ApiError> {
        self.runtime.block_on(self.client.call(method, path, body))
    }
}

/// An answer that streams in; see [`crate::EventStream`].
#[derive(Debug)]
pub struct EventStream<E> {
    stream: crate::EventStream<E>,
    runtime: Arc<Runtime>,
}

impl<E: StreamEvent> EventStream<E> {
    /// See [`crate::EventStream::observed`].
    pub fn observed(&self) -> Observed {
        self.stream.observed()
    }

    /// See [`crate::EventStream::resume`].
    pub fn resume(&mut self, client: &Client, conversation: &str) -> Result<(), ApiError> {
        let resumed = self.stream.resume(&client.client, conversation);
        self.runtime.block_on(resumed)
    }
}

impl<E: crate::Answering> EventStream<E> {
    /// See [`crate::EventStream::deltas`].
    pub fn deltas(self) -> AnswerStream {
        AnswerStream {
            stream: self.stream.deltas(),
            runtime: self.runtime,
        }
    }
}

impl<E: StreamEvent> Iterator for EventStream<E> {
    type Item = Result<E, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.stream.next()).transpose()
    }
}

/// An answer's text, reasoning and tool calls as they stream in; see [`crate::AnswerStream`].
#[derive(Debug)]
pub struct AnswerStream {
    stream: crate::AnswerStream,
    runtime: Arc<Runtime>,
}

impl AnswerStream {
    /// See [`crate::AnswerStream::observed`].
    pub fn observed(&self) -> Observed {
        self.stream.observed()
    }

    /// See [`crate::AnswerStream::finish`].
    pub fn finish(self) -> Result<crate::Answer, ApiError> {
        self.runtime.block_on(self.stream.finish())
    }
}

impl Iterator for AnswerStream {
    type Item = Result<Delta, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.stream.next()).transpose()
    }
}
