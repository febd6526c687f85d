//! What is counted, as text for Prometheus.

use super::problem::Problem;
use crate::{Shared, proxy};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Request};
use llamatelemetry_telemetry::metrics::Format;
use std::sync::Arc;

/// Ours; with a `model` in the query that of its llama-server, as its router has it.
pub(super) async fn metrics(state: State<Arc<Shared>>, request: Request<Body>) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|part| part.starts_with("model=")) {
        return proxy::forward(state, request).await;
    }
    ours(state, request.headers().clone()).await
}

/// Our metrics.
pub(super) async fn ours(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let telemetry = shared.telemetry.as_ref();
    let Some(metrics) = telemetry.and_then(|telemetry| telemetry.metrics()) else {
        return Problem::unavailable("nothing is counted: telemetry is off").into_response();
    };
    let accept = headers.get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    (
        [(CONTENT_TYPE, format.content_type())],
        metrics.prometheus(format),
    )
        .into_response()
}
