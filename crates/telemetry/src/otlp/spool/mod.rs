//! What waits to be sent: on disk, so that neither a dead collector nor our own death loses it.
//!
//! Every process appends to files of its own and holds their locks; files whose lock is free were
//! left by a process that died, and the next one that sends to the same address takes them over.
//! What is delivered is marked in the file, so that after a death only the batch that was on its
//! way then may be sent twice. Files are not synced: a process's death loses nothing, a machine's
//! may lose the last seconds.

mod folder;
mod record;
mod segment;

pub(super) use folder::Folder;

use crate::signal::{Frame, Origin, OwnOrigin, Signal};
use segment::Segment;
use std::collections::VecDeque;
use std::sync::Arc;

/// A file larger than this is not appended to, bytes; a sixteenth of the limit if that is less.
const SEGMENT: u64 = 4 << 20;

/// A batch of several frames has no more than this, bytes: collectors refuse what is much larger.
const BATCH: u64 = 4 << 20;

/// Frames of one signal in the order they came, bounded in bytes.
#[derive(Debug)]
pub(super) struct Spool {
    origin: OwnOrigin,
    store: Store,
    items: u64,
    /// Items that dead processes had kept for other addresses and that were dropped here.
    expired: u64,
}

#[derive(Debug)]
enum Store {
    Memory {
        frames: VecDeque<Frame>,
        bytes: u64,
        limit: u64,
    },
    Disk {
        folder: Arc<Folder>,
        signal: Signal,
        /// The address without anything secret.
        destination: String,
        /// Oldest first; the last one is appended to.
        segments: VecDeque<Segment>,
        /// The last segment is one that we made.
        own: bool,
    },
}

/// Looks for files that dead processes left for one address.
#[derive(Debug)]
pub(super) struct Search {
    folder: Arc<Folder>,
    signal: Signal,
    destination: String,
}

impl Search {
    /// The files, oldest first, now ours. Those for addresses that nobody has sent to for long are
    /// dropped, which is told in the log.
    pub(super) fn find(&self) -> Found {
        let (found, expired) = self.folder.adopt(self.signal, &self.destination);
        expired.tell(self.signal);
        Found {
            segments: found,
            expired: expired.items,
        }
    }
}

/// Files that were found, oldest first.
#[derive(Debug)]
pub(super) struct Found {
    segments: Vec<Segment>,
    /// Items for other addresses that were dropped on the way.
    expired: u64,
}

/// Frames to be sent at once.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) origin: Arc<Origin>,
    pub(super) items: u64,
    pub(super) bytes: Vec<u8>,
    frames: usize,
    /// Frames wait that only for their bytes did not belong to it.
    pub(super) heavy: bool,
}

impl Spool {
    pub(super) fn in_memory(origin: OwnOrigin, limit: u64) -> Self {
        Self {
            origin,
            store: Store::Memory {
                frames: VecDeque::new(),
                bytes: 0,
                limit,
            },
            items: 0,
            expired: 0,
        }
    }

    pub(super) fn on_disk(
        origin: OwnOrigin,
        folder: Arc<Folder>,
        signal: Signal,
        destination: String,
    ) -> Self {
        Self {
            origin,
            store: Store::Disk {
                folder,
                signal,
                destination,
                segments: VecDeque::new(),
                own: false,
            },
            items: 0,
            expired: 0,
        }
    }

    /// Whether what waits outlives this process.
    pub(super) fn outlives(&self) -> bool {
        matches!(self.store, Store::Disk { .. })
    }

    /// The items that wait.
    pub(super) fn items(&self) -> u64 {
        self.items
    }

    /// Items that were kept for other addresses and were dropped: too old, or in the way.
    pub(super) fn expired(&self) -> u64 {
        self.expired
    }

    /// What looks for files that dead processes left, without the spool: reading them takes time.
    pub(super) fn search(&self) -> Option<Search> {
        match &self.store {
            Store::Memory { .. } => None,
            Store::Disk {
                folder,
                signal,
                destination,
                ..
            } => Some(Search {
                folder: folder.clone(),
                signal: *signal,
                destination: destination.clone(),
            }),
        }
    }

    /// Takes over what was found. Returns how many items that is.
    pub(super) fn adopt(&mut self, found: Found) -> u64 {
        let Store::Disk {
            folder, segments, ..
        } = &mut self.store
        else {
            return 0;
        };
        self.expired += found.expired;
        let before = self.items;
        // Taken in reverse to the front, so that the oldest comes first.
        for segment in found.segments.into_iter().rev() {
            if segment.damaged() > 0 {
                tracing::warn!(
                    bytes = segment.damaged(),
                    "the end of a file of kept telemetry is damaged and was skipped"
                );
            }
            if segment.waiting().is_empty() {
                folder.gave(segment.size());
                continue;
            }
            self.items += items(segment.waiting().iter().map(|waiting| waiting.items));
            segments.push_front(segment);
        }
        self.items - before
    }

