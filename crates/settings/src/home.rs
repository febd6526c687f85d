//! The home folder: where each kind of state lives, and the locks between processes.

use crate::SettingsError;
use std::fs::{File, TryLockError};
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

    /// The API keys of `llt serve`, hashed.
    pub fn keys_file(&self) -> PathBuf {
        self.root.join("keys.json")
    }

    /// The store of traces, metrics and logs.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
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

    /// Takes the lock of this name, or `None` if another process holds it.
    pub fn try_lock(&self, name: &str) -> Result<Option<FileLock>, SettingsError> {
        let folder = self.ensure(self.root.join("locks"))?;
        FileLock::try_take(folder.join(format!("{name}.lock")))
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
        let take = || {
            let file = Self::open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    waiting();
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            Ok(Self { _file: file })
        };
        take().map_err(|source| Self::failed(path, source))
    }

    /// Takes the lock on `path`, or `None` if another process holds it.
    pub fn try_take(path: impl AsRef<Path>) -> Result<Option<Self>, SettingsError> {
        let path = path.as_ref();
        let take = || {
            let file = Self::open(path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
            }
        };
        take().map_err(|source| Self::failed(path, source))
    }

    fn open(path: &Path) -> std::io::Result<File> {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
    }

    fn failed(path: &Path, source: std::io::Error) -> SettingsError {
        SettingsError::Lock {
            path: path.to_owned(),
            source,
        }
    }
}
