//! Labels that are most likely wrong.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use serde::Serialize;

use crate::error::Result;
use crate::predictions::{check_flags, check_labels, check_probabilities};

/// A label that looks wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Suspect {
    /// Row of the example.
    pub row: usize,
    /// Class it is labelled.
    pub label: usize,
    /// Class it looks like.
    pub suggested: usize,
    /// Probability of the label minus that of the likeliest other class, -1 (surely wrong)
    /// to 1.
    pub margin: f64,
}

/// Labels that look wrong, and how often each class is taken for each other.
///
/// # Formula
///
/// Confident learning: class j is *confident* for an example when its probability reaches
/// `tⱼ`, the mean probability of j over the examples labelled j. An example counts in the
/// confident joint `C[label][j]` for the likeliest of its confident classes, if it has one,
/// and is a suspect when that is not its label. The thresholds make it robust to a head that
/// is surer of some classes than of others. Suspects are ranked by their margin, the worst
/// first, then by row.
///
/// Probabilities must be made without the example of their row (leave-one-out): a head that
/// has seen a wrong label believes it. Rows that are not usable are not judged, and a class
/// without a usable row has no threshold, so nothing is suspected to belong to it.
///
/// # Cost
///
/// n K.
///
/// # Source
///
/// Northcutt, Jiang and Chuang 2021, *J. Artif. Intell. Res.* 70, arXiv:1911.00068.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::noise::LabelNoise;
///
/// let left_out = array![[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.95, 0.05]];
/// let noise = LabelNoise::find(left_out.view(), &[0, 0, 1, 1, 1], &[true; 5])?;
/// assert_eq!(noise.suspects()[0].row, 4);
/// assert_eq!(noise.suspects()[0].suggested, 0);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LabelNoise {
    suspects: Vec<Suspect>,
    thresholds: Vec<f64>,
    joint: BTreeMap<(usize, usize), usize>,
}

impl LabelNoise {
    /// Judges the labels `y` by leave-one-out probabilities `[examples, classes]`, where
    /// `usable` tells which rows could be made.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`](crate::Error::NoExamples),
    /// [`Error::PredictionCount`](crate::Error::PredictionCount),
    /// [`Error::UnknownClass`](crate::Error::UnknownClass),
    /// [`Error::FlagCount`](crate::Error::FlagCount) and, in a usable row,
    /// [`Error::NotProbability`](crate::Error::NotProbability),
    /// [`Error::ProbabilitySum`](crate::Error::ProbabilitySum).
    pub fn find(probabilities: ArrayView2<f64>, y: &[usize], usable: &[bool]) -> Result<Self> {
        let k = probabilities.ncols();
        check_labels(probabilities.nrows(), k, y)?;
        check_flags(y, usable)?;
        let rows: Vec<usize> = (0..y.len()).filter(|&i| usable[i]).collect();
        let (mut sums, mut counts) = (vec![0.0; k], vec![0usize; k]);
        for &row in &rows {
            // One row at a time, so that the error names its place in the whole.
            check_row(probabilities, row)?;
            sums[y[row]] += probabilities[[row, y[row]]];
            counts[y[row]] += 1;
        }
        let thresholds: Vec<f64> = sums
            .iter()
            .zip(&counts)
            .map(|(sum, &count)| if count > 0 { sum / count as f64 } else { f64::INFINITY })
            .collect();
        let mut joint = BTreeMap::new();
        let mut suspects = Vec::new();
        for row in rows {
            let (p, label) = (probabilities.row(row), y[row]);
            let confident = p.iter().enumerate().filter(|(j, p)| **p >= thresholds[*j]);
            let likeliest =
                confident.fold(None, |best: Option<(usize, f64)>, (j, &p)| match best {
                    Some((_, largest)) if p <= largest => best,
                    _ => Some((j, p)),
                });
            let Some((class, _)) = likeliest else { continue };
            *joint.entry((label, class)).or_insert(0) += 1;
            if class != label {
                let others = p.iter().enumerate().filter(|(j, _)| *j != label).map(|(_, p)| *p);
                let margin = p[label] - others.fold(0.0, f64::max);
                suspects.push(Suspect { row, label, suggested: class, margin });
            }
        }
        suspects.sort_by(|a, b| a.margin.total_cmp(&b.margin));
        Ok(Self { suspects, thresholds, joint })
    }

