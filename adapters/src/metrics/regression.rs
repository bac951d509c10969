//! How good predictions of numbers are.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};

/// Errors of predicted numbers, as scikit-learn's `r2_score`, `root_mean_squared_error` and
/// `mean_absolute_error`.
///
/// # Formula
///
/// `R² = 1 - Σ (tᵢ - pᵢ)² / Σ (tᵢ - t̄)²`: 1 where all are right, 0 for predicting the mean `t̄`
/// every time, below it for worse. Where all true numbers are the same it is 1 if all are right
/// and 0 otherwise.
///
/// ```
/// use offshoot_adapters::metrics::RegressionReport;
///
/// let report = RegressionReport::new(&[1.0, 2.0, 3.0], &[1.0, 2.0, 2.0])?;
/// assert_eq!(report.r2, 0.5);
/// assert_eq!(report.mean_absolute_error, 1.0 / 3.0);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RegressionReport {
    /// Share of the variance that is predicted.
    pub r2: f64,
    /// Root of the mean squared error, in the unit of the numbers.
    pub root_mean_squared_error: f64,
    /// Mean size of the errors, in the unit of the numbers.
    pub mean_absolute_error: f64,
}

impl RegressionReport {
    /// Scores predictions. Cost: one pass.
    ///
    /// # Errors
    ///
    /// [`Error::PredictionCount`], [`Error::NoExamples`], [`Error::Target`] for a number that is
    /// not finite: column 0 is the truth, 1 what was predicted.
    pub fn new(truth: &[f64], predicted: &[f64]) -> Result<Self> {
        if truth.len() != predicted.len() {
            let (truth, predicted) = (truth.len(), predicted.len());
            return Err(Error::PredictionCount { truth, predicted });
        }
        if truth.is_empty() {
            return Err(Error::NoExamples);
        }
        for (column, numbers) in [truth, predicted].into_iter().enumerate() {
            if let Some((row, &value)) = numbers.iter().enumerate().find(|(_, v)| !v.is_finite()) {
                return Err(Error::Target { row, column, value });
            }
        }
        let n = truth.len() as f64;
        let mean = truth.iter().sum::<f64>() / n;
        let spread: f64 = truth.iter().map(|t| (t - mean).powi(2)).sum();
        let errors = || truth.iter().zip(predicted).map(|(t, p)| t - p);
        let squared: f64 = errors().map(|error| error * error).sum();
        let r2 = match (squared == 0.0, spread == 0.0) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => 1.0 - squared / spread,
        };
        Ok(Self {
            r2,
            root_mean_squared_error: (squared / n).sqrt(),
            mean_absolute_error: errors().map(f64::abs).sum::<f64>() / n,
        })
    }
}

/// One figure a line.
impl fmt::Display for RegressionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>24}  {:.4}", "R²", self.r2)?;
        writeln!(f, "{:>24}  {:.6}", "root mean squared error", self.root_mean_squared_error)?;
        writeln!(f, "{:>24}  {:.6}", "mean absolute error", self.mean_absolute_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.9.1, `sklearn.metrics`, on t = [3, -0.5, 2, 7], p = [2.5, 0, 2, 8] (the
    /// example of its documentation) and on a constant.
    #[test]
    fn figures_are_those_of_scikit_learn() {
        let report = RegressionReport::new(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0]).unwrap();
        assert!((report.r2 - 0.948_608_137_044_967_9).abs() < 1e-15);
        assert!((report.root_mean_squared_error - 0.612_372_435_695_794_5).abs() < 1e-15);
        assert_eq!(report.mean_absolute_error, 0.5);
        let constant = |predicted: &[f64]| RegressionReport::new(&[2.0, 2.0], predicted).unwrap();
        assert_eq!(constant(&[2.0, 2.0]).r2, 1.0);
        assert_eq!(constant(&[2.0, 3.0]).r2, 0.0);
        let worse = RegressionReport::new(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]).unwrap();
        assert_eq!(worse.r2, -3.0);
    }

    #[test]
    fn prints_and_refuses() {
        let report = RegressionReport::new(&[1.0, 2.0, 3.0], &[1.0, 2.0, 2.0]).unwrap();
        let expected = "                      R²  0.5000
 root mean squared error  0.577350
     mean absolute error  0.333333
";
        assert_eq!(report.to_string(), expected);
        let error = RegressionReport::new(&[1.0], &[]);
        assert!(matches!(error, Err(Error::PredictionCount { truth: 1, predicted: 0 })));
        assert!(matches!(RegressionReport::new(&[], &[]), Err(Error::NoExamples)));
        let error = RegressionReport::new(&[1.0, f64::NAN], &[1.0, 1.0]);
        assert!(matches!(error, Err(Error::Target { row: 1, column: 0, .. })));
        let error = RegressionReport::new(&[1.0], &[f64::INFINITY]);
        assert!(matches!(error, Err(Error::Target { row: 0, column: 1, .. })));
    }
}
