//! What is asked, apart from how it is sent: one description that both clients run.

use crate::ApiError;
use crate::routes::{Effect, Route};
use crate::stream::StreamEvent;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt::Write as _;

/// One question to a server and how its answer is read; [`Endpoints::run`](crate::Endpoints::run) asks it.
///
/// The methods of [`Endpoints`](crate::Endpoints) make these. One made by hand reaches what has no method.
#[derive(Debug)]
pub struct Call<T> {
    pub(crate) question: Result<Question, ApiError>,
    /// A status that is an answer though it tells of no success.
    pub(crate) also: Option<StatusCode>,
    pub(crate) read: fn(&Whole) -> Result<T, serde_json::Error>,
}

/// One question whose answer is a stream of events; [`Endpoints::open`](crate::Endpoints::open) asks it.
#[derive(Debug)]
pub struct StreamCall<E> {
    pub(crate) question: Result<Question, ApiError>,
    pub(crate) read: fn(&[u8]) -> Result<E, serde_json::Error>,
    /// Bytes of the stream that are not asked for.
    pub(crate) from: u64,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// The path, without what stands behind `?`.
    pub(crate) path: Cow<'static, str>,
    /// Names and values of what stands behind `?`, as they are, not encoded.
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    pub(crate) content_type: HeaderValue,
    pub(crate) effect: Effect,
}

/// A whole answer.
#[derive(Debug)]
pub struct Whole {
    /// Its status: a success, or the one other that the call takes for an answer.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Question {
    pub(crate) fn new(route: &'static Route) -> Self {
        Self {
            method: route.method.into(),
            path: route.path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            content_type: JSON,
            effect: route.effect,
        }
    }

    pub(crate) fn json(
        route: &'static Route,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Self, ApiError> {
        let mut question = Self::new(route);
        question.body = serde_json::to_vec(body)
            .map_err(|source| ApiError::Unsendable {
                path: route.path.into(),
                source,
            })?
            .into();
        Ok(question)
    }

    pub(crate) fn with_query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Path and query as they stand in the request line.
    pub(crate) fn target(&self) -> String {
        let mut target = self.path.to_string();
        for (at, (name, value)) in self.query.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            encode(value, &mut target);
        }
        target
    }

    /// Names the model that a server of several is to use, unless the question names one.
    pub(crate) fn name_model(&mut self, model: &str) {
        if self.method == Method::GET {
            self.query.push(("model", model.to_owned()));
            return;
        }
        // Put first: where the body names a model itself, that stands last and counts.
        if let Some(rest) = self.body.strip_prefix(b"{") {
            let name = serde_json::Value::from(model);
            let comma = if rest.starts_with(b"}") { "" } else { "," };
            let head = format!("{{\"model\":{name}{comma}");
            self.body = [head.as_bytes(), rest].concat().into();
        }
    }
}

impl<T: DeserializeOwned> Call<T> {
    /// Asks without a body; the answer is JSON.
    pub fn plain(route: &'static Route) -> Self {
        Self::of(Ok(Question::new(route)))
    }

    /// Asks with a body of JSON; the answer is JSON.
    pub fn json(route: &'static Route, body: &(impl Serialize + ?Sized)) -> Self {
        Self::of(Question::json(route, body))
    }

    /// Asks anything of any path; the answer is JSON. What cannot be known to be harmless counts
    /// as a change.
    pub fn of_path(method: Method, path: &str, body: Option<&serde_json::Value>) -> Self {
        let effect = if method == Method::GET {
            Effect::Reads
        } else {
            Effect::Changes
        };
        Self::of(Ok(Question {
            method,
            path: path.to_owned().into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: body.map(ToString::to_string).unwrap_or_default().into(),
            content_type: JSON,
            effect,
        }))
    }

    pub(crate) fn of(question: Result<Question, ApiError>) -> Self {
        Self {
            question,
            also: None,
            read: |answer| serde_json::from_slice(&answer.body),
        }
    }
}

impl<T> Call<T> {
    /// Reads the answer so instead.
    #[must_use]
    pub fn reading<U>(self, read: fn(&Whole) -> Result<U, serde_json::Error>) -> Call<U> {
        Call {
            question: self.question,
            also: self.also,
            read,
        }
    }

    /// Takes this status for an answer too.
    #[must_use]
    pub fn accepting(mut self, status: StatusCode) -> Self {
        self.also = Some(status);
        self
    }

    /// Adds `name=value` behind the path.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.question = self
            .question
            .map(|question| question.with_query(name, value));
        self
    }

    /// Does this to this slot.
    pub(crate) fn slot(mut self, slot: u32, action: &'static str) -> Self {
        if let Ok(question) = &mut self.question {
            question.path = format!("/slots/{slot}").into();
        }
        self.query("action", action)
    }
}

impl<E: StreamEvent> StreamCall<E> {
    /// Asks with a body of JSON to which `"stream": true` is added.
    pub fn json(route: &'static Route, body: &impl Serialize) -> Self {
        Self::of(Question::json(route, &Streamed { body, stream: true }))
    }

    /// Asks without a body.
    pub fn plain(route: &'static Route) -> Self {
        Self::of(Ok(Question::new(route)))
    }

    pub(crate) fn of(question: Result<Question, ApiError>) -> Self {
        Self {
            question,
            read: E::read,
            from: 0,
        }
    }

    /// Adds `name=value` behind the path.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.question = self
            .question
            .map(|question| question.with_query(name, value));
        self
    }

    /// Asks for a stream that the server keeps, from this byte of it on.
    pub(crate) fn from(self, byte: u64) -> Self {
        Self {
            from: byte,
            ..self.query("from", byte.to_string())
        }
    }
}

/// A request's body with `"stream": true` behind the caller's own fields.
#[derive(Serialize)]
struct Streamed<'a, T> {
    #[serde(flatten)]
    body: &'a T,
    stream: bool,
}

/// Adds a text to a query: what is not unreserved by RFC 3986 becomes `%XX`.
fn encode(text: &str, target: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            target.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            write!(target, "%{byte:02X}").unwrap_or_default();
        }
    }
}
