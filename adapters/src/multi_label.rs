//! Several labels an example, none or all of them true.

use ndarray::{Array1, Array2, ArrayView2};

use crate::classes::Classes;
use crate::classifier::linear_scores;
use crate::error::{Error, Result};
use crate::regression::{Fit, fit};

/// Settings of multi-label classification.
///
/// # Formula
///
/// Each label is a ridge regression on the targets 1 (true) and -1 (false), one penalty for
/// all chosen by the exact leave-one-out error, as [`Ridge`](crate::Ridge) does for classes. A
/// label is predicted where its score exceeds its own threshold: the one with the best F1 of
/// the leave-one-out scores, in the middle between the two scores that it parts (the highest
/// of equals). Labels are often rare, and a threshold of 0 would then never be passed. A label
/// that is never true in the examples is never predicted, and one that is always true always.
///
/// # Cost
///
/// That of [`Ridge`](crate::Ridge), and n log n a label.
///
/// # Source
///
/// Binary relevance: Tsoumakas and Katakis 2007, *Int. J. Data Warehous. Min.* 3; thresholds
/// for F1: Lipton, Elkan and Naryanaswamy 2014, arXiv:1402.1892.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::{Classes, MultiLabel};
///
/// let x = array![[1f32, 0.0], [0.9, 0.2], [0.0, 1.0], [0.1, 0.8], [0.9, 0.9], [0.0, 0.1]];
/// let truth = array![
///     [true, false], [true, false], [false, true], [false, true], [true, true], [false, false],
/// ];
/// let labels = Classes::new(vec!["urgent".into(), "billing".into()])?;
/// let head = MultiLabel::default().fit(x.view(), truth.view(), labels)?;
/// assert_eq!(head.predict(array![[1f32, 1.0]].view())?, array![[true, true]]);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MultiLabel {
    /// Penalties to choose from, each > 0.
    pub penalties: Vec<f64>,
}

impl Default for MultiLabel {
    /// 13 penalties from 1e-3 to 1e3, two a decade, which suit embeddings of unit length.
    fn default() -> Self {
        Self { penalties: crate::Ridge::default().penalties }
    }
}

impl MultiLabel {
    /// Fits a head to embeddings `[examples, dimensions]` and which labels are true of each,
    /// `[examples, labels]`.
    ///
    /// # Errors
    ///
    /// [`Error::Columns`] when the names are not one a label, and those of
    /// [`Regression::fit`](crate::Regression::fit).
    pub fn fit(
        &self,
        x: ArrayView2<f32>,
        truth: ArrayView2<bool>,
        labels: Classes,
    ) -> Result<MultiLabelHead> {
        if truth.ncols() != labels.len() {
            return Err(Error::Columns { found: truth.ncols(), expected: labels.len() });
        }
        let targets = truth.mapv(|label| if label { 1.0 } else { -1.0 });
        let Fit { coefficients, intercepts, penalty, residuals, .. } =
            fit(x, targets.view(), &self.penalties, "multi-label classification")?;
        let left_out = targets - residuals;
        let (thresholds, f1): (Vec<f64>, Vec<f64>) = left_out
            .columns()
            .into_iter()
            .zip(truth.columns())
            .map(|(scores, truth)| {
                best_threshold(scores.iter().copied().zip(truth.iter().copied()).collect())
            })
            .unzip();
        Ok(MultiLabelHead { labels, coefficients, intercepts, penalty, thresholds, f1 })
    }
}

/// The threshold with the best F1 of scores and truths, and that F1.
fn best_threshold(mut scored: Vec<(f64, bool)>) -> (f64, f64) {
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let positive = scored.iter().filter(|(_, label)| *label).count();
    if positive == 0 {
        return (f64::INFINITY, 0.0);
    }
    if positive == scored.len() {
        return (f64::NEG_INFINITY, 1.0);
    }
    let (mut best, mut right) = ((f64::INFINITY, 0.0), 0);
    for (i, &(score, label)) in scored.iter().enumerate() {
        right += usize::from(label);
        let threshold = match scored.get(i + 1) {
            // Equal scores cannot be parted.
            Some(&(next, _)) if next == score => continue,
            Some(&(next, _)) => 0.5 * (score + next),
            None => f64::NEG_INFINITY,
        };
        let f1 = 2.0 * right as f64 / (i + 1 + positive) as f64;
        if f1 > best.1 {
            best = (threshold, f1);
        }
    }
    best
}

