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
    let names = shared.fleet.names();
    let models = names.iter().map(|name| Model {
        name: (*name).to_string(),
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
