//! One server of a model, and what is known of its progress.

use super::pulse::Pulse;
use llamatelemetry::{LiveServer, ServerManager};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One server of a model.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(super) server: Arc<ServerManager>,
    /// Requests that use it.
    in_flight: AtomicUsize,
    /// The progress of each of them.
    pulses: Mutex<Vec<Arc<Pulse>>>,
    epoch: Instant,
    /// When something came of a request last, microseconds after the epoch.
    progressed: AtomicU64,
}

impl Replica {
    pub(super) fn new(server: ServerManager) -> Self {
        Self {
            server: Arc::new(server),
            in_flight: AtomicUsize::new(0),
            pulses: Mutex::default(),
            epoch: Instant::now(),
            progressed: AtomicU64::new(0),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A request comes, for this run. Where it is the first one, the time without progress begins
    /// now.
    pub(super) fn enter(&self, run: &LiveServer) -> Arc<Pulse> {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            self.progress();
        }
        let pulse = Arc::new(Pulse::new(run.process().pid()));
        self.lock().push(pulse.clone());
        pulse
    }

    /// A request ends. That is no progress by itself: clients that give up one after the other
    /// would keep a wedged server alive.
    pub(super) fn leave(&self, pulse: &Arc<Pulse>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, pulse));
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) {
        let micros = u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.progressed.store(micros, Ordering::Relaxed);
    }

    /// When something came of a request last.
    pub(super) fn last_progress(&self) -> Instant {
        self.epoch + Duration::from_micros(self.progressed.load(Ordering::Relaxed))
    }

    /// The requests of which nothing came for so long.
    pub(super) fn silent(&self, limit: Duration) -> Vec<Arc<Pulse>> {
        let pulses = self.lock();
        let silent = pulses
            .iter()
            .filter(|pulse| pulse.last_progress().elapsed() >= limit);
        silent.cloned().collect()
    }

    /// The run that can be asked now.
    pub(super) fn run(&self) -> Option<Arc<LiveServer>> {
        self.server.current()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
