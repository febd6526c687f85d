//! The models, as whoever asks at the socket sees them.

use super::ModelStatus;
use crate::Shared;
use crate::refusal::Refusal;
use http::StatusCode;

/// All models.
pub(super) fn all(shared: &Shared) -> Vec<ModelStatus> {
    let loads = shared.admission.loads();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let names = shared.fleet.names().into_iter();
    names
        .map(|name| {
            let load = loads.iter().find(|(model, _)| *model == name);
            let load = load.map(|(_, load)| load);
            ModelStatus {
                name,
                state: Some("ready".to_owned()),
                in_flight: load.map(|load| count(load.running)),
                waiting: load.map(|load| count(load.waiting)),
                slots: load.and_then(|load| load.slots).map(count),
                memory_bytes: None,
                pids: Vec::new(),
            }
        })
        .collect()
}

/// Lets a model go once its requests are done. The last one takes the gateway with it.
pub(super) fn unload(shared: &Shared, model: &str) -> Result<(), Refusal> {
    let names = shared.fleet.names();
    if !names.iter().any(|name| name == model) {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "not_found_error",
            format!("the model `{model}` is not served here"),
        ));
    }
    if names.len() > 1 {
        return Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            "not_supported_error",
            "one of several models cannot be stopped by itself",
        ));
    }
    shared.told.end.notify_one();
    Ok(())
}
