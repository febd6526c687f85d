//! What of a file has arrived, kept so that neither `kill -9` nor a power failure loses it.
//!
//! The ledger file is one line of JSON (the facts), filled up to 4 KiB, and then two numbers a
//! part: bytes that arrived, and bytes that are known to be on the disk. A part fills from its
//! start. Bytes are written to the data file first and counted here afterwards, so after a kill
//! the count is never too high. After a restart of the machine only the second number is believed.

use super::source::Source;
use crate::client::{Answer, Client};
use crate::{Download, FetchError};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the numbers begin.
const HEADER: usize = 4096;
const SMALLEST_PART: u64 = 4 << 20;
const LARGEST_PART: u64 = 16 << 20;
const MIB: u64 = 1 << 20;
/// Parts of a file at most: a size beyond 4 TiB is a lie.
const MOST_PARTS: u64 = 1 << 18;
const VERSION: u32 = 1;

/// What the file is, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    version: u32,
    /// The digest of the address it comes from.
    pub(super) source: String,
    pub(super) size: u64,
    part: u64,
    etag: Option<String>,
    last_modified: Option<String>,
    pub(super) sha256: Option<String>,
    /// The start of this machine during which it was begun.
    boot: Option<String>,
}

impl Facts {
    pub(super) fn new(
        source: &Source,
        download: &Download,
        size: u64,
        answer: &Answer,
        client: &Client,
    ) -> Self {
        let share = size.div_ceil(client.connections() as u64).div_ceil(MIB) * MIB;
        let header = |name| answer.header(name).map(str::to_owned);
        Self {
            version: VERSION,
            source: source.identity.clone(),
            size,
            part: share.clamp(SMALLEST_PART, LARGEST_PART),
            etag: header("etag"),
            last_modified: header("last-modified"),
            sha256: download.sha256.clone(),
            boot: boot(),
        }
    }

    /// The validator for `If-Range`; a weak tag may not be used there.
    pub(super) fn if_range(&self) -> Option<String> {
        self.etag
            .clone()
            .filter(|etag| !etag.starts_with("W/"))
            .or_else(|| self.last_modified.clone())
    }

    /// Whether an answer is about the same file, by tag or else by date.
    pub(super) fn same_file(&self, answer: &Answer) -> bool {
        match (&self.etag, answer.header("etag")) {
            (Some(had), Some(has)) => had == has,
            _ => match (&self.last_modified, answer.header("last-modified")) {
                (Some(had), Some(has)) => had == has,
                _ => true,
            },
        }
    }

    fn parts(&self) -> usize {
        usize::try_from(self.size.div_ceil(self.part.max(1))).unwrap_or(usize::MAX)
    }

    fn is_sane(&self) -> bool {
        self.version == VERSION
            && (SMALLEST_PART..=LARGEST_PART).contains(&self.part)
            && self.size.div_ceil(self.part) <= MOST_PARTS
    }
}

/// The start of this machine, where the system tells it.
fn boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    facts: Facts,
    written: Vec<AtomicU64>,
}

impl Ledger {
    /// A ledger of nothing yet.
    pub(super) fn create(path: &Path, facts: Facts) -> Result<Self, FetchError> {
        if !facts.is_sane() {
            return Err(FetchError::Protocol {
                reason: format!("it claims a size of {} bytes", facts.size),
                url: path.display().to_string(),
            });
        }
        let written = (0..facts.parts()).map(|_| AtomicU64::new(0)).collect();
        Self::write(path, facts, written)
    }

