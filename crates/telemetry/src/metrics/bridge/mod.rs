//! The bridge to what llama-server says of itself.
//!
//! A thread looks at each served model: every two seconds while it works, else every ten. It never
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
use std::time::Duration;
use watched::{Look, Watched};

/// Between two looks at servers of which one works.
const BUSY: Duration = Duration::from_secs(2);
/// Between two looks at servers that do nothing.
const QUIET: Duration = Duration::from_secs(10);
const THREAD: &str = "llama-metrics";

/// The bridge. Its thread begins with the first model and ends with this value, once the look that
/// is under way has ended.
pub(crate) struct Bridge {
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
    running: bool,
    ended: bool,
}

impl Bridge {
    pub(crate) fn new() -> Self {
        Self {
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

impl Drop for Bridge {
    fn drop(&mut self) {
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
        let mut pause = Duration::ZERO;
        loop {
            let idle = |state: &mut State| state.new.is_empty() && !state.ended;
            let waited = self.changed.wait_timeout_while(self.lock(), pause, idle);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.ended {
                return;
            }
            watched.append(&mut state.new);
            drop(state);
            pause = QUIET;
            watched.retain_mut(|one| match one.look(metrics) {
                Look::Gone => false,
                Look::Busy => {
                    pause = BUSY;
                    true
                }
                Look::Quiet => true,
            });
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
