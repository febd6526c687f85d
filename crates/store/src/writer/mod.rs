//! Appends of one process: a journal that is synced before the answer, and blocks made of it.

mod commit;
mod seal;

use crate::StoreError;
use crate::answer::{Promise, lock};
use crate::block::Signal;
use crate::folder::Folder;
use crate::journal::LARGEST_REQUEST;
use crate::otlp::{Request, weigh};
use commit::Committer;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder as ThreadBuilder, JoinHandle};

/// Bytes of requests, as they came and decoded, above which further ones wait.
const HELD_LIMIT: usize = 16 << 20;

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
    /// Bytes of all requests that are in the writer.
    held: usize,
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
    /// Let go of last: while there is a request it counts.
    _share: Share,
}

/// What a request takes of the memory that is set aside for them.
#[derive(Debug)]
struct Share {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        lock(&self.shared.queue).held -= self.bytes;
        self.shared.changed.notify_all();
    }
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

impl Writer {
    /// A writer into the store in this folder.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let (segment, held) = folder.new_segment()?;
        let shared = Arc::new(Shared::default());
        // No room in between: two blocks at once, one being filled and one being written, is what
        // memory is set aside for.
        let (seal, seals) = sync_channel(0);
        let held = Arc::new(held);
        let committer = Committer::new(segment, held.clone(), seal)?;
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            ThreadBuilder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(|error| StoreError::io("start the thread", name, error))
        };
        let root = folder.root().to_owned();
        let sealing = start(
            "store-seal",
            Box::new(move || seal::seal_all(&root, &seals, held)),
        )?;
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
    /// those before it take as much memory as they may. What is refused for its own sake
    /// ([`StoreError::is_of_request`]) leaves nothing.
    pub fn append(&self, signal: Signal, payload: Vec<u8>) -> Result<(), StoreError> {
        let bytes = Self::memory(signal, &payload)?;
        let mut queue = lock(&self.shared.queue);
        while queue.held >= HELD_LIMIT && !queue.closed {
            queue = self
                .shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        queue.held += bytes;
        drop(queue);
        self.push(self.waiting(signal, payload, bytes)?)
    }

    /// The same, refused with [`StoreError::Busy`] where it would have to wait.
    pub fn try_append(&self, signal: Signal, payload: Vec<u8>) -> Result<(), StoreError> {
        let bytes = Self::memory(signal, &payload)?;
        let mut queue = lock(&self.shared.queue);
        if queue.held >= HELD_LIMIT {
            return Err(StoreError::Busy {
                waiting: queue.held,
            });
        }
        queue.held += bytes;
        drop(queue);
        self.push(self.waiting(signal, payload, bytes)?)
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
        let bytes = Self::memory(signal, &payload)?;
        lock(&self.shared.queue).held += bytes;
        let waiting = self.waiting(signal, payload, bytes)?;
        self.enqueue(waiting, || Promise::calling(told))
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

    /// Bytes that a request will take, about. Nothing of it was decoded yet.
    fn memory(signal: Signal, payload: &[u8]) -> Result<usize, StoreError> {
        if payload.len() > LARGEST_REQUEST {
            return Err(StoreError::TooLarge {
                size: payload.len(),
                limit: LARGEST_REQUEST,
            });
        }
        Ok(weigh(signal, payload)?.memory(payload.len()))
    }

    /// Reads a request that so many bytes are held for.
    fn waiting(
        &self,
        signal: Signal,
        payload: Vec<u8>,
        bytes: usize,
    ) -> Result<Waiting, StoreError> {
        let share = Share {
            shared: self.shared.clone(),
            bytes,
        };
        Ok(Waiting {
            request: Request::decode(signal, &payload)?,
            signal,
            payload,
            promise: Promise::default(),
            _share: share,
        })
    }

    fn push(&self, waiting: Waiting) -> Result<(), StoreError> {
        let (promise, answer) = Promise::new();
        self.enqueue(waiting, || promise)?;
        answer.wait()
    }

    /// Hands over a request. The promise is made only if it is taken.
    fn enqueue(
        &self,
        mut waiting: Waiting,
        promise: impl FnOnce() -> Promise,
    ) -> Result<(), StoreError> {
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            // Its share needs the lock.
            drop(queue);
            return Err(shut_down());
        }
        waiting.promise = promise();
        queue.waiting.push(waiting);
        drop(queue);
        self.shared.changed.notify_all();
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_submitted_is_told_once_it_is_readable() {
        use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::open(folder.path()).unwrap();
        let (tell, told) = sync_channel(1);
        let request = TracesData {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![Span::default()],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
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
