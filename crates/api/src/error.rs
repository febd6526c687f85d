//! How a call to a server can fail.

use crate::Address;
use llamatelemetry_record::SseError;
use serde::Deserialize;
use std::time::Duration;

/// What opens a quotation in a server's complaint.
const QUOTES: &[char] = &[':', '\'', '"', '`', '{', '[', '\n'];

/// How a call to a server can fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Nobody accepts connections there.
    #[error("cannot connect to llama-server at {address}")]
    Connect {
        /// Where it should listen.
        address: Address,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection to llama-server broke before the answer to {path} was whole")]
    Broken {
        /// The endpoint.
        path: String,
        /// How it broke, if the transport said.
        #[source]
        source: Option<hyper::Error>,
    },
    /// The server refused the request, or failed at it. Keeps what it said.
    #[error("llama-server answered {path} with {status}: {complaint}")]
    Refused {
        /// The endpoint.
        path: String,
        /// The HTTP status; 200 when the failure came as an event of a stream.
        status: u16,
        /// What the server said.
        complaint: ServerComplaint,
    },
    /// The answer is not what this endpoint returns.
    #[error("the answer of llama-server to {path} is not what that endpoint returns")]
    Unexpected {
        /// The endpoint.
        path: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The stream is not a stream of events.
    #[error("the answer of llama-server to {path} cannot be read")]
    Stream {
        /// The endpoint.
        path: String,
        /// What is wrong with it.
        #[source]
        source: SseError,
    },
    /// The answer did not come in time.
    #[error("llama-server did not answer {path} within {} s", limit.as_secs_f64())]
    TimedOut {
        /// The endpoint.
        path: String,
        /// The time it had.
        limit: Duration,
    },
    /// The request cannot be written as JSON.
    #[error("the request to {path} cannot be written as JSON")]
    Unsendable {
        /// The endpoint.
        path: String,
        /// What of it cannot be written.
        #[source]
        source: serde_json::Error,
    },
    /// The request cannot be put into HTTP.
    #[error("the request to {path} cannot be built")]
    Request {
        /// The endpoint.
        path: String,
        /// Why not.
        #[source]
        source: http::Error,
    },
    /// The client's own runtime could not start.
    #[error("cannot start the blocking client's runtime")]
    Runtime(#[source] std::io::Error),
}

impl ApiError {
    /// The class of the failure, low in cardinality: the value of `error.type` on spans.
    pub fn kind(&self) -> String {
        match self {
            Self::Connect { .. } => "connection_refused".into(),
            Self::Broken { .. } => "connection_broken".into(),
            Self::Refused {
                complaint, status, ..
            } => match &complaint.kind {
                Some(kind) => kind.clone(),
                None => status.to_string(),
            },
            Self::Unexpected { .. } | Self::Stream { .. } => "unexpected_response".into(),
            Self::TimedOut { .. } => "timeout".into(),
            Self::Request { .. } | Self::Unsendable { .. } => "invalid_request".into(),
            Self::Runtime(_) => "_OTHER".into(),
        }
    }

    /// What failed, without what the server quotes of the request or the answer: of its words
    /// only those before the first quotation or colon.
    pub fn summary(&self) -> String {
        let Self::Refused {
            path,
            status,
            complaint,
        } = self
        else {
            return self.to_string();
        };
        let words = complaint.message.split(QUOTES).next().unwrap_or_default();
        if words.trim().is_empty() {
            format!("llama-server answered {path} with {status}")
        } else {
            format!(
                "llama-server answered {path} with {status}: {}",
                words.trim()
            )
        }
    }

    /// Whether the server is gone, rather than unwilling.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken { .. })
    }
}

/// What a server says when it refuses: its words, and its body as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerComplaint {
    /// The kind, in the server's words: `invalid_request_error`.
    pub kind: Option<String>,
    /// What it says is wrong.
    pub message: String,
    /// The body as it came, as text.
    pub body: String,
}

impl ServerComplaint {
    /// Reads llama-server's error object, or keeps the body as the message.
    pub(crate) fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body).into_owned();
        match serde_json::from_slice::<Envelope>(body) {
            Ok(Envelope { error: Some(said) }) => Self {
                kind: said.kind,
                message: said.message,
                body: text,
            },
            _ => Self {
                kind: None,
                message: text.trim().to_owned(),
                body: text,
            },
        }
    }

    /// The complaint that an event of a stream may be: an object `error`, or the error itself.
    pub(crate) fn of_event(data: &[u8]) -> Option<Self> {
        // Few events are; the others are read only once.
        let mentions = |word: &[u8]| data.windows(word.len()).any(|window| window == word);
        if mentions(b"\"error\"") {
            match serde_json::from_slice(data) {
                Ok(Envelope { error: Some(_) }) => return Some(Self::read(data)),
                _ => return None,
            }
        }
        if !mentions(b"\"code\"") {
            return None;
        }
        let bare: Bare = serde_json::from_slice(data).ok()?;
        Some(Self {
            kind: bare.kind,
            message: bare.message,
            body: String::from_utf8_lossy(data).into_owned(),
        })
    }
}

impl std::fmt::Display for ServerComplaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() {
            f.write_str("no reason given")
        } else {
            f.write_str(&self.message)
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: Option<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: String,
}

/// An error as the Messages endpoint puts it into its stream.
#[derive(Deserialize)]
struct Bare {
    #[serde(rename = "code")]
    _code: u16,
    #[serde(rename = "type")]
    kind: Option<String>,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "llama-server answered /completion with 400";

    #[test]
    fn a_summary_quotes_nobody() {
        let summary = |message: &str| {
            let body = serde_json::json!({"error": {"message": message, "type": "t"}}).to_string();
            let error = ApiError::Refused {
                path: "/completion".into(),
                status: 400,
                complaint: ServerComplaint::read(body.as_bytes()),
            };
            error.summary()
        };
        let plain = "request (40 tokens) exceeds the available context size (32 tokens)";
        assert_eq!(summary(plain), format!("{REFUSED}: {plain}"));
        assert_eq!(
            summary("Failed to parse tools: canary; tools = [\"canary\"]"),
            format!("{REFUSED}: Failed to parse tools")
        );
        assert_eq!(summary("\"canary\" is no"), REFUSED);
        let raw = ApiError::Refused {
            path: "/completion".into(),
            status: 500,
            complaint: ServerComplaint::read(b"{\"odd\": \"canary\"}"),
        };
        assert!(!raw.summary().contains("canary"));
    }
}
