//! Marks on files that are in use: shared locks on the model's files themselves, so that every
//! process sees them, whatever its home, and so that they end with the process however it ends.

use crate::{LocalModel, ModelError};
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// While it lives, no `prune` and no `remove` takes the model's files away.
#[derive(Debug)]
pub struct UseMark {
    _files: Vec<File>,
}

impl UseMark {
    /// Marks a model's files as used. Fails with [`ModelError::Missing`] if one was removed
    /// meanwhile; then [`ensure`](crate::ensure) brings it back.
    pub fn take(model: &LocalModel) -> Result<Self, ModelError> {
        let mut files = Vec::new();
        for path in model.shards.iter().chain(&model.projector) {
            let missing = |_| ModelError::Missing {
                path: path.clone(),
                nearest: Vec::new(),
            };
            let file = File::open(path).map_err(missing)?;
            match file.lock_shared() {
                // A file system without locks: nothing can be marked, and nothing is pruned there.
                Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
                Err(source) => return Err(ModelError::io("mark as used", path, source)),
                Ok(()) => {}
            }
            // Whoever removed it held the lock until just now.
            let locked = file
                .metadata()
                .map_err(|source| ModelError::io("read", path, source))?;
            let there = std::fs::metadata(path).map_err(missing)?;
            if (locked.dev(), locked.ino()) != (there.dev(), there.ino()) {
                return Err(missing(std::io::ErrorKind::NotFound.into()));
            }
            files.push(file);
        }
        Ok(Self { _files: files })
    }
}

/// Files that nobody uses, locked so that nobody begins to while they are removed.
#[derive(Debug)]
pub(crate) struct Idle {
    _files: Vec<File>,
}

impl Idle {
    /// Takes the files if none is in use.
    pub(crate) fn take(paths: &[PathBuf]) -> Result<Self, ModelError> {
        let mut files = Vec::new();
        for path in paths {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(ModelError::io("open", path, source)),
            };
            match file.try_lock() {
                Ok(()) => files.push(file),
                Err(TryLockError::WouldBlock) => {
                    return Err(ModelError::InUse { path: path.clone() });
                }
                Err(TryLockError::Error(source)) => {
                    return Err(ModelError::io("lock", path, source));
                }
            }
        }
        Ok(Self { _files: files })
    }
}

/// Whether somebody uses a file now.
pub(crate) fn is_used(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
