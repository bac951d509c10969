//! Inputs that belong to no known class.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::classes::Classes;
use crate::classifier::check;
use crate::error::{Error, Result};
use crate::examples::{Examples, check_finite};
use crate::heads::unit_rows;
use crate::numeric::student_quantile;

/// Cosines held at once.
const COSINES_AT_ONCE: usize = 1 << 20;
/// Unlabeled embeddings from which their mean is worth more than none.
const UNLABELED: usize = 20;

/// Tells known classes from unknown ones, with a threshold for a wanted false-accept rate.
///
/// # Formula
///
/// The score of x is its largest cosine with a labelled example. With 20 unlabeled embeddings
/// or more, their mean is subtracted from everything first: what all inputs have in common
/// says nothing about classes. (The mean of the labelled examples would not do: it lies nearer
/// to known inputs than to unknown ones.)
///
/// What unknown inputs score is learned by leaving one class out: an example of class c has
/// the score of an unknown one when it is compared with the other K - 1 classes only. Three
/// corrections make the threshold safe from few labels:
///
/// - An unknown input has K classes to resemble, not K - 1: for a wanted rate f the left-out
///   scores may exceed the threshold at the rate `1 - (1 - f)^((K - 1) / K)`.
/// - It is at least the `⌈(n + 1)(1 - rate)⌉`-th smallest of the n scores, if there is one.
/// - It is at least `mean + t · deviation · √(1 + 1/ν)`, the prediction bound of a normal
///   distribution, with t the quantile of Student's distribution of ν - 1 degrees of freedom,
///   and ν = min(n, K + 1): examples of a class share what makes them unlike the others, so n
///   scores of K classes are worth hardly more than K independent ones.
///
/// The rate is a mean over what comes: unknown inputs are taken to be as unlike the known
/// classes as these are unlike each other. Inputs nearer than that (a third team where two are
/// known) are accepted more often, and nothing but labels can tell.
///
/// Measured (`tests/open_set.rs`: reviews of films, 2 to 12 of them known with 5 to 16 labels
/// each, the rest of 19 unknown, means of 100 draws): for 5 % asked, 0 to 5.2 % are accepted,
/// for 10 % 0.7 to 9.0 %, for 20 % 6 to 18 %; the fewer classes, the further below. Reviews
/// are hard: at 10 % and 16 labels of 12 films 30 % of known ones pass, 41 % with unlabeled
/// embeddings.
///
/// # Cost
///
/// n² d once, n d an input; memory n d.
///
/// # Source
///
/// The score: nearest neighbours in embedding space, Sun et al. 2022, arXiv:2204.06507; open
/// set: Scheirer et al. 2013, *IEEE Trans. Pattern Anal. Mach. Intell.* 35; the threshold is
/// ours.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::Classes;
/// use offshoot_adapters::open_set::OpenSet;
///
/// let x = array![
///     [1.0f32, 0.0, 0.0], [0.9, 0.1, 0.0], [0.9, 0.0, 0.1],
///     [0.0, 1.0, 0.0], [0.1, 0.9, 0.0], [0.0, 0.9, 0.1],
/// ];
/// let (classes, y) = Classes::from_labels(&["a", "a", "a", "b", "b", "b"])?;
/// let gate = OpenSet::fit(x.view(), &y, &classes, None)?;
/// let new = array![[0.95f32, 0.05, 0.0], [0.0, 0.1, 0.9]];
/// assert_eq!(gate.accepts(new.view(), 0.1)?, [true, false]);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSet {
    /// Labelled embeddings, centred and of unit length.
    pub(crate) keys: Array2<f64>,
    pub(crate) center: Array1<f64>,
    pub(crate) classes: usize,
    /// Scores of examples of a class left out, rising.
    pub(crate) unknown: Vec<f64>,
    /// Scores of examples against all others, of those with another of their class, rising.
    pub(crate) known: Vec<f64>,
}

impl OpenSet {
    /// Learns from embeddings `[examples, dimensions]`, the class of each, and unlabeled
    /// embeddings of the inputs that will come, if there are any.
    ///
    /// # Errors
    ///
    /// Those of bad examples (see [`Error`]), [`Error::Width`] and [`Error::NotFinite`] of the
    /// unlabeled ones, [`Error::TooLarge`].
    pub fn fit(
        x: ArrayView2<f32>,
        y: &[usize],
        classes: &Classes,
        unlabeled: Option<ArrayView2<f32>>,
    ) -> Result<Self> {
        let examples = Examples::new(x, y, classes)?;
        let (n, d) = (examples.len(), examples.dimensions());
        examples.check_memory("open-set rejection", &[4 * n as u128 * d as u128])?;
        let mut center = Array1::zeros(d);
        if let Some(unlabeled) = unlabeled {
            check(unlabeled, d)?;
            check_finite(unlabeled)?;
            if unlabeled.nrows() >= UNLABELED {
                for row in unlabeled.axis_chunks_iter(Axis(0), 1) {
                    center += &unit_rows(row).row(0);
                }
                center /= unlabeled.nrows() as f64;
            }
        }
        let keys = directions(x, &center);
        let (mut unknown, mut known) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let rows = (COSINES_AT_ONCE / n).max(1);
        for (part, queries) in keys.axis_chunks_iter(Axis(0), rows).enumerate() {
            let cosines = queries.dot(&keys.t());
            for (offset, row) in cosines.outer_iter().enumerate() {
                let own = part * rows + offset;
                let (mut other, mut any) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
                for (i, &cosine) in row.iter().enumerate().filter(|(i, _)| *i != own) {
                    any = any.max(cosine);
                    if y[i] != y[own] {
                        other = other.max(cosine);
                    }
                }
                unknown.push(other);
                if examples.counts[y[own]] > 1 {
                    known.push(any);
                }
            }
        }
        unknown.sort_unstable_by(f64::total_cmp);
        known.sort_unstable_by(f64::total_cmp);
        Ok(Self { keys, center, classes: classes.len(), unknown, known })
    }

