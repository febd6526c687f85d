//! Waits between attempts.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// The first wait before another attempt; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait before the next attempt.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait: between three and five quarters of its nominal time, so that clients that
    /// failed together do not come back together.
    pub(super) fn next(&mut self) -> Duration {
        let random = RandomState::new().hash_one(Instant::now()) % 512;
        let quarters = 0.75 + 0.5 * (random as f64 / 512.0);
        let wait = self.0.mul_f64(quarters);
        self.0 = (self.0 * 2).min(LONGEST);
        wait
    }

    /// An attempt went well.
    pub(super) fn reset(&mut self) {
        self.0 = FIRST;
    }
}
