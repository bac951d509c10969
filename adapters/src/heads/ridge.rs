//! Ridge regression on class indicators.

mod system;

use ndarray::{Array1, Array2, ArrayView2};

use super::scale::fit_scale;
use crate::classes::Classes;
use crate::classifier::{Classifier, linear_scores, scaled_softmax};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::Head;
use system::PANEL;
pub(crate) use system::System;

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
/// matrix or scatter, 4/3 m³ to reduce it to tridiagonal form, n m² to write the examples in
/// that basis where n ≥ d, then n m (1 + K) for each penalty of K classes. All but the reduction
/// is divided among threads where it is much.
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
        self.check()?;
        let examples = Examples::new(x, y, &classes)?;
        let [n, d, k] =
            [examples.len(), examples.dimensions(), examples.classes()].map(|v| v as u128);
        let m = n.min(d);
        examples.check_memory(
            "ridge regression",
            &[2 * n * d, 2 * m * m, 5 * n * k, PANEL as u128 * m],
        )?;

        let mean = examples.mean();
        let z = examples.centered(&mean);
        let shares: Array1<f64> =
            examples.counts.iter().map(|&count| count as f64 / n as f64).collect();
        let system = System::new(&z, targets(y, &shares));
        let (penalty, error, fit) =
            system.choose(&self.penalties).ok_or(Error::Scale("ridge regression"))?;

        let coefficients = system.coefficients(&z, &fit.solution);
        let intercepts = shares.mapv(|share| 2.0 * share - 1.0) - coefficients.dot(&mean);
        // Targets of ±1 minus the errors: what the head says of an example it has not seen.
        let left_out = targets(y, &Array1::from_elem(shares.len(), 0.5)) - fit.errors;
        let usable = |class: usize| examples.counts[class] > 1;
        let margin = margin(&coefficients, &system.moments, &shares, n as f64);
        let scale = fit_scale(&left_out, y, usable, RidgeHead::prior_scale(margin));
        Ok(Head::Ridge(RidgeHead {
            classes,
            coefficients,
            intercepts,
            penalty,
            leave_one_out_error: error,
            scale,
        }))
    }

    /// Refuses penalties that are not positive, and none at all.
    pub(crate) fn check(&self) -> Result<()> {
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
        Ok(())
    }
}

/// Mean lead of an example's own class over the mean of the others: linear in the examples,
/// so their products with the centred targets, `[dimensions, classes]`, tell it.
fn margin(
    coefficients: &Array2<f64>,
    moments: &Array2<f64>,
    shares: &Array1<f64>,
    examples: f64,
) -> f64 {
    // Twice the sum of a class's examples less its share of all, which is zero.
    let own: f64 = coefficients.iter().zip(moments.t()).map(|(a, b)| a * b).sum();
    let own = 0.5 * own / examples + 2.0 * shares.dot(shares);
    // Values plus one add up to 2 over the classes, on average over examples.
    own - (2.0 - own) / (shares.len() as f64 - 1.0)
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
    /// The scale that is likely for this mean margin; that of 1 where there is none but what
    /// rounding left. Scores do not depend on the unit of the embeddings.
    pub(crate) fn prior_scale(margin: f64) -> f64 {
        PRIOR_SCALE / if margin > 1e-9 { margin } else { 1.0 }
    }

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
        scaled_softmax(scores, self.scale)
    }
}
