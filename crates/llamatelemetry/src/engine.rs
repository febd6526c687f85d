//! One model, loaded, ready to answer.

use crate::body::Body;
use crate::request;
use crate::{
    AnswerStream, Error, GenerateOptions, InferResult, LoadOptions, ServerManager, ToolRun,
};
use llamatelemetry_api::{ChatMessage, ChatRequest, CompletionRequest, ResponseFormat, ToolCall};
use llamatelemetry_record::{Content, Message, Sink, TraceContext};
use std::fmt;
use std::sync::Arc;

/// One model, loaded in a server of its own. Dropping the engine stops the server once the last
/// of its streams is gone.
pub struct InferenceEngine {
    server: Arc<ServerManager>,
    sink: Arc<dyn Sink>,
    capture_content: bool,
}

impl InferenceEngine {
    /// Loads a model by any name that [`crate::models`] knows: a path, a catalogue name,
    /// `hf:owner/repo:quant`, a URL. Finds or builds llama.cpp first, if need be.
    pub async fn load_model(name: &str, options: LoadOptions) -> Result<Self, Error> {
        let server = ServerManager::start_server(name, &options).await?;
        Ok(Self {
            server: Arc::new(server),
            sink: options.sink,
            capture_content: options.settings.telemetry.captures_content(),
        })
    }

    /// An engine over a server that is shared with others. Records go to this sink, and hold what
    /// is said only if content is captured.
    pub fn over(server: Arc<ServerManager>, sink: Arc<dyn Sink>, capture_content: bool) -> Self {
        Self {
            server,
            sink,
            capture_content,
        }
    }

    /// Continues a prompt as it stands, through llama-server's `/completion`; the model's chat
    /// template is not applied.
    pub async fn infer(
        &self,
        prompt: &str,
        options: &GenerateOptions,
    ) -> Result<InferResult, Error> {
        self.stream(prompt, options).await?.finish().await
    }

    /// [`InferenceEngine::infer`], piece by piece.
    pub async fn stream(
        &self,
        prompt: &str,
        options: &GenerateOptions,
    ) -> Result<AnswerStream, Error> {
        let body = Body::Completion(CompletionRequest {
            prompt: prompt.into(),
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            top_k: options.top_k,
            seed: options.seed,
            stop: options.stop.clone(),
            json_schema: options.json_schema.clone(),
            extra: options.extra.clone(),
            ..CompletionRequest::default()
        });
        let content = || Content {
            input: vec![Message::text("user", prompt)],
            ..Content::default()
        };
        self.ask(&body, options, content).await
    }

    /// Answers messages through the model's chat template.
    pub async fn chat(
        &self,
        messages: &[ChatMessage],
        options: &GenerateOptions,
    ) -> Result<InferResult, Error> {
        self.chat_stream(messages, options).await?.finish().await
    }

    /// [`InferenceEngine::chat`], piece by piece.
    pub async fn chat_stream(
        &self,
        messages: &[ChatMessage],
        options: &GenerateOptions,
    ) -> Result<AnswerStream, Error> {
        let body = Body::Chat(ChatRequest {
            messages: messages.to_vec(),
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            top_k: options.top_k,
            seed: options.seed,
            stop: options.stop.clone(),
            response_format: options.json_schema.as_ref().map(ResponseFormat::schema),
            tools: options.tools.clone(),
            extra: options.extra.clone(),
            ..ChatRequest::default()
        });
        let content = || Content {
            input: messages.iter().map(ChatMessage::to_record).collect(),
            tool_definitions: options.tools.clone(),
            ..Content::default()
        };
        self.ask(&body, options, content).await
    }

    /// Begins the record of a tool's run: call it when the tool that `call` asks for is started.
    /// `cause` is the span of the answer that called it: [`InferResult::trace_context`].
    pub fn tool_run(&self, cause: TraceContext, call: &ToolCall) -> ToolRun {
        ToolRun::start(self.sink.clone(), cause, call, self.capture_content)
    }

    /// The server behind the engine.
    pub fn server(&self) -> &Arc<ServerManager> {
        &self.server
    }

    /// Stops the server and waits until it is gone. Streams that are still open keep it until
    /// they end.
    pub async fn unload(self) {
        if let Some(server) = Arc::into_inner(self.server) {
            server.stop_server().await;
        }
    }

    async fn ask(
        &self,
        body: &Body,
        options: &GenerateOptions,
        content: impl FnOnce() -> Content,
    ) -> Result<AnswerStream, Error> {
        let content = self.capture_content.then(content);
        request::ask(&self.server, self.sink.clone(), body, options, content).await
    }
}

impl fmt::Debug for InferenceEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InferenceEngine")
            .field("model", &self.server.model().name)
            .finish_non_exhaustive()
    }
}
