//! What downloads that never ended have left behind.

use crate::FetchError;
use llamatelemetry_settings::Home;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An unfinished download that no process works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    /// Its file, or the folder in which pip worked.
    pub path: PathBuf,
    /// Bytes on the disk that it takes.
    pub bytes: u64,
    lock: String,
}

/// The unfinished downloads in a home that nothing was written to for so long and that no process
/// works on. Those that lie beside a target on another file system are not found.
pub fn abandoned(home: &Home, unwritten_for: Duration) -> Result<Vec<Abandoned>, FetchError> {
    let folder = home.downloads();
    let mut found = Vec::new();
    for path in
        entries(&folder).map_err(|source| FetchError::io("read the folder", &folder, source))?
    {
        let Some(lock) = lock_of(&path) else { continue };
        let (bytes, written) = weigh(&path);
        let idle = written.and_then(|written| SystemTime::now().duration_since(written).ok());
        if idle.is_none_or(|idle| idle < unwritten_for) || home.try_lock(&lock)?.is_none() {
            continue;
        }
        found.push(Abandoned { path, bytes, lock });
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

impl Abandoned {
    /// Removes it. Returns whether it did: a process may have taken it up again.
    pub fn remove(&self, home: &Home) -> Result<bool, FetchError> {
        let Some(_lock) = home.try_lock(&self.lock)? else {
            return Ok(false);
        };
        let removed = if self.path.is_dir() {
            fs::remove_dir_all(&self.path)
        } else {
            // The ledger first: without it the data is nothing.
            absent_is_fine(fs::remove_file(self.path.with_extension("ledger")))
                .and_then(|()| absent_is_fine(fs::remove_file(&self.path)))
        };
        removed.map_err(|source| FetchError::io("remove", &self.path, source))?;
        Ok(true)
    }
}

/// The lock that whoever works on this holds, if it is something unfinished.
fn lock_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if path.is_dir() {
        return name.starts_with("pip-").then(|| name.to_owned());
    }
    let key = name.strip_suffix(".part")?;
    Some(format!("download-{key}"))
}

/// The bytes that a file, or all files below a folder, take on the disk, and the latest time at
/// which one of them was written.
fn weigh(path: &Path) -> (u64, Option<SystemTime>) {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(data) = fs::symlink_metadata(path) else {
        return (0, None);
    };
    let mut bytes = data.blocks() * 512;
    let mut written = data.modified().ok();
    if data.is_dir() {
        for inside in entries(path).unwrap_or_default() {
            let (more, later) = weigh(&inside);
            bytes += more;
            written = written.max(later);
        }
    }
    (bytes, written)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
