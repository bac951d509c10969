//! How good probabilities are.

use std::fmt;

use ndarray::ArrayView2;
use serde::Serialize;

use super::reliability::ReliabilityDiagram;
use crate::error::Result;
use crate::predictions::{check_labels, check_probabilities};

/// Mean of `-ln p` of the true class, `[examples, classes]` probabilities; 0 is best.
///
/// As scikit-learn's `log_loss`: probabilities are taken as at least 2.2e-16, so that a sure
/// wrong answer costs 36 and not infinity. Cost: n (K, for the checks).
///
/// # Errors
///
/// [`Error::PredictionCount`](crate::Error::PredictionCount),
/// [`Error::NoExamples`](crate::Error::NoExamples),
/// [`Error::UnknownClass`](crate::Error::UnknownClass),
/// [`Error::NotProbability`](crate::Error::NotProbability),
/// [`Error::ProbabilitySum`](crate::Error::ProbabilitySum).
pub fn log_loss(probabilities: ArrayView2<f64>, truth: &[usize]) -> Result<f64> {
    check(probabilities, truth)?;
    let (least, most) = (f64::EPSILON, 1.0 - f64::EPSILON);
    let losses = truth.iter().enumerate().map(|(i, &class)| {
        let p: f64 = probabilities[[i, class]];
        -p.clamp(least, most).ln()
    });
    Ok(losses.sum::<f64>() / truth.len() as f64)
}

/// Mean of `Σₖ (pₖ - [y = k])²`, 0 (best) to 2: the score of Brier 1950, *Monthly Weather
/// Review* 78, for any number of classes. Cost: n K.
///
/// As scikit-learn's `brier_score_loss` with `scale_by_half=False`; its default halves the
/// score of two classes.
///
/// # Errors
///
/// Those of [`log_loss`].
pub fn brier_score(probabilities: ArrayView2<f64>, truth: &[usize]) -> Result<f64> {
    check(probabilities, truth)?;
    let rows = probabilities.outer_iter().zip(truth).map(|(row, &class)| {
        let others: f64 =
            row.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, p)| p * p).sum();
        others + (1.0 - row[class]).powi(2)
    });
    Ok(rows.sum::<f64>() / truth.len() as f64)
}

pub(super) fn check(probabilities: ArrayView2<f64>, truth: &[usize]) -> Result<()> {
    check_labels(probabilities.nrows(), probabilities.ncols(), truth)?;
    check_probabilities(probabilities)
}

/// All that is measured of probabilities, as text, and as JSON by `serde`.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::metrics::ProbabilityReport;
///
/// let probabilities = array![[0.9, 0.1], [0.4, 0.6]];
/// let report = ProbabilityReport::new(probabilities.view(), &[0, 1])?;
/// assert!((report.brier_score - 0.17).abs() < 1e-12);
/// println!("{report}");
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProbabilityReport {
    /// Examples measured.
    pub examples: usize,
    /// Share of examples whose likeliest class is the true one.
    pub accuracy: f64,
    /// See [`log_loss`].
    pub log_loss: f64,
    /// See [`brier_score`].
    pub brier_score: f64,
    /// Confidence against accuracy, with the expected calibration error.
    pub reliability: ReliabilityDiagram,
}

impl ProbabilityReport {
    /// Measures probabilities `[examples, classes]` against the true class of each, with 15
    /// bins of confidence. Cost: n K.
    ///
    /// # Errors
    ///
    /// Those of [`log_loss`].
    pub fn new(probabilities: ArrayView2<f64>, truth: &[usize]) -> Result<Self> {
        let reliability = ReliabilityDiagram::new(probabilities, truth)?;
        Ok(Self {
            examples: truth.len(),
            accuracy: reliability.accuracy(),
            log_loss: log_loss(probabilities, truth)?,
            brier_score: brier_score(probabilities, truth)?,
            reliability,
        })
    }
}

impl fmt::Display for ProbabilityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>27}  {:>7}", "examples", self.examples)?;
        let error = self.reliability.expected_calibration_error();
        let lines = [
            ("accuracy", self.accuracy),
            ("log loss", self.log_loss),
            ("Brier score", self.brier_score),
            ("expected calibration error", error),
        ];
        lines.iter().try_for_each(|(name, value)| writeln!(f, "{name:>27}  {value:>7.4}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use ndarray::{Array2, array};

    #[test]
    fn by_hand() {
        let p = array![[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]];
        assert!((log_loss(p.view(), &[0, 1]).unwrap() - 2f64.ln() / 2.0).abs() < 1e-12);
        assert_eq!(brier_score(p.view(), &[0, 1]).unwrap(), 0.1875);
        let sure = log_loss(p.view(), &[0, 0]).unwrap();
        assert!((sure - (2f64.ln() - f64::EPSILON.ln()) / 2.0).abs() < 1e-12);
        assert_eq!(brier_score(array![[0.0, 1.0]].view(), &[0]).unwrap(), 2.0);
    }

    #[test]
    fn bad_input_is_refused() {
        let p = array![[0.5, 0.5]];
        let none = Array2::zeros((0, 2));
        assert!(matches!(log_loss(none.view(), &[]), Err(Error::NoExamples)));
        let error = brier_score(p.view(), &[0, 1]);
        assert!(matches!(error, Err(Error::PredictionCount { truth: 2, predicted: 1 })));
        assert!(matches!(log_loss(p.view(), &[2]), Err(Error::UnknownClass { row: 0, .. })));
        let nan = array![[f64::NAN, 0.5]];
        let error = ProbabilityReport::new(nan.view(), &[0]);
        assert!(matches!(error, Err(Error::NotProbability { row: 0, class: 0, .. })));
    }

    #[test]
    fn prints_and_serialises() {
        let report =
            ProbabilityReport::new(array![[0.9, 0.1], [0.4, 0.6]].view(), &[0, 0]).unwrap();
        let expected = "                   examples        2
                   accuracy   0.5000
                   log loss   0.5108
                Brier score   0.3700
 expected calibration error   0.3500
";
        assert_eq!(report.to_string(), expected);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["examples"], 2);
        assert_eq!(json["accuracy"], 0.5);
        assert_eq!(json["reliability"]["bins"].as_array().unwrap().len(), 15);
    }
}
