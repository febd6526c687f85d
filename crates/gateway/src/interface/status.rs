//! What this server is, and what it holds.

use super::SCHEMA_VERSION;
use super::ask;
use super::problem::Problem;
use crate::Shared;
use axum::Json;
use axum::extract::State;
use llamatelemetry_store::Signal;
use llamatelemetry_telemetry::recorded::Recorded;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub(super) struct StatusDocument {
    schema_version: u32,
    version: &'static str,
    uptime_seconds: f64,
    models: Vec<Model>,
    live_requests: usize,
    /// Whether telemetry is kept here.
    store: bool,
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    state: &'static str,
    in_flight: usize,
    waiting: usize,
    memory_bytes: Option<u64>,
    pinned: bool,
    /// Until it is unloaded if nobody asks it.
    expires_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct StoreDocument {
    schema_version: u32,
    bytes: u64,
    spans: u64,
    points: u64,
    logs: u64,
    /// Files that cannot be read.
    damaged: usize,
}

pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<StatusDocument> {
    let models = shared.fleet.models().into_iter().map(|model| Model {
        state: model.state.name(),
        name: model.name,
        in_flight: model.in_flight,
        waiting: model.waiting,
        memory_bytes: model.memory_bytes,
        pinned: model.pinned,
        expires_seconds: model.expires_s,
    });
    Json(StatusDocument {
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: shared.started.elapsed().as_secs_f64(),
        models: models.collect(),
        live_requests: shared.feed.live().len(),
        store: shared.stored.is_some(),
    })
}

pub(super) async fn store(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<StoreDocument>, Problem> {
    let document = |store: &mut Recorded| StoreDocument {
        schema_version: SCHEMA_VERSION,
        bytes: store.bytes(),
        spans: store.rows(Signal::Traces),
        points: store.rows(Signal::Metrics),
        logs: store.rows(Signal::Logs),
        damaged: store.damaged().count(),
    };
    ask::store(&shared, move |store| Ok(Json(document(store)))).await
}
