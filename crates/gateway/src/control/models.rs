//! The models, as whoever asks at the socket sees them.

use super::ModelStatus;
use crate::Shared;
use crate::fleet::ModelView;
use crate::refusal::Refusal;

/// All models.
pub(super) fn all(shared: &Shared) -> Vec<ModelStatus> {
    let loads = shared.admission.loads();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let models = shared.fleet.models().into_iter();
    models
        .map(|model: ModelView| {
            let load = loads.iter().find(|(name, _)| *name == model.name);
            let load = load.map(|(_, load)| load);
            ModelStatus {
                state: Some(model.state.name().to_owned()),
                in_flight: load.map(|load| count(load.running)),
                waiting: load.map(|load| count(load.waiting)),
                slots: load.and_then(|load| load.slots).map(count),
                memory_bytes: model.memory_bytes,
                pids: model.pids,
                name: model.name,
            }
        })
        .collect()
}

/// Lets a model go once its requests are done. The only one takes the gateway with it.
pub(super) fn unload(shared: &Shared, model: &str) -> Result<(), Refusal> {
    if shared.fleet.unload(model)? {
        shared.told.end.notify_one();
    }
    Ok(())
}
