//! Keeps the store small: many small files become few large ones, and what is too old or too much
//! goes.
//!
//! One process at a time does it, by lock. A new file names the files whose rows it holds; from the
//! moment it is in place readers pass those over, and only then are they removed. So a crash at any
//! point loses nothing and shows nothing twice.

use crate::StoreError;
use crate::block::{Block, BlockMeta, Builder, Builders, read};
use crate::file::{self, BlockFile};
use crate::folder::{Folder, Held, JOURNAL, Kind};
use crate::journal::JournalReader;
use crate::otlp::{self, Request};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Rows of one compacted file at most.
const FILE_ROWS: usize = 1 << 20;
/// A block of at least so many rows is taken over as it is.
const FULL: usize = 4_096;
/// Bytes that go into one file at most: they lie in memory until it is written.
const LARGEST_MERGE: u64 = 96 << 20;
/// Files between two of these sizes, bytes, are made one with each other; larger ones stay.
const STEPS: [u64; 4] = [0, 1 << 20, 8 << 20, 64 << 20];
/// Fewer files than this are left alone.
const FEW: usize = 8;

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
    let path = folder.compact_lock();
    let lock = File::create(&path).map_err(|error| StoreError::io("create", &path, error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Compacted::default()),
        Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, error)),
    }
    let mut done = Compacted::default();
    folder.remove_unfinished()?;
    remove_replaced(&folder)?;
    expire(&folder, retention, &mut done)?;
    merge(&folder, &mut done)?;
    remove_empty(&folder)?;
    Ok(done)
}

/// Finishes what a crashed compaction began.
fn remove_replaced(folder: &Folder) -> Result<(), StoreError> {
    for held in folder
        .list()?
        .iter()
        .filter(|held| held.kind == Kind::Blocks)
    {
        // A damaged file replaces nothing that could still be there.
        if let Ok(file) = BlockFile::open(&held.path) {
            for name in &file.replaces {
                remove_rows(&folder.root().join(name))?;
            }
        }
    }
    Ok(())
}

