//! The right of one request to be worked on.

use super::queue::Flow;
use super::{Admission, Cost, lock};
use std::time::Instant;

/// How much the last request counts in the average time that one takes.
const NEWEST: f64 = 0.2;

/// The right to be worked on. It is held until the answer has ended; dropping it gives the slot to
/// whoever is next.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Admission,
    model: String,
    flow: Flow,
    /// Tokens that it was thought to take.
    thought: u64,
    /// Tokens that it took, once that is known.
    took: Option<u64>,
    since: Instant,
    holds: Holds,
}

/// What a permit keeps from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Slot,
    Nothing,
}

impl Permit {
    pub(super) fn new(admission: Admission, flow: Flow, cost: Cost<'_>, holds: Holds) -> Self {
        Self {
            admission,
            // What holds nothing needs no name to give it back by.
            model: match holds {
                Holds::Slot => cost.model.to_owned(),
                Holds::Nothing => String::new(),
            },
            flow,
            thought: cost.tokens,
            took: None,
            since: Instant::now(),
            holds,
        }
    }

    /// Tells the tokens, of prompt and answer, that the request took. Untold, what it was thought
    /// to take counts.
    pub(crate) fn used(&mut self, tokens: u64) {
        self.took = Some(tokens);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (flow, thought) = (self.flow, self.thought);
        let took = self.took.unwrap_or(thought);
        if flow != 0 && took != thought {
            lock(&self.admission.shared.limits).settle(flow, thought, took);
        }
        if self.holds == Holds::Nothing {
            return;
        }
        let held = self.since.elapsed().as_secs_f64();
        self.admission.call(&self.model, |model| {
            // Requests end with their run.
            model.forget_ended();
            model.queue.done(flow, thought, took);
            model.pace = if model.pace == 0.0 {
                held
            } else {
                model.pace + NEWEST * (held - model.pace)
            };
        });
    }
}
