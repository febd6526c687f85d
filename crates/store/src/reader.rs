//! What all processes have written, as it stands now.

use crate::StoreError;
use crate::block::{Block, Signal};
use crate::file::BlockFile;
use crate::folder::{Folder, Held, Kind};
use crate::tail::Tail;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A file may be made one with others between being listed and being opened; so often the list is
/// made again.
const TRIES: usize = 64;

/// Reads a store that any number of processes write. Never waits for a writer.
#[derive(Debug)]
pub struct Reader {
    folder: Folder,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Arc<BlockFile>>,
    journals: BTreeMap<String, Tail>,
    /// Files that are not what was written, and how so.
    damaged: BTreeMap<String, String>,
    /// Files that could not be read this time, and why.
    unreadable: BTreeMap<String, String>,
}

/// The store at one moment. What is appended later is not in it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Newest first.
    pub(crate) parts: Vec<Part>,
    damaged: BTreeMap<String, String>,
    bytes: u64,
}

/// A block of a snapshot.
#[derive(Debug, Clone)]
pub struct Part {
    pub(crate) signal: Signal,
    pub(crate) rows: usize,
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    File(Arc<BlockFile>, usize),
    Memory(Block),
}

impl Part {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Times of its oldest and newest row, ns since 1970.
    pub fn times(&self) -> RangeInclusive<u64> {
        self.oldest..=self.newest
    }

    /// Whether a trace may be in the block; `false` is certain, and costs no look at the disk.
    pub(crate) fn may_hold_trace(&self, id: &[u8]) -> bool {
        match &self.place {
            Place::File(file, place) => file.entries[*place].0.may_hold_trace(id),
            Place::Memory(_) => true,
        }
    }

    pub(crate) fn block(&self) -> Result<Block, StoreError> {
        match &self.place {
            Place::File(file, place) => file.block(*place),
            Place::Memory(block) => Ok(block.clone()),
        }
    }
}

impl Snapshot {
    /// Rows of a signal.
    pub fn rows(&self, signal: Signal) -> u64 {
        self.of(signal).map(|part| part.rows as u64).sum()
    }

    /// Files that could not be read, and why.
    pub fn damaged(&self) -> &BTreeMap<String, String> {
        &self.damaged
    }

    /// Blocks that a question may have to look into.
    pub fn blocks(&self) -> usize {
        self.parts.len()
    }

    /// Bytes of the files that hold it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The blocks of a signal, that with the newest row first.
    pub fn parts(&self, signal: Signal) -> impl Iterator<Item = &Part> {
        self.of(signal)
    }

    pub(crate) fn of(&self, signal: Signal) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.signal == signal)
    }
}

impl Reader {
    /// A reader of the store in this folder; an empty one is made if there is none.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            folder: Folder::open(folder)?,
            state: Mutex::default(),
        })
    }

    /// The store as it stands now. Reads only what is new since the last call.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..TRIES {
            let listed = self.folder.list()?;
            // A file that was made of others between two looks into folders would be missed, and
            // so would they: only what stands still for a moment is the store.
            if state.refresh(&listed)? && self.folder.list()? == listed {
                return Ok(state.snapshot(&listed));
            }
        }
        Err(StoreError::Unsettled)
    }
}

impl State {
    /// Opens what is new. `false` if a file went away meanwhile, so that the list is old.
    fn refresh(&mut self, listed: &[Held]) -> Result<bool, StoreError> {
        let names: std::collections::BTreeSet<&str> =
            listed.iter().map(|file| file.name.as_str()).collect();
        self.files.retain(|name, _| names.contains(name.as_str()));
        self.journals
            .retain(|name, _| names.contains(name.as_str()));
        self.damaged.retain(|name, _| names.contains(name.as_str()));
        self.unreadable.clear();
        for file in listed {
            let outcome = match file.kind {
                Kind::Blocks => self.open_blocks(file),
                Kind::Journal => self.read_journal(file),
                Kind::Unlisted => std::fs::read_dir(&file.path)
                    .map(drop)
                    .map_err(|error| StoreError::io("list", &file.path, error)),
            };
            match outcome {
                Ok(()) => {}
                Err(StoreError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    return Ok(false);
                }
                Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                    self.damaged.insert(file.name.clone(), error.to_string());
                }
                Err(error) if error.is_of_file() => {
                    let said = with_cause(&error);
                    self.unreadable.insert(file.name.clone(), said);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn open_blocks(&mut self, file: &Held) -> Result<(), StoreError> {
        if !self.files.contains_key(&file.name) && !self.damaged.contains_key(&file.name) {
            let opened = BlockFile::open(&file.path)?;
            self.files.insert(file.name.clone(), Arc::new(opened));
        }
        Ok(())
    }

    fn read_journal(&mut self, file: &Held) -> Result<(), StoreError> {
        if !self.journals.contains_key(&file.name) {
            self.journals
                .insert(file.name.clone(), Tail::open(&file.path)?);
        }
        match self.journals.get_mut(&file.name) {
            Some(tail) => tail.read_on(&file.path),
            None => Ok(()),
        }
    }

    fn snapshot(&self, listed: &[Held]) -> Snapshot {
        let replaced: std::collections::BTreeSet<&str> = self
            .files
            .values()
            .flat_map(|file| file.replaces.iter().map(String::as_str))
            .collect();
        let mut snapshot = Snapshot {
            damaged: self.damaged.clone(),
            ..Snapshot::default()
        };
        snapshot.damaged.extend(self.unreadable.clone());
        for name in listed.iter().map(|file| file.name.as_str()) {
            if replaced.contains(name) {
                continue;
            }
            if let Some(file) = self.files.get(name) {
                snapshot.bytes += file.size;
                let parts = file
                    .entries
                    .iter()
                    .enumerate()
                    .map(|(place, (entry, _))| Part {
                        signal: entry.signal,
                        rows: entry.rows,
                        oldest: entry.oldest,
                        newest: entry.newest,
                        place: Place::File(file.clone(), place),
                    });
                snapshot.parts.extend(parts);
            }
            if let Some(tail) = self.journals.get(name) {
                snapshot.bytes += tail.position();
                let parts = tail.blocks().map(|block| Part {
                    signal: block.meta.signal,
                    rows: block.meta.rows,
                    oldest: block.meta.oldest,
                    newest: block.meta.newest,
                    place: Place::Memory(block.clone()),
                });
                snapshot.parts.extend(parts);
            }
        }
        snapshot
            .parts
            .sort_by_key(|part| std::cmp::Reverse(part.newest));
        snapshot
    }
}

/// A failure and what caused it, in one line.
pub(crate) fn with_cause(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named_and_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let reader = Reader::open(folder.path()).unwrap();
        let path = folder.path().join("blocks/1.blocks");
        // Reading it fails, whoever asks.
        std::fs::create_dir(&path).unwrap();
        let held = Held {
            name: "blocks/1.blocks".to_owned(),
            path: path.clone(),
            kind: Kind::Blocks,
        };
        let mut state = State::default();
        assert!(state.refresh(std::slice::from_ref(&held)).unwrap());
        let snapshot = state.snapshot(std::slice::from_ref(&held));
        let said = &snapshot.damaged()["blocks/1.blocks"];
        assert!(said.starts_with("cannot open"), "{said}");
        std::fs::remove_dir(&path).unwrap();
        crate::file::Writing::create(&path)
            .unwrap()
            .finish(&[])
            .unwrap();
        let snapshot = reader.snapshot().unwrap();
        assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
        assert!(state.refresh(&[held]).unwrap());
        assert!(state.unreadable.is_empty());
    }
}
