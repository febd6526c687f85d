//! The thread that writes requests to the journal and answers them.

use super::seal::Sealing;
use super::{Closing, Shared, Waiting};
use crate::StoreError;
use crate::answer::{Promise, lock};
use crate::block::Builders;
use crate::folder::{Folder, JOURNAL};
use crate::journal::Journal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A journal is closed at this length even if its rows would fit a block.
const JOURNAL_LIMIT: u64 = 64 << 20;
/// A journal of at least so many bytes is made blocks when its writer ends.
const WORTH_BLOCKS: u64 = 1 << 20;
/// How often it is looked whether another process asks for blocks, while the journal holds rows.
const LOOK: Duration = Duration::from_millis(500);

/// What the commit thread works on.
pub(super) struct Committer {
    segment: PathBuf,
    number: u32,
    journal: Journal,
    /// A write to the journal failed: nothing more goes into it.
    spoilt: bool,
    builders: Builders,
    seal: SyncSender<Sealing>,
    looked: Instant,
    /// The segment's lock, shared with the thread that makes blocks: the segment is that of a dead
    /// process only once both are done with it.
    _held: Arc<File>,
}

/// What the thread is woken for.
#[derive(Default)]
struct Work {
    group: Vec<Waiting>,
    seals: Vec<Promise>,
    ending: bool,
}

fn journal_path(segment: &Path, number: u32) -> PathBuf {
    segment.join(format!("{number:08}.{JOURNAL}"))
}

impl Committer {
    /// Begins the first journal of a segment whose lock is held.
    pub(super) fn new(
        segment: PathBuf,
        held: Arc<File>,
        seal: SyncSender<Sealing>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            journal: Journal::create(journal_path(&segment, 1))?,
            spoilt: false,
            number: 1,
            segment,
            builders: Builders::new(),
            seal,
            looked: Instant::now(),
            _held: held,
        })
    }

    pub(super) fn run(mut self, shared: &Shared) {
        let _closing = Closing(shared);
        loop {
            let work = self.wait(shared);
            self.commit(work.group);
            if !work.seals.is_empty() {
                // Whoever waits for it is told.
                self.rotate(work.seals).ok();
            }
            self.seal_if_asked();
            if work.ending {
                return self.leave();
            }
        }
    }

    /// Leaves no journal behind in which nothing was written, and blocks instead of a large one.
    fn leave(self) {
        let journal = self.journal.path();
        if self.journal.is_empty() {
            // Else a compaction finds it empty.
            std::fs::remove_file(journal).ok();
        } else if self.journal.length() >= WORTH_BLOCKS && !self.spoilt {
            let sealing = Sealing {
                journal: journal.to_owned(),
                builders: self.builders,
                told: Vec::new(),
            };
            // Were the other end gone the journal would keep the rows.
            self.seal.send(sealing).ok();
        }
    }

    /// Waits for requests; not for long while the journal holds rows.
    fn wait(&self, shared: &Shared) -> Work {
        let mut queue = lock(&shared.queue);
        if queue.waiting.is_empty() && queue.seals.is_empty() && !queue.closed {
            queue = if self.journal.is_empty() {
                shared
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = shared.changed.wait_timeout(queue, LOOK);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
        let group = std::mem::take(&mut queue.waiting);
        Work {
            seals: std::mem::take(&mut queue.seals),
            ending: queue.closed && group.is_empty(),
            group,
        }
    }

    /// Everything that waits goes to the disk with one sync.
    fn commit(&mut self, mut group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        let outcome = self.make_room().and_then(|()| {
            let payloads = group.iter();
            let written = (self.journal)
                .commit(payloads.map(|waiting| (waiting.signal, waiting.payload.as_slice())));
            // A reader may have seen what was taken back: further frames in its place would be
            // read from their middle.
            self.spoilt |= written.is_err();
            written
        });
        let promises = group.iter_mut().map(|waiting| &mut waiting.promise);
        match &outcome {
            Ok(()) => promises.for_each(|promise| promise.give(Ok(()))),
            Err(error) => {
                promises.for_each(|promise| promise.give(Err(error.again())));
                return;
            }
        }
        for mut waiting in group {
            waiting.request.feed(&mut self.builders);
        }
    }

    /// Closes the journal if it is full. As long as that fails nothing more is taken.
    fn make_room(&mut self) -> Result<(), StoreError> {
        if self.spoilt || self.builders.is_full() || self.journal.length() >= JOURNAL_LIMIT {
            self.rotate(Vec::new())?;
        }
        Ok(())
    }

    /// Makes blocks if another process, which has something to remove from them, asks for it.
    fn seal_if_asked(&mut self) {
        if self.journal.is_empty() || self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        if Folder::take_seal_request(&self.segment)
            && let Err(error) = self.rotate(Vec::new())
        {
            tracing::warn!(%error, "the journal stays as it is");
        }
    }

    /// Begins a new journal and has blocks made of the old one; says there how that went.
    fn rotate(&mut self, mut told: Vec<Promise>) -> Result<(), StoreError> {
        let next =
            Journal::create(journal_path(&self.segment, self.number + 1)).inspect_err(|error| {
                for promise in &mut told {
                    promise.give(Err(error.again()));
                }
            })?;
        self.number += 1;
        self.spoilt = false;
        let closed = std::mem::replace(&mut self.journal, next);
        let sealing = Sealing {
            journal: closed.path().to_owned(),
            builders: std::mem::replace(&mut self.builders, Builders::new()),
            told,
        };
        // Were the other end gone the journal would keep the rows.
        self.seal.send(sealing).ok();
        Ok(())
    }
}
