//! Ridge regression on class indicators.

use ndarray::{Array1, Array2, ArrayView2};

use super::scale::fit_scale;
use crate::classes::Classes;
use crate::classifier::{Classifier, linear_scores};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::Head;
use crate::numeric::{Tridiagonal, gram, scatter, softmax_rows};

/// Scale of the prior on `τ` in units of one over the mean margin of the examples.
const PRIOR_SCALE: f64 = 4.0;

/// Settings of the ridge classifier, in closed form.
///
/// # Formula
///
/// Each class has the target 1 for its own examples and -1 for the rest. The coefficients
/// minimise `Σᵢ (wₖ·xᵢ + bₖ - tᵢₖ)² + α ‖wₖ‖²`, intercepts not penalised, and the penalty α
/// is the one of [`Ridge::penalties`] with the smallest mean squared leave-one-out error over
/// all classes (the first of equals). That error is exact: with `G = ZZᵀ + αI` over the
/// centred examples, leaving out example i errs by `(G⁻¹t)ᵢ / ((G⁻¹)ᵢᵢ - 1/αn)`.
///
/// This is scikit-learn's `RidgeClassifierCV`. Its `coef_` has one row for 2 classes: row 1
/// of `coefficients`, whose row 0 is the same negated.
///
/// Decision values of a squared loss are no log-odds. Probabilities are
/// `softmax(τ f(x))`, with `τ` fitted to the leave-one-out decision values at the chosen α by
/// temperature scaling (Guo et al. 2017, arXiv:1706.04599) under a log-normal prior around
/// `4 / m`, with m the mean margin by which an example's own class leads the mean of the
/// others. An example that is alone in its class does not take part: left out, its class is
/// unknown.
///
/// # Cost
///
/// With m = min(n, d) for n examples and d dimensions: n d m / 2 multiply-adds for the Gram
/// matrix or scatter, 4/3 m³ to reduce it to tridiagonal form, then n m (1 + K) for each
/// penalty of K classes.
///
/// # Source
///
/// Hoerl and Kennard 1970, *Technometrics* 12; leave-one-out: Rifkin and Lippert 2007,
/// MIT-CSAIL-TR-2007-025; reduction: Eldén 1977, *BIT* 17.
#[derive(Clone, Debug, PartialEq)]
pub struct Ridge {
    /// Penalties to choose from, each > 0.
    pub penalties: Vec<f64>,
}

impl Default for Ridge {
    /// 13 penalties from 1e-3 to 1e3, two a decade, which suit embeddings of unit length.
    fn default() -> Self {
        Self { penalties: (-6..=6).map(|step| 10f64.powf(f64::from(step) / 2.0)).collect() }
    }
}

impl Ridge {
    /// Fits a head to embeddings `[examples, dimensions]` and the class of each.
    ///
    /// # Errors
    ///
    /// Those of bad examples (see [`Error`]), [`Error::Setting`], [`Error::TooLarge`],
    /// [`Error::Scale`].
    pub fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        let bad = |value| Error::Setting {
            name: "penalties",
            value,
            expected: "give at least one penalty, each a positive number",
        };
        if let Some(&value) = self.penalties.iter().find(|p| !(**p > 0.0 && p.is_finite())) {
            return Err(bad(value));
        }
        if self.penalties.is_empty() {
            return Err(bad(f64::NAN));
        }
        let examples = Examples::new(x, y, &classes)?;
        let [n, d, k] =
            [examples.len(), examples.dimensions(), examples.classes()].map(|v| v as u128);
        let m = n.min(d);
        examples.check_memory("ridge regression", &[2 * n * d, 2 * m * m, 5 * n * k])?;

        let mean = examples.mean();
        let z = examples.centered(&mean);
        let shares: Array1<f64> =
            examples.counts.iter().map(|&count| count as f64 / n as f64).collect();
        let system = System::new(&z, targets(y, &shares));
        let (penalty, fit) = self
            .penalties
            .iter()
            .filter_map(|&penalty| Some((penalty, system.solve(penalty)?)))
            .reduce(|best, next| if next.1.error < best.1.error { next } else { best })
            .ok_or(Error::Scale("ridge regression"))?;

        let coefficients = system.coefficients(&z, &fit.solution);
        let intercepts = shares.mapv(|share| 2.0 * share - 1.0) - coefficients.dot(&mean);
        // Targets of ±1 minus the errors: what the head says of an example it has not seen.
        let left_out = targets(y, &Array1::from_elem(shares.len(), 0.5)) - fit.errors;
        let usable = |class: usize| examples.counts[class] > 1;
        let margin = margin(&z.dot(&coefficients.t()), y, &shares);
        let scale = fit_scale(&left_out, y, usable, PRIOR_SCALE / margin);
        Ok(Head::Ridge(RidgeHead {
            classes,
            coefficients,
            intercepts,
            penalty,
            leave_one_out_error: fit.error,
            scale,
        }))
    }
}

