//! Hashing what is here and comparing it with what its source promised.

use crate::catalogue::{CatalogueEntry, catalogue};
use crate::context::{Context, Fetching};
use crate::hub::promised_digest;
use crate::name::is_sha256;
use crate::store::Origin;
use crate::{LocalModel, ModelError, ModelSource, digest, find, header};
use llamatelemetry_fetch::sha256_file;
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Settings;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What the bytes of a model are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The model.
    pub name: String,
    /// Its digest, as in [`LocalModel::sha256`].
    pub sha256: String,
    /// Its files, the projector last.
    pub files: Vec<FileVerdict>,
}

/// What the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileVerdict {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, computed now.
    pub sha256: String,
    /// The SHA-256 that its source promised, if it promised one.
    pub expected: Option<String>,
    /// How they compare.
    pub verdict: Verdict,
}

/// How a file's bytes compare with the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They are the promised ones.
    Good,
    /// They are not.
    Bad,
    /// Nothing was promised; the header is sound.
    Unknown,
}

impl Verification {
    /// Whether no file is bad.
    pub fn is_good(&self) -> bool {
        self.files.iter().all(|file| file.verdict != Verdict::Bad)
    }
}

/// Reads every byte of a model that is here and compares its SHA-256 with the promised one. What
/// was remembered does not count.
pub fn verify(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Verification, ModelError> {
    let model = find(name, settings)?;
    let context = Context::new(settings, progress, Fetching::Never)?;
    let mut files = Vec::new();
    for path in model.shards.iter().chain(&model.projector) {
        header::check(path)?;
        let sha256 = sha256_file(path, progress)?;
        let expected = promised(path, &model);
        let verdict = match &expected {
            None => Verdict::Unknown,
            Some(expected) if expected.eq_ignore_ascii_case(&sha256) => Verdict::Good,
            Some(_) => Verdict::Bad,
        };
        context.memory().remember(path, &sha256)?;
        files.push(FileVerdict {
            size: std::fs::metadata(path)
                .map_err(|source| ModelError::io("read", path, source))?
                .len(),
            path: path.clone(),
            sha256,
            expected,
            verdict,
        });
    }
    let shards: Vec<String> = files
        .iter()
        .take(model.shards.len())
        .map(|file| file.sha256.clone())
        .collect();
    Ok(Verification {
        name: model.name,
        sha256: digest::of_digests(&shards),
        files,
    })
}

/// The digest of a model, remembered or computed now: for whoever wants to name it in figures, at
/// leisure and not before a start.
pub fn hash(
    model: &LocalModel,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<String, ModelError> {
    let context = Context::new(settings, progress, Fetching::Never)?;
    digest::compute(context.memory(), &model.shards, progress)
}

/// The SHA-256 that a file's source promised.
fn promised(path: &Path, model: &LocalModel) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    match &model.source {
        ModelSource::Hub { .. } => promised_digest(path),
        ModelSource::Ollama { .. } => name
            .strip_prefix("sha256-")
            .filter(|digest| is_sha256(digest))
            .map(str::to_owned),
        _ => in_note(path, name).or_else(|| in_catalogue(path, name)),
    }
}

/// As it was when we fetched it.
fn in_note(path: &Path, name: &str) -> Option<String> {
    Origin::read(path.parent()?)?
        .files
        .into_iter()
        .find(|file| file.file == name)
        .map(|file| file.sha256)
}

/// A file of the catalogue's that lies somewhere else: known by its name and size.
fn in_catalogue(path: &Path, name: &str) -> Option<String> {
    let size = std::fs::metadata(path).ok()?.len();
    catalogue()
        .iter()
        .find(|entry: &&CatalogueEntry| entry.file == name && entry.size == size)
        .and_then(|entry| entry.sha256.clone())
}