    /// Writes a whole ledger under its name, durably.
    fn write(path: &Path, facts: Facts, written: Vec<AtomicU64>) -> Result<Self, FetchError> {
        let fail = |source| FetchError::write(path, source, None);
        let new = path.with_extension("ledger-new");
        let mut bytes = serde_json::to_vec(&facts).map_err(|error| fail(error.into()))?;
        if bytes.len() >= HEADER {
            // Absurdly long validators are worth nothing.
            let plain = Facts {
                etag: None,
                last_modified: None,
                ..facts.clone()
            };
            bytes = serde_json::to_vec(&plain).map_err(|error| fail(error.into()))?;
        }
        bytes.resize(HEADER - 1, b' ');
        bytes.push(b'\n');
        for counts in 0..2 {
            for part in &written {
                let count = if counts == 0 {
                    part.load(Ordering::Relaxed)
                } else {
                    0
                };
                bytes.extend(count.to_le_bytes());
            }
        }
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&new)
            .map_err(fail)?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_data())
            .and_then(|()| std::fs::rename(&new, path))
            .map_err(fail)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            facts,
            written,
        })
    }

    /// The ledger at a path; `None` if there is none or it is damaged.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let mut file = File::options().read(true).write(true).open(path).ok()?;
        let mut bytes = Vec::new();
        let longest = HEADER as u64 + 16 * MOST_PARTS;
        (&mut file).take(longest).read_to_end(&mut bytes).ok()?;
        let facts: Facts = serde_json::from_slice(bytes.get(..HEADER)?).ok()?;
        if !facts.is_sane() {
            return None;
        }
        let parts = facts.parts();
        let (counts, rest) = bytes[HEADER..].as_chunks::<8>();
        if counts.len() != 2 * parts || !rest.is_empty() {
            return None;
        }
        // What was written before the machine restarted may never have reached the disk.
        let believed = if facts.boot.is_some() && facts.boot == boot() {
            &counts[..parts]
        } else {
            &counts[parts..]
        };
        let written: Vec<AtomicU64> = believed
            .iter()
            .map(|count| AtomicU64::new(u64::from_le_bytes(*count)))
            .collect();
        let ledger = Self {
            path: path.to_path_buf(),
            file,
            facts,
            written,
        };
        (0..parts)
            .all(|part| ledger.written(part) <= ledger.length(part))
            .then_some(ledger)
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes over what a new answer says of the same bytes; the parts stay as they are cut.
    pub(super) fn adopt(&mut self, facts: Facts) -> Result<(), FetchError> {
        let facts = Facts {
            part: self.facts.part,
            ..facts
        };
        if facts != self.facts {
            let written = std::mem::take(&mut self.written);
            *self = Self::write(&self.path.clone(), facts, written)?;
        }
        Ok(())
    }

    /// Whether the data file can hold what is counted.
    pub(super) fn matches_data(&self, data: &Path) -> bool {
        let Ok(metadata) = std::fs::metadata(data) else {
            return false;
        };
        (0..self.parts())
            .filter(|part| self.written(*part) > 0)
            .all(|part| self.start(part) + self.written(part) <= metadata.len())
    }

    pub(super) fn parts(&self) -> usize {
        self.written.len()
    }

    pub(super) fn start(&self, part: usize) -> u64 {
        part as u64 * self.facts.part
    }

    pub(super) fn length(&self, part: usize) -> u64 {
        self.facts.part.min(self.facts.size - self.start(part))
    }

    pub(super) fn written(&self, part: usize) -> u64 {
        self.written[part].load(Ordering::Acquire)
    }

    /// Bytes that have arrived, in all parts.
    pub(super) fn arrived(&self) -> u64 {
        (0..self.parts()).map(|part| self.written(part)).sum()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.arrived() == self.facts.size
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.parts()).filter(|part| self.written(*part) < self.length(*part))
    }

    /// The first range that is missing, both ends included.
    pub(super) fn first_gap(&self) -> (u64, u64) {
        let part = self.missing().next().unwrap_or(0);
        let start = self.start(part);
        (start + self.written(part), start + self.length(part) - 1)
    }

    /// Bytes from the start of the file without a gap; `from` is such a number got earlier.
    pub(super) fn prefix(&self, from: u64) -> u64 {
        let mut part = usize::try_from(from / self.facts.part).unwrap_or(usize::MAX);
        while part < self.parts() && self.written(part) == self.length(part) {
            part += 1;
        }
        if part < self.parts() {
            self.start(part) + self.written(part)
        } else {
            self.facts.size
        }
    }

    /// Counts bytes of a part that are in the data file now.
    pub(super) fn record(&self, part: usize, written: u64) -> Result<(), FetchError> {
        let offset = HEADER as u64 + 8 * part as u64;
        self.file
            .write_all_at(&written.to_le_bytes(), offset)
            .map_err(|source| FetchError::write(&self.path, source, None))?;
        self.written[part].store(written, Ordering::Release);
        Ok(())
    }

    /// Brings data and counts to the disk, so that they outlast a power failure.
    pub(super) fn harden(&self, data: &File) -> Result<(), FetchError> {
        let counts: Vec<u8> = (0..self.parts())
            .flat_map(|part| self.written(part).to_le_bytes())
            .collect();
        let offset = HEADER as u64 + counts.len() as u64;
        data.sync_data()
            .and_then(|()| self.file.write_all_at(&counts, offset))
            .and_then(|()| self.file.sync_data())
            .map_err(|source| FetchError::write(&self.path, source, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(size: u64) -> Facts {
        Facts {
            version: VERSION,
            source: "a source".to_owned(),
            size,
            part: SMALLEST_PART,
            etag: Some("\"tag\"".to_owned()),
            last_modified: Some("a date".to_owned()),
            sha256: None,
            boot: boot(),
        }
    }

    #[test]
    fn counts_outlast_the_process_and_after_a_restart_only_those_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ledger");
        let data = File::create(folder.path().join("a.part")).unwrap();
        let ledger = Ledger::create(&path, facts(3 * SMALLEST_PART - 1)).unwrap();
        assert_eq!(ledger.parts(), 3);
        assert_eq!(ledger.length(2), SMALLEST_PART - 1);
        ledger.record(0, SMALLEST_PART).unwrap();
        ledger.record(2, 5).unwrap();
        ledger.harden(&data).unwrap();
        ledger.record(1, 7).unwrap();
        let again = Ledger::open(&path).unwrap();
        let counts = |ledger: &Ledger| (0..3).map(|part| ledger.written(part)).collect::<Vec<_>>();
        if boot().is_some() {
            assert_eq!(counts(&again), [SMALLEST_PART, 7, 5]);
            assert_eq!(again.prefix(0), SMALLEST_PART + 7);
            assert_eq!(
                again.first_gap(),
                (SMALLEST_PART + 7, 2 * SMALLEST_PART - 1)
            );
        }
        let other = Facts {
            boot: Some("another start of the machine".to_owned()),
            ..again.facts().clone()
        };
        let mut header = serde_json::to_vec(&other).unwrap();
        header.resize(HEADER - 1, b' ');
        again.file.write_all_at(&header, 0).unwrap();
        let restarted = Ledger::open(&path).unwrap();
        assert_eq!(counts(&restarted), [SMALLEST_PART, 0, 5]);
        assert_eq!(restarted.arrived(), SMALLEST_PART + 5);
        assert_eq!(restarted.missing().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_is_counted_must_be_in_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a.part");
        let ledger = Ledger::create(&folder.path().join("a.ledger"), facts(100)).unwrap();
        assert!(!ledger.matches_data(&data));
        std::fs::write(&data, [0; 10]).unwrap();
        ledger.record(0, 10).unwrap();
        assert!(ledger.matches_data(&data));
        ledger.record(0, 11).unwrap();
        assert!(!ledger.matches_data(&data));
    }

    #[test]
    fn a_weak_tag_is_no_validator_for_ranges() {
        let mut facts = facts(1);
        assert_eq!(facts.if_range().as_deref(), Some("\"tag\""));
        facts.etag = Some("W/\"tag\"".to_owned());
        assert_eq!(facts.if_range().as_deref(), Some("a date"));
        facts.last_modified = None;
        assert_eq!(facts.if_range(), None);
    }

    #[test]
    fn absurd_sizes_make_no_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ledger");
        assert!(Ledger::create(&path, facts(u64::MAX)).is_err());
        assert!(!path.exists());
    }
}