/// Mean lead of an example's own class over the mean of the others, 1 if there is none, from
/// centred scores `[examples, classes]`.
fn margin(scores: &Array2<f64>, y: &[usize], shares: &Array1<f64>) -> f64 {
    let (n, k) = scores.dim();
    let lead: f64 = scores
        .outer_iter()
        .zip(y)
        .map(|(row, &class)| {
            let (own, all) = (row[class] + 2.0 * shares[class], row.sum() + 2.0);
            own - (all - own) / (k - 1) as f64
        })
        .sum();
    let margin = lead / n as f64;
    if margin > f64::MIN_POSITIVE.sqrt() { margin } else { 1.0 }
}

/// `2 ([yᵢ = k] - offsetₖ)`, `[examples, classes]`.
fn targets(y: &[usize], offsets: &Array1<f64>) -> Array2<f64> {
    let mut targets = Array2::zeros((y.len(), offsets.len()));
    for (mut row, &class) in targets.outer_iter_mut().zip(y) {
        row.assign(&offsets.mapv(|offset| -2.0 * offset));
        row[class] += 2.0;
    }
    targets
}

/// The reduced normal equations, ready for any penalty.
pub(crate) struct System {
    reduced: Tridiagonal,
    /// The side they are solved on.
    side: Side,
    /// Centred targets `[examples, classes]`.
    targets: Array2<f64>,
    /// Targets in the reduced basis.
    rotated: Array2<f64>,
}

enum Side {
    /// Fewer examples than dimensions: `ZZᵀ = QTQᵀ`.
    Dual,
    /// `ZᵀZ = QTQᵀ`, with the rotated examples `ZQ`.
    Primal(Array2<f64>),
}

/// The solution for one penalty.
pub(crate) struct Solution {
    /// Dual or primal coefficients in the reduced basis.
    pub(crate) solution: Array2<f64>,
    /// Leave-one-out errors `[examples, classes]`.
    pub(crate) errors: Array2<f64>,
    /// Their mean square.
    pub(crate) error: f64,
}

impl System {
    pub(crate) fn new(z: &Array2<f64>, targets: Array2<f64>) -> Self {
        if z.nrows() < z.ncols() {
            let reduced = Tridiagonal::new(gram(z.view()));
            let rotated = reduced.q.t().dot(&targets);
            Self { reduced, side: Side::Dual, targets, rotated }
        } else {
            let reduced = Tridiagonal::new(scatter(z.view()));
            let examples = z.dot(&reduced.q);
            let rotated = examples.t().dot(&targets);
            Self { reduced, side: Side::Primal(examples), targets, rotated }
        }
    }

    /// Solves for one penalty; `None` if it is too small to matter at this scale of data.
    pub(crate) fn solve(&self, penalty: f64) -> Option<Solution> {
        let shifted = self.reduced.shifted(penalty)?;
        let mut solution = self.rotated.clone();
        shifted.solve(&mut solution);
        let n = self.targets.nrows() as f64;
        // Both sides give αG⁻¹t and the diagonal of αG⁻¹.
        let (mut errors, basis) = match &self.side {
            Side::Dual => (self.reduced.q.dot(&solution) * penalty, &self.reduced.q),
            Side::Primal(examples) => (&self.targets - &examples.dot(&solution), examples),
        };
        for (mut row, basis) in errors.outer_iter_mut().zip(basis.outer_iter()) {
            let quadratic = shifted.quadratic(basis);
            let diagonal = match self.side {
                Side::Dual => penalty * quadratic,
                Side::Primal(_) => 1.0 - quadratic,
            };
            let left = diagonal - 1.0 / n;
            if left <= f64::EPSILON {
                return None;
            }
            row /= left;
        }
        let error = errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64;
        error.is_finite().then_some(Solution { solution, errors, error })
    }

    /// Coefficients `[classes, dimensions]`.
    pub(crate) fn coefficients(&self, z: &Array2<f64>, solution: &Array2<f64>) -> Array2<f64> {
        let turned = self.reduced.q.dot(solution);
        match self.side {
            Side::Dual => turned.t().dot(z),
            Side::Primal(_) => turned.reversed_axes(),
        }
    }
}

/// A fitted ridge head.
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeHead {
    pub(crate) classes: Classes,
    pub(crate) coefficients: Array2<f64>,
    pub(crate) intercepts: Array1<f64>,
    pub(crate) penalty: f64,
    pub(crate) leave_one_out_error: f64,
    pub(crate) scale: f64,
}

impl RidgeHead {
    /// Coefficients `[classes, dimensions]`.
    #[must_use]
    pub fn coefficients(&self) -> &Array2<f64> {
        &self.coefficients
    }

    /// Intercepts `[classes]`.
    #[must_use]
    pub fn intercepts(&self) -> &Array1<f64> {
        &self.intercepts
    }

    /// The chosen penalty.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// Mean squared leave-one-out error of the targets ±1 at the chosen penalty.
    #[must_use]
    pub fn leave_one_out_error(&self) -> f64 {
        self.leave_one_out_error
    }

    /// `τ`, which turns decision values into logits.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

impl Classifier for RidgeHead {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn dimensions(&self) -> usize {
        self.coefficients.ncols()
    }

    /// Regression values `wₖ·x + bₖ`, about 1 for the class and -1 for the others.
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        linear_scores(x, &self.coefficients, &self.intercepts)
    }

    fn probabilities(&self, scores: Array2<f64>) -> Array2<f64> {
        let mut scores = scores * self.scale;
        softmax_rows(&mut scores);
        scores
    }
}