    /// What is taken from embeddings of unit length, `[dimensions]`: the mean of the unlabeled
    /// ones, or zeros.
    #[must_use]
    pub fn center(&self) -> &Array1<f64> {
        &self.center
    }

    /// The labelled embeddings, centred and of unit length, `[examples, dimensions]`.
    #[must_use]
    pub fn keys(&self) -> &Array2<f64> {
        &self.keys
    }

    /// The score of each embedding, -1 to 1: how near it is to the nearest example.
    ///
    /// # Errors
    ///
    /// [`Error::Width`], [`Error::NotFinite`].
    pub fn scores(&self, x: ArrayView2<f32>) -> Result<Vec<f64>> {
        check(x, self.keys.ncols())?;
        let rows = (COSINES_AT_ONCE / self.keys.nrows().max(1)).max(1);
        let mut scores = Vec::with_capacity(x.nrows());
        for part in x.axis_chunks_iter(Axis(0), rows) {
            let cosines = directions(part, &self.center).dot(&self.keys.t());
            let nearest = |row: ndarray::ArrayView1<f64>| row.fold(-1.0, |m: f64, &v| m.max(v));
            scores.extend(cosines.outer_iter().map(|row| nearest(row).min(1.0)));
        }
        Ok(scores)
    }

    /// The score that an input must pass so that unknown ones are accepted at no more than the
    /// wanted rate (0.05 for 5 %).
    ///
    /// It can lie above 1, where nothing passes: from so few labels so low a rate cannot be
    /// had.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that is not between 0 and 1.
    pub fn threshold(&self, false_accepts: f64) -> Result<f64> {
        if !(false_accepts > 0.0 && false_accepts < 1.0) {
            let expected = "a false-accept rate must lie between 0 and 1, such as 0.05";
            return Err(Error::Setting { name: "false_accepts", value: false_accepts, expected });
        }
        let (n, k) = (self.unknown.len() as f64, self.classes as f64);
        let rate = 1.0 - (1.0 - false_accepts).powf((k - 1.0) / k);
        let mean = self.unknown.iter().sum::<f64>() / n;
        let squares: f64 = self.unknown.iter().map(|score| (score - mean).powi(2)).sum();
        let deviation = (squares / (n - 1.0)).sqrt();
        let independent = n.min(k + 1.0);
        let quantile = student_quantile(1.0 - rate, independent - 1.0);
        let bound = mean + quantile * deviation * (1.0 + 1.0 / independent).sqrt();
        let rank = ((n + 1.0) * (1.0 - rate)).ceil() as usize;
        let ranked = self.unknown.get(rank.max(1) - 1).copied().unwrap_or(f64::NEG_INFINITY);
        Ok(bound.max(ranked))
    }

    /// Whether each embedding is taken to be of a known class, at the wanted false-accept rate.
    ///
    /// # Errors
    ///
    /// Those of [`OpenSet::threshold`] and [`OpenSet::scores`].
    pub fn accepts(&self, x: ArrayView2<f32>, false_accepts: f64) -> Result<Vec<bool>> {
        let threshold = self.threshold(false_accepts)?;
        Ok(self.scores(x)?.into_iter().map(|score| score > threshold).collect())
    }

    /// The share of known inputs that pass at the wanted false-accept rate, by the labelled
    /// examples left out one by one; `None` if every class has one example only. It is a
    /// little low, for each is compared with one example less.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that is not between 0 and 1.
    pub fn expected_accepts(&self, false_accepts: f64) -> Result<Option<f64>> {
        let threshold = self.threshold(false_accepts)?;
        let n = self.known.len();
        let passed = n - self.known.partition_point(|&score| score <= threshold);
        Ok((n > 0).then(|| passed as f64 / n as f64))
    }
}

