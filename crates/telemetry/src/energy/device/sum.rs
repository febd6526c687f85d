//! A request's energy as it is put together from windows, and its error.

use super::super::weights::Fit;
use super::super::window::Source;
use super::super::work::KINDS;

/// Standard deviation of a power sensor's gain: makers state ±5 % for 95 %.
const GAIN: f64 = 0.05 / 1.96;
/// Standard deviation of energy by power ten times a second, as a share: prompts of tens of
/// milliseconds fall between two looks.
const POWER: f64 = 0.1;
/// The same by power that the driver averages, as newer NVIDIA GPUs do over the last second.
const MEAN_POWER: f64 = 0.2;

/// A request's shares so far.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Sum {
    joules: f64,
    prefill: f64,
    parts: usize,
    lost: bool,
    /// Standard deviation by power in the counter's place, J.
    by_power: f64,
    counted: bool,
    powered: bool,
    /// Joules that sharing with others decided.
    others: f64,
    /// Variance by guesses, J².
    guessed: f64,
    gradient: [f64; KINDS],
    idle: f64,
    /// Of the latest window: the request's share, and the variance of its end.
    last: (f64, f64),
    /// Variance by the windows' edges so far, J².
    edges: f64,
}

/// A request's share of one window.
pub(super) struct Part {
    pub(super) joules: f64,
    /// What of it is the prompt's, J.
    pub(super) prefill: f64,
    /// Share of the window, 0 to 1.
    pub(super) share: f64,
    /// Joules times the share of all others.
    pub(super) others: f64,
    pub(super) gradient: [f64; KINDS],
    /// Standard deviation by guesses at the work of others, J.
    pub(super) guessed: f64,
    /// Variance of what the window's beginning and end are off by, J².
    pub(super) edges: [f64; 2],
    /// Standard deviation of the idle energy taken off this share, J.
    pub(super) idle_joules: f64,
    pub(super) source: Source,
}

/// A request's energy on one device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Measured {
    pub(in super::super) joules: f64,
    pub(in super::super) prefill: f64,
    /// Variance that is independent of other devices, J².
    pub(in super::super) variance: f64,
    /// Whether a counter measured any of it.
    pub(in super::super) counted: bool,
    /// Whether power stands in for the counter in some of it.
    pub(in super::super) estimated: bool,
}

impl Sum {
    pub(super) fn joules(&self) -> f64 {
        self.joules
    }

    /// Some of its energy is not known.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    pub(super) fn add(&mut self, part: &Part) {
        self.parts += 1;
        self.joules += part.joules;
        self.prefill += part.prefill;
        self.others += part.others;
        // Different windows have different prompts in them.
        self.guessed += part.guessed.powi(2);
        self.idle += part.idle_joules;
        for (sum, more) in self.gradient.iter_mut().zip(part.gradient) {
            *sum += more;
        }
        match part.source {
            Source::Counter => self.counted = true,
            Source::Power | Source::MeanPower => {
                let mean = part.source == Source::MeanPower;
                self.powered = true;
                self.by_power += part.joules * if mean { MEAN_POWER } else { POWER };
            }
        }
        let [begin, end] = part.edges;
        // What one window has too much, the other has too little.
        self.edges += (part.share - self.last.0).powi(2) * begin;
        self.last = (part.share, end);
    }

    /// The energy with its error; `None` if some of it is unknown or nothing was measured.
    pub(super) fn measure(&self, fit: &Fit) -> Option<Measured> {
        if self.lost || self.parts == 0 {
            return None;
        }
        // After its last window its share falls to nothing.
        let edges = self.edges + self.last.0.powi(2) * self.last.1;
        let variance = edges
            + self.idle.powi(2)
            + fit.variance(&self.gradient)
            + (fit.deviation * self.others).powi(2)
            + self.guessed
            + self.by_power.powi(2)
            + (GAIN * self.joules).powi(2);
        Some(Measured {
            joules: self.joules,
            prefill: self.prefill,
            variance,
            counted: self.counted,
            estimated: self.powered,
        })
    }
}
