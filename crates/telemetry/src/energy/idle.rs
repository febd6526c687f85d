//! The power of a device that does nothing for us.
//!
//! Measured on an H200: 80 W with no program on it, 121 W with a model loaded and nothing in
//! flight, reached within 0.2 s after load, and 125 W when it is 5 °C warmer. So the baseline
//! follows slowly while it drifts, and starts anew when it jumps.

use std::time::Instant;

/// Windows over which the baseline is averaged.
const MEMORY: f64 = 20.0;
/// Standard deviation of one window's power around the true baseline, as a share of it.
const DEVIATION: f64 = 0.05;
/// How far a window may lie off before it counts as another state, as a share of the baseline:
/// far more than the drift with temperature, far less than a change of clocks.
const JUMP: f64 = 0.06;
/// Drift since the baseline was last seen, as a share of it for each square root of a minute.
const DRIFT: f64 = 0.015;

/// The idle power as observed so far.
#[derive(Debug, Default)]
pub(super) struct Idle {
    state: Option<State>,
    /// A window that fits the state not at all: the next one decides whether it was a new state.
    outlier: Option<f64>,
    /// Lowest power of any window, W: all that is known before an idle one was seen.
    lowest: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    watts: f64,
    variance: f64,
    windows: f64,
    seen: Instant,
}

/// The baseline and what is not known of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Baseline {
    pub(super) watts: f64,
    /// Standard deviation, W.
    pub(super) sigma: f64,
}

impl Idle {
    /// A window in which something was in flight, or other programs worked.
    pub(super) fn busy(&mut self, watts: f64) {
        self.lowest = Some(self.lowest.map_or(watts, |lowest| lowest.min(watts)));
    }

    /// A window in which nothing was in flight and nobody else worked.
    pub(super) fn idle(&mut self, watts: f64, at: Instant) {
        self.busy(watts);
        let fresh = |watts: f64, windows: f64| State {
            watts,
            variance: 0.0,
            windows,
            seen: at,
        };
        let Some(state) = &mut self.state else {
            self.state = Some(fresh(watts, 1.0));
            return;
        };
        let jumped = |from: f64| (watts - from).abs() > JUMP * from.max(watts);
        if !jumped(state.watts) {
            self.outlier = None;
            state.windows = (state.windows + 1.0).min(MEMORY);
            let off = watts - state.watts;
            state.watts += off / state.windows;
            state.variance += (off * off - state.variance) / state.windows;
            state.seen = at;
        } else if let Some(other) = self.outlier.take().filter(|other| !jumped(*other)) {
            self.state = Some(fresh(f64::midpoint(other, watts), 2.0));
        } else {
            self.outlier = Some(watts);
        }
    }

    /// The baseline at a moment.
    pub(super) fn baseline(&self, at: Instant) -> Baseline {
        let Some(state) = &self.state else {
            // Somewhere between nothing and the least that was drawn, all equally likely.
            let lowest = self.lowest.unwrap_or(0.0);
            return Baseline {
                watts: lowest / 2.0,
                sigma: lowest / 12.0_f64.sqrt(),
            };
        };
        let minutes = at.saturating_duration_since(state.seen).as_secs_f64() / 60.0;
        let own = (DEVIATION * state.watts).powi(2) / state.windows;
        let drift = (DRIFT * state.watts).powi(2) * minutes;
        Baseline {
            watts: state.watts,
            sigma: (own + state.variance + drift).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_follows_a_drift_and_a_jump_and_not_a_blip() {
        let base = Instant::now();
        let mut idle = Idle::default();
        for (k, watts) in [80.0, 80.2, 153.0, 80.1].into_iter().enumerate() {
            idle.idle(watts, base + Duration::from_millis(500 * k as u64));
        }
        let baseline = idle.baseline(base);
        assert!((baseline.watts - 80.1).abs() < 0.1, "{baseline:?}");
        idle.idle(121.0, base);
        idle.idle(121.4, base);
        assert!((idle.baseline(base).watts - 121.2).abs() < 0.01);
        for k in 0..100 {
            idle.idle(121.2 + f64::from(k) * 0.04, base);
        }
        let baseline = idle.baseline(base);
        assert!(
            (baseline.watts - 125.2).abs() < 1.0 && baseline.sigma < 2.0,
            "{baseline:?}"
        );
        // It is known less and less while nothing idle is seen.
        let later = idle.baseline(base + Duration::from_secs(600));
        assert!(later.sigma > 2.0 * baseline.sigma && (later.watts - baseline.watts).abs() < 1e-9);
    }

    #[test]
    fn before_any_idle_window_anything_up_to_the_lowest_power_is_possible() {
        let mut idle = Idle::default();
        let now = Instant::now();
        assert!(idle.baseline(now).watts.abs() < 1e-9);
        idle.busy(300.0);
        idle.busy(400.0);
        let baseline = idle.baseline(now);
        assert!((baseline.watts - 150.0).abs() < 1e-9);
        assert!(1.96 * baseline.sigma > 150.0);
    }
}
