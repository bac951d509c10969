//! Linear discriminant analysis: Gaussian classes with one covariance.

mod left_out;

use ndarray::{Array1, Array2, ArrayView2};

use super::RidgeHead;
use super::scale::fit_scale;
use crate::classes::Classes;
use crate::classifier::{Classifier, linear_scores, scaled_softmax};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::Head;
use crate::numeric::{parallel_map, softmax_rows};
pub(crate) use left_out::LeftOut;

/// Settings of the linear discriminant from examples.
///
/// # Formula
///
/// Classes are Gaussians with means `μₖ` and one covariance Σ, so that the posterior is linear
/// in x:
///
/// ```text
/// sₖ(x) = μₖᵀ Σ⁻¹ x - μₖᵀ Σ⁻¹ μₖ / 2 + ln (nₖ / n)
/// Σ = (S + ρ tr(S) I) / n
/// ```
///
/// S is the scatter within classes. The penalty ρ, a part of the total variance added in every
/// direction, is the one of [`Discriminant::penalties`] whose probabilities are the most
/// likely, left out: each example is told by the discriminant of the others (means,
/// class shares and S without it, and the same `ρ tr(S)`), exactly, by a rank-one downdate
/// of the resolvent. Probabilities are `softmax(τ s(x))` with `τ` fitted to the left-out
/// scores by temperature scaling under a log-normal prior around `4 / m`, m the mean margin,
/// as for [`Ridge`](crate::Ridge). τ corrects what the plug-in posterior takes no account of, that
/// Σ and the means are themselves estimates, and is often far below 1.
///
/// An example alone in its class does not take part: left out, its class is unknown. Where nothing varies within the
/// classes, with one example each, Σ is a multiple of the identity.
///
/// # Cost
///
/// With m = min(n, d): n d m / 2 multiply-adds for the scatter or its dual, 4/3 m³ to reduce it
/// to tridiagonal form, n m² to write the examples in that basis where n ≥ d, then n m (1 + K)
/// for each penalty of K classes.
///
/// # Source
///
/// Fisher 1936, *Annals of Eugenics* 7; ridge-like covariance: Friedman 1989, *JASA* 84, and
/// Di Pillo 1976, *Communications in Statistics* A5; temperature: Guo et al. 2017,
/// arXiv:1706.04599.
#[derive(Clone, Debug, PartialEq)]
pub struct Discriminant {
    /// Penalties ρ to choose from, each > 0.
    pub penalties: Vec<f64>,
}

impl Default for Discriminant {
    /// 11 penalties from 1e-5 to 1, two a decade.
    fn default() -> Self {
        Self { penalties: (-10..=0).map(|step| 10f64.powf(f64::from(step) / 2.0)).collect() }
    }
}

impl Discriminant {
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
        let system = LeftOut::new(&examples)?;
        let usable = |class: usize| examples.counts[class] > 1;
        // Each penalty is tried on its own, so nothing depends on how many threads there are.
        let tries = (examples.len() * (1 + examples.classes())) as u128;
        let tries = tries * (self.penalties.len() * system.rank()) as u128;
        let tried = parallel_map(self.penalties.iter().collect(), tries, |&penalty| {
            let solution = system.solve(penalty)?;
            let prior = RidgeHead::prior_scale(system.margin(&solution));
            let left_out = system.scores(&solution)?;
            let scale = fit_scale(&left_out, y, usable, prior);
            Some((log_likelihood(left_out * scale, y, usable), penalty, scale))
        });
        let best = tried
            .into_iter()
            .flatten()
            .filter(|(likelihood, ..)| likelihood.is_finite())
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        let (_, penalty, scale) = best.ok_or(Error::Scale("the linear discriminant"))?;
        let solution = system.solve(penalty).ok_or(Error::Scale("the linear discriminant"))?;
        let (coefficients, intercepts) = system.coefficients(&solution);
        Ok(Head::Discriminant(DiscriminantHead {
            classes,
            coefficients,
            intercepts,
            penalty,
            scale,
        }))
    }
}

/// `Σ ln softmax(scores)[y]` over the usable rows.
fn log_likelihood(mut scores: Array2<f64>, y: &[usize], usable: impl Fn(usize) -> bool) -> f64 {
    softmax_rows(&mut scores);
    let rows = scores.outer_iter().zip(y).filter(|(_, class)| usable(**class));
    rows.map(|(row, &class)| row[class].max(f64::MIN_POSITIVE).ln()).sum()
}

/// A fitted linear discriminant.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscriminantHead {
    pub(crate) classes: Classes,
    pub(crate) coefficients: Array2<f64>,
    pub(crate) intercepts: Array1<f64>,
    pub(crate) penalty: f64,
    pub(crate) scale: f64,
}

impl DiscriminantHead {
    /// Coefficients `Σ⁻¹ μₖ`, `[classes, dimensions]`.
    #[must_use]
    pub fn coefficients(&self) -> &Array2<f64> {
        &self.coefficients
    }

    /// Intercepts `[classes]`.
    #[must_use]
    pub fn intercepts(&self) -> &Array1<f64> {
        &self.intercepts
    }

    /// ρ of a head from examples, the shrinkage of one from statistics.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// `τ`, which turns scores into logits.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

impl Classifier for DiscriminantHead {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn dimensions(&self) -> usize {
        self.coefficients.ncols()
    }

    /// `sₖ(x)`: log-densities of the classes and log-shares, less what all classes have in
    /// common.
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        linear_scores(x, &self.coefficients, &self.intercepts)
    }

    fn probabilities(&self, scores: Array2<f64>) -> Array2<f64> {
        scaled_softmax(scores, self.scale)
    }
}