/// Removes a file that holds rows. A journal whose blocks are here goes before them: alone it would
/// show its rows again.
fn remove_rows(path: &Path) -> Result<(), StoreError> {
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

fn expire(folder: &Folder, keep: Retention, done: &mut Compacted) -> Result<(), StoreError> {
    let mut files: Vec<BlockFile> = folder
        .list()?
        .iter()
        .filter(|held| held.kind == Kind::Blocks)
        .filter_map(|held| BlockFile::open(&held.path).ok())
        .collect();
    files.sort_by_key(newest);
    let mut bytes: u64 = files.iter().map(|file| file.size).sum();
    for file in files {
        let too_old = keep.oldest.is_some_and(|oldest| newest(&file) < oldest);
        let too_much = keep.bytes.is_some_and(|limit| bytes > limit);
        if too_old || too_much {
            bytes -= file.size;
            remove_rows(&file.path)?;
            done.expired += 1;
        }
    }
    Ok(())
}

fn newest(file: &BlockFile) -> u64 {
    let times = file.entries.iter().map(|(entry, _)| entry.newest);
    times.max().unwrap_or(0)
}

/// A file that can be made one with others.
struct Input {
    held: Held,
    size: u64,
    rows: usize,
    whole: Option<BlockFile>,
}

fn merge(folder: &Folder, done: &mut Compacted) -> Result<(), StoreError> {
    // Held until all is done: what is listed now nobody adds to.
    let locked = folder.dead_segments()?;
    let dead: BTreeSet<&Path> = locked.iter().map(|segment| &*segment.path).collect();
    let mut inputs = Vec::new();
    for held in folder.list()? {
        match held.kind {
            // A journal that is still written is its writer's.
            Kind::Journal
                if held
                    .path
                    .parent()
                    .is_some_and(|parent| dead.contains(parent)) =>
            {
                inputs.push(Input {
                    size: held.path.metadata().map_or(0, |found| found.len()),
                    held,
                    rows: 0,
                    whole: None,
                });
            }
            Kind::Journal => {}
            Kind::Blocks => {
                let Ok(file) = BlockFile::open(&held.path) else {
                    continue;
                };
                let rows = file.entries.iter().map(|(entry, _)| entry.rows).sum();
                inputs.push(Input {
                    size: file.size,
                    held,
                    rows,
                    whole: Some(file),
                });
            }
        }
    }
    // Files of like size: each row is written anew once a step, not every time.
    for step in STEPS.windows(2) {
        let of_step = |input: &mut Input| (step[0]..step[1]).contains(&input.size);
        let mut like: Vec<Input> = inputs.extract_if(.., of_step).collect();
        if like.len() < FEW {
            continue;
        }
        while !like.is_empty() {
            let (mut rows, mut size) = (0, 0);
            let taken = like
                .iter()
                .take_while(|input| {
                    rows += input.rows;
                    size += input.size;
                    rows <= FILE_ROWS && size <= LARGEST_MERGE
                })
                .count();
            let mut group: Vec<Input> = like.drain(..taken.max(1)).collect();
            if merge_group(folder, &mut group)? {
                done.merged += group.len();
                done.written += 1;
            }
        }
    }
    Ok(())
}

/// Makes these files one. What turns out to be damaged stays where it is, readable as far as it
/// is, and is no reason to leave the others.
fn merge_group(folder: &Folder, group: &mut Vec<Input>) -> Result<bool, StoreError> {
    while is_worth_it(group) {
        let path = folder.new_blocks();
        let mut merging = Merging::new(path.clone());
        let failed = (group.iter().enumerate())
            .find_map(|(place, input)| merging.add(input).err().map(|error| (place, error)));
        match failed {
            None => {
                let names: Vec<String> =
                    group.iter().map(|input| input.held.name.clone()).collect();
                file::write(&path, merging.finish()?, &names)?;
                let mut folders = BTreeSet::new();
                for input in group {
                    remove_rows(&input.held.path)?;
                    folders.extend(input.held.path.parent().map(Path::to_owned));
                }
                // Gone for good before the file that names them may go.
                for folder in folders {
                    file::sync(&folder)?;
                }
                return Ok(true);
            }
            Some((place, error @ StoreError::Damaged { .. })) => {
                tracing::warn!(%error, "a file of the store stays as it is");
                group.remove(place);
            }
            Some((_, error)) => return Err(error),
        }
    }
    Ok(false)
}

/// One file of blocks would only be written anew.
fn is_worth_it(group: &[Input]) -> bool {
    group.len() > 1 || group.iter().any(|input| input.whole.is_none())
}

/// Blocks of several files on their way into one.
struct Merging {
    path: PathBuf,
    builders: Builders,
    blocks: Vec<(Vec<u8>, BlockMeta)>,
}

impl Merging {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            builders: Builders::new(),
            blocks: Vec::new(),
        }
    }

    fn add(&mut self, input: &Input) -> Result<(), StoreError> {
        match &input.whole {
            None => self.journal(&input.held.path),
            Some(file) => {
                (0..file.entries.len()).try_for_each(|place| self.block(&file.block(place)?))
            }
        }
    }

    fn journal(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut reader = JournalReader::open(path)?;
        while let Some((signal, payload)) = reader.next()? {
            let mut request =
                Request::decode(signal, &payload).map_err(|_not_ours| StoreError::Damaged {
                    what: "a request in a journal",
                    path: path.to_owned(),
                })?;
            request.feed(&mut self.builders);
            self.close_full()?;
        }
        if reader.is_damaged()? {
            return Err(StoreError::Damaged {
                what: "a frame of a journal",
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    fn block(&mut self, block: &Block) -> Result<(), StoreError> {
        let meta = &block.meta;
        if meta.rows >= FULL {
            let bytes = block.all()?;
            self.blocks.push((bytes, BlockMeta::clone(meta)));
            return Ok(());
        }
        let rows: Vec<u32> = (0..meta.rows as u32).collect();
        let mut request = otlp::gather(meta.signal, read(block, &rows)?)
            .map_err(|broken| block.damaged(broken.0))?;
        request.feed(&mut self.builders);
        self.close_full()
    }

    fn close_full(&mut self) -> Result<(), StoreError> {
        let full = self.builders.take_full();
        full.into_iter().try_for_each(|builder| self.close(builder))
    }

    fn close(&mut self, builder: Builder) -> Result<(), StoreError> {
        let block = builder
            .finish()
            .map_err(|error| StoreError::io("compress", &self.path, error))?;
        self.blocks.push(block);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<(Vec<u8>, BlockMeta)>, StoreError> {
        let last = std::mem::replace(&mut self.builders, Builders::new());
        for builder in last.into_filled() {
            self.close(builder)?;
        }
        Ok(self.blocks)
    }
}

/// Folders of processes that are gone and left nothing.
fn remove_empty(folder: &Folder) -> Result<(), StoreError> {
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
