//! Everything that is on this machine: in our home, in the hub's cache, Ollama's, LM Studio's and
//! the folders that the settings name.

use crate::catalogue::{CatalogueEntry, CatalogueSource};
use crate::context::{Context, Fetching};
use crate::hub::{RepoCache, display_name, promised_digest};
use crate::ledger::{self, Ledger};
use crate::store::Origin;
use crate::{LocalModel, ModelError, ModelSource, digest, files, folders, in_use, ollama};
use llamatelemetry_progress::{Progress, Silent};
use llamatelemetry_settings::Settings;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A model that was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundModel {
    /// The model.
    #[serde(flatten)]
    pub model: LocalModel,
    /// When we last used it, in seconds since 1970.
    pub last_use: Option<u64>,
    /// Whether it may not be removed.
    pub pinned: bool,
    /// Whether some process uses it now.
    pub in_use: bool,
    /// Further files with the same content, by their SHA-256.
    pub duplicates: Vec<PathBuf>,
    /// The SHA-256 that the cache it lies in names for it, verified or not.
    #[serde(skip)]
    pub(crate) promised: Option<String>,
}

/// Whether unknown digests are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashing {
    /// No: what is remembered or named by a cache has to do. Takes milliseconds.
    Known,
    /// Of files that have the same size as another, so that every duplicate is found.
    SameSize,
}

/// Everything that is on this machine, by name. Files that cannot be read are left out.
pub fn list(settings: &Settings) -> Result<Vec<FoundModel>, ModelError> {
    list_with(settings, Hashing::Known, &Silent)
}

/// Everything that is on this machine, by name, with more or fewer digests computed.
pub fn list_with(
    settings: &Settings,
    hashing: Hashing,
    progress: &dyn Progress,
) -> Result<Vec<FoundModel>, ModelError> {
    let context = Context::new(settings, progress, Fetching::Never)?;
    let ledger = Ledger::read(&settings.home)?;
    let mut found = everything(&context);
    let mut seen = BTreeSet::new();
    // One file under two names (a link, a folder that is searched twice) is one model.
    found.retain(|(model, _)| seen.insert(ledger::key(&model.path)));
    if hashing == Hashing::SameSize {
        hash_same_sizes(&mut found, &context)?;
    }
    let mut models: Vec<FoundModel> = found
        .into_iter()
        .map(|(model, promised)| {
            let entry = ledger.entry(&model.path);
            FoundModel {
                last_use: entry.last_use,
                pinned: entry.pinned,
                in_use: model.shards.iter().any(|shard| in_use::is_used(shard)),
                duplicates: Vec::new(),
                promised,
                model,
            }
        })
        .collect();
    pair_duplicates(&mut models);
    models.sort_by(|left, right| {
        (&left.model.name, &left.model.path).cmp(&(&right.model.name, &right.model.path))
    });
    Ok(models)
}

/// All models with the digest that their cache names.
fn everything(context: &Context<'_>) -> Vec<(LocalModel, Option<String>)> {
    let settings = context.settings;
    let mut found: Vec<(LocalModel, Option<String>)> = ours(settings)
        .into_iter()
        .map(|(folder, origin)| {
            let digests: Vec<String> = origin
                .files
                .iter()
                .map(|file| file.sha256.clone())
                .collect();
            let promised = digest::of_digests(&digests);
            (origin.model(&folder, context.memory()), Some(promised))
        })
        .collect();
    for (repo, cache) in RepoCache::all(&settings.models.hub_cache) {
        found.extend(of_repository(&repo, &cache, context));
    }
    for model in ollama::all(settings) {
        if let Ok(local) = model.model(context) {
            found.push((local, Some(model.sha256)));
        }
    }
    for model in folders::all(settings) {
        if let Ok(local) = model.model(context) {
            found.push((local, None));
        }
    }
    found
}

