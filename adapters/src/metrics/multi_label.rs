//! How good predictions of several labels are.

use std::fmt;

use ndarray::ArrayView2;
use serde::Serialize;

use super::ClassScores;
use super::confusion::{names, shown};
use crate::classes::Classes;
use crate::error::{Error, Result};

/// Precision, recall and F1 of each label and over all of them, as scikit-learn's `f1_score`
/// of multi-label indicators with `zero_division=0`.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::{Classes, metrics::MultiLabelReport};
///
/// let labels = Classes::new(vec!["urgent".into(), "billing".into()])?;
/// let truth = array![[true, false], [true, true]];
/// let predicted = array![[true, false], [false, true]];
/// let report = MultiLabelReport::new(&labels, truth.view(), predicted.view())?;
/// assert_eq!(report.micro_average.precision, 1.0);
/// assert_eq!(report.subset_accuracy, 0.5);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MultiLabelReport {
    /// The labels.
    #[serde(serialize_with = "names")]
    pub labels: Classes,
    /// Scores of each label, in order; `support` is how often it is true.
    pub per_label: Vec<ClassScores>,
    /// Scores of all decisions together.
    pub micro_average: ClassScores,
    /// Mean over labels.
    pub macro_average: ClassScores,
    /// Share of examples with every label right.
    pub subset_accuracy: f64,
}

impl MultiLabelReport {
    /// Scores predictions `[examples, labels]`. Cost: one pass.
    ///
    /// # Errors
    ///
    /// [`Error::PredictionCount`], [`Error::Columns`], [`Error::NoExamples`].
    pub fn new(
        labels: &Classes,
        truth: ArrayView2<bool>,
        predicted: ArrayView2<bool>,
    ) -> Result<Self> {
        if truth.nrows() != predicted.nrows() {
            let (truth, predicted) = (truth.nrows(), predicted.nrows());
            return Err(Error::PredictionCount { truth, predicted });
        }
        let expected = labels.len();
        if let Some(found) = [truth.ncols(), predicted.ncols()].into_iter().find(|c| *c != expected)
        {
            return Err(Error::Columns { found, expected });
        }
        if truth.is_empty() {
            return Err(Error::NoExamples);
        }
        let mut counts = vec![[0u64; 3]; expected];
        let mut exact = 0;
        for (truth, predicted) in truth.outer_iter().zip(predicted.outer_iter()) {
            exact += u64::from(truth == predicted);
            for ((count, &truth), &predicted) in counts.iter_mut().zip(truth).zip(predicted) {
                count[0] += u64::from(truth && predicted);
                count[1] += u64::from(predicted);
                count[2] += u64::from(truth);
            }
        }
        let per_label: Vec<ClassScores> = counts.iter().map(|&count| scores(count)).collect();
        let total = counts.iter().fold([0; 3], |sum, count| [0, 1, 2].map(|i| sum[i] + count[i]));
        let mean = |value: fn(&ClassScores) -> f64| {
            per_label.iter().map(value).sum::<f64>() / expected as f64
        };
        let macro_average = ClassScores {
            precision: mean(|s| s.precision),
            recall: mean(|s| s.recall),
            f1: mean(|s| s.f1),
            support: total[2],
        };
        Ok(Self {
            labels: labels.clone(),
            micro_average: scores(total),
            macro_average,
            subset_accuracy: exact as f64 / truth.nrows() as f64,
            per_label,
        })
    }
}

/// Scores from what is right, predicted and true.
fn scores([right, predicted, support]: [u64; 3]) -> ClassScores {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    ClassScores {
        precision: share(right, predicted),
        recall: share(right, support),
        f1: share(2 * right, predicted + support),
        support,
    }
}

/// A table, one label a line, with the averages below.
impl fmt::Display for MultiLabelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.labels.names().iter().map(|name| shown(name)).collect();
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let width = longest.max("subset accuracy".len());
        writeln!(f, "{:width$}  precision  recall     f1  support", "")?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, scores: &ClassScores| {
            let ClassScores { precision, recall, f1, support } = scores;
            writeln!(f, "{name:>width$}  {precision:>9.3}  {recall:>6.3}  {f1:>5.3}  {support:>7}")
        };
        for (name, scores) in names.iter().zip(&self.per_label) {
            line(f, name, scores)?;
        }
        writeln!(f)?;
        line(f, "micro average", &self.micro_average)?;
        line(f, "macro average", &self.macro_average)?;
        writeln!(f, "{:>width$}  {:>24.3}", "subset accuracy", self.subset_accuracy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn prints_and_refuses() {
        let labels = Classes::new(vec!["a".into(), "b".into()]).unwrap();
        let truth = array![[true, false], [true, true]];
        let predicted = array![[true, true], [false, true]];
        let report = MultiLabelReport::new(&labels, truth.view(), predicted.view()).unwrap();
        let expected = "                 precision  recall     f1  support
              a      1.000   0.500  0.667        2
              b      0.500   1.000  0.667        1

  micro average      0.667   0.667  0.667        3
  macro average      0.750   0.750  0.667        3
subset accuracy                     0.000
";
        assert_eq!(report.to_string(), expected);
        let narrow = array![[true], [true]];
        let error = MultiLabelReport::new(&labels, truth.view(), narrow.view());
        assert!(matches!(error, Err(Error::Columns { found: 1, expected: 2 })));
        let none = Array2::from_elem((0, 2), true);
        let error = MultiLabelReport::new(&labels, none.view(), none.view());
        assert!(matches!(error, Err(Error::NoExamples)));
        let error = MultiLabelReport::new(&labels, truth.view(), none.view());
        assert!(matches!(error, Err(Error::PredictionCount { truth: 2, predicted: 0 })));
    }
}
