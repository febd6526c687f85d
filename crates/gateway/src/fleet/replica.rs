//! One server of a model, and what is known of its progress.

use llamatelemetry::{LiveServer, ServerManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One server of a model.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(super) server: Arc<ServerManager>,
    /// Requests that use it.
    in_flight: AtomicUsize,
    epoch: Instant,
    /// When something came of a request last, microseconds after the epoch.
    progressed: AtomicU64,
}

impl Replica {
    pub(super) fn new(server: ServerManager) -> Self {
        Self {
            server: Arc::new(server),
            in_flight: AtomicUsize::new(0),
            epoch: Instant::now(),
            progressed: AtomicU64::new(0),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A request comes. Where it is the first one, the time without progress begins now.
    pub(super) fn enter(&self) {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            self.progress();
        }
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        // That one ended is progress too.
        self.progress();
    }

    pub(super) fn progress(&self) {
        let micros = u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.progressed.store(micros, Ordering::Relaxed);
    }

    /// When something came of a request last.
    pub(super) fn last_progress(&self) -> Instant {
        self.epoch + Duration::from_micros(self.progressed.load(Ordering::Relaxed))
    }

    /// The run that can be asked now.
    pub(super) fn run(&self) -> Option<Arc<LiveServer>> {
        self.server.current()
    }
}
