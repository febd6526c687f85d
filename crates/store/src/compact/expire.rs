//! What is too old or too much goes, whole files, the oldest first.

use super::{Compacted, Retention, remove_rows};
use crate::StoreError;
use crate::file::BlockFile;
use crate::folder::{Folder, Held, Kind};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A file and how old its newest row is.
struct Aged<'a> {
    path: &'a Path,
    newest: u64,
    bytes: u64,
    /// The journal of a process that writes it now is not: it only takes room.
    may_go: bool,
}

pub(super) fn expire(
    folder: &Folder,
    keep: Retention,
    done: &mut Compacted,
) -> Result<(), StoreError> {
    // Held until all is done: what is listed now nobody adds to.
    let locked = folder.dead_segments()?;
    let dead: BTreeSet<&Path> = locked.iter().map(|segment| &*segment.path).collect();
    let listed = folder.list()?;
    let mut files: Vec<Aged<'_>> = listed.iter().filter_map(|held| aged(held, &dead)).collect();
    files.sort_by_key(|file| file.newest);
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    for file in files.iter().filter(|file| file.may_go) {
        let too_old = keep.oldest.is_some_and(|oldest| file.newest < oldest);
        let too_much = keep.bytes.is_some_and(|limit| bytes > limit);
        if too_old || too_much {
            bytes -= file.bytes;
            remove_rows(file.path)?;
            done.expired += 1;
        }
    }
    Ok(())
}

/// `None` for what is gone. What cannot be read, and a journal, is as old as its latest change.
fn aged<'a>(held: &'a Held, dead: &BTreeSet<&Path>) -> Option<Aged<'a>> {
    let metadata = held.path.metadata().ok()?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let changed = u64::try_from(changed.as_nanos()).ok()?;
    let mut aged = Aged {
        path: &held.path,
        newest: changed,
        bytes: metadata.len(),
        may_go: true,
    };
    match held.kind {
        Kind::Blocks => {
            if let Ok(file) = BlockFile::open(&held.path) {
                let times = file.entries.iter().map(|(entry, _)| entry.newest);
                aged.newest = times.max().unwrap_or(0);
            }
        }
        Kind::Journal => {
            let segment = held.path.parent()?;
            aged.may_go = dead.contains(segment);
        }
        Kind::Unlisted => return None,
    }
    Some(aged)
}
