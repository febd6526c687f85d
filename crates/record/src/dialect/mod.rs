//! What each endpoint's answers say, read from one event or one whole body at a time.
//!
//! Only the fields that figures need are read; text is looked at, not copied. A document that is
//! not what the endpoint sends tells nothing and is no error: the bytes belong to somebody else.

mod anthropic;
mod native;
mod openai;
mod responses;

use crate::{Endpoint, Failure, FinishReason, ServerTimings, Usage};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// What an answer has said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gathered {
    pub(crate) usage: Usage,
    pub(crate) timings: Option<ServerTimings>,
    pub(crate) finish_reason: Option<FinishReason>,
    pub(crate) response_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) slot: Option<u32>,
    pub(crate) error: Option<Failure>,
    /// The answer holds several generations, whose times overlap.
    pub(crate) several: bool,
}

/// What one event means for the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Nothing.
    Nothing,
    /// It carries text, reasoning or part of a tool call.
    Delta,
    /// It says that the generation ended.
    Finish,
    /// It says that the request failed.
    Error,
}

/// Reads one event's data.
pub(crate) fn event(endpoint: Endpoint, data: &[u8], gathered: &mut Gathered) -> Sign {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions => openai::event(data, gathered),
        Endpoint::NativeCompletion => native::event(data, gathered),
        Endpoint::Responses => responses::event(data, gathered),
        Endpoint::Messages => anthropic::event(data, gathered),
        Endpoint::Embeddings | Endpoint::Rerank => Sign::Nothing,
    }
}

/// Reads a whole body of a successful answer. Returns whether it was one.
pub(crate) fn body(endpoint: Endpoint, data: &[u8], gathered: &mut Gathered) -> bool {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Rerank => openai::body(data, gathered),
        Endpoint::NativeCompletion => native::body(data, gathered),
        Endpoint::Responses => responses::body(data, gathered),
        Endpoint::Messages => anthropic::body(data, gathered),
    }
}

/// Reads the body of an answer whose status says that the request failed.
pub(crate) fn failure(status: u16, data: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        error: ErrorBody<'a>,
    }
    let kind = || status.to_string();
    match serde_json::from_slice::<Body<'_>>(data) {
        Ok(body) => body.error.into_failure(kind),
        Err(_) => Failure {
            kind: kind(),
            message: format!("the server answered with status {status}"),
        },
    }
}

/// llama-server's error object, `{"code", "message", "type"}`. Other servers write a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorBody<'a> {
    Object {
        #[serde(borrow, default)]
        message: Option<Text<'a>>,
        #[serde(borrow, default, rename = "type")]
        kind: Option<Text<'a>>,
    },
    Text(#[serde(borrow)] Text<'a>),
}

impl ErrorBody<'_> {
    fn into_failure(self, kind_otherwise: impl FnOnce() -> String) -> Failure {
        let (kind, message) = match self {
            Self::Object { message, kind } => (kind, message),
            Self::Text(message) => (None, Some(message)),
        };
        Failure {
            kind: kind.map_or_else(kind_otherwise, Text::into_string),
            message: message.map(Text::into_string).unwrap_or_default(),
        }
    }
}

/// A string, borrowed from the document unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }

    fn into_string(self) -> String {
        self.0.into_owned()
    }
}

/// Keeps the first value: ids and names repeat in every event.
fn keep_first(kept: &mut Option<String>, text: Option<Text<'_>>) {
    if kept.is_none() {
        *kept = text.map(Text::into_string).filter(|text| !text.is_empty());
    }
}

/// Whether a value of any type holds something: a text or list that is not empty, a number, an
/// object with fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Filled(bool);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilledVisitor)
    }
}

struct FilledVisitor;

impl<'de> Visitor<'de> for FilledVisitor {
    type Value = Filled;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Filled, E> {
        Ok(Filled(!text.is_empty()))
    }

    fn visit_unit<E>(self) -> Result<Filled, E> {
        Ok(Filled(false))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Filled, E> {
        Ok(Filled(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Filled, E> {
        Ok(Filled(true))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Filled, E> {
        Ok(Filled(true))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Filled, E> {
        Ok(Filled(true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Filled, A::Error> {
        let mut any = false;
        while let Some(Filled(filled)) = seq.next_element()? {
            any |= filled;
        }
        Ok(Filled(any))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filled, A::Error> {
        let mut any = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(Filled(any))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_something_is_filled() {
        for empty in [r#""""#, "null", "[]", "{}", r#"[""]"#, "[null,[]]"] {
            assert_eq!(
                serde_json::from_str::<Filled>(empty).unwrap(),
                Filled(false),
                "{empty}"
            );
        }
        for full in [r#"" ""#, r#""\u00e9""#, "[{\"index\":0}]", "0", r#"["a"]"#] {
            assert_eq!(
                serde_json::from_str::<Filled>(full).unwrap(),
                Filled(true),
                "{full}"
            );
        }
    }

    #[test]
    fn a_failed_answer_is_classified() {
        let body = br#"{"error":{"code":400,"message":"too \"long\"","type":"exceed_context_size_error","n_ctx":8}}"#;
        let failed = failure(400, body);
        assert_eq!(failed.kind, "exceed_context_size_error");
        assert_eq!(failed.message, "too \"long\"");
        assert_eq!(failure(502, b"<html>").kind, "502");
        assert_eq!(failure(500, br#"{"error":"out"}"#).message, "out");
    }
}
