//! What a unit of work costs, learnt from windows.
//!
//! A window says how much energy all requests in it took together and how much work of each kind
//! was done. Least squares over many windows give the joules of one unit of each kind. Windows
//! that are all alike say nothing of how the kinds differ: there a prior stands in, and the
//! covariance says how little is known.

use super::work::{KINDS, STEPS, Work};

/// Joules of one unit of each kind of work before any window was seen: as an 8 B model with
/// four-bit weights takes on a datacenter GPU, roughly. Only their ratios matter, since they are
/// scaled to the first windows.
const PRIOR: [f64; KINDS] = [0.025, 20.0, 1.2, 1.3, 1.5, 1.5, 1.5, 2.5, 4.0];
/// Standard deviation of each prior cost, as a multiple of it.
const PRIOR_SPREAD: [f64; KINDS] = [1.0, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7];
/// Correlation of the prior costs of neighbouring classes of steps: all read the same weights, so
/// what is learnt of one says much of the next.
const ALIKE: f64 = 0.8;
/// Share of the old windows' say that a new one leaves: half of it is gone after some 350 windows,
/// three minutes of work.
const MEMORY: f64 = 0.998;
/// Least standard deviation of a window's energy around the model, as a share of it. Work is never
/// described completely by a few numbers.
pub(super) const MODEL_DEVIATION: f64 = 0.03;

/// Windows after which the costs are used to tell how far a window's ends are off.
const ENOUGH: f64 = 10.0;

type Matrix = [[f64; KINDS]; KINDS];

/// The windows seen so far, as the sums that least squares need.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    normal: Matrix,
    moment: [f64; KINDS],
    squares: f64,
    windows: f64,
    joules: f64,
    prior_joules: f64,
    fit: Fit,
}

/// What the windows say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fit {
    /// Joules of one unit of each kind of work.
    pub(super) costs: [f64; KINDS],
    /// Covariance of the costs, J².
    covariance: Matrix,
    /// Relative standard deviation of one request's cost around the model.
    pub(super) deviation: f64,
    /// Whether enough windows were seen for the costs to be more than the prior.
    pub(super) learnt: bool,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            normal: [[0.0; KINDS]; KINDS],
            moment: [0.0; KINDS],
            squares: 0.0,
            windows: 0.0,
            joules: 0.0,
            prior_joules: 0.0,
            fit: Fit::PRIOR,
        }
    }
}

impl Weights {
    /// A window in which `work` was done for `joules`, known to a standard deviation of `sigma` J.
    pub(super) fn learn(&mut self, work: &Work, joules: f64, sigma: f64) {
        let row = work.0;
        let prior = dot(&PRIOR, &row);
        if prior <= 0.0 || sigma <= 0.0 || !(joules.is_finite() && sigma.is_finite()) {
            return;
        }
        let weight = sigma.powi(-2);
        for i in 0..KINDS {
            for j in 0..KINDS {
                self.normal[i][j] = MEMORY * self.normal[i][j] + weight * row[i] * row[j];
            }
            self.moment[i] = MEMORY * self.moment[i] + weight * row[i] * joules;
        }
        self.squares = MEMORY * self.squares + weight * joules * joules;
        self.windows = MEMORY * self.windows + 1.0;
        self.joules = MEMORY * self.joules + joules;
        self.prior_joules = MEMORY * self.prior_joules + prior;
        self.fit = self.solve();
    }

    pub(super) fn fit(&self) -> &Fit {
        &self.fit
    }

    fn solve(&self) -> Fit {
        let scale = if self.prior_joules > 0.0 && self.joules > 0.0 {
            self.joules / self.prior_joules
        } else {
            1.0
        };
        let means = PRIOR.map(|cost| cost * scale);
        let prior = prior_precision(&means);
        let mut precision = self.normal;
        let mut moment = self.moment;
        for (i, sum) in apply(&prior, &means).into_iter().enumerate() {
            moment[i] += sum;
            for (value, more) in precision[i].iter_mut().zip(prior[i]) {
                *value += more;
            }
        }
        let costs = non_negative(&precision, &moment, means);
        // How much worse the windows fit than their own uncertainty explains.
        let residual = self.squares - 2.0 * dot(&costs, &self.moment)
            + dot(&costs, &apply(&self.normal, &costs));
        let excess = (residual / self.windows.max(1.0)).max(1.0);
        let mut covariance = inverse(&precision);
        for row in &mut covariance {
            for value in row {
                *value *= excess;
            }
        }
        Fit {
            costs,
            covariance,
            deviation: MODEL_DEVIATION * excess.sqrt(),
            learnt: self.windows >= ENOUGH,
        }
    }
}

