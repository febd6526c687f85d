//! Moments as people and programs read them, in UTC.

use serde::{Serialize, Serializer};
use std::fmt;

/// A moment, nanoseconds since 1970. Shown as RFC 3339 in UTC: `2026-11-22T20:44:12.123456789Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

impl Moment {
    /// To the second, without the zone: `2026-11-22 20:44:12`.
    pub fn to_seconds(self) -> String {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.time();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    /// The time of the day to the millisecond: `20:44:12.123`.
    pub fn to_milliseconds(self) -> String {
        let (hour, minute, second) = self.time();
        let millis = self.0 % SECOND / 1_000_000;
        format!("{hour:02}:{minute:02}:{second:02}.{millis:03}")
    }

    fn time(self) -> (u64, u64, u64) {
        let seconds = self.0 / SECOND % DAY;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// The date in the Gregorian calendar. Counted from the first of March, so that the day that a
    /// leap year has more is its last.
    fn date(self) -> (u64, u64, u64) {
        // From the first of March of the year 0 to 1970.
        const BEFORE: u64 = 719_468;
        // Days of four hundred, hundred, four years and one.
        const CYCLE: u64 = 146_097;
        const CENTURY: u64 = 36_524;
        const FOUR: u64 = 1_461;
        let days = self.0 / SECOND / DAY + BEFORE;
        let (cycles, day) = (days / CYCLE, days % CYCLE);
        let centuries = (day / CENTURY).min(3);
        let day = day - centuries * CENTURY;
        let (fours, day) = (day / FOUR, day % FOUR);
        let years = (day / 365).min(3);
        let day = day - years * 365;
        let year = cycles * 400 + centuries * 100 + fours * 4 + years;
        // Months from March on have 31, 30, 31, 30, 31 days, again and again.
        let month = (day * 5 + 2) / 153;
        let of_month = day - (month * 153 + 2) / 5 + 1;
        if month < 10 {
            (year, month + 3, of_month)
        } else {
            (year + 1, month - 9, of_month)
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.time();
        let nanos = self.0 % SECOND;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z"
        )
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000000Z"),
            (1_795_000_000, "2026-11-18T11:06:40.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(Moment(seconds * SECOND).to_string(), expected);
        }
        assert_eq!(Moment(1_500_000).to_milliseconds(), "00:00:00.001");
        assert_eq!(Moment(u64::MAX).to_seconds(), "2554-07-21 23:34:33");
    }
}
