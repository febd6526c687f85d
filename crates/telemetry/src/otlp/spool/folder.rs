//! The folder of the spool files: who may use which, and how much all of them may be.

use super::segment::Segment;
use crate::signal::Signal;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What the name of a spool file ends with.
const FINISHED: &str = "spool";
/// A file whose maker does not hold its lock yet.
const NEW: &str = "new";

/// How long files are kept for an address that nobody sends to.
const OLDEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// After a look that made no room, the next one comes no sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What was dropped since nobody sends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Expired {
    files: u64,
    pub(super) items: u64,
    bytes: u64,
}

impl Expired {
    /// Tells of it in the log, if there is anything to tell.
    pub(super) fn tell(&self, signal: Signal) {
        if self.files > 0 {
            tracing::warn!(
                files = self.files,
                items = self.items,
                "{} kept for addresses that nobody sends to any more were dropped",
                signal.items()
            );
        }
    }

    fn remove(&mut self, path: &Path, segment: &Segment) {
        if fs::remove_file(path).is_ok() {
            self.files += 1;
            self.bytes += segment.size();
            let items = segment.waiting().iter();
            self.items += items.map(|waiting| u64::from(waiting.items)).sum::<u64>();
        }
    }
}

/// The files of the folder.
#[derive(Debug, Default)]
struct Left {
    /// Bytes of all, whoever uses them.
    bytes: u64,
    /// Those of one signal and destination that nobody uses.
    found: Vec<(SystemTime, Segment)>,
    /// Those of one signal for other destinations that nobody uses.
    abandoned: Vec<(SystemTime, PathBuf, Segment)>,
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
    /// When a look for room found none.
    fruitless: Mutex<Option<Instant>>,
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
            fruitless: Mutex::new(None),
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
    /// and drops those of this signal for other destinations that are older than [`OLDEST`].
    pub(super) fn adopt(&self, signal: Signal, destination: &str) -> (Vec<Segment>, Expired) {
        let left = self.left(signal, destination);
        let mut found = left.found;
        for (_, segment) in &found {
            self.took(segment.size());
        }
        let now = SystemTime::now();
        let mut expired = Expired::default();
        for (modified, path, segment) in left.abandoned {
            let age = now.duration_since(modified).unwrap_or_default();
            if age >= OLDEST {
                expired.remove(&path, &segment);
            }
        }
        self.measured(left.bytes - expired.bytes);
        found.sort_by_key(|(modified, _)| *modified);
        let found = found.into_iter().map(|(_, segment)| segment).collect();
        (found, expired)
    }

    /// Makes room for so many bytes more, at the cost of what has been kept longest of this signal
    /// for other destinations.
    pub(super) fn make_room(&self, bytes: u64, signal: Signal, destination: &str) -> Expired {
        let mut expired = Expired::default();
        let fruitless = self.fruitless.lock();
        let mut fruitless = fruitless.unwrap_or_else(PoisonError::into_inner);
        if fruitless.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return expired;
        }
        let mut left = self.left(signal, destination);
        left.abandoned.sort_by_key(|(modified, ..)| *modified);
        self.measured(left.bytes);
        for (_, path, segment) in left.abandoned {
            if self.has_room(bytes) {
                break;
            }
            expired.remove(&path, &segment);
            self.measured(left.bytes - expired.bytes);
        }
        *fruitless = (!self.has_room(bytes)).then(Instant::now);
        expired
    }

    /// All files, and which of them dead processes left.
    fn left(&self, signal: Signal, destination: &str) -> Left {
        let mut left = Left::default();
        for (path, size, modified) in self.files() {
            let Some(file) = lock(&path) else {
                left.bytes += size;
                continue;
            };
            if path.extension().is_some_and(|extension| extension == NEW) {
                fs::remove_file(&path).ok();
                continue;
            }
            left.bytes += size;
            let of_signal = stem(&path).starts_with(signal.prefix());
            // Another signal's stays, and dropping it unlocks it.
            let segment = of_signal
                .then(|| Segment::adopt(file, path.clone()))
                .flatten();
            match segment {
                Some(segment) if segment.destination() == destination => {
                    left.found.push((modified, segment));
                }
                Some(segment) => left.abandoned.push((modified, path, segment)),
                None => {}
            }
        }
        left
    }

    /// All files together have so many bytes: those that we do not use are others'.
    fn measured(&self, bytes: u64) {
        let ours = self.ours.load(Ordering::Relaxed);
        self.others
            .store(bytes.saturating_sub(ours), Ordering::Relaxed);
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
