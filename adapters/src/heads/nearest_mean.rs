//! Nearest class mean.

use ndarray::{Array2, ArrayView2, Axis};

use super::scale::fit_scale;
use crate::classes::Classes;
use crate::classifier::{Classifier, check, scaled_softmax};
use crate::error::Result;
use crate::examples::Examples;
use crate::head::Head;

/// Settings of the nearest class mean; it has none.
///
/// # Formula
///
/// The decision is the class whose mean `cₖ` is nearest, as scikit-learn's
/// `NearestCentroid(metric="euclidean")`. The probabilities are
///
/// ```text
/// p(k | x) ∝ exp(-τ ‖x - cₖ‖²)
/// ```
///
/// the posterior of Gaussian classes of equal weight with one shared isotropic variance
/// `1 / 2τ` along the directions that tell them apart. The variance of all directions
/// together would make 384 correlated dimensions count as 384 independent ones and every
/// answer certain, so `τ` is fitted to the exact leave-one-out distances of the examples
/// (for an example of its own class of n, `(n / (n - 1))² ‖x - cₖ‖²`), under a log-normal
/// prior around `4 / v` with v the mean squared distance of an example from its class mean.
/// With one example a class nothing can be left out: then `τ` is `2 / v` with v the mean
/// squared distance of the examples from their mean.
///
/// # Cost
///
/// n d additions for the means, n d K for `τ`. Predicting costs d K an embedding.
///
/// # Source
///
/// Tibshirani et al. 2002, *PNAS* 99 (without shrinkage); for few-shot learning Snell et al.
/// 2017, arXiv:1703.05175.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct NearestMean {}

impl NearestMean {
    /// Fits a head to embeddings `[examples, dimensions]` and the class of each.
    ///
    /// # Errors
    ///
    /// Those of bad examples and [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        let examples = Examples::new(x, y, &classes)?;
        let [n, d, k] =
            [examples.len(), examples.dimensions(), examples.classes()].map(|v| v as u128);
        let means = examples.class_means();
        let scale = if examples.len() == examples.classes() {
            // Nothing can be left out, and n x K distances would be the largest part by far.
            examples.check_memory("the nearest class mean", &[3 * k * d])?;
            NearestMeanHead::SINGLE_SCALE / spread(&means)
        } else {
            examples.check_memory("the nearest class mean", &[3 * k * d, n * d, 2 * n * k])?;
            let mut distances = squared_distances(x, &means);
            let prior = NearestMeanHead::WITHIN_SCALE / within(&examples, &means, &distances);
            for (mut row, &class) in distances.outer_iter_mut().zip(y) {
                let count = examples.counts[class] as f64;
                if count > 1.0 {
                    row[class] *= (count / (count - 1.0)).powi(2);
                }
            }
            fit_scale(&-distances, y, |class| examples.counts[class] > 1, prior)
        };
        Ok(Head::NearestMean(NearestMeanHead { classes, means, scale }))
    }
}

/// Mean squared distance of an example from its class mean, for n > K examples.
fn within(examples: &Examples, means: &Array2<f64>, distances: &Array2<f64>) -> f64 {
    let own: f64 = distances.outer_iter().zip(examples.y).map(|(row, &class)| row[class]).sum();
    positive(own / (examples.len() - examples.classes()) as f64, means)
}

/// Mean squared distance of the class means from their mean.
fn spread(means: &Array2<f64>) -> f64 {
    let center = means.sum_axis(Axis(0)) / means.nrows() as f64;
    let between = (means - &center).mapv(|v| v * v).sum();
    positive(between / (means.nrows() - 1) as f64, means)
}

/// The variance or, where identical examples leave rounding error only, the squared size of
/// the means: any scale then gives the same answer.
fn positive(variance: f64, means: &Array2<f64>) -> f64 {
    let size2 = means.mapv(|v| v * v).sum() / means.nrows() as f64;
    let floor = if size2 > 0.0 { size2 } else { 1.0 };
    if variance > 1e-12 * size2 { variance } else { floor }
}

/// `‖x - cₖ‖²`, `[examples, classes]`, never negative.
///
/// Expanded into one matrix product around the mean of the class means, so that an offset
/// that all embeddings share does not cancel digits.
fn squared_distances(x: ArrayView2<f32>, means: &Array2<f64>) -> Array2<f64> {
    let center = means.sum_axis(Axis(0)) / means.nrows().max(1) as f64;
    let means = means - &center;
    let x = x.mapv(f64::from) - &center;
    let sizes = means.map_axis(Axis(1), |mean| mean.dot(&mean));
    let mut distances = x.dot(&means.t());
    for (mut row, x) in distances.outer_iter_mut().zip(x.outer_iter()) {
        let size = x.dot(&x);
        row.zip_mut_with(&sizes, |v, &mean| *v = (size - 2.0 * *v + mean).max(0.0));
    }
    distances
}

/// A fitted nearest-mean head.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestMeanHead {
    pub(crate) classes: Classes,
    pub(crate) means: Array2<f64>,
    pub(crate) scale: f64,
}

impl NearestMeanHead {
    /// Scale of the prior in units of one over the variance within classes.
    pub(crate) const WITHIN_SCALE: f64 = 4.0;
    /// The same over the variance of single examples, which lies between classes as well.
    pub(crate) const SINGLE_SCALE: f64 = 2.0;

    /// Mean embedding of each class, `[classes, dimensions]`.
    #[must_use]
    pub fn means(&self) -> &Array2<f64> {
        &self.means
    }

    /// `τ`, which turns squared distances into probabilities.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

impl Classifier for NearestMeanHead {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn dimensions(&self) -> usize {
        self.means.ncols()
    }

    /// Squared Euclidean distances from the class means, negated.
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        check(x, self.dimensions())?;
        Ok(-squared_distances(x, &self.means))
    }

    fn probabilities(&self, scores: Array2<f64>) -> Array2<f64> {
        scaled_softmax(scores, self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn means_distances_and_leave_one_out_by_hand() {
        let x = array![[0f32, 0.0], [2.0, 0.0], [10.0, 0.0]];
        let (classes, y) = Classes::from_labels(&["a", "a", "b"]).unwrap();
        let Head::NearestMean(head) = NearestMean::default().fit(x.view(), &y, classes).unwrap()
        else {
            panic!("another head")
        };
        assert_eq!(head.means(), array![[1.0, 0.0], [10.0, 0.0]]);
        let scores = head.decision_function(array![[4f32, 4.0]].view()).unwrap();
        assert!((scores - array![[-25.0, -52.0]]).iter().all(|d| d.abs() < 1e-12));
        // Leaving out either `a` puts its mean on the other: squared distance 4.
        let scores = array![[-4.0, -100.0], [-4.0, -64.0], [0.0, 0.0]];
        let scale = fit_scale(&scores, &y, |class| class == 0, NearestMeanHead::WITHIN_SCALE / 2.0);
        assert!((head.scale() - scale).abs() < 1e-9 * scale);
    }

    #[test]
    fn a_shared_offset_costs_no_digits() {
        let means = array![[1e6, 0.0], [1e6, 1.0]];
        let distances = squared_distances(array![[1e6f32, 0.25]].view(), &means);
        assert!((distances - array![[0.0625, 0.5625]]).iter().all(|d| d.abs() < 1e-15));
    }
}