/// The models of a repository in the hub's cache: those of the commit that is current, then those
/// of others.
fn of_repository(
    repo: &str,
    cache: &RepoCache,
    context: &Context<'_>,
) -> Vec<(LocalModel, Option<String>)> {
    let current = cache.commit("main");
    let mut commits = cache.commits();
    commits.sort_by_key(|commit| Some(commit) != current.as_ref());
    let mut found = Vec::new();
    for commit in commits {
        let paths = cache.files(&commit);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let snapshot = cache.snapshot(&commit);
        for path in paths.iter().copied().filter(|path| files::is_model(path)) {
            if files::FileName::read(path).is_some_and(|name| name.count > 1 && name.index > 1) {
                continue;
            }
            let (parts, missing) = files::parts(&paths, path);
            if !missing.is_empty() {
                continue;
            }
            let shards: Vec<PathBuf> = parts.iter().map(|part| snapshot.join(part)).collect();
            let promised: Option<Vec<String>> =
                shards.iter().map(|shard| promised_digest(shard)).collect();
            let model = LocalModel {
                name: catalogue_name(repo, path)
                    .map_or_else(|| display_name(repo, path), str::to_owned),
                path: snapshot.join(path),
                projector: files::projector(&paths, path).map(|file| snapshot.join(file)),
                sha256: digest::recall(context.memory(), &shards),
                size: size_of(&shards),
                shards,
                source: ModelSource::Hub {
                    repo: repo.to_owned(),
                    revision: commit.clone(),
                    file: path.to_owned(),
                },
            };
            found.push((model, promised.map(|digests| digest::of_digests(&digests))));
        }
    }
    found
}

/// The catalogue's name of a file of a repository.
fn catalogue_name(repo: &str, file: &str) -> Option<&'static str> {
    crate::catalogue()
        .iter()
        .find(|entry| match &entry.source {
            CatalogueSource::Hub(hub) => hub.repo == repo && hub.file == file,
            CatalogueSource::Wheels(_) => false,
        })
        .map(|entry: &CatalogueEntry| entry.name.as_str())
}

/// Our own models: every folder below the home's `models` that holds a whole one.
pub(crate) fn ours(settings: &Settings) -> Vec<(PathBuf, Origin)> {
    let mut found: Vec<(PathBuf, Origin)> = our_folders(settings)
        .into_iter()
        .filter_map(|folder| Some((folder.clone(), Origin::read(&folder)?)))
        .collect();
    found.sort_by(|left, right| left.1.name.cmp(&right.1.name));
    found
}

/// The folders of our own models, whole or not.
pub(crate) fn our_folders(settings: &Settings) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for kind in subfolders(&settings.home.models()) {
        folders.extend(subfolders(&kind));
    }
    folders.sort();
    folders
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect()
}

/// One of our own models by its name or its file's.
pub(crate) fn find_ours(word: &str, context: &Context<'_>) -> Option<LocalModel> {
    ours(context.settings)
        .into_iter()
        .find_map(|(folder, origin)| {
            let named = origin.name.eq_ignore_ascii_case(word)
                || origin
                    .files
                    .iter()
                    .any(|file| file.file.eq_ignore_ascii_case(word));
            named.then(|| origin.model(&folder, context.memory()))
        })
}

/// The names of our own models.
pub(crate) fn our_names(settings: &Settings) -> Vec<String> {
    ours(settings)
        .into_iter()
        .map(|(_, origin)| origin.name)
        .collect()
}

pub(crate) fn size_of(files: &[PathBuf]) -> u64 {
    files
        .iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// Computes the digests of files that share their size with another.
fn hash_same_sizes(
    found: &mut [(LocalModel, Option<String>)],
    context: &Context<'_>,
) -> Result<(), ModelError> {
    let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
    for (model, _) in found.iter() {
        *sizes.entry(model.size).or_default() += 1;
    }
    for (model, _) in found.iter_mut() {
        if model.sha256.is_none() && sizes.get(&model.size).is_some_and(|count| *count > 1) {
            let digest = digest::compute(context.memory(), &model.shards, context.progress)?;
            model.sha256 = Some(digest);
        }
    }
    Ok(())
}

fn pair_duplicates(models: &mut [FoundModel]) {
    let mut by_digest: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for found in models.iter() {
        if let Some(digest) = found.content() {
            by_digest
                .entry(digest.to_owned())
                .or_default()
                .push(found.model.path.clone());
        }
    }
    for found in models {
        if let Some(same) = found.content().and_then(|digest| by_digest.get(digest)) {
            found.duplicates = same
                .iter()
                .filter(|path| **path != found.model.path)
                .cloned()
                .collect();
        }
    }
}

impl FoundModel {
    /// The digest of its content: known, else as its cache names it.
    fn content(&self) -> Option<&str> {
        self.model.sha256.as_deref().or(self.promised.as_deref())
    }
}
