//! Stopping a question from outside.

use crate::TablesError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Stops a question from another thread, or when its time is up. Clones stop the same question.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    limit: Option<(Instant, Duration)>,
}

impl Stop {
    /// Stops only when asked to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also stops so long after now.
    #[must_use]
    pub fn after(mut self, limit: Duration) -> Self {
        self.limit = Instant::now().checked_add(limit).map(|end| (end, limit));
        self
    }

    /// Asks the question to stop.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Fails where the question must stop.
    pub(crate) fn check(&self) -> Result<(), TablesError> {
        if self.asked.load(Ordering::Relaxed) {
            return Err(TablesError::Stopped);
        }
        match self.limit {
            Some((end, limit)) if Instant::now() >= end => Err(TablesError::TimedOut { limit }),
            _ => Ok(()),
        }
    }
}
