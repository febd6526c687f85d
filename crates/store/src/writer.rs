//! Appends of one process: a journal that is synced before the answer, and blocks made of it.

use crate::StoreError;
use crate::answer::{Answer, Promise, lock};
use crate::block::{Builder, Builders, Signal};
use crate::folder::{BLOCKS, Folder, JOURNAL};
use crate::journal::{self, Journal, LARGEST_REQUEST};
use crate::otlp::Request;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder as ThreadBuilder, JoinHandle};

/// Bytes that may wait to be written; further requests wait before them.
const WAITING_LIMIT: usize = 16 << 20;
/// A journal is closed at this length even if its rows would fit a block.
const JOURNAL_LIMIT: u64 = 64 << 20;

/// Appends for one process. Any number of processes may have one on the same folder. Dropping it
/// waits until what was accepted is durable.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    folder: Folder,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something came, or room was made.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    bytes: usize,
    closed: bool,
    /// Who waits until all so far lies in blocks.
    seals: Vec<Promise>,
}

/// A request on its way to the disk.
#[derive(Debug)]
struct Waiting {
    signal: Signal,
    payload: Vec<u8>,
    request: Request,
    promise: Promise,
}

/// Closes the queue when its thread ends, however it ends.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.closed = true;
        let left = (
            std::mem::take(&mut queue.waiting),
            std::mem::take(&mut queue.seals),
        );
        drop(queue);
        self.0.changed.notify_all();
        drop(left);
    }
}

/// A journal's rows, to be made into blocks.
struct Sealing {
    journal: PathBuf,
    builders: Builders,
    told: Vec<Promise>,
}

impl Writer {
    /// A writer into the store in this folder.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let (segment, held) = folder.new_segment()?;
        let shared = Arc::new(Shared::default());
        // No room in between: two blocks at once, one being filled and one being written, is what
        // memory is set aside for.
        let (seal, seals) = sync_channel(0);
        let committer = Committer {
            journal: Journal::create(journal_path(&segment, 1))?,
            spoilt: false,
            number: 1,
            segment,
            builders: Builders::new(),
            seal,
            _held: held,
        };
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            ThreadBuilder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(|error| StoreError::io("start the thread", name, error))
        };
        let sealing = start("store-seal", Box::new(move || seal_all(&seals)))?;
        let theirs = shared.clone();
        let committing = start("store-commit", Box::new(move || committer.run(&theirs)))?;
        Ok(Self {
            shared,
            threads: vec![committing, sealing],
            folder,
        })
    }

    /// The store's folder.
    pub fn folder(&self) -> &Path {
        self.folder.root()
    }

    /// Appends an OTLP export request (protobuf) and returns once it is on the disk. Waits while
    /// too much waits before it.
    pub fn append(&self, signal: Signal, payload: Vec<u8>) -> Result<(), StoreError> {
        let waiting = Self::check(signal, payload)?;
        let mut queue = lock(&self.shared.queue);
        while queue.bytes > WAITING_LIMIT && !queue.closed {
            queue = self
                .shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.push(queue, waiting)?.wait()
    }

    /// The same, refused with [`StoreError::Busy`] where it would have to wait.
    pub fn try_append(&self, signal: Signal, payload: Vec<u8>) -> Result<(), StoreError> {
        let waiting = Self::check(signal, payload)?;
        let queue = lock(&self.shared.queue);
        if queue.bytes > WAITING_LIMIT {
            return Err(StoreError::Busy {
                waiting: queue.bytes,
            });
        }
        self.push(queue, waiting)?.wait()
    }

    /// The same without waiting: `told` is called once it is on the disk or cannot get there, by the
    /// thread that writes, which waits meanwhile. How much may be under way is for the caller to
    /// bound. An error that is returned is not told.
    pub fn submit(
        &self,
        signal: Signal,
        payload: Vec<u8>,
        told: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let mut waiting = Self::check(signal, payload)?;
        let queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(shut_down());
        }
        waiting.promise = Promise::calling(told);
        self.enqueue(queue, waiting);
        Ok(())
    }

    /// Makes blocks of all that was appended so far and returns once they are on the disk.
    pub fn seal(&self) -> Result<(), StoreError> {
        let (promise, answer) = Promise::new();
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(shut_down());
        }
        queue.seals.push(promise);
        drop(queue);
        self.shared.changed.notify_all();
        answer.wait()
    }

    fn check(signal: Signal, payload: Vec<u8>) -> Result<Waiting, StoreError> {
        if payload.len() > LARGEST_REQUEST {
            return Err(StoreError::TooLarge {
                size: payload.len(),
                limit: LARGEST_REQUEST,
            });
        }
        Ok(Waiting {
            request: Request::decode(signal, &payload)?,
            signal,
            payload,
            promise: Promise::default(),
        })
    }

    fn push(
        &self,
        queue: MutexGuard<'_, Queue>,
        mut waiting: Waiting,
    ) -> Result<Arc<Answer>, StoreError> {
        if queue.closed {
            return Err(shut_down());
        }
        let (promise, answer) = Promise::new();
        waiting.promise = promise;
        self.enqueue(queue, waiting);
        Ok(answer)
    }

    fn enqueue(&self, mut queue: MutexGuard<'_, Queue>, waiting: Waiting) {
        queue.bytes += waiting.payload.len();
        queue.waiting.push(waiting);
        drop(queue);
        self.shared.changed.notify_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic in it has nothing to say here.
            drop(thread.join());
        }
    }
}

