//! How one window's energy is divided.

use super::super::weights::Fit;
use super::super::window::{Source, Window};
use super::super::work::{Share, Work};
use super::sum::{Part, Sum};
use super::{LAG, LAG_DEVIATION, Open};
use std::time::Instant;

/// Energy above idle that was used before a window's end and is counted after it, beyond what
/// [`LAG`] expects.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Edge {
    pub(super) joules: f64,
    pub(super) variance: f64,
}

/// The shares of the requests of one window.
pub(super) struct Round {
    shares: Vec<Share>,
    fits: Vec<Fit>,
    /// Which of them wait for their share.
    pub(super) waiting: Vec<bool>,
    /// What the work of each should cost.
    costs: Vec<f64>,
    /// The same for those that wait for their share together.
    pub(super) open: f64,
    /// The same for all.
    pub(super) all: f64,
    work: Work,
    /// Whether a slot worked when the window began and when it ended.
    at_edges: [bool; 2],
    seconds: f64,
    source: Source,
}

impl Round {
    pub(super) fn new(
        shares: Vec<Share>,
        fits: Vec<Fit>,
        waiting: Vec<bool>,
        works_at: impl Fn(Instant) -> bool,
        window: Window,
    ) -> Self {
        let costs: Vec<f64> = shares
            .iter()
            .zip(&fits)
            .map(|(share, fit)| fit.cost(&share.all()))
            .collect();
        let mut work = Work::NONE;
        for share in &shares {
            work.add(&share.all());
        }
        Self {
            open: costs
                .iter()
                .zip(&waiting)
                .filter(|(_, open)| **open)
                .map(|(cost, _)| cost)
                .sum(),
            all: costs.iter().sum(),
            work,
            at_edges: [window.from, window.to].map(works_at),
            seconds: window.seconds(),
            source: window.source,
            shares,
            fits,
            waiting,
            costs,
        }
    }

    /// How much of the window's energy is believed to be counted after its end, given what its
    /// beginning was off by: the less the work explains of the energy, the more. One step of a
    /// Kalman filter.
    pub(super) fn edge(&self, joules: f64, before: Edge, idle_sigma: f64) -> Edge {
        let [_, active] = self.at_edges;
        if !active {
            return Edge::default();
        }
        let watts = joules.max(0.0) / self.seconds;
        let prior = (watts * LAG_DEVIATION).powi(2);
        let learnt = self.fits.iter().all(|fit| fit.learnt);
        let guessed = self.guessed();
        let Some(fit) = self.fits.first().filter(|_| learnt) else {
            return Edge {
                joules: 0.0,
                variance: prior,
            };
        };
        let model = fit.variance(&self.work.0)
            + (fit.deviation * self.all).powi(2)
            + guessed.powi(2)
            + (idle_sigma * self.seconds).powi(2);
        let gain = prior / (prior + before.variance + model).max(f64::MIN_POSITIVE);
        let most = watts * LAG.as_secs_f64();
        Edge {
            joules: (gain * (self.all - joules)).clamp(-most, most),
            variance: prior * (1.0 - gain),
        }
    }

    /// Standard deviation of all costs by guesses, J: those at different prompts are independent.
    fn guessed(&self) -> f64 {
        let each = self.shares.iter().zip(&self.fits);
        let variances = each.map(|(share, fit)| fit.cost(&share.guessed).powi(2));
        variances.sum::<f64>().sqrt()
    }

    /// Adds one member's share to its sum; returns the joules.
    pub(super) fn add(&self, member: usize, sum: &mut Sum, open: &Open) -> f64 {
        let (share, fit, cost) = (&self.shares[member], &self.fits[member], self.costs[member]);
        let part = if self.open > 0.0 {
            cost / self.open
        } else {
            0.0
        };
        let joules = open.left * part;
        let whole = if self.all > 0.0 { cost / self.all } else { 0.0 };
        let prefill = if cost > 0.0 {
            fit.cost(&share.prefill) / cost
        } else {
            0.0
        };
        let mine = share.all();
        // How the share changes with the cost of each kind of work.
        let gradient = std::array::from_fn(|kind| {
            if self.all > 0.0 {
                open.joules * (mine.0[kind] - whole * self.work.0[kind]) / self.all
            } else {
                0.0
            }
        });
        let guessed = self.guessed();
        sum.add(&Part {
            joules,
            prefill: joules * prefill,
            share: whole,
            others: joules * (1.0 - whole),
            gradient,
            guessed: if self.all > 0.0 {
                joules * guessed / self.all
            } else {
                0.0
            },
            edges: open.edges,
            idle_joules: open.idle_sigma * self.seconds * whole,
            source: self.source,
        });
        joules
    }
}
