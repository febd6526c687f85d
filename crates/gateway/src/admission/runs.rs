//! The runs of a model's servers, and the slots of each: those that have ended have none.

use llamatelemetry::LiveServer;
use std::sync::{Arc, Weak};

/// What ends.
pub(super) trait Run {
    /// Whether its process is known to have ended.
    fn ended(&self) -> bool;
}

impl Run for LiveServer {
    fn ended(&self) -> bool {
        self.process().exit().is_some()
    }
}

/// The runs that were asked for their slots, and what they said.
#[derive(Debug)]
pub(super) struct Runs<R>(Vec<(Weak<R>, Option<usize>)>);

impl<R> Default for Runs<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<R: Run> Runs<R> {
    /// Notes a run; false if it was noted before.
    pub(super) fn add(&mut self, run: &Arc<R>) -> bool {
        let new = !self.0.iter().any(|(known, _)| is(known, run));
        if new {
            self.0.push((Arc::downgrade(run), None));
        }
        new
    }

    /// A run told its slots.
    pub(super) fn told(&mut self, run: &Arc<R>, slots: usize) {
        for (known, told) in &mut self.0 {
            if is(known, run) {
                *told = Some(slots);
            }
        }
    }

    /// Forgets the runs that have ended. A request that asked one may hold it for long; its slots
    /// are gone all the same. Returns whether there were such.
    pub(super) fn forget_ended(&mut self) -> bool {
        let before = self.0.len();
        self.0
            .retain(|(run, _)| run.upgrade().is_some_and(|run| !run.ended()));
        self.0.len() < before
    }

    /// The slots of all runs together; `None` while no run has told any: what was known of the
    /// runs before stands then.
    pub(super) fn slots(&self) -> Option<usize> {
        let told = self.0.iter().filter_map(|(_, slots)| *slots);
        told.reduce(usize::saturating_add)
    }
}

fn is<R>(known: &Weak<R>, run: &Arc<R>) -> bool {
    std::ptr::eq(known.as_ptr(), Arc::as_ptr(run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Default)]
    struct Process(AtomicBool);

    impl Run for Process {
        fn ended(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_run_that_has_ended_has_no_slots_however_long_it_is_held() {
        let mut runs = Runs::default();
        let (first, second) = (Arc::new(Process::default()), Arc::new(Process::default()));
        assert!(runs.add(&first) && !runs.add(&first));
        runs.told(&first, 4);
        assert!(runs.add(&second));
        runs.told(&second, 4);
        assert!(!runs.forget_ended());
        assert_eq!(runs.slots(), Some(8));
        first.0.store(true, Ordering::Relaxed);
        assert!(runs.forget_ended());
        assert_eq!(runs.slots(), Some(4));
        second.0.store(true, Ordering::Relaxed);
        assert!(runs.forget_ended());
        assert_eq!(runs.slots(), None);
    }
}
