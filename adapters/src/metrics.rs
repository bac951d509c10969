//! How good predictions are.

mod confusion;
mod learning_curve;
mod multi_label;
mod probability;
mod regression;
mod reliability;
mod report;
pub mod svg;

pub use confusion::ConfusionMatrix;
pub use learning_curve::{LearningCurve, LearningPoint, LearningSeries};
pub use multi_label::MultiLabelReport;
pub use probability::{ProbabilityReport, brier_score, log_loss};
pub use regression::RegressionReport;
pub use reliability::{ReliabilityBin, ReliabilityDiagram};
pub use report::{ClassScores, ClassificationReport};

use crate::error::{Error, Result};

/// The share of predictions that are right; 0 to 1.
///
/// # Errors
///
/// [`Error::PredictionCount`] for lists of different lengths, [`Error::NoExamples`] for empty
/// ones.
///
/// ```
/// # use offshoot_adapters::metrics::accuracy;
/// assert_eq!(accuracy(&[0, 1, 1, 2], &[0, 1, 2, 2])?, 0.75);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
pub fn accuracy(truth: &[usize], predicted: &[usize]) -> Result<f64> {
    check(truth, predicted)?;
    let right = truth.iter().zip(predicted).filter(|(a, b)| a == b).count();
    Ok(right as f64 / truth.len() as f64)
}

fn check(truth: &[usize], predicted: &[usize]) -> Result<()> {
    if truth.len() != predicted.len() {
        return Err(Error::PredictionCount { truth: truth.len(), predicted: predicted.len() });
    }
    if truth.is_empty() { Err(Error::NoExamples) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_needs_pairs() {
        assert!(matches!(accuracy(&[], &[]), Err(Error::NoExamples)));
        let error = accuracy(&[0], &[0, 1]);
        assert!(matches!(error, Err(Error::PredictionCount { truth: 1, predicted: 2 })));
        assert_eq!(accuracy(&[0, 0], &[1, 1]).unwrap(), 0.0);
    }
}
