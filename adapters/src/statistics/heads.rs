//! Heads from the sums alone.

use ndarray::{Array2, Axis};

use super::Statistics;
use super::grid::ONE;
use crate::classes::Classes;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::heads::NearestMeanHead;

impl Statistics {
    /// The nearest class mean, of the weighted means: [`NearestMean`](crate::NearestMean)
    /// from sums. O(d² + K d).
    ///
    /// Sums hold no leave-one-out distances to fit `τ` to, so `τ` is the centre of the prior
    /// that the fit from examples uses: `4 / v` with v the mean squared distance of an
    /// example from its class mean (`tr S / W`, S the scatter within classes and W the total
    /// weight, times n / (n - K)), or `2 / v` around the common mean where each class has one
    /// example. Decisions are the same.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`], [`Error::OneClass`].
    pub fn nearest_mean(&self) -> Result<Head> {
        let classes = self.two_classes()?;
        let means = self.means();
        let within = self.variance_within();
        let scale = match within {
            Some(variance) => NearestMeanHead::WITHIN_SCALE / variance,
            None => NearestMeanHead::SINGLE_SCALE / spread(&means),
        };
        Ok(Head::NearestMean(NearestMeanHead { classes, means, scale }))
    }

    /// The classes, of which there must be two.
    pub(crate) fn two_classes(&self) -> Result<Classes> {
        let classes = self.classes()?;
        match classes.names() {
            [] => Err(Error::NoExamples),
            [label] => Err(Error::OneClass { label: label.clone() }),
            _ => Ok(classes),
        }
    }

    /// Mean squared distance of an example from its class mean, were its mean the true one:
    /// over n - K degrees of freedom. `None` where identical or single examples leave nothing
    /// but rounding.
    pub(crate) fn variance_within(&self) -> Option<f64> {
        let weights = self.weights();
        let (total, size2) = (weights.sum(), self.diagonal_sum());
        let means = self.sums().map_axis(Axis(1), |sum| sum.dot(&sum)) / &weights;
        let within = (size2 - means.sum()) / total;
        let (n, k) = (self.examples() as f64, weights.len() as f64);
        // What the roundings of d entries may add up to cannot be told from zero.
        let rounding = 4.0 * (self.dimensions as f64).sqrt() / ONE;
        let least = rounding * (size2 / total).max(self.unit().powi(2));
        (n > k && within > least).then(|| within * n / (n - k))
    }
}

/// Mean squared distance of the class means from their mean, 1 if there is none.
pub(crate) fn spread(means: &Array2<f64>) -> f64 {
    let center = means.sum_axis(Axis(0)) / means.nrows().max(1) as f64;
    let between = (means - &center).mapv(|v| v * v).sum() / (means.nrows() as f64 - 1.0);
    if between > 0.0 { between } else { 1.0 }
}
