//! What is sent to which endpoint.

use crate::manager::LiveServer;
use llamatelemetry_api::{
    AnswerStream, ApiError, ChatRequest, CompletionRequest, ContentPart, MessageContent,
};
use llamatelemetry_record::{Endpoint, Propagation};

/// What is sent.
pub(crate) enum Body {
    /// To `/completion`.
    Completion(CompletionRequest),
    /// To `/v1/chat/completions`.
    Chat(ChatRequest),
}

impl Body {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Completion(_) => Endpoint::NativeCompletion,
            Self::Chat(_) => Endpoint::ChatCompletions,
        }
    }

    /// Bytes of all text that the model is to read, its template aside.
    pub(crate) fn prompt_bytes(&self) -> u64 {
        let bytes: usize = match self {
            Self::Completion(body) => body.prompt.text_bytes(),
            Self::Chat(body) => body.messages.iter().map(|said| text(&said.content)).sum(),
        };
        bytes as u64
    }

    pub(crate) async fn send(
        &self,
        run: &LiveServer,
        trace: &Propagation,
    ) -> Result<AnswerStream, ApiError> {
        let client = run.client();
        match self {
            Self::Completion(body) => client.completion_stream(body, Some(trace)).await,
            Self::Chat(body) => client.chat_stream(body, Some(trace)).await,
        }
    }
}

fn text(content: &MessageContent) -> usize {
    match content {
        MessageContent::Text(text) => text.len(),
        MessageContent::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                ContentPart::Text { text } => text.len(),
                ContentPart::ImageUrl { .. } | ContentPart::InputAudio { .. } => 0,
            })
            .sum(),
    }
}
