//! When to look, and how closely.

use super::sample::Detail;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Between two looks while nothing is in flight; each is a full one.
const IDLE: Duration = Duration::from_secs(1);
/// Between two looks while something is.
const BUSY: Duration = Duration::from_millis(100);
/// Between two full looks then.
const BUSY_FULL: Duration = Duration::from_millis(500);
/// Full looks at somebody's wish come no faster than this.
const WISHED: Duration = Duration::from_millis(250);
/// The share of one processor that full looks may use up. On machines with many GPUs they become
/// rarer, so that the whole stays under one hundredth.
const SHARE: f64 = 0.008;
/// Of so many full looks the middle cost counts: neither the first, which wakes the driver, nor a
/// rare slow call says what they cost.
const REMEMBERED: usize = 9;
/// They never become rarer than this.
const RAREST: Duration = Duration::from_secs(5);

/// Knows when the next look is due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// When the last look was due, and the last full one.
    last: Option<(Instant, Instant)>,
    /// Processor time that the latest full looks used.
    costs: VecDeque<Duration>,
    wished: bool,
}

impl Schedule {
    /// Somebody wants a full look.
    pub(super) fn wish(&mut self) {
        self.wished = true;
    }

    /// When the next look is due, and how close it is to be.
    pub(super) fn next(&self, now: Instant, busy: bool) -> (Instant, Detail) {
        let Some((any, full)) = self.last else {
            return (now, Detail::Full);
        };
        let affordable = self.cost().div_f64(SHARE).min(RAREST);
        let mut pause = if busy { BUSY_FULL } else { IDLE }.max(affordable);
        if self.wished {
            pause = pause.min(WISHED.max(affordable));
        }
        let next_full = full + pause;
        let next = next_full.min(any + if busy { BUSY } else { IDLE });
        // A full look that is due by the time of the next one is made with it.
        let detail = if next_full <= next.max(now) {
            Detail::Full
        } else {
            Detail::Quick
        };
        (next, detail)
    }

    /// A look that was due then has been made now, and used so much processor time.
    pub(super) fn made(&mut self, due: Instant, now: Instant, detail: Detail, cost: Duration) {
        // The rhythm is kept over small delays and begun anew after great ones.
        let at = if now.duration_since(due) < BUSY {
            due
        } else {
            now
        };
        let full = match (detail, self.last) {
            (Detail::Quick, Some((_, full))) => full,
            _ => at,
        };
        self.last = Some((at, full));
        if detail == Detail::Full {
            self.wished = false;
            self.costs.push_back(cost);
            if self.costs.len() > REMEMBERED {
                self.costs.pop_front();
            }
        }
    }

    fn cost(&self) -> Duration {
        let mut costs: Vec<Duration> = self.costs.iter().copied().collect();
        costs.sort_unstable();
        // Two tell nothing yet.
        let middle = if costs.len() < 3 {
            None
        } else {
            costs.get(costs.len() / 2)
        };
        middle.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The looks of some seconds, each costing what it is said to.
    fn looks(seconds: u64, busy: bool, cost: Duration) -> (usize, usize) {
        let start = Instant::now();
        let end = start + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        let mut now = start;
        let mut count = (0, 0);
        while now < end {
            let (due, detail) = schedule.next(now, busy);
            now = now.max(due);
            let spent = match detail {
                Detail::Full => cost,
                Detail::Quick => Duration::ZERO,
            };
            schedule.made(due, now, detail, spent);
            match detail {
                Detail::Full => count.1 += 1,
                Detail::Quick => count.0 += 1,
            }
        }
        count
    }

    #[test]
    fn once_a_second_idle_and_ten_times_busy() {
        assert_eq!(looks(10, false, Duration::from_millis(3)), (0, 11));
        let (quick, full) = looks(10, true, Duration::from_millis(3));
        assert_eq!(full, 21);
        assert_eq!(quick + full, 101);
    }

    #[test]
    fn dear_looks_become_rare() {
        let cost = Duration::from_millis(24);
        let (quick, full) = looks(60, true, cost);
        assert!(quick > 500, "{quick}");
        assert!(
            cost * u32::try_from(full).unwrap() < Duration::from_millis(600),
            "{full}"
        );
    }

    #[test]
    fn one_slow_look_slows_nothing_down() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        for cost in [400, 3, 3, 17, 3] {
            schedule.made(start, start, Detail::Full, Duration::from_millis(cost));
        }
        assert_eq!(schedule.cost(), Duration::from_millis(3));
        assert_eq!(
            schedule.next(start + BUSY_FULL, true),
            (start + BUSY, Detail::Full)
        );
    }

    #[test]
    fn a_wish_comes_soon_and_a_storm_of_them_does_not() {
        let mut schedule = Schedule::default();
        let start = Instant::now();
        schedule.made(start, start, Detail::Full, Duration::ZERO);
        schedule.wish();
        assert_eq!(schedule.next(start, false), (start + WISHED, Detail::Full));
        let later = start + Duration::from_millis(600);
        let (due, detail) = schedule.next(later, false);
        assert!(due <= later);
        assert_eq!(detail, Detail::Full);
        schedule.made(due, later, Detail::Full, Duration::ZERO);
        assert!(
            schedule.next(later, false).0 >= later + IDLE,
            "it was granted"
        );
    }

    #[test]
    fn after_a_long_sleep_the_rhythm_begins_anew() {
        let mut schedule = Schedule::default();
        let start = Instant::now();
        schedule.made(start, start, Detail::Full, Duration::ZERO);
        let woken = start + Duration::from_secs(3600);
        let (due, detail) = schedule.next(woken, true);
        schedule.made(due, woken, detail, Duration::ZERO);
        assert_eq!(schedule.next(woken, true).0, woken + BUSY);
    }
}
