//! Which hosts answer, and how long all the others together are waited for.

use llamatelemetry_settings::Home;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a verdict on a host, and the time spent on it, counts in a process that lives long.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// What a process knows about the hosts it wanted.
///
/// Hosts that have not answered yet share one budget of waiting time: once it is spent on hosts
/// that stay silent, every further unknown host has no time left, and a host found unreachable
/// fails at once. Waits at the same moment count once. Verdicts fade after 15 minutes.
#[derive(Debug, Default)]
pub struct Reachability {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hosts: BTreeMap<String, (Verdict, Instant)>,
    /// Waits under way: by number, with their start.
    waiting: BTreeMap<u64, Instant>,
    next: u64,
    /// Waits that were in vain: start and end.
    wasted: Vec<(Instant, Instant)>,
}

#[derive(Debug, Clone)]
enum Verdict {
    Answers,
    Silent { reason: String },
}

/// How a host may be tried.
#[derive(Debug)]
pub(crate) enum Chance {
    /// It has answered before: ordinary patience.
    Known,
    /// It has not answered yet.
    Trial(Trial),
    /// It was found silent, or no time is left.
    None { reason: String },
}

/// A host being tried for the first time.
#[derive(Debug)]
pub(crate) struct Trial {
    reach: Arc<Reachability>,
    host: String,
    number: u64,
    started: Instant,
    /// Until then.
    pub(crate) deadline: Instant,
}

static OF_PROCESS: Mutex<BTreeMap<PathBuf, Arc<Reachability>>> = Mutex::new(BTreeMap::new());

impl Reachability {
    /// What this process knows, shared by everything in it that uses the same home. (A program
    /// has one home; the many of a test program are to know nothing of each other.)
    pub fn of_process(home: &Home) -> Arc<Self> {
        let mut known = OF_PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(home.root().to_path_buf()).or_default())
    }

    /// A knowledge of its own, for tests.
    pub fn fresh() -> Arc<Self> {
        Arc::default()
    }

    /// Asks for a chance to try a host (with its port), of `budget` in all.
    pub(crate) fn chance(self: &Arc<Self>, host: &str, budget: Duration) -> Chance {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(now);
        match state.hosts.get(host) {
            Some((Verdict::Answers, _)) => return Chance::Known,
            Some((Verdict::Silent { reason }, _)) => {
                return Chance::None {
                    reason: reason.clone(),
                };
            }
            None => {}
        }
        let left = budget.saturating_sub(state.spent(now));
        if left.is_zero() {
            return Chance::None {
                reason: format!(
                    "not tried, because the {} s for hosts that do not answer are spent",
                    budget.as_secs_f64()
                ),
            };
        }
        let number = state.next;
        state.next += 1;
        state.waiting.insert(number, now);
        Chance::Trial(Trial {
            reach: Arc::clone(self),
            host: host.to_owned(),
            number,
            started: now,
            deadline: now + left,
        })
    }
}

impl State {
    /// Time spent in vain, overlapping waits counted once; waits under way count as in vain.
    fn spent(&self, now: Instant) -> Duration {
        let mut intervals: Vec<(Instant, Instant)> = self
            .wasted
            .iter()
            .copied()
            .chain(self.waiting.values().map(|start| (*start, now)))
            .collect();
        intervals.sort_unstable();
        let mut spent = Duration::ZERO;
        let mut covered: Option<Instant> = None;
        for (start, end) in intervals {
            let from = covered.map_or(start, |covered| covered.max(start));
            spent += end.saturating_duration_since(from);
            covered = Some(covered.map_or(end, |covered| covered.max(end)));
        }
        spent
    }

    fn forget(&mut self, now: Instant) {
        let fresh = |then: Instant| now.saturating_duration_since(then) < MEMORY;
        self.hosts.retain(|_, (_, then)| fresh(*then));
        self.wasted.retain(|(_, end)| fresh(*end));
    }
}

impl Trial {
    /// The host answered: it has ordinary patience from now on.
    pub(crate) fn answered(self) {
        self.settle(Verdict::Answers, |_, _| {});
    }

    /// The host did not answer.
    pub(crate) fn failed(self, reason: &str) {
        let started = self.started;
        let verdict = Verdict::Silent {
            reason: reason.to_owned(),
        };
        self.settle(verdict, |state, now| state.wasted.push((started, now)));
    }

    fn settle(self, verdict: Verdict, change: impl FnOnce(&mut State, Instant)) {
        let now = Instant::now();
        let mut state = self
            .reach
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut state, now);
        state.hosts.insert(self.host.clone(), (verdict, now));
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut state = self
            .reach
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(5);

    fn trial(chance: Chance) -> Trial {
        match chance {
            Chance::Trial(trial) => trial,
            other => panic!("no trial but {other:?}"),
        }
    }

    #[test]
    fn a_silent_host_fails_at_once_afterwards_and_an_answering_one_is_known() {
        let reach = Reachability::fresh();
        trial(reach.chance("a:1", BUDGET)).failed("no route");
        assert!(
            matches!(reach.chance("a:1", BUDGET), Chance::None { reason } if reason == "no route")
        );
        trial(reach.chance("b:1", BUDGET)).answered();
        assert!(matches!(reach.chance("b:1", BUDGET), Chance::Known));
    }

    #[test]
    fn waits_share_one_budget_and_overlaps_count_once() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let state = State {
            wasted: vec![(now, now + 2 * second), (now + second, now + 3 * second)],
            waiting: BTreeMap::from([(0, now + 4 * second)]),
            ..State::default()
        };
        assert_eq!(state.spent(now + 5 * second), 4 * second);
        let reach = Arc::new(Reachability {
            state: Mutex::new(State {
                wasted: vec![(now, now + BUDGET)],
                ..State::default()
            }),
        });
        assert!(matches!(reach.chance("a:1", BUDGET), Chance::None { .. }));
        assert!(matches!(reach.chance("a:1", 2 * BUDGET), Chance::Trial(_)));
    }

    #[test]
    fn two_waits_at_once_end_by_the_same_deadline() {
        let reach = Reachability::fresh();
        let first = trial(reach.chance("a:1", BUDGET));
        let second = trial(reach.chance("b:1", BUDGET));
        let apart = second.deadline.abs_diff(first.deadline);
        assert!(apart < Duration::from_millis(50), "{apart:?}");
        drop(first);
        assert_eq!(reach.state.lock().unwrap().waiting.len(), 1);
    }

    trait AbsDiff {
        fn abs_diff(self, other: Self) -> Duration;
    }

    impl AbsDiff for Instant {
        fn abs_diff(self, other: Self) -> Duration {
            self.max(other) - self.min(other)
        }
    }
}
