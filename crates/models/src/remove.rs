//! Removing and pinning models.

use crate::hub::RepoCache;
use crate::in_use::Idle;
use crate::ledger::{self, Ledger};
use crate::store::Origin;
use crate::{LocalModel, ModelError, ModelSource, find};
use llamatelemetry_settings::Settings;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Whether files that other programs share are removed too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Only our own.
    No,
    /// Those in the hub's cache too.
    Yes,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The model.
    pub name: String,
    /// The files that are gone.
    pub files: Vec<PathBuf>,
    /// Bytes that are free again.
    pub bytes: u64,
}

/// Removes a model from this machine. Refused for one that is pinned, that somebody uses, or that
/// belongs to another program.
pub fn remove(name: &str, settings: &Settings, force: Force) -> Result<Removed, ModelError> {
    let model = find(name, settings)?;
    let owner = owner(&model, settings);
    if let Some((owner, force_helps)) = owner
        && !(force_helps && force == Force::Yes)
    {
        return Err(ModelError::NotOurs {
            owner,
            path: model.path,
            force_helps,
        });
    }
    if Ledger::read(&settings.home)?.entry(&model.path).pinned {
        return Err(ModelError::Pinned { path: model.path });
    }
    take_away(&model, settings)
}

/// Keeps a model from being removed or pruned.
pub fn pin(name: &str, settings: &Settings) -> Result<LocalModel, ModelError> {
    set_pin(name, settings, true)
}

/// Lets a model be removed and pruned again.
pub fn unpin(name: &str, settings: &Settings) -> Result<LocalModel, ModelError> {
    set_pin(name, settings, false)
}

fn set_pin(name: &str, settings: &Settings, pinned: bool) -> Result<LocalModel, ModelError> {
    let model = find(name, settings)?;
    Ledger::change(&settings.home, |ledger| {
        ledger.entry_mut(&model.path).pinned = pinned;
    })?;
    Ok(model)
}

/// Whether a file lies in our home: truly, not only by its name.
pub(crate) fn is_ours(path: &Path, settings: &Settings) -> bool {
    match (
        std::fs::canonicalize(path),
        std::fs::canonicalize(settings.home.models()),
    ) {
        (Ok(path), Ok(models)) => path.starts_with(models),
        _ => false,
    }
}

/// Who else a model belongs to, and whether it may be removed by force.
fn owner(model: &LocalModel, settings: &Settings) -> Option<(&'static str, bool)> {
    if is_ours(&model.path, settings) {
        return None;
    }
    Some(match model.source {
        ModelSource::Hub { .. } => ("the hub's cache", true),
        ModelSource::Ollama { .. } => ("Ollama", false),
        ModelSource::LmStudio => ("LM Studio", false),
        _ => ("you", false),
    })
}

/// Removes the files of a model that is ours or in the hub's cache, if nobody uses it.
pub(crate) fn take_away(model: &LocalModel, settings: &Settings) -> Result<Removed, ModelError> {
    let files: Vec<PathBuf> = model
        .shards
        .iter()
        .chain(&model.projector)
        .cloned()
        .collect();
    let _idle = Idle::take(&files)?;
    let key = ledger::key(&model.path);
    let removed = if let ModelSource::Hub { repo, .. } = &model.source {
        from_hub_cache(&files, &RepoCache::new(&settings.models.hub_cache, repo))?
    } else {
        from_home(&files)?
    };
    Ledger::change(&settings.home, |ledger| ledger.forget(&key))?;
    Ok(Removed {
        name: model.name.clone(),
        files: removed.0,
        bytes: removed.1,
    })
}

/// Removes a model's files, and its folder if that is the model's own.
fn from_home(files: &[PathBuf]) -> Result<(Vec<PathBuf>, u64), ModelError> {
    let bytes = crate::inventory::size_of(files);
    let own = files
        .first()
        .and_then(|file| file.parent())
        .filter(|folder| Origin::read(folder).is_some());
    if let Some(folder) = own {
        std::fs::remove_dir_all(folder)
            .map_err(|source| ModelError::io("remove", folder, source))?;
    } else {
        // A file that somebody put there by hand, perhaps beside others.
        for file in files {
            std::fs::remove_file(file).map_err(|source| ModelError::io("remove", file, source))?;
        }
    }
    Ok((files.to_vec(), bytes))
}

/// Removes files of a snapshot, and the objects that no other file of the repository needs. A
/// projector that another model of the repository needs is such a file.
fn from_hub_cache(files: &[PathBuf], cache: &RepoCache) -> Result<(Vec<PathBuf>, u64), ModelError> {
    let mut removed = Vec::new();
    let mut objects = Vec::new();
    for file in files {
        let is_projector = file.to_string_lossy().contains("mmproj");
        if is_projector && cache.has_other_models(file, files) {
            continue;
        }
        let object = std::fs::canonicalize(file).ok();
        std::fs::remove_file(file).map_err(|source| ModelError::io("remove", file, source))?;
        objects.extend(object);
        removed.push(file.clone());
    }
    let needed = cache.objects_in_use();
    let mut bytes = 0;
    for object in objects {
        if needed.contains(&object) {
            continue;
        }
        let size = std::fs::metadata(&object).map_or(0, |metadata| metadata.len());
        match std::fs::remove_file(&object) {
            Ok(()) => bytes += size,
            // The snapshot's file was the object itself: it is already gone.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(ModelError::io("remove", &object, source)),
        }
    }
    Ok((removed, bytes))
}
