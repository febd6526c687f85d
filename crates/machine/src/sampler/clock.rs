//! Times that another process of the same machine understands.
//!
//! `Instant` is the system's monotonic clock, which all processes share, but its number is hidden.
//! A pair of readings taken together, once a process, gives it.

use crate::sys;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// One moment as an `Instant` and in nanoseconds of the monotonic clock.
fn anchor() -> (Instant, u64) {
    static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();
    *ANCHOR.get_or_init(|| (Instant::now(), sys::monotonic_nanoseconds()))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn to_nanoseconds(at: Instant) -> u64 {
    let (instant, known) = anchor();
    match at.checked_duration_since(instant) {
        Some(later) => known.saturating_add(nanoseconds(later)),
        None => known.saturating_sub(nanoseconds(instant - at)),
    }
}

/// `None` for a number that no clock of this machine shows.
fn from_nanoseconds(at: u64) -> Option<Instant> {
    let (instant, known) = anchor();
    if at >= known {
        instant.checked_add(Duration::from_nanos(at - known))
    } else {
        instant.checked_sub(Duration::from_nanos(known - at))
    }
}

/// An instant as nanoseconds of the monotonic clock.
pub(super) mod monotonic {
    use super::*;

    pub(in crate::sampler) fn serialize<S: Serializer>(
        at: &Instant,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(to_nanoseconds(*at))
    }

    pub(in crate::sampler) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Instant, D::Error> {
        let at = u64::deserialize(deserializer)?;
        from_nanoseconds(at).ok_or_else(|| D::Error::custom("no such instant"))
    }
}

/// A wall clock time as nanoseconds since 1970.
pub(super) mod unix {
    use super::*;

    pub(in crate::sampler) fn serialize<S: Serializer>(
        at: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        serializer.serialize_u64(since.map_or(0, nanoseconds))
    }

    pub(in crate::sampler) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let since = Duration::from_nanos(u64::deserialize(deserializer)?);
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .ok_or_else(|| D::Error::custom("no such time"))
    }
}

/// A duration as seconds.
pub(super) mod seconds {
    use super::*;

    pub(in crate::sampler) fn serialize<S: Serializer>(
        time: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub(in crate::sampler) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_its_number() {
        let now = Instant::now();
        for at in [
            now,
            now + Duration::from_secs(5),
            now.checked_sub(Duration::from_millis(1)).unwrap(),
        ] {
            assert_eq!(from_nanoseconds(to_nanoseconds(at)), Some(at));
        }
    }

    #[test]
    fn the_number_is_the_clocks_own() {
        let before = sys::monotonic_nanoseconds();
        let at = to_nanoseconds(Instant::now());
        let after = sys::monotonic_nanoseconds();
        // The anchor's two readings lie a moment apart.
        assert!(before.saturating_sub(1_000_000) <= at && at <= after + 1_000_000);
    }
}
