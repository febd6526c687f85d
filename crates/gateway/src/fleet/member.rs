//! One model with what it does now.

use super::budget::{Holding, Standing};
use super::plan::ModelPlan;
use super::progress::LoadProgress;
use super::replica::Replica;
use llamatelemetry::UnloadReason;
use llamatelemetry_settings::KeepAlive;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pause before a model that failed is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The same where another try would fail the same way, and after a crash loop.
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// One model with what it does now.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) plan: ModelPlan,
    pub(super) phase: Phase,
    /// Requests that use it.
    pub(super) in_flight: usize,
    /// Requests that wait for it.
    pub(super) waiting: usize,
    /// When it was asked last.
    pub(super) last_used: Instant,
    /// Bytes that it took when it was measured last.
    pub(super) measured: Option<u64>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Steps down the ladder that it takes to find memory.
    pub(super) rungs: usize,
}

#[derive(Debug)]
pub(super) enum Phase {
    Unloaded,
    Loading(Loading),
    Ready(Ready),
    Unloading { bytes: u64 },
    Failed { reason: String, until: Instant },
}

#[derive(Debug)]
pub(super) struct Loading {
    pub(super) progress: Arc<LoadProgress>,
    /// Bytes that it was granted; `None` until then.
    pub(super) granted: Option<u64>,
    /// Somebody other than a request wants it.
    pub(super) wanted: bool,
}

#[derive(Debug)]
pub(super) struct Ready {
    pub(super) replicas: Vec<Arc<Replica>>,
    /// What the server tells of its model, as `/v1/models` has it.
    pub(super) told: Value,
    /// What was given up to find memory.
    pub(super) given_up: Vec<String>,
    /// It takes no more requests and goes when it is idle, for this reason.
    pub(super) draining: Option<UnloadReason>,
    /// Whose turn it is among equals.
    pub(super) turn: usize,
}

impl Member {
    pub(super) fn new(plan: ModelPlan) -> Self {
        Self {
            plan,
            phase: Phase::Unloaded,
            in_flight: 0,
            waiting: 0,
            last_used: Instant::now(),
            measured: None,
            failures: 0,
            rungs: 0,
        }
    }

    /// What it holds of the memory budget.
    pub(super) fn holding(&self, member: usize) -> Option<Holding> {
        let (bytes, standing) = match &self.phase {
            Phase::Unloaded | Phase::Failed { .. } => return None,
            Phase::Loading(loading) => (loading.granted?, Standing::Loading),
            Phase::Unloading { bytes } => (*bytes, Standing::Leaving),
            Phase::Ready(ready) => {
                let standing = if ready.draining.is_some() {
                    Standing::Leaving
                } else if self.plan.pin || (self.waiting > 0 && self.in_flight == 0) {
                    // Who waits for it is about to be let in.
                    Standing::Kept
                } else {
                    Standing::Free {
                        busy: self.in_flight > 0,
                        last_used: self.last_used,
                    }
                };
                (self.measured.unwrap_or(0), standing)
            }
        };
        Some(Holding {
            member,
            bytes,
            standing,
        })
    }

    /// When it is to be unloaded if nobody asks until then.
    pub(super) fn expires(&self) -> Option<Instant> {
        let idle = self.in_flight == 0 && self.waiting == 0 && !self.plan.pin;
        match (&self.phase, self.plan.idle) {
            (Phase::Ready(_), KeepAlive::For(time)) if idle => self.last_used.checked_add(time),
            _ => None,
        }
    }

    /// When it could be due for unloading at the earliest, if it is loaded and not due now: its
    /// requests end without a word to whoever keeps house.
    pub(super) fn due_at_the_earliest(&self, now: Instant) -> Option<Instant> {
        match (&self.phase, self.plan.idle) {
            (Phase::Ready(_), KeepAlive::For(time)) if !self.plan.pin => now.checked_add(time),
            _ => None,
        }
    }

    /// It failed: nobody tries again for a while.
    pub(super) fn failed(&mut self, reason: String, would_repeat: bool) {
        let first = if would_repeat {
            LONG_PAUSE
        } else {
            FIRST_PAUSE
        };
        let doublings = self.failures.min(16);
        self.failures += 1;
        let pause = first.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        self.phase = Phase::Failed {
            reason,
            until: Instant::now() + pause,
        };
    }
}
