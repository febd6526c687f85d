//! The home folder: where each kind of state lives, and the locks between processes.

use crate::SettingsError;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The folder that all state lives in (`LLAMATELEMETRY_HOME`, else the platform's data folder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// A home at this path; nothing is created yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The config file.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// One folder per llama.cpp build, named by its identity.
    pub fn runtimes(&self) -> PathBuf {
        self.root.join("runtimes")
    }

    /// Models that do not live in a cache shared with other programs.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// Downloads that are under way.
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Things that may be thrown away at any time: remembered hashes, probe results, build trees.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Tools fetched for builds: cmake, ninja.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// What is kept of telemetry.
    pub fn telemetry(&self) -> PathBuf {
        self.root.join("telemetry")
    }

    /// Makes a folder below the home, private to the user, and returns it.
    pub fn ensure(&self, folder: PathBuf) -> Result<PathBuf, SettingsError> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| SettingsError::Home {
                path: folder.clone(),
                source,
            })?;
        Ok(folder)
    }

    /// Takes the lock of this name, waiting for another process that holds it.
    /// `waiting` is called once if somebody else holds it now.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> Result<FileLock, SettingsError> {
        let folder = self.ensure(self.root.join("locks"))?;
        FileLock::take(folder.join(format!("{name}.lock")), waiting)
    }
}

/// A lock between processes, held until dropped. The file stays: removing it would let two
/// processes lock two different files of one name.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock on `path`, creating the file if needed.
    pub fn take(path: impl AsRef<Path>, waiting: impl FnOnce()) -> Result<Self, SettingsError> {
        let path = path.as_ref();
        let open = || {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => {
                    waiting();
                    file.lock()?;
                }
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
            Ok(file)
        };
        open()
            .map(|file| Self { _file: file })
            .map_err(|source| SettingsError::Lock {
                path: path.to_owned(),
                source,
            })
    }
}
