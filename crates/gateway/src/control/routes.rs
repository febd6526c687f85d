//! What is answered at the socket.

use super::{CHAT, RELOAD, STATUS, STOP, Status, chat, models};
use crate::refusal::Refusal;
use crate::{Shared, proxy};
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

/// Pictures and long texts make bodies as large as those of the door: `limit`, bytes.
pub(crate) fn routes(shared: Arc<Shared>, limit: u64) -> Router {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Router::new()
        .route(STATUS, get(status))
        .route(STOP, post(stop))
        .route(RELOAD, post(reload))
        .route(CHAT, post(chat::answer))
        .fallback(proxy::forward)
        .layer(DefaultBodyLimit::max(limit))
        .with_state(shared)
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        url: shared.told.url.clone(),
        started: shared.told.started,
        ends_s: None,
        models: models::all(&shared),
    })
}

#[derive(Debug, Default, Deserialize)]
struct Stop {
    /// None: all of them, and the gateway with them.
    model: Option<String>,
}

async fn stop(
    State(shared): State<Arc<Shared>>,
    Json(stop): Json<Stop>,
) -> Result<StatusCode, Refusal> {
    match stop.model {
        None => shared.told.end.notify_one(),
        Some(model) => models::unload(&shared, &model)?,
    }
    Ok(StatusCode::ACCEPTED)
}

async fn reload(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.told.reload.notify_one();
    StatusCode::ACCEPTED
}
