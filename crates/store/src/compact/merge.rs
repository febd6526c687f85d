//! Many small files become few large ones.

use super::{Compacted, Rewriting, remove_rows, sync_all};
use crate::StoreError;
use crate::file::BlockFile;
use crate::folder::{Folder, Held, Kind};
use std::collections::BTreeSet;
use std::path::Path;

/// Rows of one compacted file at most.
const FILE_ROWS: usize = 1 << 20;
/// Bytes that go into one file at most.
const LARGEST_MERGE: u64 = 96 << 20;
/// Files between two of these sizes, bytes, are made one with each other; larger ones stay.
const STEPS: [u64; 4] = [0, 1 << 20, 8 << 20, 64 << 20];
/// Fewer files than this are left alone.
const FEW: usize = 8;

/// A file that can be made one with others.
struct Input {
    held: Held,
    size: u64,
    rows: usize,
    whole: Option<BlockFile>,
}

pub(super) fn merge(folder: &Folder, done: &mut Compacted) -> Result<(), StoreError> {
    // Held until all is done: what is listed now nobody adds to.
    let locked = folder.dead_segments()?;
    let dead: BTreeSet<&Path> = locked.iter().map(|segment| &*segment.path).collect();
    let listed = folder.list()?;
    let mut inputs: Vec<Input> = (listed.into_iter())
        .filter_map(|held| input(held, &dead))
        .collect();
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

/// `None` for what is left alone: what cannot be read, and a journal that is still its writer's.
fn input(held: Held, dead: &BTreeSet<&Path>) -> Option<Input> {
    match held.kind {
        Kind::Unlisted => None,
        Kind::Journal => dead.contains(held.path.parent()?).then(|| Input {
            size: held.path.metadata().map_or(0, |found| found.len()),
            held,
            rows: 0,
            whole: None,
        }),
        Kind::Blocks => {
            let file = BlockFile::open(&held.path).ok()?;
            Some(Input {
                size: file.size,
                held,
                rows: file.entries.iter().map(|(entry, _)| entry.rows).sum(),
                whole: Some(file),
            })
        }
    }
}

/// Makes these files one. What turns out to be damaged stays where it is, readable as far as it
/// is, and is no reason to leave the others.
fn merge_group(folder: &Folder, group: &mut Vec<Input>) -> Result<bool, StoreError> {
    while is_worth_it(group) {
        let mut rewriting = Rewriting::new(folder.new_blocks())?;
        let failed = (group.iter().enumerate()).find_map(|(place, input)| {
            let added = add(&mut rewriting, input);
            added.err().map(|error| (place, error))
        });
        match failed {
            None => {
                let names: Vec<String> =
                    group.iter().map(|input| input.held.name.clone()).collect();
                rewriting.finish(&names)?;
                let mut folders = BTreeSet::new();
                for input in group {
                    remove_rows(&input.held.path)?;
                    folders.extend(input.held.path.parent().map(Path::to_owned));
                }
                // Gone for good before the file that names them may go.
                sync_all(&folders)?;
                return Ok(true);
            }
            Some((place, error)) if is_of(&error, &group[place]) => {
                tracing::warn!(%error, "a file of the store stays as it is");
                group.remove(place);
            }
            Some((_, error)) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether a failure is that of reading this file.
fn is_of(error: &StoreError, input: &Input) -> bool {
    match error {
        StoreError::Damaged { .. } | StoreError::Version { .. } => true,
        StoreError::Io { path, .. } => *path == input.held.path,
        _ => false,
    }
}

fn add(rewriting: &mut Rewriting, input: &Input) -> Result<(), StoreError> {
    match &input.whole {
        None => rewriting.journal(&input.held.path),
        Some(file) => (0..file.entries.len())
            .try_for_each(|place| rewriting.block(&file.block(place)?, file.traces(place))),
    }
}

/// One file of blocks would only be written anew.
fn is_worth_it(group: &[Input]) -> bool {
    group.len() > 1 || group.iter().any(|input| input.whole.is_none())
}
