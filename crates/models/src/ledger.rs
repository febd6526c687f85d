//! The record of uses and pins: when each model was last used, and which may not be removed.

use crate::store::write_atomically;
use crate::{LocalModel, ModelError};
use llamatelemetry_settings::Home;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is known of one model's file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// When it was last used, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_use: Option<u64>,
    /// Whether it may not be removed.
    #[serde(default)]
    pub(crate) pinned: bool,
    /// Whether we fetched it. In a cache that is shared only such files are ever pruned.
    #[serde(default)]
    pub(crate) fetched: bool,
}

/// The record: one entry a file, by the file's true path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    #[serde(default)]
    models: BTreeMap<String, Entry>,
}

impl Ledger {
    /// Reads the record. That there is none is an empty one; a damaged one is an error, because
    /// pins that are not seen would not be kept.
    pub(crate) fn read(home: &Home) -> Result<Self, ModelError> {
        let path = place(home);
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|source| ModelError::Ledger { path, source })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ModelError::io("read", &path, source)),
        }
    }

    /// Changes the record under its lock, so that no process loses what another wrote.
    pub(crate) fn change(home: &Home, change: impl FnOnce(&mut Self)) -> Result<(), ModelError> {
        let _lock = home.lock("models-ledger", || {})?;
        let mut ledger = Self::read(home)?;
        let before = ledger.clone();
        change(&mut ledger);
        if ledger == before {
            return Ok(());
        }
        let path = place(home);
        let text = serde_json::to_vec_pretty(&ledger)
            .map_err(|error| ModelError::io("write", &path, error.into()))?;
        write_atomically(&path, &text)
    }

    /// What is known of a file.
    pub(crate) fn entry(&self, path: &Path) -> Entry {
        self.models.get(&key(path)).cloned().unwrap_or_default()
    }

    /// The entry of a file, to be changed.
    pub(crate) fn entry_mut(&mut self, path: &Path) -> &mut Entry {
        self.models.entry(key(path)).or_default()
    }

    /// Forgets a file that is gone.
    pub(crate) fn forget(&mut self, key: &str) {
        self.models.remove(key);
    }
}

/// Notes that a model is used now, and whether it was fetched for it.
pub(crate) fn record_use(home: &Home, model: &LocalModel, fetched: bool) -> Result<(), ModelError> {
    Ledger::change(home, |ledger| {
        let entry = ledger.entry_mut(&model.path);
        entry.last_use = Some(now());
        entry.fetched |= fetched;
    })
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs())
}

fn place(home: &Home) -> PathBuf {
    home.models().join("ledger.json")
}

/// A file's true path: through links, so that all names of a file share an entry.
pub(crate) fn key(path: &Path) -> String {
    std::fs::canonicalize(path)
        .unwrap_or_else(|_| path.to_path_buf())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_writers_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path());
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let home = &home;
                scope.spawn(move || {
                    for file in 0..5 {
                        let path = PathBuf::from(format!("/m/{writer}-{file}.gguf"));
                        Ledger::change(home, |ledger| ledger.entry_mut(&path).pinned = true)
                            .expect("a change");
                    }
                });
            }
        });
        assert_eq!(Ledger::read(&home).expect("a record").models.len(), 40);
    }

    #[test]
    fn a_damaged_record_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path());
        std::fs::create_dir_all(home.models()).expect("a folder");
        std::fs::write(place(&home), b"{").expect("a file");
        assert!(matches!(
            Ledger::read(&home),
            Err(ModelError::Ledger { .. })
        ));
    }
}
