//! Whether a confidence of 80 % is right 80 % of the time.

use std::fmt;

use ndarray::ArrayView2;
use serde::Serialize;

use super::probability::check;
use crate::error::{Error, Result};
use crate::predictions::most_likely;

/// Examples whose confidence lies in one interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReliabilityBin {
    /// Lower end, not included (but for 0).
    pub low: f64,
    /// Upper end, included.
    pub high: f64,
    /// Examples in the bin.
    pub count: usize,
    /// Their mean confidence; the middle of the bin if there are none.
    pub confidence: f64,
    /// The share of them whose likeliest class is the true one; 0 if there are none.
    pub accuracy: f64,
}

/// Accuracy against confidence, the probability of the likeliest class.
///
/// # Formula
///
/// Confidences are sorted into B bins `(b / B, (b + 1) / B]`. The expected calibration error
/// is `Σ_b |B_b| / n · |accuracy(B_b) - confidence(B_b)|`, the maximum calibration error the
/// largest gap of a bin that is not empty.
///
/// # Source
///
/// Guo et al. 2017, arXiv:1706.04599 (15 bins of equal width); the bins of scikit-learn's
/// `calibration_curve`. Cost: n K.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReliabilityDiagram {
    examples: usize,
    expected_calibration_error: f64,
    maximum_calibration_error: f64,
    bins: Vec<ReliabilityBin>,
}

impl ReliabilityDiagram {
    /// Bins unless told.
    pub const BINS: usize = 15;

    /// Sorts probabilities `[examples, classes]` into 15 bins.
    ///
    /// # Errors
    ///
    /// Those of [`log_loss`](super::log_loss).
    pub fn new(probabilities: ArrayView2<f64>, truth: &[usize]) -> Result<Self> {
        Self::with_bins(probabilities, truth, Self::BINS)
    }

    /// Sorts probabilities into the given number of bins, 1 to 10,000.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] and those of [`log_loss`](super::log_loss).
    pub fn with_bins(probabilities: ArrayView2<f64>, truth: &[usize], bins: usize) -> Result<Self> {
        if !(1..=10_000).contains(&bins) {
            let expected = "give 1 to 10,000 bins";
            return Err(Error::Setting { name: "bins", value: bins as f64, expected });
        }
        check(probabilities, truth)?;
        let edge = |b: usize| b as f64 / bins as f64;
        let mut sums = vec![(0usize, 0.0, 0usize); bins];
        for (row, &class) in probabilities.outer_iter().zip(truth) {
            let (predicted, confidence) = most_likely(row);
            // The guess is off by one at most, where rounding moves a value over an edge.
            let mut bin = ((confidence * bins as f64) as usize).min(bins - 1);
            if bin > 0 && confidence <= edge(bin) {
                bin -= 1;
            } else if bin + 1 < bins && confidence > edge(bin + 1) {
                bin += 1;
            }
            let (count, total, right) = &mut sums[bin];
            *count += 1;
            *total += confidence;
            *right += usize::from(predicted == class);
        }
        let bins: Vec<ReliabilityBin> = sums
            .into_iter()
            .enumerate()
            .map(|(b, (count, total, right))| {
                let (low, high) = (edge(b), edge(b + 1));
                let empty = count == 0;
                let mean = |sum: f64| sum / count as f64;
                ReliabilityBin {
                    low,
                    high,
                    count,
                    confidence: if empty { 0.5 * (low + high) } else { mean(total) },
                    accuracy: if empty { 0.0 } else { mean(right as f64) },
                }
            })
            .collect();
        let filled = || bins.iter().filter(|bin| bin.count > 0);
        let gap = |bin: &ReliabilityBin| (bin.accuracy - bin.confidence).abs();
        let total: f64 = filled().map(|bin| bin.count as f64 * gap(bin)).sum();
        Ok(Self {
            examples: truth.len(),
            expected_calibration_error: total / truth.len() as f64,
            maximum_calibration_error: filled().map(gap).fold(0.0, f64::max),
            bins,
        })
    }

    /// The bins, from low to high confidence, empty ones too.
    #[must_use]
    pub fn bins(&self) -> &[ReliabilityBin] {
        &self.bins
    }

    /// Examples in all bins.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Mean distance of accuracy from confidence, 0 (best) to 1.
    #[must_use]
    pub fn expected_calibration_error(&self) -> f64 {
        self.expected_calibration_error
    }

    /// Largest distance of accuracy from confidence in a bin that is not empty.
    #[must_use]
    pub fn maximum_calibration_error(&self) -> f64 {
        self.maximum_calibration_error
    }

    /// Share of all examples whose likeliest class is the true one.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right: f64 = self.bins.iter().map(|bin| bin.accuracy * bin.count as f64).sum();
        right / self.examples as f64
    }
}

/// A table of the bins that are not empty.
impl fmt::Display for ReliabilityDiagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "     confidence  examples    mean  accuracy")?;
        for bin in self.bins.iter().filter(|bin| bin.count > 0) {
            let ReliabilityBin { low, high, count, confidence, accuracy } = bin;
            writeln!(f, "{low:.3} to {high:.3}  {count:>8}  {confidence:>6.3}  {accuracy:>8.3}")?;
        }
        let (expected, maximum) = (self.expected_calibration_error, self.maximum_calibration_error);
        writeln!(f, "\nexpected calibration error {expected:.4}, largest {maximum:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn edges_belong_to_the_bin_below() {
        // 0.6 is an edge of 5 bins, and 3.0 / 5.0 rounds to it.
        let p = array![[0.6, 0.4], [0.61, 0.39], [1.0, 0.0], [0.5, 0.5]];
        let diagram = ReliabilityDiagram::with_bins(p.view(), &[0, 1, 0, 1], 5).unwrap();
        let counts: Vec<usize> = diagram.bins().iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [0, 0, 2, 1, 1]);
        assert_eq!(diagram.accuracy(), 0.5);
        let expected = (2.0 * (0.5f64 - 0.55).abs() + 0.61 + 0.0) / 4.0;
        assert!((diagram.expected_calibration_error() - expected).abs() < 1e-12);
        assert!((diagram.maximum_calibration_error() - 0.61).abs() < 1e-12);
        assert!(diagram.to_string().contains("0.400 to 0.600         2   0.550     0.500"));
    }

    #[test]
    fn every_edge_is_inside_its_own_bin() {
        for bins in [1usize, 3, 7, 15, 49, 1000] {
            for b in bins.div_ceil(2)..=bins {
                let p = b as f64 / bins as f64;
                let row = array![[p, 1.0 - p]];
                let diagram = ReliabilityDiagram::with_bins(row.view(), &[0], bins).unwrap();
                assert_eq!(diagram.bins()[b - 1].count, 1, "{b} of {bins}");
            }
        }
        let none = ReliabilityDiagram::with_bins(array![[1.0]].view(), &[0], 0);
        assert!(matches!(none, Err(Error::Setting { name: "bins", .. })));
    }
}
