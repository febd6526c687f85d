//! Removes rows for good: every file that holds one is written anew without it.

use crate::StoreError;
use crate::block::{Block, Signal};
use crate::compact::{Rewriting, lock, remove_empty, remove_replaced, remove_rows};
use crate::file::{BlockFile, sync_folder};
use crate::folder::{Folder, Held, Kind};
use crate::query::{Condition, Query, ids_of, rows_of};
use crate::reader::with_cause;
use crate::tail::Tail;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program that writes has time to close its journal.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// What goes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Purge {
    /// Times of rows, ns since 1970; `None` for all.
    pub time: Option<Range<u64>>,
    /// What must hold. Where a span meets all of it its whole trace goes, with its log records;
    /// rows of other signals go if they meet it themselves. Without any, all rows of the time go.
    pub conditions: Vec<Condition>,
    /// Only count.
    pub dry_run: bool,
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Spans.
    pub spans: u64,
    /// Metric points.
    pub points: u64,
    /// Log records.
    pub logs: u64,
    /// Traces of which at least one span went.
    pub traces: u64,
    /// Files that were written anew, or removed.
    pub files: u64,
    /// Files that may still hold such rows, each with the reason.
    pub left: Vec<String>,
}

impl Purged {
    /// Rows of all signals.
    pub fn rows(&self) -> u64 {
        self.spans + self.points + self.logs
    }

    fn count(&mut self, signal: Signal, rows: usize) {
        let count = match signal {
            Signal::Traces => &mut self.spans,
            Signal::Metrics => &mut self.points,
            Signal::Logs => &mut self.logs,
        };
        *count += rows as u64;
    }
}

/// Removes what meets a purge from the store in this folder. What is appended meanwhile stays. A
/// program that writes is asked to close its journal first. Killed at any moment, files are as they
/// were or without what was to go.
pub fn purge(folder: &Path, purge: &Purge) -> Result<Purged, StoreError> {
    let folder = Folder::open(folder)?;
    let _alone = lock(&folder)?;
    let mut done = Purged::default();
    let unclosed = if purge.dry_run {
        BTreeSet::new()
    } else {
        let unclosed = close_journals(&folder)?;
        folder.remove_unfinished()?;
        remove_replaced(&folder)?;
        unclosed
    };
    // Held until all is done: what is listed now nobody adds to.
    let locked = folder.dead_segments()?;
    let dead: BTreeSet<&Path> = locked.iter().map(|segment| &*segment.path).collect();
    let mut files = Vec::new();
    for held in folder.list()? {
        let written = held.kind == Kind::Journal
            && (held.path.parent()).is_none_or(|segment| !dead.contains(segment));
        // All that such a journal holds was appended since.
        if written && !purge.dry_run && !unclosed.contains(&held.path) {
            continue;
        }
        match Rows::open(&held, written) {
            Ok(rows) => files.push(File {
                held,
                rows,
                written,
            }),
            Err(error) => done.left.push(with_cause(&error)),
        }
    }
    let work = Work::new(purge, &files, &mut done);
    done.traces = work.traces.len() as u64;
    for file in &files {
        if let Err(error) = work.file(&folder, file, &mut done) {
            match error {
                error if error.is_of_file() => done.left.push(with_cause(&error)),
                error => return Err(error),
            }
        }
    }
    drop(locked);
    if !purge.dry_run {
        remove_empty(&folder)?;
    }
    // What is damaged is met twice: when traces are looked for, and when they go.
    done.left.sort();
    done.left.dedup();
    Ok(done)
}

/// Asks programs that write for blocks of all that their journals hold, and waits a while. Which
/// journals are still there then.
fn close_journals(folder: &Folder) -> Result<BTreeSet<PathBuf>, StoreError> {
    let dead = folder.dead_segments()?;
    let dead: BTreeSet<PathBuf> = dead.into_iter().map(|segment| segment.path).collect();
    let mut open = BTreeSet::new();
    for held in folder.list()? {
        let Some(segment) = held.path.parent() else {
            continue;
        };
        let holds_rows = || {
            let mut tail = Tail::open(&held.path)?;
            tail.read_on(&held.path)?;
            Ok::<_, StoreError>(tail.blocks().next().is_some())
        };
        if held.kind == Kind::Journal && !dead.contains(segment) && holds_rows().unwrap_or(true) {
            Folder::ask_to_seal(segment)?;
            open.insert(held.path);
        }
    }
    let until = Instant::now() + PATIENCE;
    while !open.is_empty() && Instant::now() < until {
        thread::sleep(PAUSE);
        let listed: BTreeSet<PathBuf> =
            (folder.list()?.into_iter()).map(|held| held.path).collect();
        open.retain(|path| listed.contains(path));
    }
    Ok(open)
}

/// A block, with the filter of its traces where there is one.
type Filtered = (Block, Option<Vec<u8>>);

