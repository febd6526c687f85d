//! What of a message's headers belongs to one connection, and what is ours to add.

use crate::ordered;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use llamatelemetry::Exchange;
use llamatelemetry_record::{Delivery, Incoming, TraceContext, TraceId};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request is called by whoever asks about it later.
#[derive(Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The client's own, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let own = headers.get(X_REQUEST_ID).cloned();
        // Hexadecimal digits always make a header.
        let new = || HeaderValue::from_str(&TraceId::random().to_string());
        Self(
            own.map_or_else(new, Ok)
                .unwrap_or(HeaderValue::from_static("-")),
        )
    }

    pub(crate) fn name(self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.0);
    }
}

/// The headers of a request as the server gets them, in their order.
pub(crate) fn to_server(headers: HeaderMap, exchange: Option<&Exchange>) -> HeaderMap {
    let trailers = takes_trailers(&headers);
    let traced = exchange.is_some();
    let orphan = traced && incoming(&headers).parent.is_none();
    let mut kept = without(headers, |name| {
        // The client's keys are for us.
        name == header::AUTHORIZATION
            || name == X_API_KEY
            || name == header::PROXY_AUTHORIZATION
            // The body is whole by now.
            || name == header::EXPECT
            || name == header::TRAILER
            || (traced && name == TRACEPARENT)
            || (orphan && name == TRACESTATE)
    });
    if trailers {
        kept.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    // The request's own span is the parent of what the server does for it.
    if let Some(exchange) = exchange {
        trace(&mut kept, exchange.context());
    }
    kept
}

/// Tells the request's own span.
pub(crate) fn trace(headers: &mut HeaderMap, span: TraceContext) {
    if let Ok(span) = HeaderValue::from_str(&span.to_string()) {
        headers.insert(TRACEPARENT, span);
    }
}

/// Makes the headers of an answer those that the client gets, in their order.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    *headers = without(std::mem::take(headers), |_| false);
}

/// All but those that belong to one connection, and these.
fn without(headers: HeaderMap, more: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let of_connection = named_by_connection(&headers);
    ordered::without(headers, |name| {
        is_of_connection(name) || of_connection.contains(name) || more(name)
    })
}

/// The headers that `Connection` says to be of this connection only, beside those that always are.
/// It cannot take away what a message is not understood without.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).into_iter();
    let names = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    names
        .map(str::trim)
        // An option, not a header; nothing is allocated for the usual ones.
        .filter(|name| !name.eq_ignore_ascii_case("close"))
        .filter_map(|name| name.parse::<HeaderName>().ok())
        .filter(|name| !is_of_connection(name) && !is_of_message(name))
        .collect()
}

/// Whether a message is not understood without a header.
fn is_of_message(name: &HeaderName) -> bool {
    name == header::HOST || name.as_str().starts_with("content-")
}

/// Whether a header speaks of one connection, not of the message.
fn is_of_connection(name: &HeaderName) -> bool {
    name == header::CONNECTION
        || name == KEEP_ALIVE
        || name == PROXY_CONNECTION
        || name == header::TE
        || name == header::TRANSFER_ENCODING
        || name == header::UPGRADE
}

/// What a request tells of its caller's trace.
pub(crate) fn incoming(headers: &HeaderMap) -> Incoming {
    let text = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    Incoming::read(text)
}

/// Whether the client reads what follows a body.
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TE).iter();
    let mut codings = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    codings.any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Whether an answer is a stream of events.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    delivery(headers) == Delivery::Streamed
}

/// How an answer is delivered.
pub(crate) fn delivery(headers: &HeaderMap) -> Delivery {
    let kind = headers.get(header::CONTENT_TYPE);
    Delivery::of_content_type(kind.and_then(|kind| kind.to_str().ok()))
}

/// The length that a message states.
pub(crate) fn length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_static(value));
        }
        to_client(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn all_that_connection_names_stays_on_its_connection() {
        let lines = [
            ("connection", "close, X-One"),
            ("host", "here"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("connection", "x-two,keep-alive , X-Three, x-four"),
            ("x-four", "4"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("x-last", "5"),
        ];
        assert_eq!(kept(&lines), ["host", "x-last"]);
    }

    #[test]
    fn connection_takes_nothing_that_a_message_needs() {
        let lines = [
            (
                "connection",
                "host, content-type, content-length, content-encoding",
            ),
            ("host", "here"),
            ("content-type", "text/plain"),
            ("content-length", "1"),
            ("content-encoding", "gzip"),
        ];
        let needed = ["host", "content-type", "content-length", "content-encoding"];
        assert_eq!(kept(&lines), needed);
    }
}
