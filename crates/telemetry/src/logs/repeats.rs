//! Lines that come again and again: the first few of a span of time are let through, the rest are
//! counted.

use crate::names::log;
use llamatelemetry_record::LoggedLine;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// Equal lines that are let through within [`WINDOW`].
const FREE: u64 = 5;
/// How long a line counts as the same again.
const WINDOW: Duration = Duration::from_secs(10);
/// Different lines that are watched at once; beyond that all are let through.
const WATCHED: usize = 512;

/// Counts equal lines.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    hasher: RandomState,
    seen: HashMap<u64, Seen>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    times: u64,
    /// The latest that was held back.
    held: Option<LoggedLine>,
}

impl Repeats {
    /// The line, if it is to be let through.
    pub(crate) fn admit(&mut self, line: LoggedLine, now: Instant) -> Option<LoggedLine> {
        let key = self.hasher.hash_one((
            line.severity,
            line.source.as_str(),
            line.text.as_str(),
            line.fields.as_slice(),
        ));
        let Some(seen) = self.seen.get_mut(&key) else {
            if self.seen.len() < WATCHED {
                let seen = Seen {
                    since: now,
                    times: 1,
                    held: None,
                };
                self.seen.insert(key, seen);
            }
            return Some(line);
        };
        // Past its window it is let through; what it holds is told by `due`.
        if now.saturating_duration_since(seen.since) < WINDOW {
            seen.times += 1;
            if seen.times > FREE {
                seen.held = Some(line);
                return None;
            }
        }
        Some(line)
    }

    /// The last one of each kind that was held back, with the number of those it stands for, once
    /// its time is over; at the end all of them.
    pub(crate) fn due(&mut self, now: Instant, at_the_end: bool) -> Vec<LoggedLine> {
        let mut due = Vec::new();
        self.seen.retain(|_, seen| {
            let over = at_the_end || now.saturating_duration_since(seen.since) >= WINDOW;
            if over && let Some(mut line) = seen.held.take() {
                let held = seen.times - FREE;
                line.fields
                    .push((log::REPEATS.to_owned(), held.to_string()));
                due.push(line);
            }
            !over
        });
        due.sort_by_key(|line| line.at);
        due
    }

    /// When `due` may have something to tell.
    pub(crate) fn next(&self) -> Option<Instant> {
        let watched = self.seen.values().filter(|seen| seen.held.is_some());
        watched.map(|seen| seen.since + WINDOW).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::Severity;
    use std::time::UNIX_EPOCH;

    fn line(text: &str) -> LoggedLine {
        LoggedLine {
            at: UNIX_EPOCH,
            severity: Severity::Warn,
            source: "x".into(),
            text: text.into(),
            context: None,
            fields: Vec::new(),
        }
    }

    #[test]
    fn the_first_pass_and_the_rest_are_counted() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        let passed = (0..100).filter(|_| repeats.admit(line("again"), now).is_some());
        assert_eq!(passed.count(), 5);
        assert!(repeats.admit(line("another"), now).is_some());
        assert!(repeats.due(now, false).is_empty());
        assert_eq!(repeats.next(), Some(now + WINDOW));
        let due = repeats.due(now + WINDOW, false);
        assert_eq!(due.len(), 1);
        assert_eq!(
            due[0].fields,
            [("llamacpp.log.repeats".to_owned(), "95".to_owned())]
        );
        assert!(repeats.seen.is_empty());
        assert_eq!(repeats.next(), None);
        assert!(repeats.admit(line("again"), now + WINDOW).is_some());
    }

    #[test]
    fn at_the_end_all_is_told_and_memory_is_bounded() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        for number in 0..10_000 {
            assert!(repeats.admit(line(&number.to_string()), now).is_some());
        }
        assert_eq!(repeats.seen.len(), WATCHED);
        for _ in 0..6 {
            repeats.admit(line("0"), now);
        }
        assert_eq!(repeats.due(now, true).len(), 1);
        assert!(repeats.due(now, true).is_empty());
    }
}
