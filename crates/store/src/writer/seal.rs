//! The thread that makes blocks of closed journals, and has many files made few.

use crate::StoreError;
use crate::answer::Promise;
use crate::block::{Builders, Packing};
use crate::compact::{Retention, compact};
use crate::file::Writing;
use crate::folder::BLOCKS;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};

/// After so many files of its own a writer makes few of them: a reader keeps each open.
const MANY: u32 = 32;

/// A journal's rows, to be made into blocks.
pub(super) struct Sealing {
    pub(super) journal: PathBuf,
    pub(super) builders: Builders,
    pub(super) told: Vec<Promise>,
}

/// Makes blocks of journals until there will be no more. The segment's lock is let go of only after
/// the last one: whoever finds it free takes the journals for nobody's and writes them anew.
pub(super) fn seal_all(root: &Path, seals: &Receiver<Sealing>, held: Arc<File>) {
    let mut written = 0;
    let mut compacting: Option<JoinHandle<()>> = None;
    while let Ok(sealing) = seals.recv() {
        let outcome = seal(&sealing.journal, sealing.builders);
        if let Err(error) = &outcome {
            // The journal keeps the rows, readable as before; compaction tries again.
            tracing::warn!(%error, "a journal stays as it is");
        }
        for mut promise in sealing.told {
            promise.give(match &outcome {
                Ok(()) => Ok(()),
                Err(error) => Err(error.again()),
            });
        }
        written += 1;
        if written >= MANY && compacting.as_ref().is_none_or(JoinHandle::is_finished) {
            written = 0;
            compacting = compact_aside(root.to_owned());
        }
    }
    if let Some(thread) = compacting {
        // A panic in it has nothing to say here.
        drop(thread.join());
    }
    drop(held);
}

/// On a thread of its own: requests do not wait for it.
fn compact_aside(root: PathBuf) -> Option<JoinHandle<()>> {
    let work = move || {
        if let Err(error) = compact(&root, Retention::default()) {
            tracing::warn!(%error, "the store was not compacted");
        }
    };
    let thread = thread::Builder::new().name("store-compact".to_owned());
    thread.spawn(work).ok()
}

fn seal(journal: &Path, builders: Builders) -> Result<(), StoreError> {
    let path = journal.with_extension(BLOCKS);
    let mut blocks = builders.finish(Packing::Disk).peekable();
    if blocks.peek().is_some() {
        let mut file = Writing::create(&path)?;
        for block in blocks {
            file.push(block.map_err(|error| StoreError::io("compress", &path, error))?)?;
        }
        file.finish(&[])?;
    }
    match std::fs::remove_file(journal) {
        // A compaction was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| StoreError::io("remove", journal, error)),
    }
}
