//! The end of the pipeline: cuts waits short and bounds the last attempts.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When the pipeline must have ended, once that is asked for.
#[derive(Debug, Default)]
pub(super) struct Stop {
    deadline: Mutex<Option<Instant>>,
    asked: Condvar,
}

impl Stop {
    /// Asks for the end by then.
    pub(super) fn by(&self, deadline: Instant) {
        self.lock().get_or_insert(deadline);
        self.asked.notify_all();
    }

    /// The deadline, if the end is asked for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        *self.lock()
    }

    /// Waits for this long, or until the end is asked for.
    pub(super) fn wait(&self, time: Duration) {
        let waited = self
            .asked
            .wait_timeout_while(self.lock(), time, |deadline| deadline.is_none());
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
