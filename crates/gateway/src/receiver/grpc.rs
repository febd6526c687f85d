//! OTLP over gRPC: the three `Export` methods, each one message in and one out.
//!
//! gRPC on HTTP/2 is a head of five bytes before each message and a status behind the last; that
//! is all that is needed here, and a message goes into the store as it came, not decoded and
//! encoded again by a framework.

use super::failure::Failure;
use super::intake::{Intake, Sent};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use llamatelemetry_store::Signal;
use llamatelemetry_telemetry::received::{self, Code, Compression, Encoding};
use std::fmt::Write as _;
use std::future::ready;
use std::sync::Arc;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const KIND: HeaderValue = HeaderValue::from_static("application/grpc");

/// Bytes before a message: whether it is packed, and its length.
const HEAD: usize = 5;

pub(super) fn routes(intake: Arc<Intake>) -> Router {
    let take = |signal| {
        post(
            move |State(intake): State<Arc<Intake>>, request: Request| async move {
                answer(&intake, signal, request).await
            },
        )
    };
    let path = |package: &str, service: &str| {
        format!("/opentelemetry.proto.collector.{package}.v1.{service}/Export")
    };
    Router::new()
        .route(&path("trace", "TraceService"), take(Signal::Traces))
        .route(&path("metrics", "MetricsService"), take(Signal::Metrics))
        .route(&path("logs", "LogsService"), take(Signal::Logs))
        .fallback(|| async { fail(&unimplemented("there is no such method")) })
        .with_state(intake)
}

fn unimplemented(message: &str) -> Failure {
    Failure::new(StatusCode::OK, Code::Unimplemented, message)
}

async fn answer(intake: &Arc<Intake>, signal: Signal, request: Request) -> Response {
    let kind = request.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(KIND.as_bytes())) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    match take(intake, signal, request).await {
        Ok(message) => succeed(&message),
        Err(failure) => fail(&failure),
    }
}

async fn take(intake: &Arc<Intake>, signal: Signal, request: Request) -> Result<Vec<u8>, Failure> {
    let (head, body) = request.into_parts();
    let gathered = intake.gather::<HEAD>(body, None).await?;
    let [packed, length @ ..] = gathered.head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > intake.limit() {
        return Err(Failure::too_large(intake.limit()));
    }
    if length != gathered.bytes.len() {
        return Err(Failure::malformed("the body is not one message"));
    }
    let compression = match packed {
        0 => Compression::Identity,
        1 => {
            let name = head.headers.get(ENCODING);
            let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
            Compression::named(name)
                .filter(|compression| *compression != Compression::Identity)
                .ok_or_else(|| unimplemented("grpc-encoding must be gzip, zstd or identity"))?
        }
        _ => return Err(Failure::malformed("the message is neither packed nor not")),
    };
    let sent = Sent {
        signal,
        encoding: Encoding::Protobuf,
    };
    let rejected = intake.store(sent, compression, gathered).await?;
    Ok(received::success(signal, Encoding::Protobuf, &rejected))
}

fn succeed(message: &[u8]) -> Response {
    let mut framed = Vec::with_capacity(HEAD + message.len());
    framed.push(0);
    // An answer of ours is a hundred bytes.
    framed.extend(
        u32::try_from(message.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(framed)).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, KIND);
    response
}

/// A status without a message, all of it in the head.
fn fail(failure: &Failure) -> Response {
    let Failure {
        code,
        message,
        retry,
        ..
    } = failure;
    let details = received::failure(Encoding::Protobuf, *code, message, *retry);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, KIND);
    headers.insert(STATUS, (*code as u16).into());
    let texts = [
        (MESSAGE, percent_encoded(message)),
        (DETAILS, STANDARD_NO_PAD.encode(details)),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
    if *code == Code::Unimplemented {
        headers.insert(
            ACCEPT_ENCODING,
            HeaderValue::from_static(Compression::NAMES),
        );
    }
    response
}

/// As gRPC wants its messages: everything but printable ASCII, and `%`, as its bytes.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            all.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(all, "%{byte:02X}").ok();
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_ascii() {
        assert_eq!(percent_encoded("100 % für\n"), "100 %25 f%C3%BCr%0A");
    }
}
