//! Whether the server lives, and whether it takes requests.

use super::problem::Problem;
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

/// The word of the one server behind us, byte for byte; else the same in llama-server's form: a
/// probe loads no model.
pub(super) async fn health(state: State<Arc<Shared>>, request: Request<Body>) -> Response {
    let models = state.fleet.models();
    let asked = match models.as_slice() {
        [] => state.upstream.is_some(),
        [only] => only.state.name() == "ready",
        _ => false,
    };
    if asked {
        return proxy::forward(state, request).await;
    }
    if matches!(models.as_slice(), [only] if only.state.name() == "loading") {
        return Problem::unavailable("Loading model").into_response();
    }
    Json(json!({ "status": "ok" })).into_response()
}
