//! Whether the server lives, and whether it takes requests.

use crate::{Shared, proxy};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Request;
use serde_json::{Value, json};
use std::sync::Arc;

/// The process lives and answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Requests are taken: the door is open only while that is so.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "status": "ok", "models": shared.fleet.names() }))
}

/// The word of the server behind us where there is one; the same form where none is.
pub(super) async fn health(state: State<Arc<Shared>>, request: Request<Body>) -> Response {
    if state.fleet.names().is_empty() && state.upstream.is_none() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    proxy::forward(state, request).await
}
