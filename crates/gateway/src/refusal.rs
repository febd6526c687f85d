//! What a client is told when its request is not passed on, in the form that its API has.

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};
use llamatelemetry_record::Failure;
use serde_json::{Value, json};
use std::time::Duration;

/// A request that is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The class of failure: the value of `error.type`.
    pub(crate) kind: &'static str,
    /// What a person reads.
    pub(crate) message: String,
    /// When it is worth asking again, if that is known.
    pub(crate) retry_after: Option<Duration>,
    /// How far the load is that is waited for.
    pub(crate) loading: Option<Box<Value>>,
}

/// Whose API a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI's, and llama-server's own.
    OpenAi,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// Anthropic's.
    Anthropic,
    /// Ollama's.
    Ollama,
}

impl Dialect {
    pub(crate) fn of_path(path: &str) -> Self {
        if path.starts_with("/v1/messages") {
            Self::Anthropic
        } else if path.starts_with("/v1/responses") || path.starts_with("/responses") {
            Self::Responses
        } else if path.starts_with("/api/") {
            Self::Ollama
        } else {
            Self::OpenAi
        }
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            retry_after: None,
            loading: None,
        }
    }

    /// The same as a record tells it.
    pub(crate) fn failure(&self) -> Failure {
        Failure {
            kind: self.kind.to_owned(),
            message: self.message.clone(),
        }
    }

    /// The answer that says so.
    pub(crate) fn respond(&self, dialect: Dialect) -> Response {
        let mut response = (self.status, Json(self.body(dialect))).into_response();
        if let Some(after) = self.retry_after {
            // Whole seconds, and never less than the wait.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn body(&self, dialect: Dialect) -> Value {
        match dialect {
            // llama-server's own form, which is also what OpenAI's clients read.
            Dialect::OpenAi | Dialect::Responses => {
                let mut error = json!({
                    "code": self.status.as_u16(),
                    "message": self.message,
                    "type": self.kind,
                });
                if let Some(loading) = &self.loading {
                    error["loading"] = (**loading).clone();
                }
                json!({ "error": error })
            }
            Dialect::Anthropic => json!({
                "type": "error",
                "error": { "type": anthropic_kind(self.status), "message": self.message },
            }),
            Dialect::Ollama => json!({ "error": self.message }),
        }
    }

    /// The event that ends a stream which cannot go on.
    pub(crate) fn event(&self, dialect: Dialect) -> Bytes {
        let body = self.body(dialect);
        let text = match dialect {
            Dialect::OpenAi => format!("data: {body}\n\n"),
            Dialect::Anthropic => format!("event: error\ndata: {body}\n\n"),
            // The API's own event says it flat; its clients look for `error`.
            Dialect::Responses => {
                let mut body = body;
                body["type"] = json!("error");
                body["code"] = json!(self.kind);
                body["message"] = json!(self.message);
                body["param"] = Value::Null;
                format!("event: error\ndata: {body}\n\n")
            }
            // A line of JSON is an event.
            Dialect::Ollama => format!("{body}\n"),
        };
        Bytes::from(text)
    }
}

/// The kinds of error that Anthropic's clients know.
fn anthropic_kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 | 405 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.respond(Dialect::OpenAi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal {
            retry_after: Some(Duration::from_millis(1_200)),
            ..Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable_error",
                "loading",
            )
        }
    }

    #[test]
    fn each_api_is_told_in_its_own_form() {
        let form = |path: &str| refusal().body(Dialect::of_path(path)).to_string();
        assert_eq!(
            form("/v1/chat/completions"),
            r#"{"error":{"code":503,"message":"loading","type":"unavailable_error"}}"#
        );
        assert_eq!(
            form("/v1/messages"),
            r#"{"type":"error","error":{"type":"overloaded_error","message":"loading"}}"#
        );
        assert_eq!(form("/api/chat"), r#"{"error":"loading"}"#);
    }

    #[test]
    fn a_client_that_may_try_again_is_told_when() {
        let response = refusal().respond(Dialect::OpenAi);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }

    #[test]
    fn a_stream_ends_with_an_event_of_its_api() {
        let event = |dialect| {
            let bytes = refusal().event(dialect);
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        assert_eq!(
            event(Dialect::Anthropic),
            "event: error\ndata: {\"type\":\"error\",\"error\":\
             {\"type\":\"overloaded_error\",\"message\":\"loading\"}}\n\n"
        );
        let responses = event(Dialect::Responses);
        assert!(responses.starts_with("event: error\ndata: {\"error\":{"));
        assert!(responses.contains(r#""type":"error","code":"unavailable_error""#));
        assert!(event(Dialect::OpenAi).starts_with("data: {\"error\":"));
    }
}
