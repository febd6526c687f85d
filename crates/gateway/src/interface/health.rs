//! Whether the server lives, and whether it takes requests.
//!
//! Probes ask often and without a key: they load nothing, keep nothing loaded and wait for nobody
//! who has ceased to answer.

use super::problem::Problem;
use crate::{Shared, proxy};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{HOST, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use llamatelemetry_api::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A server that says nothing in this time does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of its word on its health at most; llama-server needs 90.
const LONGEST_WORD: usize = 16 << 10;

/// The process lives and answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Requests are taken: no longer once the gateway is to end.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.draining.load(Ordering::Acquire) {
        return Problem::unavailable("it finishes what runs and ends").into_response();
    }
    Json(json!({ "status": "ok", "models": shared.fleet.names() })).into_response()
}

/// The word of the one server behind us, byte for byte, where it runs; else the same in
/// llama-server's form. A model that is not loaded is no fault: it loads when it is asked for.
pub(super) async fn health(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
) -> Response {
    let models = shared.fleet.models();
    let mut question = Request::new(Full::default());
    // `GET` or `HEAD`: llama-server's heads differ.
    *question.method_mut() = method;
    if let Some(path) = uri.path_and_query() {
        *question.uri_mut() = path.path().parse().unwrap_or_default();
    }
    let headers = question.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    let client = match models.as_slice() {
        [] => shared.upstream.as_ref().map(|upstream| {
            upstream.address(&mut question);
            upstream.client().clone()
        }),
        [only] => match (only.state.name(), shared.fleet.only_run()) {
            ("ready", Some(run)) => Some(run.client().clone()),
            // It ended and is being started again.
            ("ready", None) | ("loading", _) => {
                return Problem::unavailable("Loading model").into_response();
            }
            ("failed", _) => return Problem::unavailable("the model did not load").into_response(),
            _ => None,
        },
        _ => None,
    };
    let Some(client) = client else {
        return Json(json!({ "status": "ok" })).into_response();
    };
    let word = tokio::time::timeout(PATIENCE, word(&client, question)).await;
    word.ok()
        .flatten()
        .unwrap_or_else(|| Problem::unavailable("llama-server does not answer").into_response())
}

/// What a server says of its health; `None` where it breaks off.
async fn word(client: &Client, mut question: Request<Full<bytes::Bytes>>) -> Option<Response> {
    client.authorize(question.headers_mut());
    let sent = client.pool().send(question).await.ok()?;
    let (mut head, body) = sent.response.into_parts();
    proxy::to_client(&mut head.headers);
    let body = Limited::new(body, LONGEST_WORD).collect().await.ok()?;
    client.pool().keep(sent.connection);
    Some(Response::from_parts(head, Body::from(body.to_bytes())))
}
