//! How much a key may ask for: a bucket of requests and one of tokens, each filled at a steady
//! rate up to what a minute allows.

use crate::guard::Key;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const MINUTE: f64 = 60.0;

/// The buckets of all keys that have limits.
#[derive(Debug, Default)]
pub(super) struct Limits {
    of_keys: HashMap<u64, Buckets>,
}

#[derive(Debug)]
struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// The limit that it was made for.
    limit: u32,
    level: f64,
    at: Instant,
}

/// Which limit is reached, and when asking again is worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) what: &'static str,
    pub(super) per_minute: u32,
    pub(super) pause: Duration,
}

impl Bucket {
    fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            limit: per_minute,
            level: f64::from(per_minute),
            at: now,
        }
    }

    fn per_minute(&self) -> f64 {
        f64::from(self.limit)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_minute() / MINUTE).min(self.per_minute());
        self.at = now;
    }

    /// How long until there is so much. What a whole bucket does not hold is asked of a full one.
    fn pause(&self, amount: f64) -> Duration {
        let missing = amount.min(self.per_minute()) - self.level;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing * MINUTE / self.per_minute()).unwrap_or(Duration::MAX)
    }
}

impl Limits {
    /// Takes one request of so many tokens off a key's buckets, or off none.
    pub(super) fn take(&mut self, key: &Key, tokens: u64, now: Instant) -> Result<(), Reached> {
        if key.requests_per_minute.is_none() && key.tokens_per_minute.is_none() {
            return Ok(());
        }
        let buckets = self.of_keys.entry(key.id).or_insert_with(|| Buckets {
            requests: None,
            tokens: None,
        });
        let amounts = [
            (
                &mut buckets.requests,
                key.requests_per_minute,
                1.0,
                "requests",
            ),
            (
                &mut buckets.tokens,
                key.tokens_per_minute,
                tokens as f64,
                "tokens",
            ),
        ];
        let mut taken = Vec::with_capacity(2);
        for (bucket, limit, amount, what) in amounts {
            let Some(per_minute) = limit else {
                *bucket = None;
                continue;
            };
            // A limit that was changed begins anew.
            if bucket
                .as_ref()
                .is_some_and(|bucket| bucket.limit != per_minute)
            {
                *bucket = None;
            }
            let bucket = bucket.get_or_insert_with(|| Bucket::new(per_minute, now));
            bucket.fill(now);
            let pause = bucket.pause(amount);
            if !pause.is_zero() {
                return Err(Reached {
                    what,
                    per_minute,
                    pause,
                });
            }
            taken.push((bucket, amount));
        }
        for (bucket, amount) in taken {
            bucket.level -= amount;
        }
        Ok(())
    }

    /// Corrects what was taken, once it is known how many tokens a request took. A bucket may owe.
    pub(super) fn settle(&mut self, key: u64, thought: u64, took: u64) {
        let tokens = self.of_keys.get_mut(&key);
        if let Some(bucket) = tokens.and_then(|buckets| buckets.tokens.as_mut()) {
            bucket.level = (bucket.level + thought as f64 - took as f64).min(bucket.per_minute());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_requests_may_come_at_once_and_then_one_by_one() {
        let key = Key::numbered(1, Some(60), None);
        let (mut limits, begin) = (Limits::default(), Instant::now());
        for _ in 0..60 {
            limits.take(&key, 1, begin).unwrap();
        }
        let reached = limits.take(&key, 1, begin).unwrap_err();
        assert_eq!(
            (reached.what, reached.pause),
            ("requests", Duration::from_secs(1))
        );
        limits.take(&key, 1, begin + reached.pause).unwrap();
        assert!(limits.take(&key, 1, begin + reached.pause).is_err());
    }

    #[test]
    fn tokens_are_settled_and_can_be_owed() {
        let key = Key::numbered(1, None, Some(600));
        let (mut limits, begin) = (Limits::default(), Instant::now());
        limits.take(&key, 100, begin).unwrap();
        limits.settle(key.id, 100, 700);
        let reached = limits.take(&key, 100, begin).unwrap_err();
        assert_eq!(
            (reached.what, reached.pause),
            ("tokens", Duration::from_secs(20))
        );
        limits.take(&key, 100, begin + reached.pause).unwrap();
        // More than a minute allows is let in by a full bucket, or it never would be.
        let full = begin + Duration::from_secs(600);
        limits.take(&key, 5000, full).unwrap();
    }

    #[test]
    fn a_request_that_is_refused_takes_nothing() {
        let key = Key::numbered(1, Some(1), Some(10));
        let (mut limits, begin) = (Limits::default(), Instant::now());
        limits.settle(key.id, 0, 100);
        limits.take(&key, 10, begin).unwrap();
        let later = begin + Duration::from_secs(59);
        assert_eq!(limits.take(&key, 10, later).unwrap_err().what, "requests");
        limits
            .take(&key, 10, begin + Duration::from_secs(60))
            .unwrap();
    }
}
