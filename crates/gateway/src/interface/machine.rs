//! The machine as it was seen last, and the energy since the start.

use super::SCHEMA_VERSION;
use crate::Shared;
use axum::Json;
use axum::extract::State;
use llamatelemetry::EnergyTotals;
use llamatelemetry::machine::Sample;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub(super) struct MachineDocument {
    schema_version: u32,
    /// `None` until somebody has looked.
    sample: Option<Sample>,
    /// `None` where nothing measures energy.
    energy_joules: Option<EnergyTotals>,
}

pub(super) async fn machine(State(shared): State<Arc<Shared>>) -> Json<MachineDocument> {
    let telemetry = shared.telemetry.as_ref();
    let sample = telemetry.and_then(|telemetry| telemetry.machine());
    Json(MachineDocument {
        schema_version: SCHEMA_VERSION,
        sample: sample.map(|sample| (*sample).clone()),
        energy_joules: telemetry.and_then(|telemetry| telemetry.energy_totals()),
    })
}
