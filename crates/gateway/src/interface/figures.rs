//! What requests cost: by model and operation, over a range of time and by steps of it.

use super::SCHEMA_VERSION;
use super::ask;
use super::problem::Problem;
use crate::Shared;
use axum::Json;
use axum::extract::State;
use http::Uri;
use llamatelemetry_telemetry::recorded::{self, Figures, Step};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Steps of all models together in one answer.
const MOST_STEPS: usize = 20_000;
const MINUTE: u64 = 60_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    since_ms: Option<u64>,
    until_ms: Option<u64>,
    step_minutes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct FiguresDocument {
    schema_version: u32,
    figures: Vec<Figures>,
    steps: Vec<Step>,
}

pub(super) async fn figures(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<FiguresDocument>, Problem> {
    let Wanted {
        since_ms,
        until_ms,
        step_minutes,
    } = ask::parameters(&uri)?;
    let step = step_minutes.unwrap_or(1);
    if step == 0 {
        return Err(Problem::wrong("step_minutes must be 1 or more"));
    }
    // Sums are kept by the minute: a minute that is begun counts whole.
    let minutes =
        ask::within(since_ms, until_ms)?.map(|time| time.start / MINUTE..time.end.div_ceil(MINUTE));
    ask::store(&shared, move |store| {
        let rollups = store.rollups(minutes.as_ref())?;
        let steps = recorded::figures_by_step(&rollups, step);
        if steps.len() > MOST_STEPS {
            let message = "so many steps do not fit one answer: ask for less time or longer steps";
            return Err(Problem::wrong(message));
        }
        Ok(Json(FiguresDocument {
            schema_version: SCHEMA_VERSION,
            figures: recorded::figures(&store.totals(minutes.as_ref())?),
            steps,
        }))
    })
    .await
}
