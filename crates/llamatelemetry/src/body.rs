//! What is sent to which endpoint.

use crate::manager::LiveServer;
use llamatelemetry_api::{AnswerStream, ApiError, ChatRequest, CompletionRequest};
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
