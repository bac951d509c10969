//! Temperature scaling.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::LOG_FLOOR;
use crate::error::{Error, Result};
use crate::heads::scale::fit_scale;
use crate::numeric::softmax_rows;
use crate::predictions::{check_probabilities, usable_logs};

/// One number that makes all probabilities sharper or flatter.
///
/// # Formula
///
/// `q(k) ∝ p(k)^τ`: the inverse temperature `τ` minimises
/// `Σᵢ -ln q(yᵢ | xᵢ) + ½ (ln τ)²` over the usable rows. The second term, a log-normal prior
/// around "leave them as they are" with a standard deviation of 1, keeps `τ` finite when every
/// left-out example is told right, and is outweighed by some tens of labels. The likeliest
/// class never changes. Without a usable row `τ` is 1.
///
/// # Cost
///
/// Some 10 passes over n K logarithms; applying it costs K a row.
///
/// # Source
///
/// Guo et al. 2017, arXiv:1706.04599; the prior is ours.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::calibration::Temperature;
///
/// // Sure of itself, and wrong twice in four.
/// let left_out = array![[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.01, 0.99]];
/// let logs = left_out.mapv(f64::ln);
/// let temperature = Temperature::fit(logs.view(), &[0, 1, 1, 0], &[true; 4])?;
/// assert!(temperature.inverse() < 0.5);
/// let calibrated = temperature.apply(left_out.view())?;
/// assert!(calibrated[[0, 0]] < 0.9);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    inverse: f64,
}

impl Temperature {
    /// Fits it to leave-one-out log-probabilities `[examples, classes]`, the class of each
    /// example, and whether each row is usable.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`], [`Error::PredictionCount`], [`Error::UnknownClass`],
    /// [`Error::FlagCount`], [`Error::NotLogProbability`].
    pub fn fit(logs: ArrayView2<f64>, y: &[usize], usable: &[bool]) -> Result<Self> {
        let (logs, y) = usable_logs(logs, y, usable, LOG_FLOOR)?;
        Ok(Self { inverse: fit_scale(&logs, &y, |_| true, 1.0) })
    }

    /// The temperature of a known inverse, > 0.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`].
    pub fn from_inverse(inverse: f64) -> Result<Self> {
        if inverse > 0.0 && inverse.is_finite() {
            return Ok(Self { inverse });
        }
        let expected = "an inverse temperature must be a positive number";
        Err(Error::Setting { name: "inverse", value: inverse, expected })
    }

    /// `τ`: above 1 probabilities get sharper, below 1 flatter.
    #[must_use]
    pub fn inverse(self) -> f64 {
        self.inverse
    }

    /// Calibrates probabilities `[examples, classes]`.
    ///
    /// # Errors
    ///
    /// [`Error::NotProbability`], [`Error::ProbabilitySum`].
    pub fn apply(self, probabilities: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_probabilities(probabilities)?;
        let mut logs = probabilities.mapv(|p| self.inverse * p.max(f64::MIN_POSITIVE).ln());
        softmax_rows(&mut logs);
        Ok(logs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn bad_input_is_refused_and_certain_answers_stay_finite() {
        let logs = array![[0.0, f64::NEG_INFINITY], [f64::NEG_INFINITY, 0.0]];
        let right = Temperature::fit(logs.view(), &[0, 1], &[true, true]).unwrap();
        assert!(right.inverse() >= 1.0 && right.inverse() < 10.0);
        let wrong = Temperature::fit(logs.view(), &[1, 0], &[true, true]).unwrap();
        assert!(wrong.inverse() > 0.0 && wrong.inverse() < 0.3);
        let none = Temperature::fit(logs.view(), &[0, 1], &[false, false]).unwrap();
        assert!((none.inverse() - 1.0).abs() < 1e-8);
        let p = wrong.apply(array![[1.0, 0.0]].view()).unwrap();
        assert!(p.iter().all(|p| p.is_finite()) && (p.sum() - 1.0).abs() < 1e-12);
        let empty = Temperature::fit(Array2::zeros((0, 2)).view(), &[], &[]);
        assert!(matches!(empty, Err(Error::NoExamples)));
        assert!(wrong.apply(array![[f64::NAN, 0.0]].view()).is_err());
        assert!(Temperature::from_inverse(0.0).is_err());
        assert!(Temperature::from_inverse(f64::NAN).is_err());
    }
}
