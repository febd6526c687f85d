//! Waiting for something to become true.

use std::time::{Duration, Instant};

/// Calls `probe` until it gives a value, and fails the test with `what` after `deadline`.
///
/// # Panics
/// When the deadline passes.
#[track_caller]
pub fn until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(
            started.elapsed() < deadline,
            "not seen within {deadline:?}: {what}"
        );
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_first_value() {
        let mut calls = 0;
        let value = until("three calls", Duration::from_secs(5), || {
            calls += 1;
            (calls == 3).then_some(calls)
        });
        assert_eq!(value, 3);
    }

    #[test]
    #[should_panic(expected = "not seen within 5ms: a miracle")]
    fn fails_at_the_deadline() {
        until("a miracle", Duration::from_millis(5), || None::<()>);
    }
}