/// A file that may hold what goes.
struct File {
    held: Held,
    rows: Rows,
    /// Its process still adds to it.
    written: bool,
}

/// The rows of a file.
enum Rows {
    File(BlockFile),
    Journal(Tail),
}

impl Rows {
    /// `written` says that its process still adds to it.
    fn open(held: &Held, written: bool) -> Result<Self, StoreError> {
        match held.kind {
            Kind::Blocks => BlockFile::open(&held.path).map(Self::File),
            Kind::Journal => {
                let mut tail = Tail::open(&held.path)?;
                tail.read_on(&held.path)?;
                if !written && tail.is_damaged()? {
                    return Err(StoreError::Damaged {
                        what: "a frame of a journal",
                        path: held.path.clone(),
                    });
                }
                Ok(Self::Journal(tail))
            }
            Kind::Unlisted => Err(StoreError::Damaged {
                what: "a folder that cannot be listed",
                path: held.path.clone(),
            }),
        }
    }

    /// Its blocks.
    fn blocks(&self) -> Result<Vec<Filtered>, StoreError> {
        match self {
            Self::File(file) => (0..file.entries.len())
                .map(|place| Ok((file.block(place)?, file.traces(place))))
                .collect(),
            Self::Journal(tail) => Ok(tail.blocks().map(|block| (block.clone(), None)).collect()),
        }
    }
}

/// What goes, with the traces that were found for it.
struct Work {
    query: Query,
    traces: BTreeSet<[u8; 16]>,
    /// Traces go whole.
    whole: bool,
    dry_run: bool,
}

impl Work {
    /// Looks for the traces that go. A file that cannot be read to the end is named later.
    fn new(purge: &Purge, files: &[File], done: &mut Purged) -> Self {
        let mut work = Self {
            query: Query {
                time: purge.time.clone(),
                conditions: purge.conditions.clone(),
                limit: None,
            },
            traces: BTreeSet::new(),
            whole: !purge.conditions.is_empty(),
            dry_run: purge.dry_run,
        };
        for file in files {
            let found = file
                .rows
                .blocks()
                .and_then(|blocks| work.find_traces(&blocks));
            match found {
                Ok(ids) => work.traces.extend(ids),
                Err(error) => done.left.push(with_cause(&error)),
            }
        }
        work
    }

    fn find_traces(&self, blocks: &[Filtered]) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut all = Vec::new();
        let spans = blocks.iter().map(|(block, _)| block);
        for block in spans.filter(|block| block.meta.signal == Signal::Traces) {
            let rows: Vec<u32> = rows_of(block, &self.query)?
                .into_iter()
                .map(|(row, _)| row)
                .collect();
            all.extend(ids_of(block, &rows)?.into_iter().map(|(_, id)| id));
        }
        Ok(all)
    }

    /// The rows of a block that go, rising.
    fn rows(&self, block: &Block) -> Result<Vec<u32>, StoreError> {
        let met = rows_of(block, &self.query)?;
        let mut rows: BTreeSet<u32> = met.into_iter().map(|(row, _)| row).collect();
        let has_traces = block.meta.signal != Signal::Metrics;
        if self.whole && has_traces && !self.traces.is_empty() {
            rows.extend(Condition::AnyTrace(self.traces.clone()).rows(block)?);
        }
        Ok(rows.into_iter().collect())
    }

    /// Writes a file anew without what goes, if it holds any of it.
    fn file(&self, folder: &Folder, file: &File, done: &mut Purged) -> Result<(), StoreError> {
        let held = &file.held;
        let blocks = file.rows.blocks()?;
        let gone = blocks
            .iter()
            .map(|(block, _)| self.rows(block))
            .collect::<Result<Vec<_>, _>>()?;
        if gone.iter().all(Vec::is_empty) {
            return Ok(());
        }
        if file.written && !self.dry_run {
            done.left.push(format!(
                "a program still writes, and did not close it when asked: {}",
                held.path.display()
            ));
            return Ok(());
        }
        if !self.dry_run {
            let mut rewriting = Rewriting::new(folder.new_blocks())?;
            for ((block, traces), gone) in blocks.iter().zip(&gone) {
                if gone.is_empty() {
                    rewriting.block(block, traces.clone())?;
                } else {
                    let kept = |row: &u32| gone.binary_search(row).is_err();
                    let kept: Vec<u32> = (0..block.meta.rows as u32).filter(kept).collect();
                    rewriting.rows(block, &kept)?;
                }
            }
            rewriting.finish(std::slice::from_ref(&held.name))?;
            remove_rows(&held.path)?;
            sync_folder(&held.path)?;
        }
        for ((block, _), gone) in blocks.iter().zip(&gone) {
            done.count(block.meta.signal, gone.len());
        }
        done.files += 1;
        Ok(())
    }
}
