//! A cache of labelled embeddings beside class means.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::scale::fit_scale;
use super::{clearly_below, unit_rows};
use crate::classes::Classes;
use crate::classifier::{Classifier, check, scaled_softmax};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::Head;
use crate::numeric::softmax_rows;

/// Cosines held at once.
const COSINES_AT_ONCE: usize = 1 << 20;
/// Scale of the prior on `τ` in units of one over the mean of `1 - cos` between examples.
const PRIOR_SCALE: f64 = 4.0;

/// Settings of the cache.
///
/// # Formula
///
/// With `mₖ` the mean direction of class k (the mean of its examples of unit length, itself
/// of unit length) the decision is
///
/// ```text
/// sₖ(x) = cos(x, mₖ) + α / nₖ Σ_{i in k} exp(-β (1 - cos(x, xᵢ)))
/// ```
///
/// and the probabilities are `softmax(τ s)`. The first term knows where a class is, the
/// second also what shape it has: a class of several groups, or one example far from the
/// rest. Tip-Adapter has text embeddings of the class names for the first term, and sums the
/// second; the mean keeps classes of many examples from winning by their number.
///
/// α and β are those of the lists with the smallest log loss of the examples left out one by
/// one, which is exact (an example is taken out of its class mean and its own affinity is not
/// counted), each with its `τ` fitted to the same decisions under the log-normal prior that
/// all heads use, around `4 / v` with v the mean of `1 - cos` between examples. Examples alone
/// in their class are not left out; if all are, α and β are the first of each list.
///
/// The head keeps its examples: forgetting one means fitting again without it.
///
/// # Cost
///
/// n² (d + B) and some 15 n K for each of the A B pairs of α and β. Predicting costs n d an
/// embedding, and the head n d numbers of memory and file.
///
/// # Source
///
/// Zhang et al. 2022, *Tip-Adapter*, arXiv:2207.09519.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::{Cache, Classes, Classifier};
///
/// let x = array![[1.0f32, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]];
/// let (classes, y) = Classes::from_labels(&["ham", "ham", "spam", "spam"])?;
/// let head = Cache::default().fit(x.view(), &y, classes)?;
/// assert_eq!(head.predict(x.view())?, y);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Weights of the cache to choose from, each at least 0.
    pub alphas: Vec<f64>,
    /// Sharpnesses of the affinity to choose from, each > 0.
    pub betas: Vec<f64>,
}

impl Default for Cache {
    /// Tip-Adapter's α = 1 and β = 5.5 first, then α of 0.25, 4, 16 and β of 2, 10, 20, 40.
    fn default() -> Self {
        Self { alphas: vec![1.0, 0.25, 4.0, 16.0], betas: vec![5.5, 2.0, 10.0, 20.0, 40.0] }
    }
}

impl Cache {
    /// Fits a head to embeddings `[examples, dimensions]` and the class of each.
    ///
    /// # Errors
    ///
    /// Those of bad examples (see [`Error`]), [`Error::Setting`], [`Error::TooLarge`].
    pub fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        let first = |name, values: &[f64], least: f64| {
            let expected =
                "give at least one, each a finite number: alphas at least 0, betas over 0";
            let bad = |value| Error::Setting { name, value, expected };
            match values.iter().find(|v| !(**v >= least && v.is_finite())) {
                Some(&value) => Err(bad(value)),
                None => values.first().copied().ok_or(bad(f64::NAN)),
            }
        };
        let alpha = first("alphas", &self.alphas, 0.0)?;
        let beta = first("betas", &self.betas, f64::MIN_POSITIVE)?;
        let examples = Examples::new(x, y, &classes)?;
        let [n, d, k] =
            [examples.len(), examples.dimensions(), examples.classes()].map(|v| v as u128);
        let keys = unit_rows(x);
        let prior = PRIOR_SCALE / spread(&keys);
        let chosen = if examples.len() == examples.classes() {
            examples.check_memory("the cache", &[3 * n * d, 2 * k * d])?;
            Choice { alpha, beta, scale: prior }
        } else {
            let scores = (self.betas.len() as u128 + 4) * n * k;
            examples.check_memory("the cache", &[3 * n * d, 2 * k * d, scores])?;
            self.choose(&keys, &examples, prior)
        };
        let Choice { alpha, beta, scale } = chosen;
        Ok(Head::Cache(CacheHead::new(classes, keys, y.to_vec(), alpha, beta, scale)))
    }

    fn choose(&self, keys: &Array2<f64>, examples: &Examples, prior: f64) -> Choice {
        let left = LeftOut::new(keys, examples, &self.betas);
        let usable = |class: usize| examples.counts[class] > 1;
        let mut best = (f64::INFINITY, Choice { alpha: 1.0, beta: 1.0, scale: prior });
        for (&beta, affinities) in self.betas.iter().zip(&left.affinities) {
            for &alpha in &self.alphas {
                let mut scores = &left.cosines + &(affinities * alpha);
                let scale = fit_scale(&scores, examples.y, usable, prior);
                scores *= scale;
                softmax_rows(&mut scores);
                let judged =
                    scores.outer_iter().zip(examples.y).filter(|(_, class)| usable(**class));
                let loss: f64 =
                    judged.map(|(p, &class)| -p[class].max(f64::MIN_POSITIVE).ln()).sum();
                if clearly_below(loss, best.0) {
                    best = (loss, Choice { alpha, beta, scale });
                }
            }
        }
        best.1
    }
}