    /// The suspects, the likeliest to be wrong first.
    #[must_use]
    pub fn suspects(&self) -> &[Suspect] {
        &self.suspects
    }

    /// The probability from which each class is confident, `[classes]`; infinite without a
    /// usable row.
    #[must_use]
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// The cells of the confident joint that are not 0, as `(label, class, count)`.
    pub fn joint(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        self.joint.iter().map(|(&(label, class), &count)| (label, class, count))
    }

    /// The estimated share of wrong labels: suspects among the examples that have a confident
    /// class, 0 if none has.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let all: usize = self.joint.values().sum();
        if all == 0 { 0.0 } else { self.suspects.len() as f64 / all as f64 }
    }
}

fn check_row(probabilities: ArrayView2<f64>, row: usize) -> Result<()> {
    use crate::error::Error;
    check_probabilities(probabilities.row(row).insert_axis(ndarray::Axis(0))).map_err(|error| {
        match error {
            Error::NotProbability { class, value, .. } => {
                Error::NotProbability { row, class, value }
            }
            Error::ProbabilitySum { sum, .. } => Error::ProbabilitySum { row, sum },
            other => other,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use ndarray::{Array2, array};

    #[test]
    fn by_hand() {
        // Thresholds: 0: (0.6 + 0.2) / 2 = 0.4, 1: (0.9 + 0.5) / 2 = 0.7.
        let p = array![[0.6, 0.4], [0.2, 0.8], [0.1, 0.9], [0.5, 0.5]];
        let noise = LabelNoise::find(p.view(), &[0, 0, 1, 1], &[true; 4]).unwrap();
        let found: Vec<_> = noise.suspects().iter().map(|s| (s.row, s.suggested)).collect();
        // Row 3 is even, but 0.5 is confident for class 0 and not for class 1.
        assert_eq!(found, [(1, 1), (3, 0)]);
        assert!((noise.suspects()[0].margin + 0.6).abs() < 1e-12);
        assert!((noise.thresholds()[0] - 0.4).abs() < 1e-12);
        assert_eq!(noise.joint().collect::<Vec<_>>(), [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)]);
        assert_eq!(noise.rate(), 0.5);
    }

    #[test]
    fn unusable_rows_and_classes_are_left_alone() {
        let p = array![[0.0, 1.0, f64::NAN], [0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.9, 0.1, 0.0]];
        let usable = [false, true, true, true];
        let noise = LabelNoise::find(p.view(), &[2, 1, 0, 0], &usable).unwrap();
        assert!(noise.suspects().is_empty());
        assert_eq!(noise.thresholds()[2], f64::INFINITY);
        let none = LabelNoise::find(p.view(), &[2, 1, 0, 0], &[false; 4]).unwrap();
        assert_eq!(none.rate(), 0.0);
        let error = LabelNoise::find(p.view(), &[2, 1, 0, 0], &[true; 4]).unwrap_err();
        assert!(matches!(error, Error::NotProbability { row: 0, class: 2, .. }), "{error}");
        let error = LabelNoise::find(p.view(), &[2, 1, 0], &[true; 4]).unwrap_err();
        assert!(matches!(error, Error::PredictionCount { truth: 3, predicted: 4 }), "{error}");
        let error = LabelNoise::find(p.view(), &[2, 1, 0, 3], &[true; 4]).unwrap_err();
        assert!(matches!(error, Error::UnknownClass { row: 3, index: 3, classes: 3 }), "{error}");
    }

    #[test]
    fn ten_thousand_classes() {
        let mut p = Array2::zeros((4, 10_000));
        for (i, class) in [5, 5, 9_999, 9_999].into_iter().enumerate() {
            p[[i, class]] = 1.0;
        }
        let noise = LabelNoise::find(p.view(), &[5, 5, 9_999, 5], &[true; 4]).unwrap();
        assert_eq!(noise.suspects().len(), 1);
        assert_eq!((noise.suspects()[0].row, noise.suspects()[0].suggested), (3, 9_999));
    }
}
