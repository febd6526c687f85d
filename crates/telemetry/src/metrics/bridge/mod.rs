//! The bridge to what llama-server says of itself.
//!
//! A thread looks at each served model: every two seconds while it works or a request was sent,
//! else every ten. It never
//! wakes a model that sleeps: `/props` and `/metrics` are answered from memory then, `/slots` is
//! left alone. What it finds outlives the server: counters go on after a restart.

mod carried;
mod exposition;
mod slots;
mod watched;

use super::Metrics;
use llamatelemetry_record::ServedModel;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use watched::{Look, Watched};

/// Between two looks at servers of which one works.
const BUSY: Duration = Duration::from_secs(2);
/// Between two looks at servers that do nothing.
const QUIET: Duration = Duration::from_secs(10);
const THREAD: &str = "llama-metrics";

/// The bridge. Its thread begins with the first model and ends with this value, once the look that
/// is under way has ended.
pub(crate) struct Bridge {
    /// The process that the thread runs in.
    owner: u32,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Models that nobody has looked at yet.
    new: Vec<Watched>,
    /// A request was sent since the last look.
    stirred: bool,
    running: bool,
    /// Looks that were wanted at once, whatever was due, and those of them that were made.
    wanted: u64,
    made: u64,
    ended: bool,
}

impl Bridge {
    pub(crate) fn new() -> Self {
        Self {
            owner: std::process::id(),
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Looks at this model too from now on.
    pub(crate) fn watch(&self, served: &Arc<dyn ServedModel>, metrics: &Arc<Metrics>) {
        let mut state = self.shared.lock();
        state.new.push(Watched::new(served));
        if !state.running {
            let (shared, metrics) = (self.shared.clone(), metrics.clone());
            let thread = thread::Builder::new()
                .name(THREAD.to_owned())
                .spawn(move || shared.run(&metrics));
            match thread {
                Ok(_) => state.running = true,
                Err(error) => tracing::warn!(%error, "llama-server's own metrics are not read"),
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Bridge {
    /// Looks once more now, and waits for that until this moment at most.
    pub(crate) fn look_last(&self, until: Instant) {
        let mut state = self.shared.lock();
        if !state.running {
            return;
        }
        state.wanted += 1;
        let mine = state.wanted;
        self.shared.changed.notify_all();
        let left = until.saturating_duration_since(Instant::now());
        let waiting = |state: &mut State| state.made < mine && !state.ended;
        drop(self.shared.changed.wait_timeout_while(state, left, waiting));
    }

    /// A request was sent to one of the models: there is something to see.
    pub(crate) fn stir(&self) {
        let mut state = self.shared.lock();
        let first = state.running && !std::mem::replace(&mut state.stirred, true);
        drop(state);
        if first {
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // A fork has no such thread, and the one that held the lock is not there to give it up.
        if self.owner != std::process::id() {
            return;
        }
        // Not waited for: a server that hangs must not hold the program up.
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, metrics: &Metrics) {
        let mut watched: Vec<Watched> = Vec::new();
        // The next look that is due anyway, and the first moment at which one may be.
        let (mut due, mut soonest) = (Instant::now(), Instant::now());
        loop {
            let mut state = self.lock();
            while state.new.is_empty() && !state.ended && state.made == state.wanted {
                let next = if state.stirred { soonest } else { due };
                let pause = next.saturating_duration_since(Instant::now());
                if pause.is_zero() {
                    break;
                }
                let waited = self.changed.wait_timeout(state, pause);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.ended {
                return;
            }
            watched.append(&mut state.new);
            state.stirred = false;
            let wanted = state.wanted;
            drop(state);
            let mut pause = QUIET;
            watched.retain_mut(|one| match one.look(metrics) {
                Look::Gone => false,
                Look::Busy => {
                    pause = BUSY;
                    true
                }
                Look::Quiet => true,
            });
            self.lock().made = wanted;
            self.changed.notify_all();
            let now = Instant::now();
            (due, soonest) = (now + pause, now + BUSY);
        }
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