struct Choice {
    alpha: f64,
    beta: f64,
    scale: f64,
}

/// The two terms of the decision for each example without itself.
struct LeftOut {
    /// `cos(xᵢ, mₖ)`, `[examples, classes]`.
    cosines: Array2<f64>,
    /// Mean affinities `[examples, classes]` for each β.
    affinities: Vec<Array2<f64>>,
}

impl LeftOut {
    fn new(keys: &Array2<f64>, examples: &Examples, betas: &[f64]) -> Self {
        let (n, k) = (examples.len(), examples.classes());
        let sums = class_sums(keys, examples.y, k);
        let sizes: Array1<f64> = sums.outer_iter().map(|sum| sum.dot(&sum)).collect();
        let mut cosines = Array2::<f64>::zeros((n, k));
        let mut affinities = vec![Array2::<f64>::zeros((n, k)); betas.len()];
        let rows = (COSINES_AT_ONCE / n).max(1);
        for (part, queries) in keys.axis_chunks_iter(Axis(0), rows).enumerate() {
            let products = queries.dot(&keys.t());
            for (offset, row) in products.outer_iter().enumerate() {
                let own = part * rows + offset;
                for (other, &cosine) in row.iter().enumerate().filter(|(other, _)| *other != own) {
                    let class = examples.y[other];
                    cosines[[own, class]] += cosine;
                    for (affinities, beta) in affinities.iter_mut().zip(betas) {
                        affinities[[own, class]] += (-beta * (1.0 - cosine)).exp();
                    }
                }
                for class in 0..k {
                    let (mut size, mut count) = (sizes[class], examples.counts[class]);
                    if class == examples.y[own] {
                        // ‖S - x‖² of the sum S without the example, with x·(S - x) at hand.
                        size -= 2.0 * cosines[[own, class]] + row[own];
                        count -= 1;
                    }
                    cosines[[own, class]] *= inverse_length(size, count);
                    for affinities in &mut affinities {
                        affinities[[own, class]] /= count.max(1) as f64;
                    }
                }
            }
        }
        Self { cosines, affinities }
    }
}

/// One over the length of a sum of `count` unit vectors, given its square; 0 of what is zero
/// but for rounding.
fn inverse_length(size: f64, count: usize) -> f64 {
    if size > 1e-14 * (count * count) as f64 { 1.0 / size.sqrt() } else { 0.0 }
}

/// Sum of the rows of each class, `[classes, dimensions]`.
fn class_sums(keys: &Array2<f64>, y: &[usize], classes: usize) -> Array2<f64> {
    let mut sums = Array2::zeros((classes, keys.ncols()));
    for (row, &class) in keys.outer_iter().zip(y) {
        sums.row_mut(class).zip_mut_with(&row, |sum, &value| *sum += value);
    }
    sums
}

/// Mean of `1 - cos` between different examples; 1 if they are identical.
fn spread(keys: &Array2<f64>) -> f64 {
    let n = keys.nrows() as f64;
    let sum = keys.sum_axis(Axis(0));
    let own: f64 = keys.iter().map(|v| v * v).sum();
    let spread = 1.0 - (sum.dot(&sum) - own) / (n * (n - 1.0));
    if spread > 1e-9 { spread } else { 1.0 }
}

/// A fitted cache head.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheHead {
    pub(crate) classes: Classes,
    /// Examples of unit length `[examples, dimensions]`.
    pub(crate) keys: Array2<f64>,
    /// Class of each.
    pub(crate) y: Vec<usize>,
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
    pub(crate) scale: f64,
    /// `mₖ`, `[classes, dimensions]`.
    means: Array2<f64>,
    counts: Vec<usize>,
}

impl CacheHead {
    pub(crate) fn new(
        classes: Classes,
        keys: Array2<f64>,
        y: Vec<usize>,
        alpha: f64,
        beta: f64,
        scale: f64,
    ) -> Self {
        let mut counts = vec![0; classes.len()];
        y.iter().for_each(|&class| counts[class] += 1);
        let mut means = class_sums(&keys, &y, classes.len());
        for (mut mean, &count) in means.outer_iter_mut().zip(&counts) {
            mean *= inverse_length(mean.dot(&mean), count);
        }
        Self { classes, keys, y, alpha, beta, scale, means, counts }
    }

    /// The chosen weight of the cache.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The chosen sharpness of the affinity.
    #[must_use]
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// `τ`, which turns decisions into logits.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The examples of unit length, `[examples, dimensions]`, those of zeros as they are.
    #[must_use]
    pub fn examples(&self) -> &Array2<f64> {
        &self.keys
    }

    /// The class of each example.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.y
    }

    /// `mₖ`, the mean direction of each class, `[classes, dimensions]`.
    #[must_use]
    pub fn means(&self) -> &Array2<f64> {
        &self.means
    }
}

