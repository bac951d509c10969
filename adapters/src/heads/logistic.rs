//! Multinomial logistic regression with an L2 penalty.

mod line;
mod loss;
mod minimize;
mod rows;
mod space;
mod weights;

use ndarray::{Array1, Array2, ArrayView2};

use crate::classes::Classes;
use crate::classifier::{Classifier, linear_scores};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::Head;
use crate::numeric::softmax_rows;

use minimize::{Limits, MEMORY, Start, minimize};
pub use weights::ClassWeights;

/// Settings of multinomial logistic regression, fitted to the optimum.
///
/// # Formula
///
/// `p(k | x) ∝ exp(wₖ·x + bₖ)`, with the coefficients that minimise scikit-learn's objective
///
/// ```text
/// C Σᵢ -ln p(yᵢ | xᵢ) + ½ ‖W‖²        intercepts not penalised
/// ```
///
/// With 3 classes or more, `coefficients` and `intercepts` equal `coef_` and `intercept_` of
/// `sklearn.linear_model.LogisticRegression` (lbfgs). With 2 classes scikit-learn fits one row
/// `w` by binomial regression, `½‖w‖²`; this head has the same probabilities, as rows `-w/2`
/// and `w/2`: `coef_ = coefficients[1] - coefficients[0]`, and so for the intercepts and the
/// decision function.
///
/// # Cost
///
/// For n examples, d dimensions and K classes, with m = min(n, d): min(n, 8 d) d m / 2
/// multiply-adds to form the Gram matrix or scatter, m³ / 6 to factor the preconditioner, then a
/// few tens of iterations of m² K (plus 2 n d K when n ≥ d, in single precision where the
/// problem's condition allows, and judged in double precision at the end). From 4,096 examples
/// on the search begins near the optimum of a fourth of them. Memory is about 30 n K numbers when
/// n < d.
///
/// # Source
///
/// Limited-memory BFGS (Liu and Nocedal 1989, *Math. Program.* 45) preconditioned by the
/// Hessian at equal probabilities, a scaled form of Böhning's bound (1992, *Ann. Inst.
/// Statist. Math.* 44); with fewer examples than dimensions the search runs in the span of
/// the examples (representer theorem).
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::{Classes, Classifier, Logistic};
///
/// let x = array![[1.0f32, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]];
/// let (classes, y) = Classes::from_labels(&["ham", "ham", "spam", "spam"])?;
/// let head = Logistic { c: 10.0, ..Logistic::default() }.fit(x.view(), &y, classes)?;
/// assert_eq!(head.predict(x.view())?, y);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logistic {
    /// Weight of the loss against the penalty, > 0; larger fits the examples closer.
    pub c: f64,
    /// Most iterations of the optimiser.
    pub max_iterations: usize,
    /// Largest distance of the coefficients from the optimum, over `max(1, ‖W‖)`, > 0.
    pub tolerance: f64,
}

impl Default for Logistic {
    /// `c` 1, at most 1,000 iterations, a tolerance of 1e-5.
    fn default() -> Self {
        Self { c: 1.0, max_iterations: 1_000, tolerance: 1e-5 }
    }
}