/// A fitted multi-label head.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiLabelHead {
    pub(crate) labels: Classes,
    pub(crate) coefficients: Array2<f64>,
    pub(crate) intercepts: Array1<f64>,
    pub(crate) penalty: f64,
    pub(crate) thresholds: Vec<f64>,
    pub(crate) f1: Vec<f64>,
}

impl MultiLabelHead {
    /// The labels, in the order of the columns of every result.
    #[must_use]
    pub fn labels(&self) -> &Classes {
        &self.labels
    }

    /// Coefficients `[labels, dimensions]`.
    #[must_use]
    pub fn coefficients(&self) -> &Array2<f64> {
        &self.coefficients
    }

    /// Intercepts `[labels]`.
    #[must_use]
    pub fn intercepts(&self) -> &Array1<f64> {
        &self.intercepts
    }

    /// The chosen penalty.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// The score that each label must exceed, infinite of labels never or always true.
    #[must_use]
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// F1 of each label's left-out examples at its threshold; a little too good, since the
    /// threshold was chosen on them.
    #[must_use]
    pub fn leave_one_out_f1(&self) -> &[f64] {
        &self.f1
    }

    /// Scores `[examples, labels]`, about 1 of true labels and -1 of others.
    ///
    /// # Errors
    ///
    /// [`Error::Width`], [`Error::NotFinite`].
    pub fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        linear_scores(x, &self.coefficients, &self.intercepts)
    }

    /// Which labels are predicted, `[examples, labels]`.
    ///
    /// # Errors
    ///
    /// [`Error::Width`], [`Error::NotFinite`].
    pub fn predict(&self, x: ArrayView2<f32>) -> Result<Array2<bool>> {
        let scores = self.decision_function(x)?;
        Ok(Array2::from_shape_fn(scores.dim(), |(i, j)| scores[[i, j]] > self.thresholds[j]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn thresholds_by_hand() {
        let (t, f) = (true, false);
        // Cuts after 1, 2 and 3: F1 of 2/3, 1/2, 4/5.
        assert_eq!(best_threshold(vec![(0.0, f), (3.0, t), (1.0, t), (2.0, f)]), (0.5, 0.8));
        assert_eq!(best_threshold(vec![(1.0, f), (2.0, f)]), (f64::INFINITY, 0.0));
        assert_eq!(best_threshold(vec![(1.0, t), (2.0, t)]), (f64::NEG_INFINITY, 1.0));
        let (threshold, f1) = best_threshold(vec![(1.0, t), (1.0, f), (1.0, f)]);
        assert_eq!((threshold, f1), (f64::NEG_INFINITY, 0.5));
    }

    #[test]
    fn labels_never_or_always_true() {
        let x = array![[1f32, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]];
        let truth = array![
            [true, false, true],
            [true, false, true],
            [true, false, false],
            [true, false, false]
        ];
        let names = |k: usize| Classes::new((0..k).map(|i| i.to_string()).collect()).unwrap();
        let head = MultiLabel::default().fit(x.view(), truth.view(), names(3)).unwrap();
        assert_eq!(head.predict(x.view()).unwrap(), truth);
        assert_eq!(head.leave_one_out_f1()[2], 1.0);
        let error = MultiLabel::default().fit(x.view(), truth.view(), names(2)).unwrap_err();
        assert!(matches!(error, Error::Columns { found: 3, expected: 2 }), "{error}");
        let nan = array![[f32::NAN, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]];
        assert!(MultiLabel::default().fit(nan.view(), truth.view(), names(3)).is_err());
        assert!(matches!(head.predict(array![[1f32]].view()), Err(Error::Width { .. })));
        assert_eq!(head.predict(Array2::zeros((0, 2)).view()).unwrap().dim(), (0, 3));
    }

    #[test]
    fn identical_examples_predict_all_or_nothing() {
        let x = Array2::from_elem((4, 2), 1f32);
        let truth = array![[true], [false], [false], [false]];
        let labels = Classes::new(vec!["a".into()]).unwrap();
        let head = MultiLabel::default().fit(x.view(), truth.view(), labels).unwrap();
        let predicted = head.predict(x.view()).unwrap();
        assert!(predicted.iter().all(|p| *p == predicted[[0, 0]]));
    }
}
