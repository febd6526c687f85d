//! Everything that is known of one model.

use crate::catalogue::CatalogueEntry;
use crate::header::gguf_error;
use crate::ledger::Ledger;
use crate::{LocalModel, ModelError, find, in_use};
use llamatelemetry_gguf::{ModelFacts, ModelKind, open_model};
use llamatelemetry_settings::Settings;
use serde::Serialize;

/// Everything that is known of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The model, if it is here.
    pub model: Option<LocalModel>,
    /// What the catalogue says of it, if it is one of its models.
    pub catalogue: Option<&'static CatalogueEntry>,
    /// What its file says, if it is here.
    pub facts: Option<ModelFacts>,
    /// Whether the llama.cpp that we build knows its architecture. Another build may know more.
    pub architecture_known: Option<bool>,
    /// When we last used it, in seconds since 1970.
    pub last_use: Option<u64>,
    /// Whether it may not be removed.
    pub pinned: bool,
    /// Whether some process uses it now.
    pub in_use: bool,
}

/// Everything that is known of the model of this name. Fetches nothing: a model of the catalogue
/// that is not here is shown by what the catalogue says.
pub fn show(name: &str, settings: &Settings) -> Result<ModelReport, ModelError> {
    let catalogue = CatalogueEntry::find(name.trim());
    let model = match find(name, settings) {
        Ok(model) => model,
        Err(ModelError::NotHere { .. }) if catalogue.is_some() => {
            return Ok(ModelReport {
                model: None,
                catalogue,
                facts: None,
                architecture_known: None,
                last_use: None,
                pinned: false,
                in_use: false,
            });
        }
        Err(error) => return Err(error),
    };
    let facts = open_model(&model.path)
        .and_then(|gguf| gguf.facts())
        .map_err(|error| gguf_error(&model.path, error))?;
    let entry = Ledger::read(&settings.home)?.entry(&model.path);
    Ok(ModelReport {
        catalogue: catalogue.or_else(|| CatalogueEntry::find(&model.name)),
        architecture_known: is_known(&facts),
        facts: Some(facts),
        last_use: entry.last_use,
        pinned: entry.pinned,
        in_use: in_use::is_used(&model.path),
        model: Some(model),
    })
}

/// The architectures that the llama.cpp we build can load.
const ARCHITECTURES: &str = include_str!("../data/architectures.txt");

/// Whether the architecture is known; `None` for a file that is not a model by itself.
fn is_known(facts: &ModelFacts) -> Option<bool> {
    match facts.kind {
        ModelKind::Generative | ModelKind::Embedding | ModelKind::Reranker | ModelKind::Other => {
            Some(
                ARCHITECTURES
                    .lines()
                    .any(|known| known == facts.architecture),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architectures_are_a_sorted_list() {
        let names: Vec<&str> = ARCHITECTURES
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert!(names.len() > 100);
        assert!(names.is_sorted());
        assert!(names.contains(&"llama") && names.contains(&"gemma3"));
    }
}
