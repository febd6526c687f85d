//! One model, loaded, ready to answer.

use crate::stream::{AnswerStream, Asked};
use crate::{Error, GenerateOptions, InferResult, LoadOptions, ServerManager};
use llamatelemetry_api::{ChatMessage, ChatRequest, CompletionRequest, ResponseFormat};
use llamatelemetry_record::{
    Content, Endpoint, Message, PhaseClock, Sink, SpanId, TraceContext, TraceId,
};
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
        let request = CompletionRequest {
            prompt: prompt.to_owned(),
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            top_k: options.top_k,
            seed: options.seed,
            stop: options.stop.clone(),
            json_schema: options.json_schema.clone(),
            extra: options.extra.clone(),
        };
        let content = || Content {
            input: vec![Message::text("user", prompt)],
            ..Content::default()
        };
        let asked = self
            .asked(Endpoint::NativeCompletion, options, content)
            .await?;
        let trace = asked.context();
        let answer = asked
            .live
            .client()
            .completion_stream(&request, Some(&trace))
            .await;
        asked.opened(answer).await
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
        let request = ChatRequest {
            messages: messages.to_vec(),
            model: None,
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            top_k: options.top_k,
            seed: options.seed,
            stop: options.stop.clone(),
            response_format: options.json_schema.as_ref().map(ResponseFormat::schema),
            tools: options.tools.clone(),
            extra: options.extra.clone(),
        };
        let content = || Content {
            input: messages.iter().map(ChatMessage::to_record).collect(),
            tool_definitions: options.tools.clone(),
            ..Content::default()
        };
        let asked = self
            .asked(Endpoint::ChatCompletions, options, content)
            .await?;
        let trace = asked.context();
        let answer = asked
            .live
            .client()
            .chat_stream(&request, Some(&trace))
            .await;
        asked.opened(answer).await
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

    async fn asked(
        &self,
        endpoint: Endpoint,
        options: &GenerateOptions,
        content: impl FnOnce() -> Content,
    ) -> Result<Asked, Error> {
        Ok(Asked {
            live: self.server.live().await?,
            clock: PhaseClock::start(),
            server: self.server.clone(),
            sink: self.sink.clone(),
            endpoint,
            trace_id: options
                .parent
                .map_or_else(TraceId::random, |parent| parent.trace_id),
            span_id: SpanId::random(),
            parent: options.parent,
            parameters: options.parameters(),
            conversation_id: options.conversation_id.clone(),
            content: self.capture_content.then(content),
            answered: false,
        })
    }
}

impl Asked {
    /// What the server is told of the trace: the request's own span is the parent of whatever it
    /// does.
    fn context(&self) -> TraceContext {
        TraceContext {
            trace_id: self.trace_id,
            span_id: self.span_id,
            sampled: self.parent.is_none_or(|parent| parent.sampled),
        }
    }
}

impl fmt::Debug for InferenceEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InferenceEngine")
            .field("model", &self.server.model().name)
            .finish_non_exhaustive()
    }
}
