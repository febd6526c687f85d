//! The requests that run.

use super::SCHEMA_VERSION;
use crate::Shared;
use axum::Json;
use axum::extract::State;
use llamatelemetry_record::{LiveRequest, SpanId, TraceId};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug, Serialize)]
pub(super) struct LiveDocument {
    schema_version: u32,
    requests: Vec<Live>,
}

#[derive(Debug, Serialize)]
struct Live {
    trace_id: TraceId,
    span_id: SpanId,
    operation: &'static str,
    elapsed_seconds: f64,
    queue_seconds: Option<f64>,
    ttft_seconds: Option<f64>,
    slot: Option<u32>,
    deltas: u64,
    prompt_bytes: Option<u64>,
}

pub(super) async fn requests(State(shared): State<Arc<Shared>>) -> Json<LiveDocument> {
    let live = shared.feed.live();
    Json(LiveDocument {
        schema_version: SCHEMA_VERSION,
        requests: live.iter().map(|live| of(live)).collect(),
    })
}

fn of(live: &LiveRequest) -> Live {
    let progress = live.progress();
    let after =
        |at: Option<Instant>| at.map(|at| at.saturating_duration_since(live.sent).as_secs_f64());
    Live {
        trace_id: live.trace_id,
        span_id: live.span_id,
        operation: live.endpoint.operation().as_str(),
        elapsed_seconds: live.sent.elapsed().as_secs_f64(),
        queue_seconds: after(progress.slot_started),
        ttft_seconds: after(progress.first_delta),
        slot: progress.slot,
        deltas: progress.deltas,
        prompt_bytes: live.prompt_bytes,
    }
}
