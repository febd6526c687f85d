//! Why a question gets no answer.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use llamatelemetry_store::StoreError;
use serde_json::json;

/// Why a question gets no answer; told in the form of llama-server's errors.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
}

impl Problem {
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: message.into(),
        }
    }

    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: message.into(),
        }
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: message.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // Which file it was stays in the log.
        tracing::warn!(%error, "the store cannot be read");
        Self::unavailable("the store cannot be read now")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = match self.status {
            StatusCode::BAD_REQUEST => "invalid_request_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            _ => "unavailable_error",
        };
        let error = json!({
            "code": self.status.as_u16(),
            "message": self.message,
            "type": kind,
        });
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}

/// What is below our prefix and is nothing.
pub(super) async fn unknown() -> Problem {
    Problem::not_found(
        "there is no such path; /llamatelemetry/openapi.json describes those that are",
    )
}