impl Logistic {
    /// Fits a head to embeddings `[examples, dimensions]` and the class of each.
    ///
    /// # Errors
    ///
    /// Those of bad examples (see [`Error`]), [`Error::Setting`], [`Error::TooLarge`],
    /// [`Error::Scale`], [`Error::NotConverged`].
    pub fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        self.fit_from(x, y, classes, &ClassWeights::Equal, None)
    }

    /// Fits a head whose examples count by their class: `C Σᵢ w(yᵢ) (-ln p(yᵢ | xᵢ)) + ½ ‖W‖²`.
    /// The search begins at an `earlier` head, if there is one: classes are paired by their
    /// names, and those that it does not know begin at zero. The optimum is the same from
    /// anywhere; from a head of nearly the same examples it is a few iterations away.
    ///
    /// # Errors
    ///
    /// As [`Logistic::fit`]; [`Error::Columns`] for weights that are not one a class,
    /// [`Error::Setting`] for one that is not positive, [`Error::Width`] for an earlier head of
    /// other dimensions.
    pub fn fit_from(
        &self,
        x: ArrayView2<f32>,
        y: &[usize],
        classes: Classes,
        weights: &ClassWeights,
        earlier: Option<&LogisticHead>,
    ) -> Result<Head> {
        positive("c", self.c)?;
        positive("tolerance", self.tolerance)?;
        let examples = Examples::new(x, y, &classes)?;
        self.check_memory(&examples)?;
        let weights = weights.of(&classes, &examples.counts)?;
        let mean = weighted_mean(&examples, &weights);
        let start = earlier.map(|head| head.start(&classes, &mean)).transpose()?;
        // Two rows -w/2 and w/2 have half the squared norm of w, and the objective's scale
        // does not matter: binomial regression is the multinomial one at half of C.
        let c = if classes.len() == 2 { 0.5 * self.c } else { self.c };
        let limits =
            Limits { iterations: self.max_iterations, tolerance: self.tolerance, exact: true };
        let minimum = minimize(&examples, &mean, c, &weights, start, &limits)
            .ok_or(Error::Scale("logistic regression"))?;
        if !minimum.converged {
            return Err(Error::NotConverged {
                iterations: minimum.iterations,
                distance: minimum.distance,
                tolerance: self.tolerance,
            });
        }
        let intercepts = &minimum.intercepts - &minimum.coefficients.dot(&mean);
        Ok(Head::Logistic(LogisticHead {
            classes,
            coefficients: minimum.coefficients,
            intercepts,
            c: self.c,
            iterations: minimum.iterations,
        }))
    }

    fn check_memory(&self, examples: &Examples) -> Result<()> {
        let [n, d, k] =
            [examples.len(), examples.dimensions(), examples.classes()].map(|v| v as u128);
        let (m, memory) = (n.min(d), MEMORY as u128 + 2);
        let coordinates = if n < d { n * k } else { d * k };
        let pairs = memory * (2 * coordinates + n * k);
        examples.check_memory(
            "logistic regression",
            &[(n * d).div_ceil(2), 2 * m * m, pairs, 5 * n * k],
        )
    }
}

/// The mean of embeddings that count by their class: the intercepts are then nearly independent
/// of the coefficients.
fn weighted_mean(examples: &Examples, weights: &[f64]) -> Array1<f64> {
    if weights.iter().all(|&weight| weight == 1.0) {
        return examples.mean();
    }
    let counts: Array1<f64> =
        examples.counts.iter().zip(weights).map(|(&count, weight)| count as f64 * weight).collect();
    counts.dot(&examples.class_means()) / counts.sum()
}

fn positive(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::Setting { name, value, expected: "it must be a positive number" })
}

/// A fitted logistic head.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticHead {
    pub(crate) classes: Classes,
    pub(crate) coefficients: Array2<f64>,
    pub(crate) intercepts: Array1<f64>,
    pub(crate) c: f64,
    pub(crate) iterations: usize,
}

impl LogisticHead {
    /// Where a search for a head of these classes begins, its embeddings centred at `mean`.
    fn start(&self, classes: &Classes, mean: &Array1<f64>) -> Result<Start> {
        let (found, expected) = (self.coefficients.ncols(), mean.len());
        if found != expected {
            return Err(Error::Width { found, expected });
        }
        let mut coefficients = Array2::zeros((classes.len(), expected));
        let mut intercepts = Array1::zeros(classes.len());
        for (own, name) in self.classes.names().iter().enumerate() {
            if let Some(class) = classes.names().iter().position(|other| other == name) {
                let row = self.coefficients.row(own);
                coefficients.row_mut(class).assign(&row);
                intercepts[class] = self.intercepts[own] + row.dot(mean);
            }
        }
        Ok(Start { coefficients, intercepts })
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

    /// The weight of the loss it was fitted with.
    #[must_use]
    pub fn c(&self) -> f64 {
        self.c
    }

    /// Iterations that the fit took.
    #[must_use]
    pub fn iterations(&self) -> usize {
        self.iterations
    }
}

impl Classifier for LogisticHead {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn dimensions(&self) -> usize {
        self.coefficients.ncols()
    }

    /// Logits `wₖ·x + bₖ`.
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        linear_scores(x, &self.coefficients, &self.intercepts)
    }

    fn probabilities(&self, mut scores: Array2<f64>) -> Array2<f64> {
        softmax_rows(&mut scores);
        scores
    }
}
