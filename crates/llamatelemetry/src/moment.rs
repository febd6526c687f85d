//! One moment on both clocks.

use llamatelemetry_record::PhaseClock;
use std::time::{Duration, Instant, SystemTime};

/// One moment on the monotonic clock and on the wall clock. What happened at other instants is
/// dated by their distance from it, so that a step of the wall clock tears nothing apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        // The clock reads both at once.
        let clock = PhaseClock::start();
        Self {
            instant: clock.sent(),
            wall: clock.sent_at(),
        }
    }

    /// The wall clock's time of an instant.
    pub(crate) fn wall(&self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.instant) {
            Some(after) => self.wall + after,
            None => self.wall - self.since(at),
        }
    }

    /// The time from an earlier instant to this moment.
    pub(crate) fn since(&self, earlier: Instant) -> Duration {
        self.instant.saturating_duration_since(earlier)
    }
}