impl Classifier for CacheHead {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn dimensions(&self) -> usize {
        self.keys.ncols()
    }

    /// Cosine to the class mean plus α times the mean affinity.
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        check(x, self.dimensions())?;
        let x = unit_rows(x);
        let mut scores = x.dot(&self.means.t());
        let rows = (COSINES_AT_ONCE / self.y.len().max(1)).max(1);
        for (part, mut scores) in
            x.axis_chunks_iter(Axis(0), rows).zip(scores.axis_chunks_iter_mut(Axis(0), rows))
        {
            let cosines = part.dot(&self.keys.t());
            for (row, mut scores) in cosines.outer_iter().zip(scores.outer_iter_mut()) {
                for (&cosine, &class) in row.iter().zip(&self.y) {
                    let affinity = (-self.beta * (1.0 - cosine)).exp();
                    scores[class] += self.alpha * affinity / self.counts[class] as f64;
                }
            }
        }
        Ok(scores)
    }

    fn probabilities(&self, scores: Array2<f64>) -> Array2<f64> {
        scaled_softmax(scores, self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn classes(k: usize) -> Classes {
        Classes::new((0..k).map(|i| i.to_string()).collect()).unwrap()
    }

    fn fit(settings: &Cache, x: &Array2<f32>, y: &[usize], k: usize) -> CacheHead {
        let Head::Cache(head) = settings.fit(x.view(), y, classes(k)).unwrap() else {
            panic!("another head")
        };
        head
    }

    #[test]
    fn decision_by_hand() {
        let settings = Cache { alphas: vec![2.0], betas: vec![3.0] };
        let x = array![[3f32, 0.0], [0.0, 2.0], [-1.0, 0.0]];
        let head = fit(&settings, &x, &[0, 0, 1], 2);
        let scores = head.decision_function(array![[0.5f32, 0.0]].view()).unwrap();
        let first = 0.5f64.sqrt() + 2.0 * (1.0 + (-3f64).exp()) / 2.0;
        let second = -1.0 + 2.0 * (-6f64).exp();
        assert!((scores - array![[first, second]]).iter().all(|d| d.abs() < 1e-12));
    }

    /// What is chosen on is what fitting without each example gives.
    #[test]
    fn leaving_out_is_exact() {
        let x = Array2::from_shape_fn((11, 4), |(i, j)| ((i * i * 5 + j * 3) as f32).sin());
        let y: Vec<usize> = (0..11).map(|i| i % 3).collect();
        let all = classes(3);
        let examples = Examples::new(x.view(), &y, &all).unwrap();
        let left = LeftOut::new(&unit_rows(x.view()), &examples, &[1.0, 6.0]);
        let (alpha, beta) = (0.7, 6.0);
        let settings = Cache { alphas: vec![alpha], betas: vec![beta] };
        for i in 0..11 {
            let rest: Vec<usize> = (0..11).filter(|&j| j != i).collect();
            let labels: Vec<usize> = rest.iter().map(|&j| y[j]).collect();
            let head = fit(&settings, &x.select(Axis(0), &rest), &labels, 3);
            let row = x.select(Axis(0), &[i]);
            let expected = head.decision_function(row.view()).unwrap();
            for k in 0..3 {
                let found = left.cosines[[i, k]] + alpha * left.affinities[1][[i, k]];
                assert!((found - expected[[0, k]]).abs() < 1e-12, "{i} {k}");
            }
        }
    }

    #[test]
    fn a_class_of_two_groups_needs_the_cache() {
        // Class 0 lies on both sides of class 1.
        let angle = |i: usize| -> f32 {
            let centre = [0.0, 1.0, 2.0][i % 3];
            centre + 0.01 * (i / 3) as f32
        };
        let x =
            Array2::from_shape_fn(
                (24, 2),
                |(i, j)| {
                    if j == 0 { angle(i).cos() } else { angle(i).sin() }
                },
            );
        let y: Vec<usize> = (0..24).map(|i| usize::from(i % 3 == 1)).collect();
        let head = fit(&Cache::default(), &x, &y, 2);
        assert_eq!(head.predict(x.view()).unwrap(), y);
        assert!(head.alpha() > 1.0, "{}", head.alpha());
    }

    #[test]
    fn opposite_examples_zeros_and_settings() {
        let x = array![[1f32, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]];
        let head = fit(&Cache::default(), &x, &[0, 0, 1, 1], 2);
        let p = head.predict_proba(x.view()).unwrap();
        assert!(p.iter().all(|p| p.is_finite()), "{p}");
        for (alphas, betas) in [
            (vec![], vec![1.0]),
            (vec![1.0], vec![]),
            (vec![-1.0], vec![1.0]),
            (vec![1.0], vec![0.0]),
            (vec![f64::NAN], vec![1.0]),
        ] {
            let error =
                Cache { alphas, betas }.fit(x.view(), &[0, 0, 1, 1], classes(2)).unwrap_err();
            assert!(matches!(error, Error::Setting { .. }), "{error}");
        }
    }
}
