//! What all processes have written, as it stands now.

use crate::StoreError;
use crate::block::{Block, Builder, Builders, Signal, Source};
use crate::file::BlockFile;
use crate::folder::{Folder, Held, Kind};
use crate::journal::JournalReader;
use crate::otlp::Request;
use std::collections::BTreeMap;
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
    /// Files that cannot be read, and why.
    damaged: BTreeMap<String, String>,
}

/// The part of a journal that was read so far, as blocks.
#[derive(Debug)]
struct Tail {
    reader: JournalReader,
    blocks: Vec<Block>,
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
pub(crate) struct Part {
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

    /// Bytes of the files that hold it.
    pub fn bytes(&self) -> u64 {
        self.bytes
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
        for file in listed {
            let outcome = match file.kind {
                Kind::Blocks => self.open_blocks(file),
                Kind::Journal => self.read_journal(file),
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
            let tail = Tail {
                reader: JournalReader::open(&file.path)?,
                blocks: Vec::new(),
            };
            self.journals.insert(file.name.clone(), tail);
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
                snapshot.bytes += tail.reader.position();
                let parts = tail.blocks.iter().map(|block| Part {
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

impl Tail {
    /// Makes blocks of what was written since the last look. Where that fails, what was read before
    /// is kept: it is not read again.
    fn read_on(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut builders = Builders::new();
        let outcome = self.read_frames(path, &mut builders);
        for builder in builders.into_filled() {
            self.blocks.push(in_memory(builder, path)?);
        }
        outcome
    }

    fn read_frames(&mut self, path: &Path, builders: &mut Builders) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        while let Some((signal, payload)) = self.reader.next()? {
            match Request::decode(signal, &payload) {
                Ok(mut request) => request.feed(builders),
                // A writer takes no such request.
                Err(_not_ours) => {
                    outcome = Err(StoreError::Damaged {
                        what: "a request in a journal",
                        path: path.to_owned(),
                    });
                }
            }
            for full in builders.take_full() {
                self.blocks.push(in_memory(full, path)?);
            }
        }
        outcome
    }
}

fn in_memory(builder: Builder, path: &Path) -> Result<Block, StoreError> {
    let (bytes, meta) = builder
        .finish()
        .map_err(|error| StoreError::io("read", path, error))?;
    Ok(Block {
        meta: Arc::new(meta),
        source: Source::Memory(Arc::new(bytes)),
        path: path.into(),
    })
}