fn shut_down() -> StoreError {
    StoreError::Closed {
        reason: "it was shut down".to_owned(),
    }
}

fn journal_path(segment: &Path, number: u32) -> PathBuf {
    segment.join(format!("{number:08}.{JOURNAL}"))
}

/// What the commit thread works on.
struct Committer {
    segment: PathBuf,
    number: u32,
    journal: Journal,
    /// A write to the journal failed: nothing more goes into it.
    spoilt: bool,
    builders: Builders,
    seal: SyncSender<Sealing>,
    /// The segment's lock.
    _held: File,
}

impl Committer {
    fn run(mut self, shared: &Shared) {
        let _closing = Closing(shared);
        let mut frames = Vec::new();
        loop {
            let mut queue = lock(&shared.queue);
            while queue.waiting.is_empty() && queue.seals.is_empty() && !queue.closed {
                queue = shared
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let group = std::mem::take(&mut queue.waiting);
            let seals = std::mem::take(&mut queue.seals);
            queue.bytes = 0;
            let ending = queue.closed && group.is_empty();
            drop(queue);
            shared.changed.notify_all();
            self.commit(group, &mut frames);
            if !seals.is_empty() {
                // Whoever waits for it is told.
                self.rotate(seals).ok();
            }
            if ending {
                return;
            }
        }
    }

    /// Everything that waits goes to the disk with one sync.
    fn commit(&mut self, mut group: Vec<Waiting>, frames: &mut Vec<u8>) {
        if group.is_empty() {
            return;
        }
        let outcome = self.make_room().and_then(|()| {
            frames.clear();
            for waiting in &group {
                journal::frame(waiting.signal, &waiting.payload, frames);
            }
            let written = self.journal.commit(frames);
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
        // One large request must not leave its buffer behind.
        frames.shrink_to(WAITING_LIMIT);
    }

    /// Closes the journal if it is full. As long as that fails nothing more is taken.
    fn make_room(&mut self) -> Result<(), StoreError> {
        if self.spoilt || self.builders.is_full() || self.journal.length() >= JOURNAL_LIMIT {
            self.rotate(Vec::new())?;
        }
        Ok(())
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

fn seal_all(seals: &Receiver<Sealing>) {
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
    }
}

fn seal(journal: &Path, builders: Builders) -> Result<(), StoreError> {
    let path = journal.with_extension(BLOCKS);
    let blocks = builders
        .into_filled()
        .map(Builder::finish)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| StoreError::io("compress", &path, error))?;
    if !blocks.is_empty() {
        crate::file::write(&path, blocks, &[])?;
    }
    match std::fs::remove_file(journal) {
        // A compaction was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| StoreError::io("remove", journal, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_submitted_is_told_once_it_is_readable() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::open(folder.path()).unwrap();
        let (tell, told) = sync_channel(1);
        let request = opentelemetry_proto::tonic::trace::v1::TracesData {
            resource_spans: vec![opentelemetry_proto::tonic::trace::v1::ResourceSpans {
                scope_spans: vec![opentelemetry_proto::tonic::trace::v1::ScopeSpans {
                    spans: vec![opentelemetry_proto::tonic::trace::v1::Span::default()],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        };
        let payload = prost::Message::encode_to_vec(&request);
        writer
            .submit(Signal::Traces, payload, move |outcome| {
                tell.send(outcome).unwrap();
            })
            .unwrap();
        told.recv().unwrap().unwrap();
        let reader = crate::Reader::open(folder.path()).unwrap();
        assert_eq!(reader.snapshot().unwrap().rows(Signal::Traces), 1);
        let refused = writer.submit(Signal::Logs, vec![0xff], |_| unreachable!("not told"));
        assert!(matches!(refused, Err(StoreError::NotOtlp { .. })));
    }

    #[test]
    fn who_waits_for_a_thread_that_ends_is_told() {
        let shared = Shared::default();
        let (promise, answer) = Promise::new();
        lock(&shared.queue).seals.push(promise);
        drop(Closing(&shared));
        assert!(matches!(answer.wait(), Err(StoreError::Closed { .. })));
        assert!(lock(&shared.queue).closed);
    }
}