/// Unit length, minus the centre, unit length again.
fn directions(x: ArrayView2<f32>, center: &Array1<f64>) -> Array2<f64> {
    let mut x = unit_rows(x);
    if center.iter().all(|&v| v == 0.0) {
        return x;
    }
    x -= center;
    for mut row in x.outer_iter_mut() {
        let length = row.dot(&row).sqrt();
        // What lies at the centre is like nothing.
        row.mapv_inplace(|v| if length > 1e-12 { v / length } else { 0.0 });
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn classes(k: usize) -> Classes {
        Classes::new((0..k).map(|i| i.to_string()).collect()).unwrap()
    }

    #[test]
    fn threshold_by_hand() {
        let x = array![[1f32, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8]];
        let gate = OpenSet::fit(x.view(), &[0, 0, 1, 1], &classes(2), None).unwrap();
        // Against the other class only: 0 and -0.6; 0.6 and 0; 0 and 0.6; -0.6 and 0.
        assert!(gate.unknown.iter().zip([0.0, 0.0, 0.6, 0.6]).all(|(a, b)| (a - b).abs() < 1e-7));
        // 1 - √(1 - 0.75) = 0.5: the median of Student's distribution is 0, and the third of
        // four scores is the ⌈5 · 0.5⌉-th.
        assert!((gate.threshold(0.75).unwrap() - 0.6).abs() < 1e-7);
        // 1 - √0.81 = 0.1: no fifth score, so the bound, with t = 1.885618 of 2 degrees.
        let bound = 0.3 + 1.885_618_1 * 0.12f64.sqrt() * (4f64 / 3.0).sqrt();
        assert!((gate.threshold(0.19).unwrap() - bound).abs() < 1e-6);
        let scores = gate.scores(array![[2f32, 0.0], [0.0, -1.0]].view()).unwrap();
        assert!((scores[0] - 1.0).abs() < 1e-9 && scores[1].abs() < 1e-9, "{scores:?}");
        // Left out one by one: 0.8, 0.8, 0.8, 0.8.
        assert_eq!(gate.expected_accepts(0.75).unwrap(), Some(1.0));
    }

    #[test]
    fn lower_rates_have_higher_thresholds() {
        let x = Array2::from_shape_fn((30, 6), |(i, j)| ((i * i * 3 + j * 7) as f32).sin());
        let y: Vec<usize> = (0..30).map(|i| i % 3).collect();
        let gate = OpenSet::fit(x.view(), &y, &classes(3), None).unwrap();
        let thresholds: Vec<f64> =
            (1..100).map(|percent| gate.threshold(f64::from(percent) / 100.0).unwrap()).collect();
        assert!(thresholds.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn identical_zero_and_single_examples() {
        for value in [0f32, 0.5, 1e30] {
            let x = Array2::from_elem((6, 3), value);
            let gate = OpenSet::fit(x.view(), &[0, 0, 0, 1, 1, 1], &classes(2), None).unwrap();
            assert!(gate.threshold(0.1).unwrap().is_finite());
            // Unknown inputs look just like these, so these must not pass.
            assert_eq!(gate.accepts(x.view(), 0.1).unwrap(), [false; 6]);
        }
        let x = array![[1f32, 0.0], [0.0, 1.0]];
        let gate = OpenSet::fit(x.view(), &[0, 1], &classes(2), None).unwrap();
        assert!(gate.threshold(0.05).unwrap().is_finite());
        assert_eq!(gate.expected_accepts(0.05).unwrap(), None);
    }

    #[test]
    fn bad_input_is_refused() {
        let x = array![[1f32, 0.0], [0.0, 1.0]];
        let gate = OpenSet::fit(x.view(), &[0, 1], &classes(2), None).unwrap();
        for rate in [0.0, 1.0, -0.1, f64::NAN] {
            let error = gate.threshold(rate).unwrap_err();
            assert!(matches!(error, Error::Setting { name: "false_accepts", .. }), "{error}");
        }
        let wide = array![[1f32, 0.0, 0.0]];
        assert!(matches!(gate.scores(wide.view()), Err(Error::Width { found: 3, expected: 2 })));
        let nan = array![[f32::NAN, 0.0]];
        assert!(matches!(gate.scores(nan.view()), Err(Error::NotFinite { row: 0, .. })));
        assert!(gate.scores(Array2::zeros((0, 2)).view()).unwrap().is_empty());
        let fit = |y: &[usize], k, more| OpenSet::fit(x.view(), y, &classes(k), more);
        assert!(matches!(fit(&[0, 0], 1, None), Err(Error::OneClass { .. })));
        assert!(matches!(fit(&[0, 1], 2, Some(wide.view())), Err(Error::Width { .. })));
        assert!(matches!(fit(&[0, 1], 2, Some(nan.view())), Err(Error::NotFinite { .. })));
    }

    #[test]
    fn ten_thousand_classes() {
        let k = 10_000;
        let x = Array2::from_shape_fn((k, 14), |(i, j)| if (i >> j) & 1 == 1 { 1.0 } else { -1.0 });
        let y: Vec<usize> = (0..k).collect();
        let gate = OpenSet::fit(x.view(), &y, &classes(k), None).unwrap();
        let half = array![[1f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]];
        assert_eq!(gate.accepts(half.view(), 0.05).unwrap(), [false]);
        assert_eq!(gate.accepts(x.slice_axis(Axis(0), (7..8).into()), 0.05).unwrap(), [true]);
    }
}
