//! What every fitted head can do.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::classes::Classes;
use crate::error::{Error, Result};
use crate::examples::check_finite;
use crate::numeric::softmax_rows;
use crate::predictions::most_likely;

/// Scores that [`Classifier::predict`] holds at once.
const SCORES_AT_ONCE: usize = 1 << 20;

/// A fitted head that tells classes apart.
pub trait Classifier {
    /// The classes, in the order of the columns of every result.
    fn classes(&self) -> &Classes;

    /// Width of the embeddings that it takes.
    fn dimensions(&self) -> usize;

    /// A score for each embedding and class, `[examples, classes]`; the highest one wins.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>>;

    /// Turns scores of [`Classifier::decision_function`] into probabilities of the same shape.
    fn probabilities(&self, scores: Array2<f64>) -> Array2<f64>;

    /// The probability of each class for each embedding, `[examples, classes]`; rows sum to 1.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    fn predict_proba(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        Ok(self.probabilities(self.decision_function(x)?))
    }

    /// The most likely class of each embedding, the first one of equals.
    ///
    /// Works through the rows in parts, so that many classes do not cost memory.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    fn predict(&self, x: ArrayView2<f32>) -> Result<Vec<usize>> {
        check(x, self.dimensions())?;
        let rows = (SCORES_AT_ONCE / self.classes().len().max(1)).max(1);
        let mut predicted = Vec::with_capacity(x.nrows());
        for part in x.axis_chunks_iter(Axis(0), rows) {
            let scores = self.decision_function(part)?;
            predicted.extend(scores.outer_iter().map(|row| most_likely(row).0));
        }
        Ok(predicted)
    }
}

/// `softmax(τ scores)` of each row.
pub(crate) fn scaled_softmax(scores: Array2<f64>, scale: f64) -> Array2<f64> {
    let mut scores = scores * scale;
    softmax_rows(&mut scores);
    scores
}

/// Refuses embeddings that a head of this width cannot take.
pub(crate) fn check(x: ArrayView2<f32>, dimensions: usize) -> Result<()> {
    if x.ncols() != dimensions {
        return Err(Error::Width { found: x.ncols(), expected: dimensions });
    }
    check_finite(x)
}

/// `x wₖ + bₖ`, `[examples, classes]`.
pub(crate) fn linear_scores(
    x: ArrayView2<f32>,
    coefficients: &Array2<f64>,
    intercepts: &Array1<f64>,
) -> Result<Array2<f64>> {
    check(x, coefficients.ncols())?;
    Ok(x.mapv(f64::from).dot(&coefficients.t()) + intercepts)
}
