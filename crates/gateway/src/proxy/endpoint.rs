//! Which of llama-server's endpoints a path is.

use crate::refusal::Dialect;
use http::Method;
use llamatelemetry_record::Endpoint;

/// Where a request goes, as far as the gateway cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// The endpoint whose requests leave records; `None` for all else.
    pub(crate) endpoint: Option<Endpoint>,
    /// How its clients want to be told no.
    pub(crate) dialect: Dialect,
}

impl Target {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        Self {
            endpoint: (method == Method::POST).then(|| endpoint(path)).flatten(),
            dialect: Dialect::of_path(path),
        }
    }
}

/// llama-server knows some endpoints by several names.
fn endpoint(path: &str) -> Option<Endpoint> {
    Some(match path {
        "/v1/chat/completions" | "/chat/completions" => Endpoint::ChatCompletions,
        "/v1/completions" => Endpoint::Completions,
        "/completion" | "/completions" => Endpoint::NativeCompletion,
        "/v1/responses" | "/responses" => Endpoint::Responses,
        "/v1/messages" => Endpoint::Messages,
        "/v1/embeddings" | "/embeddings" | "/embedding" => Endpoint::Embeddings,
        "/v1/rerank" | "/v1/reranking" | "/rerank" | "/reranking" => Endpoint::Rerank,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_own_path() {
        for endpoint in [
            Endpoint::ChatCompletions,
            Endpoint::Completions,
            Endpoint::NativeCompletion,
            Endpoint::Responses,
            Endpoint::Messages,
            Endpoint::Embeddings,
            Endpoint::Rerank,
        ] {
            let target = Target::of(&Method::POST, endpoint.path());
            assert_eq!(target.endpoint, Some(endpoint));
        }
        assert_eq!(
            Target::of(&Method::OPTIONS, "/v1/messages"),
            Target {
                endpoint: None,
                dialect: Dialect::Anthropic
            }
        );
        assert_eq!(Target::of(&Method::POST, "/tokenize").endpoint, None);
    }
}
