//! Finds single requests that a server has lost while it does well otherwise.

use super::super::pulse::Pulse;
use super::SlotState;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A request that nothing works on is lost after so many times the stall limit. A server reads,
/// parses and tokenizes it before a slot shows it, and a busy machine takes its time for that.
pub(super) const LOST_FACTOR: u32 = 3;

/// Which tasks one run's slots were seen at.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// When each task was seen first; `None`: it was there at the first look.
    tasks: BTreeMap<i64, Option<Instant>>,
    looked: bool,
    /// When no slot was free last: a request may wait for one inside the server.
    full: Option<Instant>,
}

impl Sightings {
    /// Looks at what the slots do, and says which of the requests of which nothing came are lost.
    /// A slot that began later than a request of ours could have reached it works on another.
    ///
    /// `limit` is the stall limit, and how long a request may take to its slot where one is free.
    /// `computes` says whether the server computes something that no slot shows.
    pub(super) fn look<'a, P: AsRef<Pulse>>(
        &mut self,
        now: Instant,
        slots: Option<&[SlotState]>,
        silent: &'a [P],
        limit: Duration,
        computes: bool,
    ) -> Vec<&'a P> {
        let busy: Option<Vec<&SlotState>> =
            slots.map(|slots| slots.iter().filter(|slot| slot.busy).collect());
        self.see(now, slots.map_or(0, <[SlotState]>::len), busy.as_deref());
        let mut lost = Vec::new();
        for pulse in silent {
            let may_be_worked_on = match &busy {
                // What is not seen is no evidence.
                None => true,
                Some(busy) if busy.is_empty() => computes,
                Some(busy) => {
                    let reached = pulse.as_ref().last_progress();
                    let reached = self.full.map_or(reached, |full| reached.max(full));
                    busy.iter().any(|slot| self.may_be_of(slot, reached, limit))
                }
            };
            if may_be_worked_on {
                pulse.as_ref().may_be_worked_on(now);
            }
            let since = pulse.as_ref().last_sign();
            if now.saturating_duration_since(since) >= limit.saturating_mul(LOST_FACTOR) {
                lost.push(pulse);
            }
        }
        lost
    }

    fn see(&mut self, now: Instant, slots: usize, busy: Option<&[&SlotState]>) {
        let Some(busy) = busy else { return };
        if busy.len() == slots {
            self.full = Some(now);
        }
        let first = self.looked.then_some(now);
        let tasks = busy.iter().filter_map(|slot| slot.task);
        self.tasks = tasks
            .map(|task| (task, self.tasks.get(&task).copied().unwrap_or(first)))
            .collect();
        self.looked = true;
    }

    /// Whether a slot may work on a request that could reach it at this moment.
    fn may_be_of(&self, slot: &SlotState, reached: Instant, limit: Duration) -> bool {
        let seen = slot.task.and_then(|task| *self.tasks.get(&task)?);
        seen.is_none_or(|seen| seen.saturating_duration_since(reached) <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LIMIT: Duration = Duration::from_secs(10);

    fn slot(task: Option<i64>) -> SlotState {
        SlotState {
            busy: task.is_some(),
            task,
            evaluated: None,
            generated: None,
        }
    }

    /// Looks every two seconds, for ten minutes, at one silent request. Returns the second in
    /// which it is found lost.
    fn lost_after(slots: impl Fn(i64) -> Option<Vec<SlotState>>, computes: bool) -> Option<u64> {
        let pulse = [Arc::new(Pulse::new(1))];
        let start = pulse[0].last_progress();
        let mut sightings = Sightings::default();
        (1..=300).map(|look| 2 * look).find(|second| {
            let now = start + Duration::from_secs(*second);
            let slots = slots(second.cast_signed());
            let lost = sightings.look(now, slots.as_deref(), &pulse, LIMIT, computes);
            !lost.is_empty()
        })
    }

    #[test]
    fn a_request_that_no_slot_works_on_is_lost() {
        let idle = |_| Some(vec![slot(None), slot(None)]);
        assert_eq!(lost_after(idle, false), Some(30));
        // It may be read and tokenized yet.
        assert_eq!(lost_after(idle, true), None);
    }

    #[test]
    fn a_request_is_lost_though_others_go_on() {
        // Each of the others takes 6 s; one slot is always free.
        let others = |second| Some(vec![slot(Some(second / 6)), slot(None)]);
        // The last one that may be it began in the tenth second.
        assert_eq!(lost_after(others, false), Some(40));
    }

    #[test]
    fn a_request_in_a_slot_or_before_a_full_server_is_not_lost() {
        let long = |second| Some(vec![slot(Some(1)), slot(Some(2 + second))]);
        assert_eq!(lost_after(long, false), None);
        let long = |second: i64| {
            let late = slot((second > 6).then_some(7));
            Some(vec![late, slot(None)])
        };
        assert_eq!(lost_after(long, false), None);
        let full = |second| Some(vec![slot(Some(second / 6))]);
        assert_eq!(lost_after(full, false), None);
    }

    #[test]
    fn nothing_is_judged_unseen() {
        assert_eq!(lost_after(|_| None, false), None);
        // A build that names no tasks.
        let unnamed = |_| {
            let mut slot = slot(None);
            slot.busy = true;
            Some(vec![slot, self::slot(None)])
        };
        assert_eq!(lost_after(unnamed, false), None);
    }
}
