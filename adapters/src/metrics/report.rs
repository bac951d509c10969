//! Precision, recall and F1 of each class.

use std::fmt;

use serde::Serialize;

use super::confusion::{ConfusionMatrix, names, shown};
use crate::classes::Classes;
use crate::error::Result;

/// The scores of one class, or averages over classes; each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClassScores {
    /// Share of the predictions of the class that are right; 0 if there are none.
    pub precision: f64,
    /// Share of the examples of the class that are found; 0 if there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 if both are.
    pub f1: f64,
    /// Examples of the class.
    pub support: u64,
}

/// Precision, recall and F1 of each class, and their averages, as scikit-learn's
/// `classification_report` with `zero_division=0`.
///
/// Averages run over all classes of the head, also those without an example here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassificationReport {
    /// The classes.
    #[serde(serialize_with = "names")]
    pub classes: Classes,
    /// Scores of each class, in class order.
    pub per_class: Vec<ClassScores>,
    /// Share of right predictions.
    pub accuracy: f64,
    /// Mean over classes.
    pub macro_average: ClassScores,
    /// Mean over classes, weighted by support.
    pub weighted_average: ClassScores,
}

impl ClassificationReport {
    /// Scores predictions.
    ///
    /// # Errors
    ///
    /// Those of [`ConfusionMatrix::new`].
    ///
    /// ```
    /// # use offshoot_adapters::{Classes, metrics::ClassificationReport};
    /// let (classes, truth) = Classes::from_labels(&["ham", "ham", "spam", "spam"])?;
    /// let report = ClassificationReport::new(&classes, &truth, &[0, 1, 1, 1])?;
    /// assert_eq!(report.per_class[1].recall, 1.0);
    /// println!("{report}");
    /// # Ok::<(), offshoot_adapters::Error>(())
    /// ```
    pub fn new(classes: &Classes, truth: &[usize], predicted: &[usize]) -> Result<Self> {
        Ok(Self::from(&ConfusionMatrix::new(classes, truth, predicted)?))
    }
}

impl From<&ConfusionMatrix> for ClassificationReport {
    fn from(matrix: &ConfusionMatrix) -> Self {
        let k = matrix.classes().len();
        let (mut support, mut guesses, mut right) = (vec![0; k], vec![0; k], vec![0; k]);
        for (truth, predicted, count) in matrix.cells() {
            support[truth] += count;
            guesses[predicted] += count;
            if truth == predicted {
                right[truth] += count;
            }
        }
        let share =
            |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let per_class: Vec<ClassScores> = (0..k)
            .map(|class| ClassScores {
                precision: share(right[class], guesses[class]),
                recall: share(right[class], support[class]),
                // 2PR / (P + R) without its division by zero.
                f1: share(2 * right[class], guesses[class] + support[class]),
                support: support[class],
            })
            .collect();
        let total: u64 = support.iter().sum();
        let accuracy = share(right.iter().sum(), total);
        Self {
            classes: matrix.classes().clone(),
            accuracy,
            macro_average: average(&per_class, total, |_| 1.0),
            weighted_average: average(&per_class, total, |scores| scores.support as f64),
            per_class,
        }
    }
}

fn average(
    scores: &[ClassScores],
    support: u64,
    weight: impl Fn(&ClassScores) -> f64,
) -> ClassScores {
    let total: f64 = scores.iter().map(&weight).sum();
    let mean = |value: fn(&ClassScores) -> f64| {
        scores.iter().map(|s| weight(s) * value(s)).sum::<f64>() / total
    };
    ClassScores {
        precision: mean(|s| s.precision),
        recall: mean(|s| s.recall),
        f1: mean(|s| s.f1),
        support,
    }
}

/// A table, one class a line, with the averages below.
impl fmt::Display for ClassificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.classes.names().iter().map(|name| shown(name)).collect();
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let width = longest.max("weighted average".len());
        writeln!(f, "{:width$}  precision  recall     f1  support", "")?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, scores: &ClassScores| {
            let ClassScores { precision, recall, f1, support } = scores;
            writeln!(f, "{name:>width$}  {precision:>9.3}  {recall:>6.3}  {f1:>5.3}  {support:>7}")
        };
        for (name, scores) in names.iter().zip(&self.per_class) {
            line(f, name, scores)?;
        }
        writeln!(f)?;
        let support = self.macro_average.support;
        writeln!(f, "{:>width$}  {:>24.3}  {support:>7}", "accuracy", self.accuracy)?;
        line(f, "macro average", &self.macro_average)?;
        line(f, "weighted average", &self.weighted_average)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ClassificationReport {
        let classes = Classes::new(["a", "b", "c", "d"].map(String::from).to_vec()).unwrap();
        let truth = [0, 0, 0, 1, 1, 2, 2, 2, 2, 0];
        let predicted = [0, 1, 0, 1, 2, 2, 2, 0, 3, 0];
        ClassificationReport::new(&classes, &truth, &predicted).unwrap()
    }

    /// Figures of scikit-learn 1.9.1's `classification_report` on the same lists.
    #[test]
    fn equals_scikit_learn() {
        let report = report();
        let expected = [
            (0.75, 0.75, 0.75, 4),
            (0.5, 0.5, 0.5, 2),
            (2.0 / 3.0, 0.5, 4.0 / 7.0, 4),
            (0.0, 0.0, 0.0, 0),
        ];
        for (scores, (precision, recall, f1, support)) in report.per_class.iter().zip(expected) {
            assert!((scores.precision - precision).abs() < 1e-12);
            assert!((scores.recall - recall).abs() < 1e-12);
            assert!((scores.f1 - f1).abs() < 1e-12);
            assert_eq!(scores.support, support);
        }
        assert_eq!(report.accuracy, 0.6);
        assert!((report.macro_average.precision - 0.479_166_666_666_666_6).abs() < 1e-12);
        assert!((report.macro_average.f1 - 0.455_357_142_857_142_8).abs() < 1e-12);
        assert!((report.weighted_average.precision - 0.666_666_666_666_666_6).abs() < 1e-12);
        assert!((report.weighted_average.f1 - 0.628_571_428_571_428_5).abs() < 1e-12);
    }

    #[test]
    fn prints_a_table() {
        let expected = "                  precision  recall     f1  support
               a      0.750   0.750  0.750        4
               b      0.500   0.500  0.500        2
               c      0.667   0.500  0.571        4
               d      0.000   0.000  0.000        0

        accuracy                     0.600       10
   macro average      0.479   0.438  0.455       10
weighted average      0.667   0.600  0.629       10
";
        assert_eq!(report().to_string(), expected);
    }
}
