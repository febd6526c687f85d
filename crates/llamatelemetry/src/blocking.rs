//! The engine for code without an async runtime. Each method is its async twin, waited for.

use crate::error::Cause;
use crate::{ChatMessage, Delta, Error, GenerateOptions, InferResult, LoadOptions, ServerManager};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// One model, loaded; see [`crate::InferenceEngine`]. Must not be used from within an async
/// runtime: waiting there would stop it.
#[derive(Debug)]
pub struct InferenceEngine {
    engine: crate::InferenceEngine,
    runtime: Arc<Runtime>,
}

impl InferenceEngine {
    /// See [`crate::InferenceEngine::load_model`].
    pub fn load_model(name: &str, options: LoadOptions) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Cause::Executor)?;
        let loaded = runtime.block_on(crate::InferenceEngine::load_model(name, options));
        let engine = match loaded {
            Ok(engine) => engine,
            Err(error) => {
                // A plain drop would wait for a build or download that nobody needs any more.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        Ok(Self {
            engine,
            runtime: Arc::new(runtime),
        })
    }

    /// See [`crate::InferenceEngine::infer`].
    pub fn infer(&self, prompt: &str, options: &GenerateOptions) -> Result<InferResult, Error> {
        self.runtime.block_on(self.engine.infer(prompt, options))
    }

    /// See [`crate::InferenceEngine::stream`].
    pub fn stream(&self, prompt: &str, options: &GenerateOptions) -> Result<AnswerStream, Error> {
        let stream = self.runtime.block_on(self.engine.stream(prompt, options))?;
        Ok(AnswerStream {
            stream,
            runtime: self.runtime.clone(),
        })
    }

    /// See [`crate::InferenceEngine::chat`].
    pub fn chat(
        &self,
        messages: &[ChatMessage],
        options: &GenerateOptions,
    ) -> Result<InferResult, Error> {
        self.runtime.block_on(self.engine.chat(messages, options))
    }

    /// See [`crate::InferenceEngine::chat_stream`].
    pub fn chat_stream(
        &self,
        messages: &[ChatMessage],
        options: &GenerateOptions,
    ) -> Result<AnswerStream, Error> {
        let stream = self
            .runtime
            .block_on(self.engine.chat_stream(messages, options))?;
        Ok(AnswerStream {
            stream,
            runtime: self.runtime.clone(),
        })
    }

    /// The server behind the engine.
    pub fn server(&self) -> &Arc<ServerManager> {
        self.engine.server()
    }

    /// See [`crate::InferenceEngine::unload`].
    pub fn unload(self) {
        self.runtime.block_on(self.engine.unload());
    }
}

/// An answer on its way; see [`crate::AnswerStream`].
#[derive(Debug)]
pub struct AnswerStream {
    stream: crate::AnswerStream,
    runtime: Arc<Runtime>,
}

impl AnswerStream {
    /// See [`crate::AnswerStream::finish`].
    pub fn finish(self) -> Result<InferResult, Error> {
        self.runtime.block_on(self.stream.finish())
    }
}

impl Iterator for AnswerStream {
    type Item = Result<Delta, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.stream.next()).transpose()
    }
}
