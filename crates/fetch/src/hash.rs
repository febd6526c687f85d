//! SHA-256 of files, and the memory of it.

use crate::FetchError;
use llamatelemetry_progress::{Progress, Task};
use llamatelemetry_settings::Home;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The SHA-256 of a file, in lower-case hexadecimal.
pub fn sha256_file(path: &Path, progress: &dyn Progress) -> Result<String, FetchError> {
    let fail = |source| FetchError::io("read", path, source);
    let mut file = File::open(path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let name = path.file_name().unwrap_or(path.as_os_str());
    let task = progress.begin(Task::bytes(
        format!("checking {}", name.to_string_lossy()),
        Some(size),
    ));
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let count = match file.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(fail(error)),
        };
        hasher.update(&block[..count]);
        done += count as u64;
        task.at(done);
    }
    Ok(hex(&hasher.finalize()))
}

/// The SHA-256 of a text, in lower-case hexadecimal.
pub(crate) fn sha256_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ignored = write!(text, "{byte:02x}");
        text
    })
}

/// Remembers the SHA-256 of files by what changes when they do: device, inode, size and time of
/// change. Kept in the cache folder as one line a file; losing it costs only time.
#[derive(Debug)]
pub struct HashMemory {
    path: PathBuf,
    known: Mutex<BTreeMap<Key, String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: Key,
    sha256: String,
}

/// Lines more than needed before the memory is written anew.
const SLACK: usize = 200;

/// Writes the memory anew without lines that no longer count. What another process adds at this
/// very moment may be lost, which costs it one more hashing.
fn shrink<'a>(path: &Path, lines: impl Iterator<Item = &'a Line>) {
    let text: String = lines
        .filter_map(|line| serde_json::to_string(line).ok())
        .map(|line| line + "\n")
        .collect();
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    if let Err(error) = written {
        tracing::debug!(path = %path.display(), %error, "the memory of digests was not shrunk");
    }
}

/// A file changed less than this long ago may change again without its time changing.
const RACY: Duration = Duration::from_secs(2);

impl HashMemory {
    /// The memory of this home. Reads what is there; a damaged line is skipped.
    pub fn open(home: &Home) -> Result<Self, FetchError> {
        let path = home.ensure(home.cache())?.join("sha256.jsonl");
        // Whatever is wrong with it, what it held can be computed again.
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        // By device and inode: of a file that changed, only the last state counts.
        let known: BTreeMap<(u64, u64), Line> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Line>(line).ok())
            .map(|line| ((line.key.device, line.key.inode), line))
            .collect();
        if text.lines().count() > SLACK + 2 * known.len() {
            shrink(&path, known.values());
        }
        let known = known.into_values().map(|line| (line.key, line.sha256));
        Ok(Self {
            path,
            known: Mutex::new(known.collect()),
        })
    }

    /// The remembered SHA-256 of a file, if it has not changed since.
    pub fn recall(&self, path: &Path) -> Option<String> {
        let key = Key::of(&std::fs::metadata(path).ok()?);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).cloned()
    }

    /// Remembers the SHA-256 of a file that this process wrote or has just verified.
    pub fn remember(&self, path: &Path, sha256: &str) -> Result<(), FetchError> {
        let fail = |source| FetchError::io("remember the SHA-256 in", &self.path, source);
        let metadata =
            std::fs::metadata(path).map_err(|source| FetchError::io("read", path, source))?;
        let line = Line {
            key: Key::of(&metadata),
            sha256: sha256.to_owned(),
        };
        let mut text = serde_json::to_string(&line).map_err(|error| fail(error.into()))?;
        text.push('\n');
        File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(fail)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(line.key, line.sha256);
        Ok(())
    }

    /// The SHA-256 of a file: remembered, or computed and then remembered.
    pub fn sha256(&self, path: &Path, progress: &dyn Progress) -> Result<String, FetchError> {
        if let Some(sha256) = self.recall(path) {
            return Ok(sha256);
        }
        let stat =
            || std::fs::metadata(path).map_err(|source| FetchError::io("read", path, source));
        let before = stat()?;
        let sha256 = sha256_file(path, progress)?;
        let after = stat()?;
        let settled = before
            .modified()
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok())
            .is_some_and(|age| age > RACY);
        if settled && Key::of(&before) == Key::of(&after) {
            self.remember(path, &sha256)?;
        }
        Ok(sha256)
    }
}

impl Key {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        let file = folder.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        let memory = HashMemory::open(&home).unwrap();
        for number in 0..2 * SLACK {
            memory.remember(&file, &format!("{number:064}")).unwrap();
        }
        let lines = || {
            std::fs::read_to_string(&memory.path)
                .unwrap()
                .lines()
                .count()
        };
        assert_eq!(lines(), 2 * SLACK);
        let again = HashMemory::open(&home).unwrap();
        assert_eq!(lines(), 1);
        assert_eq!(again.recall(&file), Some(format!("{:064}", 2 * SLACK - 1)));
        std::fs::write(&memory.path, b"not json\n").unwrap();
        assert_eq!(HashMemory::open(&home).unwrap().recall(&file), None);
    }
}
