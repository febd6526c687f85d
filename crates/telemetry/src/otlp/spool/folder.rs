//! The folder of the spool files: who may use which, and how much all of them may be.

use super::segment::Segment;
use crate::signal::Signal;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// What the name of a spool file ends with.
const FINISHED: &str = "spool";
/// A file whose maker does not hold its lock yet.
const NEW: &str = "new";

/// How long files are kept for an address that nobody sends to.
const OLDEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What was dropped since nobody sends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) files: u64,
    pub(super) items: u64,
    bytes: u64,
}

/// The folder that a process shares with others of the same home.
#[derive(Debug)]
pub(in crate::otlp) struct Folder {
    path: PathBuf,
    /// Bytes that all files together may take.
    limit: u64,
    /// Bytes of the files that this pipeline uses.
    ours: AtomicU64,
    /// Bytes of the others, as they were when last looked at.
    others: AtomicU64,
}

impl Folder {
    /// The folder at this path, made if it is not there.
    pub(in crate::otlp) fn open(path: PathBuf, limit: u64) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        let folder = Self {
            path,
            limit,
            ours: AtomicU64::new(0),
            others: AtomicU64::new(0),
        };
        // Whether it can be written is better known now than when the first item comes.
        let (trial, trial_path) = folder.create("trial")?;
        drop(trial);
        fs::remove_file(trial_path)?;
        Ok(folder)
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether so many bytes more are allowed.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let used = self.ours.load(Ordering::Relaxed) + self.others.load(Ordering::Relaxed);
        used + bytes <= self.limit
    }

    pub(super) fn took(&self, bytes: u64) {
        self.ours.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn gave(&self, bytes: u64) {
        self.ours.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A new file of ours, locked before anybody else can see it.
    pub(super) fn create(&self, prefix: &str) -> io::Result<(File, PathBuf)> {
        use std::hash::{BuildHasher as _, RandomState};
        let random = RandomState::new().hash_one(SystemTime::now());
        let name = format!("{prefix}-{}-{random:016x}", std::process::id());
        let new = self.path.join(&name).with_extension(NEW);
        let file = File::options()
            .create_new(true)
            .read(true)
            .append(true)
            .open(&new)?;
        let finished = new.with_extension(FINISHED);
        match file.try_lock() {
            Ok(()) => fs::rename(&new, &finished)?,
            Err(error) => {
                fs::remove_file(&new).ok();
                return Err(error.into());
            }
        }
        Ok((file, finished))
    }

    /// The files that dead processes left for this destination, oldest first. Measures the others,
    /// and drops those of this signal for other destinations that are too old or too many.
    pub(super) fn adopt(&self, signal: Signal, destination: &str) -> (Vec<Segment>, Expired) {
        let mut found: Vec<(SystemTime, Segment)> = Vec::new();
        let mut abandoned: Vec<(SystemTime, PathBuf, Segment)> = Vec::new();
        let mut others = 0;
        for (path, size, modified) in self.files() {
            let Some(file) = lock(&path) else {
                others += size;
                continue;
            };
            if path.extension().is_some_and(|extension| extension == NEW) {
                fs::remove_file(&path).ok();
                continue;
            }
            let ours = stem(&path).starts_with(signal.prefix());
            let segment = ours.then(|| Segment::adopt(file, path.clone())).flatten();
            match segment {
                Some(segment) if segment.destination() == destination => {
                    self.took(segment.size());
                    found.push((modified, segment));
                }
                Some(segment) => {
                    others += size;
                    abandoned.push((modified, path, segment));
                }
                // Another signal's: it stays, and dropping it unlocks it.
                None => others += size,
            }
        }
        let expired = self.expire(abandoned);
        others = others.saturating_sub(expired.bytes);
        // Files that another lane of this pipeline holds were counted as others' too.
        let ours = self.ours.load(Ordering::Relaxed);
        let held: u64 = found.iter().map(|(_, segment)| segment.size()).sum();
        self.others.store(
            others.saturating_sub(ours.saturating_sub(held)),
            Ordering::Relaxed,
        );
        found.sort_by_key(|(modified, _)| *modified);
        let found = found.into_iter().map(|(_, segment)| segment).collect();
        (found, expired)
    }

    /// Removes what was kept for others and is older than [`OLDEST`], and of the rest the oldest
    /// until they take half of the limit at most.
    fn expire(&self, mut abandoned: Vec<(SystemTime, PathBuf, Segment)>) -> Expired {
        abandoned.sort_by_key(|(modified, ..)| *modified);
        let now = SystemTime::now();
        let mut left: u64 = abandoned.iter().map(|(.., segment)| segment.size()).sum();
        let mut expired = Expired::default();
        for (modified, path, segment) in abandoned {
            let age = now.duration_since(modified).unwrap_or_default();
            if age < OLDEST && left <= self.limit / 2 {
                break;
            }
            left -= segment.size();
            if fs::remove_file(&path).is_ok() {
                expired.files += 1;
                expired.bytes += segment.size();
                let items = segment.waiting().iter();
                expired.items += items.map(|waiting| u64::from(waiting.items)).sum::<u64>();
            }
        }
        expired
    }

    fn files(&self) -> Vec<(PathBuf, u64, SystemTime)> {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| {
                let path = entry.path();
                let extension = path.extension()?.to_str()?;
                let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                [FINISHED, NEW].contains(&extension).then(|| {
                    (
                        path,
                        metadata.len(),
                        metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                    )
                })
            })
            .collect()
    }
}

fn stem(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

/// Opens and locks a file that nobody else holds. One that was removed meanwhile is nobody's.
fn lock(path: &Path) -> Option<File> {
    let file = File::options().read(true).append(true).open(path).ok()?;
    file.try_lock().ok()?;
    (file.metadata().ok()?.nlink() > 0).then_some(file)
}
