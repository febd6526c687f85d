//! The client for code without an async runtime. Each method is its async twin, waited for.

use crate::{
    Address, ApiError, ChatRequest, CompletionRequest, Delta, Health, ModelList, Props, Slot,
};
use bytes::Bytes;
use http::Method;
use llamatelemetry_record::{Observed, Propagation};
use llamatelemetry_settings::Secret;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// A client of one server. Must not be used from within an async runtime: waiting there would
/// stop it.
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    runtime: Arc<Runtime>,
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

    /// See [`crate::Client::health`].
    pub fn health(&self) -> Result<Health, ApiError> {
        self.runtime.block_on(self.client.health())
    }

    /// See [`crate::Client::props`].
    pub fn props(&self) -> Result<Props, ApiError> {
        self.runtime.block_on(self.client.props())
    }

    /// See [`crate::Client::models`].
    pub fn models(&self) -> Result<ModelList, ApiError> {
        self.runtime.block_on(self.client.models())
    }

    /// See [`crate::Client::slots`].
    pub fn slots(&self) -> Result<Vec<Slot>, ApiError> {
        self.runtime.block_on(self.client.slots())
    }

    /// See [`crate::Client::chat_stream`].
    pub fn chat_stream(
        &self,
        request: &ChatRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        let stream = self
            .runtime
            .block_on(self.client.chat_stream(request, trace))?;
        Ok(AnswerStream {
            stream,
            runtime: self.runtime.clone(),
        })
    }

    /// See [`crate::Client::completion_stream`].
    pub fn completion_stream(
        &self,
        request: &CompletionRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        let stream = self
            .runtime
            .block_on(self.client.completion_stream(request, trace))?;
        Ok(AnswerStream {
            stream,
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

/// An answer that streams in; see [`crate::AnswerStream`].
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
}

impl Iterator for AnswerStream {
    type Item = Result<Delta, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.stream.next()).transpose()
    }
}
