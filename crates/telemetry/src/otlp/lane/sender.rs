//! The lane's own thread: sends what is due, looks for what dead processes left.

use super::{Next, Shared};
use crate::otlp::backoff::Backoff;
use crate::otlp::spool::Batch;
use crate::otlp::transport::{Again, Refusal, Transport};
use crate::signal::encoded;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often it is looked for what dead processes left.
const ADOPTION: Duration = Duration::from_secs(60);

/// Works on the lane's own thread and blocks there.
#[derive(Debug)]
pub(super) struct Sender {
    transport: Transport,
    shared: Arc<Shared>,
    backoff: Backoff,
    /// A failure was reported; further ones are only counted.
    reported: bool,
    /// When it was last looked for what dead processes left.
    adopted: Instant,
}

impl Sender {
    pub(super) fn new(transport: Transport, shared: Arc<Shared>) -> Self {
        Self {
            transport,
            shared,
            backoff: Backoff::default(),
            reported: false,
            adopted: Instant::now(),
        }
    }

    pub(super) fn run(&mut self) {
        loop {
            match self.shared.next(self.adopted + ADOPTION) {
                Next::Send(batch, by) => {
                    if !self.deliver(&batch, by) && self.shared.lock().stop.is_some() {
                        break;
                    }
                }
                Next::Adopt => self.adopt(),
                Next::End => break,
            }
        }
        let mut state = self.shared.lock();
        state.ended = true;
        state.spool.release();
        self.shared.changed.notify_all();
    }

    fn adopt(&mut self) {
        self.adopted = Instant::now();
        // Whoever pushes must not wait for files to be read.
        let Some(search) = self.shared.lock().spool.search() else {
            return;
        };
        let found = search.find();
        let mut state = self.shared.lock();
        let found = state.spool.adopt(found);
        if found > 0 {
            self.shared.accepted.fetch_add(found, Ordering::Relaxed);
            state.waiting_since.get_or_insert_with(Instant::now);
        }
    }

    /// One attempt. Returns whether the next one may follow at once: the batch is done with, or is
    /// to be sent in parts.
    fn deliver(&mut self, batch: &Batch, by: Instant) -> bool {
        let left = by.saturating_duration_since(Instant::now());
        let request = batch.origin.request(&batch.bytes);
        let encoding = self.transport.config().encoding;
        let result = match encoded(self.shared.signal, request, encoding) {
            Some(body) => self.transport.send(&body, left),
            None => Err(Refusal {
                reason: "what was kept is damaged".to_owned(),
                again: Again::Never,
            }),
        };
        let refusal = match result {
            Ok(answer) => {
                self.backoff.reset();
                let delivered = batch.items.saturating_sub(answer.rejected);
                self.shared
                    .delivered
                    .fetch_add(delivered, Ordering::Relaxed);
                self.settle(batch);
                if answer.rejected > 0 {
                    let (rejected, all) = (answer.rejected, batch.items);
                    let items = self.shared.signal.items();
                    let message = answer.message;
                    self.failed(format!(
                        "the collector rejected {rejected} of {all} {items}: {message}"
                    ));
                }
                return true;
            }
            Err(refusal) => refusal,
        };
        if refusal.again == Again::Smaller
            && let Some(half) = batch.half()
        {
            self.shared.lock().most = Some(half);
            return true;
        }
        self.failed(refusal.reason);
        let pause = match refusal.again {
            Again::Never | Again::Smaller => {
                self.settle(batch);
                return true;
            }
            Again::Later => self.backoff.next(),
            Again::After(time) => time.max(self.backoff.next()),
        };
        let next = Instant::now() + pause;
        let mut state = self.shared.lock();
        state.not_before = Some(next);
        if state.flush.is_some_and(|by| by <= next) {
            state.flush = None;
            self.shared.changed.notify_all();
        }
        false
    }

    fn settle(&self, batch: &Batch) {
        let mut state = self.shared.lock();
        state.spool.settle(batch);
        state.not_before = None;
        // The rest of what was due is due, however many batches it takes.
        if !batch.heavy && state.most.is_none() {
            state.waiting_since = Some(Instant::now());
        }
        let whole = self.shared.batch.batch as u64;
        state.most = state.most.map(|most| most * 2).filter(|most| *most < whole);
    }

    fn failed(&mut self, reason: String) {
        let items = self.shared.signal.items();
        if self.reported {
            tracing::debug!(reason, "{items} were not delivered");
        } else {
            self.reported = true;
            tracing::warn!(
                endpoint = %self.shared.endpoint,
                reason,
                "{items} were not delivered; further failures are counted and told at the end"
            );
        }
        self.shared.lock().failure = Some(reason);
    }
}
