//! Our own models: one folder a model below the home's `models`, with a note of where it came from.

use crate::{LocalModel, ModelError, ModelSource};
use llamatelemetry_fetch::HashMemory;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The note that lies beside a model of ours.
const NOTE: &str = "origin.json";

/// Where a model of ours came from, kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// What it is called.
    pub(crate) name: String,
    /// Where it came from.
    pub(crate) source: ModelSource,
    /// Its files, the first to be loaded.
    pub(crate) files: Vec<OriginFile>,
}

/// One file of a model of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OriginFile {
    /// Its name in the folder.
    pub(crate) file: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its SHA-256 when it was fetched.
    pub(crate) sha256: String,
}

impl Origin {
    /// The note of a folder, if it holds a whole model of ours.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read(folder.join(NOTE)).ok()?;
        let origin: Self = serde_json::from_slice(&text).ok()?;
        let whole = !origin.files.is_empty()
            && origin.files.iter().all(|file| {
                std::fs::metadata(folder.join(&file.file))
                    .is_ok_and(|metadata| metadata.len() == file.size)
            });
        whole.then_some(origin)
    }

    /// Writes the note: the model is whole from now on.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), ModelError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| ModelError::io("write", folder, error.into()))?;
        write_atomically(&folder.join(NOTE), &text)
    }

    /// The model that the note describes.
    pub(crate) fn model(&self, folder: &Path, memory: &HashMemory) -> LocalModel {
        let shards: Vec<PathBuf> = self
            .files
            .iter()
            .map(|file| folder.join(&file.file))
            .collect();
        LocalModel {
            name: self.name.clone(),
            path: shards[0].clone(),
            sha256: crate::digest::recall(memory, &shards),
            shards,
            projector: None,
            size: self.files.iter().map(|file| file.size).sum(),
            source: self.source.clone(),
        }
    }
}

/// Replaces a small file so that it is always either the old or the new one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let fail = |source| ModelError::io("write", path, source);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let new = unique_beside(path);
    File::create(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(|source| {
            // What was half written is of no use; that it cannot be removed changes nothing.
            drop(std::fs::remove_file(&new));
            fail(source)
        })
}

/// A name beside a path that no other process and no other thread uses.
pub(crate) fn unique_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{count}.new", std::process::id()));
    path.with_file_name(name)
}