    /// Takes a frame, or says why not: what is kept already stays, what comes later is dropped.
    pub(super) fn push(&mut self, frame: Frame) -> Result<(), String> {
        let count = u64::from(frame.items);
        match &mut self.store {
            Store::Memory {
                frames,
                bytes,
                limit,
            } => {
                let more = frame.bytes.len() as u64;
                if *bytes + more > *limit {
                    return Err(full(*limit));
                }
                *bytes += more;
                frames.push_back(frame);
            }
            Store::Disk {
                folder,
                signal,
                destination,
                segments,
                own,
            } => {
                let bytes = record::size(frame.bytes.len());
                if !folder.has_room(bytes) {
                    let expired = folder.make_room(bytes, *signal, destination);
                    expired.tell(*signal);
                    self.expired += expired.items;
                    if !folder.has_room(bytes) {
                        return Err(full(folder.limit()));
                    }
                }
                let longest = SEGMENT.min(folder.limit() / 16);
                let current = segments.back().filter(|last| *own && last.size() < longest);
                if current.is_none() {
                    let segment = folder
                        .create(signal.prefix())
                        .and_then(|file| {
                            Segment::create(file, destination, self.origin.get().clone())
                        })
                        .map_err(|error| format!("it cannot be kept on disk: {error}"))?;
                    folder.took(segment.size());
                    segments.push_back(segment);
                    *own = true;
                }
                if let Some(segment) = segments.back_mut() {
                    let before = segment.size();
                    segment
                        .append(&frame)
                        .map_err(|error| format!("it cannot be kept on disk: {error}"))?;
                    folder.took(segment.size() - before);
                }
            }
        }
        self.items += count;
        Ok(())
    }

    /// Lets go of the files, for others to take over what waits in them. The count stays; nothing
    /// can be sent any more.
    pub(super) fn release(&mut self) {
        if let Store::Disk { segments, .. } = &mut self.store {
            segments.clear();
        }
    }

    /// The oldest frames, of at most so many items and of bytes that fit into one request; one
    /// frame at least.
    pub(super) fn batch(&mut self, most: u64) -> Option<Batch> {
        match &mut self.store {
            Store::Memory { frames, .. } => {
                if frames.is_empty() {
                    return None;
                }
                let mut batch = Batch::of(self.origin.get().clone());
                for frame in frames.iter() {
                    if !batch.takes(frame.items, frame.bytes.len() as u64, most) {
                        break;
                    }
                    batch.bytes.extend_from_slice(&frame.bytes);
                }
                Some(batch)
            }
            // Those of one file only, since another process's have another origin.
            Store::Disk { segments, .. } => {
                let segment = segments
                    .iter()
                    .find(|segment| !segment.waiting().is_empty())?;
                let mut batch = Batch::of(segment.origin().clone());
                for waiting in segment.waiting().clone() {
                    if !batch.takes(waiting.items, u64::from(waiting.length), most) {
                        break;
                    }
                    if let Err(error) = segment.read(waiting, &mut batch.bytes) {
                        tracing::warn!(%error, "kept telemetry cannot be read and is lost");
                        self.settle(&batch);
                        return None;
                    }
                }
                Some(batch)
            }
        }
    }

    /// The batch, which was the oldest, need not be kept any longer.
    pub(super) fn settle(&mut self, batch: &Batch) {
        self.items = self.items.saturating_sub(batch.items);
        match &mut self.store {
            Store::Memory { frames, bytes, .. } => {
                for frame in frames.drain(..batch.frames) {
                    *bytes -= frame.bytes.len() as u64;
                }
            }
            Store::Disk {
                folder,
                segments,
                own,
                ..
            } => {
                let Some(index) = segments
                    .iter()
                    .position(|segment| !segment.waiting().is_empty())
                else {
                    return;
                };
                let last = index + 1 == segments.len();
                let segment = &mut segments[index];
                let before = segment.size();
                segment.settle(batch.frames);
                let after = segment.size();
                folder.gave(before.saturating_sub(after));
                folder.took(after.saturating_sub(before));
                if segment.waiting().is_empty() && !(last && *own) {
                    folder.gave(after);
                    segments.remove(index);
                }
            }
        }
    }
}

impl Batch {
    /// Half as many items, if it can be had in parts at all.
    pub(super) fn half(&self) -> Option<u64> {
        (self.frames > 1).then(|| (self.items / 2).max(1))
    }

    fn of(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            items: 0,
            bytes: Vec::new(),
            frames: 0,
            heavy: false,
        }
    }

    /// Whether a frame of so many items and bytes still belongs to it; counts it if so.
    fn takes(&mut self, items: u32, bytes: u64, most: u64) -> bool {
        let all = self.items + u64::from(items);
        if self.frames > 0 && all > most {
            return false;
        }
        if self.frames > 0 && self.bytes.len() as u64 + bytes > BATCH {
            self.heavy = true;
            return false;
        }
        self.items = all;
        self.frames += 1;
        true
    }
}

fn items(counts: impl Iterator<Item = u32>) -> u64 {
    counts.map(u64::from).sum()
}

fn full(limit: u64) -> String {
    format!("no more than {limit} bytes are kept (telemetry.spool_limit)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::resource::v1::Resource;

    #[test]
    fn a_batch_is_bounded_in_bytes_and_one_larger_frame_goes_alone() {
        let origin = OwnOrigin::default();
        let (resource, scope) = (Resource::default(), InstrumentationScope::default());
        origin.set(Origin::new(&resource, &scope, ""));
        let mut spool = Spool::in_memory(origin, u64::MAX);
        let mib = 1 << 20;
        for bytes in [5 * mib, 3 * mib, mib, 1] {
            let bytes = vec![0; bytes];
            spool.push(Frame { items: 1, bytes }).unwrap();
        }
        let mut seen = Vec::new();
        while let Some(batch) = spool.batch(512) {
            seen.push((batch.items, batch.heavy, batch.half()));
            spool.settle(&batch);
        }
        assert_eq!(
            seen,
            [(1, true, None), (2, true, Some(1)), (1, false, None)]
        );
        assert_eq!(spool.items(), 0);
    }
}
