//! What a client is told when its request is not passed on, in the form that its API has.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

/// A request that is not passed on.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The class of failure: the value of `error.type`.
    pub(crate) kind: &'static str,
    /// What a person reads.
    pub(crate) message: String,
}

impl IntoResponse for Refusal {
    /// llama-server's own form of an error, which is also what OpenAI's clients read.
    fn into_response(self) -> Response {
        let error = json!({
            "code": self.status.as_u16(),
            "message": self.message,
            "type": self.kind,
        });
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
