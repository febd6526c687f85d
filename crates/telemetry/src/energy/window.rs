//! From readings of a device to windows between them.

use super::{Reading, Watts};
use std::time::{Duration, Instant};

/// Readings nearer than this belong to one window: the counter of an H200 moves every 100 ms, and
/// a shorter window would be mostly the error of its ends.
const SHORTEST: Duration = Duration::from_millis(450);
/// A counter that was not read for this long is given up: power must do.
const GONE: Duration = Duration::from_secs(3);
/// Power that no single device draws, W. A counter that says so was reset or is wrong.
const ABSURD_WATTS: f64 = 20_000.0;

/// Energy of a device between two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// J; `None` where nothing could be measured.
    pub(super) joules: Option<f64>,
    pub(super) source: Source,
    /// Share of the device's work that was other programs', 0 to 1.
    pub(super) foreign: f64,
}

/// How a window's energy was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Counter,
    /// By power at moments.
    Power,
    /// By power that the driver had averaged over the time before.
    MeanPower,
}

impl Window {
    pub(super) fn seconds(&self) -> f64 {
        (self.to - self.from).as_secs_f64()
    }
}

/// The readings since the last window's end.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// The counter at the last window's end, if the device has one.
    counter: Option<f64>,
    /// Power integrated since the last window's end.
    power: Power,
    /// When the last window ended.
    edge: Option<Instant>,
    /// Other programs' share, and how long it was observed: their mean goes into the window.
    foreign: Mean,
}

impl Readings {
    /// Whether the device has a counter that is read.
    pub(super) fn has_counter(&self) -> bool {
        self.counter.is_some()
    }

    /// The end of the last window.
    pub(super) fn edge(&self) -> Option<Instant> {
        self.edge
    }

    /// Joules by power alone from the last window's end to `at`, the last power held.
    pub(super) fn since_edge(&self, at: Instant) -> Option<f64> {
        self.power.until(self.edge?, at)
    }

    /// What stands in for a counter.
    pub(super) fn power_source(&self) -> Source {
        self.power.source()
    }

    /// Takes a reading; says which window it closes.
    pub(super) fn take(&mut self, reading: &Reading) -> Option<Window> {
        let at = reading.at;
        if let Some(power) = reading.watts {
            self.power.add(at, power);
        }
        self.foreign.add(at, reading.foreign_share.clamp(0.0, 1.0));
        let joules = reading.joules.filter(|joules| joules.is_finite());
        let Some(edge) = self.edge else {
            self.counter = joules;
            self.begin(at);
            return None;
        };
        match (joules, self.counter) {
            // Only the counter's own readings are the ends of its windows, unless it is gone.
            (None, Some(_)) if at < edge + GONE => None,
            (Some(now), None) => {
                self.counter = Some(now);
                (at > edge).then(|| self.close(edge, at, None))
            }
            _ if at < edge + SHORTEST => None,
            _ => {
                let counted = joules.zip(self.counter).map(|(now, then)| now - then);
                let most = ABSURD_WATTS * (at - edge).as_secs_f64();
                self.counter = joules;
                Some(self.close(
                    edge,
                    at,
                    counted.filter(|joules| (0.0..most).contains(joules)),
                ))
            }
        }
    }

    fn close(&mut self, from: Instant, to: Instant, counted: Option<f64>) -> Window {
        let window = Window {
            from,
            to,
            joules: counted.or_else(|| self.power.until(from, to)),
            source: if counted.is_some() {
                Source::Counter
            } else {
                self.power.source()
            },
            foreign: self.foreign.value(),
        };
        self.begin(to);
        window
    }

    fn begin(&mut self, at: Instant) {
        self.edge = Some(at);
        self.power.begin(at);
        self.foreign.begin();
    }
}

/// Power over time by the trapezoid rule.
#[derive(Debug, Default)]
struct Power {
    last: Option<(Instant, f64)>,
    /// Whether the last value was a mean.
    mean: bool,
    joules: f64,
    /// Since when `joules` counts without a gap.
    since: Option<Instant>,
}

impl Power {
    fn add(&mut self, at: Instant, power: Watts) {
        let (watts, mean) = match power {
            Watts::Now(watts) => (watts, false),
            Watts::Mean(watts) => (watts, true),
        };
        if !watts.is_finite() || watts < 0.0 {
            return;
        }
        self.mean = mean;
        if let Some((before, then)) = self.last {
            let seconds = at.saturating_duration_since(before).as_secs_f64();
            self.joules += seconds * f64::midpoint(then, watts);
        }
        self.since.get_or_insert(at);
        self.last = Some((at, watts));
    }

    fn source(&self) -> Source {
        if self.mean {
            Source::MeanPower
        } else {
            Source::Power
        }
    }

    fn begin(&mut self, at: Instant) {
        // What was integrated up to the last reading is the closed window's; the moments between
        // that reading and the edge are counted once, by the next trapezoid from the edge on.
        self.joules = 0.0;
        self.since = self.last.map(|_| at);
        if let Some((_, watts)) = self.last {
            self.last = Some((at, watts));
        }
    }

    /// Joules from `from` on to `at`, the last value held; `None` if `from` is not covered.
    fn until(&self, from: Instant, at: Instant) -> Option<f64> {
        let (last, watts) = self.last?;
        if self.since? > from {
            return None;
        }
        Some(self.joules + watts * at.saturating_duration_since(last).as_secs_f64())
    }
}

/// Mean over time of a value that holds from one reading to the next.
#[derive(Debug, Default)]
struct Mean {
    last: Option<(Instant, f64)>,
    sum: f64,
    seconds: f64,
}

impl Mean {
    /// The value describes the time up to `at`, as utilisation counters do.
    fn add(&mut self, at: Instant, value: f64) {
        if let Some((before, _)) = self.last {
            let seconds = at.saturating_duration_since(before).as_secs_f64();
            self.sum += value * seconds;
            self.seconds += seconds;
        }
        self.last = Some((at, value));
    }

    fn begin(&mut self) {
        self.sum = 0.0;
        self.seconds = 0.0;
    }

    fn value(&self) -> f64 {
        match self.last {
            Some(_) if self.seconds > 0.0 => self.sum / self.seconds,
            Some((_, value)) => value,
            None => 0.0,
        }
    }
}
