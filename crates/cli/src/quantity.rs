//! Quantities as people read them.

use std::time::Duration;

/// Bytes in decimal units: `98.4 MB`.
pub(crate) fn bytes(count: u64) -> String {
    llamatelemetry::models::bytes(count)
}

/// Bytes a second: `27.1 MB/s`.
pub(crate) fn rate(count: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(1e-3);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people, never negative"
    )]
    let each = (count as f64 / seconds) as u64;
    format!("{}/s", bytes(each))
}

/// A duration with two figures that matter: `320 ms`, `4.2 s`, `3 min 12 s`, `2 h 5 min`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.as_millis() < 1000 => format!("{} ms", time.as_millis()),
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Seconds with three figures that matter: `0.42 ms`, `64.7 ms`, `812 ms`, `1.24 s`, `75.0 s`.
pub(crate) fn seconds(time: f64) -> String {
    let (number, unit) = if time < 0.9995 {
        (time * 1e3, "ms")
    } else {
        (time, "s")
    };
    match number {
        n if n >= 99.95 => format!("{n:.0} {unit}"),
        n if n >= 9.995 => format!("{n:.1} {unit}"),
        n => format!("{n:.2} {unit}"),
    }
}

/// A count with its noun: `1 token`, `3 tokens`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A large count in short: `135 M`, `8.03 B`.
pub(crate) fn parameters(count: u64) -> String {
    let count = count as f64;
    match count {
        c if c >= 9.995e11 => format!("{:.2} T", c / 1e12),
        c if c >= 9.995e8 => format!("{:.2} B", c / 1e9),
        c if c >= 9.995e5 => format!("{:.0} M", c / 1e6),
        c if c >= 1e3 => format!("{:.0} k", c / 1e3),
        c => format!("{c}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let of = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!(of(0), "0 ms");
        assert_eq!(of(999), "999 ms");
        assert_eq!(of(1000), "1.0 s");
        assert_eq!(of(61_000), "1 min 1 s");
        assert_eq!(of(3_600_000 + 5 * 60_000), "1 h 5 min");
    }

    #[test]
    fn seconds_have_three_figures() {
        for (time, shown) in [
            (0.000_42, "0.42 ms"),
            (0.064_7, "64.7 ms"),
            (0.812, "812 ms"),
            (0.9996, "1.00 s"),
            (1.236, "1.24 s"),
            (75.0, "75.0 s"),
        ] {
            assert_eq!(seconds(time), shown);
        }
    }

    #[test]
    fn counts_read_well() {
        assert_eq!(counted(1, "token"), "1 token");
        assert_eq!(counted(0, "token"), "0 tokens");
        assert_eq!(parameters(134_515_008), "135 M");
        assert_eq!(parameters(999_885_952), "1.00 B");
        assert_eq!(parameters(8_030_261_248), "8.03 B");
    }
}
