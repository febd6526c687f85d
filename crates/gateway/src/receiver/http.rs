//! OTLP over HTTP: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`.

use super::failure::Failure;
use super::intake::{Intake, Sent};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use http::{HeaderMap, StatusCode};
use llamatelemetry_store::Signal;
use llamatelemetry_telemetry::received::{self, Code, Compression, Encoding};
use std::sync::Arc;

pub(super) fn routes(intake: Arc<Intake>) -> Router {
    let take = |signal| {
        post(
            move |State(intake): State<Arc<Intake>>, request: Request| async move {
                answer(&intake, signal, request).await
            },
        )
    };
    Router::new()
        .route("/v1/traces", take(Signal::Traces))
        .route("/v1/metrics", take(Signal::Metrics))
        .route("/v1/logs", take(Signal::Logs))
        .with_state(intake)
}

async fn answer(intake: &Arc<Intake>, signal: Signal, request: Request) -> Response {
    let encoding = encoding(request.headers());
    match take(intake, signal, encoding, request).await {
        Ok(told) => respond(StatusCode::OK, told.0, told.1),
        Err(failure) => fail(encoding.unwrap_or(Encoding::Json), &failure),
    }
}

async fn take(
    intake: &Arc<Intake>,
    signal: Signal,
    encoding: Option<Encoding>,
    request: Request,
) -> Result<(Encoding, Vec<u8>), Failure> {
    let (head, body) = request.into_parts();
    let unsupported = |what| {
        Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::Unimplemented,
            what,
        )
    };
    let encoding = encoding.ok_or_else(|| {
        unsupported("content-type must be application/x-protobuf or application/json")
    })?;
    let compression = text(&head.headers, &CONTENT_ENCODING);
    let compression = Compression::named(compression)
        .ok_or_else(|| unsupported("content-encoding must be gzip, zstd or identity"))?;
    let length = text(&head.headers, &CONTENT_LENGTH).parse().ok();
    let gathered = intake.gather::<0>(body, length).await?;
    let sent = Sent { signal, encoding };
    let rejected = intake.store(sent, compression, gathered).await?;
    Ok((encoding, received::success(signal, encoding, &rejected)))
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let kind = text(headers, &CONTENT_TYPE);
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Encoding::Protobuf)
    } else if kind.eq_ignore_ascii_case("application/json") {
        Some(Encoding::Json)
    } else {
        None
    }
}

/// A header's text, empty where there is none.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let value = headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn fail(encoding: Encoding, failure: &Failure) -> Response {
    let Failure {
        status,
        code,
        message,
        retry,
    } = failure;
    let body = received::failure(encoding, *code, message, *retry);
    let mut response = respond(*status, encoding, body);
    let headers = response.headers_mut();
    if let Some(retry) = retry {
        headers.insert(RETRY_AFTER, retry.as_secs().max(1).into());
    }
    if *status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        headers.insert(
            ACCEPT_ENCODING,
            HeaderValue::from_static(Compression::NAMES),
        );
    }
    response
}

fn respond(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response {
    let kind = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
