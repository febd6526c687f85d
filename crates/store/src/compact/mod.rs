//! Keeps the store small: many small files become few large ones, and what is too old or too much
//! goes.
//!
//! One process at a time does it, by lock. A new file names the files whose rows it holds; from the
//! moment it is in place readers pass those over, and only then are they removed. So a crash at any
//! point loses nothing and shows nothing twice.

mod expire;
mod merge;
mod rewriting;

pub(crate) use rewriting::Rewriting;

use crate::StoreError;
use crate::file::{self, BlockFile};
use crate::folder::{Folder, JOURNAL, Kind};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files made one with others.
    pub merged: usize,
    /// Files of blocks written.
    pub written: usize,
    /// Files removed for their age or for room.
    pub expired: usize,
}

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Rows older than this, ns since 1970, may go.
    pub oldest: Option<u64>,
    /// Bytes that the store may take.
    pub bytes: Option<u64>,
}

/// Compacts the store in this folder. Does nothing where another process does it now.
pub fn compact(folder: &Path, retention: Retention) -> Result<Compacted, StoreError> {
    let folder = Folder::open(folder)?;
    let (path, lock) = lock_file(&folder)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Compacted::default()),
        Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", path, error)),
    }
    let mut done = Compacted::default();
    folder.remove_unfinished()?;
    remove_replaced(&folder)?;
    expire::expire(&folder, retention, &mut done)?;
    merge::merge(&folder, &mut done)?;
    remove_empty(&folder)?;
    Ok(done)
}

/// The lock of whoever rewrites files, waited for.
pub(crate) fn lock(folder: &Folder) -> Result<File, StoreError> {
    let (path, lock) = lock_file(folder)?;
    lock.lock()
        .map_err(|error| StoreError::io("lock", path, error))?;
    Ok(lock)
}

fn lock_file(folder: &Folder) -> Result<(PathBuf, File), StoreError> {
    let path = folder.compact_lock();
    let lock = File::create(&path).map_err(|error| StoreError::io("create", &path, error))?;
    Ok((path, lock))
}

/// Finishes what a crashed compaction began. What is removed is gone for good when this returns:
/// the file that names it may go next.
pub(crate) fn remove_replaced(folder: &Folder) -> Result<(), StoreError> {
    let mut folders = BTreeSet::new();
    for held in folder
        .list()?
        .iter()
        .filter(|held| held.kind == Kind::Blocks)
    {
        // A damaged file replaces nothing that could still be there.
        if let Ok(file) = BlockFile::open(&held.path) {
            for name in &file.replaces {
                let path = folder.root().join(name);
                remove_rows(&path)?;
                folders.extend(path.parent().map(Path::to_owned));
            }
        }
    }
    sync_all(&folders)
}

/// Makes durable what was removed from these folders. One that is gone itself holds nothing.
fn sync_all(folders: &BTreeSet<PathBuf>) -> Result<(), StoreError> {
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        file::sync(folder)?;
    }
    Ok(())
}

/// Removes a file that holds rows. A journal whose blocks are here goes before them: alone it would
/// show its rows again.
pub(crate) fn remove_rows(path: &Path) -> Result<(), StoreError> {
    remove(&path.with_extension(JOURNAL))?;
    remove(path)
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Folders of processes that are gone and left nothing.
pub(crate) fn remove_empty(folder: &Folder) -> Result<(), StoreError> {
    // Locked first, listed then: what is not listed will not come.
    let dead = folder.dead_segments()?;
    let held: BTreeSet<PathBuf> = folder
        .list()?
        .into_iter()
        .filter_map(|held| held.path.parent().map(Path::to_owned))
        .collect();
    for segment in dead.iter().filter(|segment| !held.contains(&segment.path)) {
        std::fs::remove_dir_all(&segment.path)
            .map_err(|error| StoreError::io("remove", &segment.path, error))?;
    }
    Ok(())
}