impl Fit {
    /// What is known before any window was seen.
    pub(super) const PRIOR: Self = {
        let mut covariance = [[0.0; KINDS]; KINDS];
        let mut kind = 0;
        while kind < KINDS {
            let deviation = PRIOR_SPREAD[kind] * PRIOR[kind];
            covariance[kind][kind] = deviation * deviation;
            kind += 1;
        }
        Self {
            costs: PRIOR,
            covariance,
            deviation: MODEL_DEVIATION,
            learnt: false,
        }
    };

    /// Joules that the work should take.
    pub(super) fn cost(&self, work: &Work) -> f64 {
        dot(&self.costs, &work.0)
    }

    /// Variance of a sum that changes by `gradient` with the costs.
    pub(super) fn variance(&self, gradient: &[f64; KINDS]) -> f64 {
        dot(gradient, &apply(&self.covariance, gradient)).max(0.0)
    }
}

/// The inverse of the prior's covariance around these means: a chain along the classes of steps,
/// each of which depends on its neighbours alone.
fn prior_precision(means: &[f64; KINDS]) -> Matrix {
    let spread = |i: usize| PRIOR_SPREAD[i] * means[i];
    let weight = |i: usize, j: usize| (spread(i) * spread(j)).recip();
    let fresh = (1.0 - ALIKE * ALIKE).recip();
    let mut precision = [[0.0; KINDS]; KINDS];
    for i in 0..KINDS {
        let neighbours = match i {
            _ if i < STEPS => 0,
            _ if i == STEPS || i == KINDS - 1 => 1,
            _ => 2,
        };
        precision[i][i] = weight(i, i)
            * match neighbours {
                0 => 1.0,
                1 => fresh,
                _ => (1.0 + ALIKE * ALIKE) * fresh,
            };
        if i > STEPS {
            let coupling = -ALIKE * fresh * weight(i, i - 1);
            precision[i][i - 1] = coupling;
            precision[i - 1][i] = coupling;
        }
    }
    precision
}

/// Minimises `½ x·Ax − b·x` over `x ≥ 0` by descending one coordinate after the other. `A` is
/// positive definite, so it converges to the one minimum.
fn non_negative(a: &Matrix, b: &[f64; KINDS], mut x: [f64; KINDS]) -> [f64; KINDS] {
    const SWEEPS: usize = 400;
    for _ in 0..SWEEPS {
        let mut change: f64 = 0.0;
        for i in 0..KINDS {
            let rest = dot(&a[i], &x) - a[i][i] * x[i];
            let next = ((b[i] - rest) / a[i][i]).max(0.0);
            change = change.max((next - x[i]).abs() / (next + x[i]).max(f64::MIN_POSITIVE));
            x[i] = next;
        }
        if change < 1e-6 {
            break;
        }
    }
    x
}

/// The inverse of a positive definite matrix, by Gauss and Jordan on its scaled form: its entries
/// differ by many orders of magnitude, as the units of the kinds of work do.
fn inverse(a: &Matrix) -> Matrix {
    let scale: [f64; KINDS] = std::array::from_fn(|i| a[i][i].sqrt().recip());
    let mut left: Matrix =
        std::array::from_fn(|i| std::array::from_fn(|j| a[i][j] * scale[i] * scale[j]));
    let mut right: Matrix =
        std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
    for pivot in 0..KINDS {
        // One on the diagonal at first; what is left of it never falls under rounding.
        let factor = left[pivot][pivot].max(f64::EPSILON).recip();
        for j in 0..KINDS {
            left[pivot][j] *= factor;
            right[pivot][j] *= factor;
        }
        for i in 0..KINDS {
            if i != pivot {
                let factor = left[i][pivot];
                for j in 0..KINDS {
                    left[i][j] -= factor * left[pivot][j];
                    right[i][j] -= factor * right[pivot][j];
                }
            }
        }
    }
    std::array::from_fn(|i| std::array::from_fn(|j| right[i][j] * scale[i] * scale[j]))
}

fn dot(a: &[f64; KINDS], b: &[f64; KINDS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn apply(a: &Matrix, x: &[f64; KINDS]) -> [f64; KINDS] {
    std::array::from_fn(|i| dot(&a[i], x))
}
