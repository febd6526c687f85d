//! Which of llama-server's endpoints a path is.

use super::spelling::decoded;
use crate::admission::Work;
use crate::refusal::Dialect;
use http::Method;
use llamatelemetry_record::Endpoint;

/// Where a request goes, as far as the gateway cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// The endpoint whose requests leave records; `None` for all else.
    pub(crate) endpoint: Option<Endpoint>,
    /// Whether it takes a slot.
    pub(crate) work: Work,
    /// How its clients want to be told no.
    pub(crate) dialect: Dialect,
}

impl Target {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let path = &*decoded(path);
        let endpoint = (method == Method::POST).then(|| endpoint(path)).flatten();
        let unrecorded = method == Method::POST && takes_slot_unrecorded(path);
        Self {
            endpoint,
            work: if endpoint.is_some() || unrecorded {
                Work::Slot
            } else {
                Work::Light
            },
            dialect: Dialect::of_path(path),
        }
    }
}

/// Whether requests there take a slot though they leave no record.
fn takes_slot_unrecorded(path: &str) -> bool {
    matches!(
        path,
        "/infill" | "/v1/audio/transcriptions" | "/audio/transcriptions" | "/v1/systemone"
    )
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
            assert_eq!((target.endpoint, target.work), (Some(endpoint), Work::Slot));
        }
        assert_eq!(
            Target::of(&Method::OPTIONS, "/v1/messages"),
            Target {
                endpoint: None,
                work: Work::Light,
                dialect: Dialect::Anthropic
            }
        );
    }

    #[test]
    fn a_path_is_what_the_server_takes_it_for() {
        for path in ["/v1/chat/completion%73", "/%u0076%31/chat%2fcompletions"] {
            let target = Target::of(&Method::POST, path);
            assert_eq!(target.endpoint, Some(Endpoint::ChatCompletions), "{path}");
            assert_eq!(target.work, Work::Slot, "{path}");
        }
    }

    #[test]
    fn what_generates_takes_a_slot_whether_recorded_or_not() {
        for (path, work) in [
            ("/infill", Work::Slot),
            ("/v1/audio/transcriptions", Work::Slot),
            ("/tokenize", Work::Light),
            ("/v1/messages/count_tokens", Work::Light),
        ] {
            let target = Target::of(&Method::POST, path);
            assert_eq!((target.endpoint, target.work), (None, work), "{path}");
        }
        assert_eq!(Target::of(&Method::GET, "/infill").work, Work::Light);
    }
}
