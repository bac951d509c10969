//! The head that sets itself: a mixture weighted by leave-one-out likelihood.

mod candidates;
mod dual;
mod kernel;
mod member;
mod tensors;

use std::fmt;

use ndarray::{Array1, Array2, ArrayView2, Axis};

pub use self::candidates::Method;
use self::candidates::{DISCRIMINANT, MAPS, RIDGE, log_prior};
use self::dual::{Centered, DualDiscriminant, DualFit, DualRidge};
pub use self::kernel::{FeatureMap, Kernel};
use self::kernel::{Products, inverse_deviations, to_unit};
pub use self::member::Member;
pub(crate) use self::tensors::{from_tensors, tensors};
use super::scale::fit_scale;
use crate::classes::Classes;
use crate::classifier::{Classifier, check};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::{Head, HeadKind};
use crate::metrics::log_loss;
use crate::numeric::softmax_rows;

/// Scale of the prior on a member's `τ` in units of one over its mean margin.
const PRIOR_SCALE: f64 = 4.0;
/// Power of the mixture's probabilities: a mean of calibrated answers is too timid.
pub const SHARPNESS: f64 = 1.2;
/// Members with less weight than this are left out.
const WEIGHT_FLOOR: f64 = 5e-3;
/// Most examples on which every map is tried.
const RACE: usize = 192;
/// Maps that go on to all examples when there are more.
const FINALISTS: usize = 2;
/// Most examples that are compared pair by pair.
const PAIRS: usize = 512;
/// Of more examples, one in this many of each class is held out to choose a head by.
const HELD_OUT: usize = 4;

/// The head with nothing to set.
///
/// # Method
///
/// No single head is best everywhere: at one label a class class means are hard to beat, with
/// more of them the covariance pays, raw measurements want curved boundaries, sentence
/// embeddings do not. This head fits ridge regression and the shared-covariance discriminant
/// over a grid of penalties under ten feature maps (linear, cosine, both on standardised
/// dimensions, Gaussian and Laplace kernels), and averages their probabilities with weights
///
/// ```text
/// w ∝ prior · Πᵢ p₋ᵢ(yᵢ | xᵢ)
/// ```
///
/// where `p₋ᵢ` is fitted without example i: the exact leave-one-out likelihood, in closed form,
/// of examples that have others of their class. With one example a class nothing can be left
/// out, and the prior decides: plain linear maps with a middling penalty. Each member's scores
/// become probabilities by its own scale τ, as in [`Ridge`](super::Ridge), and the mean of them
/// is raised to the power 1.2, as a mean of calibrated answers is less sure than it should be.
///
/// # Cost
///
/// For n examples, d dimensions and K classes: n² d for the inner products, then for each map
/// 8 n³ and 10 n² K. All maps are tried on at most 192 examples (spread over the classes); the
/// two best go on to all of them, up to 512. Predicting costs n d, or K d where every member is
/// linear.
///
/// With more than 512 examples, pairs of them are no longer compared: a quarter of each class is
/// held out to choose by log loss between nearest mean, ridge regression and the discriminant,
/// fitted to the others, and the mixture of an even sample of 512 of them. The chosen one is
/// fitted to all, and what is returned is then of that kind.
///
/// # Source
///
/// Averaging by predictive likelihood: Geisser and Eddy 1979, *JASA* 74; Gelfand and Dey 1994,
/// *JRSS B* 56 (pseudo-Bayes factors); leave-one-out in closed form: Rifkin and Lippert 2007
/// (ridge), Friedman 1989, *JASA* 84 (discriminant).
///
/// The head holds the examples themselves where a curved member has weight: whoever has its
/// file has their embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Auto {}

impl Auto {
    /// Fits a head to embeddings `[examples, dimensions]` and the class of each.
    ///
    /// # Errors
    ///
    /// Those of bad examples, [`Error::TooLarge`] and [`Error::Scale`].
    pub fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        let examples = Examples::new(x, y, &classes)?;
        if examples.len() > PAIRS {
            return Many::new(&examples).fit(x, y, classes);
        }
        let [n, d, k] =
            [examples.len(), examples.dimensions(), examples.classes()].map(|v| v as u128);
        examples.check_memory("the automatic head", &[4 * n * d, 10 * n * n, 40 * n * k])?;

        let maps = if examples.len() <= RACE {
            MAPS.to_vec()
        } else {
            let sample = even_sample(y, &examples.counts, RACE.max(2 * examples.classes()));
            let (x, y) = (x.select(Axis(0), &sample), pick(y, &sample));
            finalists(&Fits::new(&Examples::new(x.view(), &y, &classes)?, &MAPS)?)
        };
        let fits = Fits::new(&examples, &maps)?;
        let head = fits.into_head(&examples, classes);
        Ok(Head::Auto(head))
    }
}

/// More examples than are compared pair by pair.
struct Many {
    /// Rows to fit with while the kind is chosen, and rows to choose by.
    train: Vec<usize>,
    test: Vec<usize>,
    counts: Vec<usize>,
}

impl Many {
    fn new(examples: &Examples) -> Self {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        let mut seen = vec![0usize; examples.classes()];
        for (row, &class) in examples.y.iter().enumerate() {
            seen[class] += 1;
            if seen[class].is_multiple_of(HELD_OUT) { test.push(row) } else { train.push(row) }
        }
        Self { train, test, counts: examples.counts.clone() }
    }

    fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        let mut best = (f64::INFINITY, HeadKind::NearestMean);
        if self.test.is_empty() {
            return best.1.fit(x, y, classes);
        }
        let (train_x, train_y) = (x.select(Axis(0), &self.train), pick(y, &self.train));
        let (test_x, test_y) = (x.select(Axis(0), &self.test), pick(y, &self.test));
        let mut counts = vec![0; classes.len()];
        train_y.iter().for_each(|&class| counts[class] += 1);
        for kind in [HeadKind::NearestMean, HeadKind::Ridge, HeadKind::Discriminant, HeadKind::Auto]
        {
            let head = match kind {
                HeadKind::Auto => sampled(train_x.view(), &train_y, &counts, classes.clone()),
                kind => kind.fit(train_x.view(), &train_y, classes.clone()),
            };
            // A kind that the scale or the number of these examples defeats is not chosen.
            let Ok(head) = head else { continue };
            let loss = log_loss(head.predict_proba(test_x.view())?.view(), &test_y)?;
            if loss < best.0 {
                best = (loss, kind);
            }
        }
        match best.1 {
            HeadKind::Auto => sampled(x, y, &self.counts, classes),
            kind => kind.fit(x, y, classes),
        }
    }
}

/// The mixture of an even sample.
fn sampled(x: ArrayView2<f32>, y: &[usize], counts: &[usize], classes: Classes) -> Result<Head> {
    // At least two examples of each class: beyond this many classes there is no sample.
    let rows = even_sample(y, counts, PAIRS);
    if rows.len() > PAIRS {
        return Err(Error::TooLarge {
            what: "the automatic head",
            examples: y.len(),
            classes: counts.len(),
            dimensions: x.ncols(),
            needed_mib: ((rows.len() * rows.len()) >> 14) as u64,
            limit_mib: ((PAIRS * PAIRS) >> 14) as u64,
        });
    }
    Auto::default().fit(x.select(Axis(0), &rows).view(), &pick(y, &rows), classes)
}

fn pick(y: &[usize], rows: &[usize]) -> Vec<usize> {
    rows.iter().filter_map(|&row| y.get(row).copied()).collect()
}

/// At most about `limit` rows, the same share of each class and at least two of those that have
/// two, evenly spaced.
fn even_sample(y: &[usize], counts: &[usize], limit: usize) -> Vec<usize> {
    if y.len() <= limit {
        return (0..y.len()).collect();
    }
    let share = limit as f64 / y.len() as f64;
    let wanted: Vec<usize> =
        counts.iter().map(|&count| ((count as f64 * share) as usize).max(2).min(count)).collect();
    let mut seen = vec![0usize; counts.len()];
    let mut taken = vec![0usize; counts.len()];
    let mut rows = Vec::with_capacity(limit);
    for (row, &class) in y.iter().enumerate() {
        seen[class] += 1;
        // Row number `seen` of `count` is taken when it passes the next of `wanted` even steps.
        if seen[class] * wanted[class] > taken[class] * counts[class]
            && taken[class] < wanted[class]
        {
            taken[class] += 1;
            rows.push(row);
        }
    }
    rows
}

/// The maps whose members have the most weight together.
fn finalists(fits: &Fits) -> Vec<FeatureMap> {
    let mut totals: Vec<(FeatureMap, f64)> = Vec::new();
    for (fit, weight) in fits.fits.iter().zip(fits.weights()) {
        match totals.iter_mut().find(|(map, _)| *map == fit.map) {
            Some((_, total)) => *total += weight,
            None => totals.push((fit.map, weight)),
        }
    }
    totals.sort_by(|a, b| b.1.total_cmp(&a.1));
    totals.into_iter().take(FINALISTS).map(|(map, _)| map).collect()
}

/// One member before the weights are known.
struct Fit {
    map: FeatureMap,
    method: Method,
    penalty: f64,
    spread: f64,
    scale: f64,
    /// Logarithm of prior times leave-one-out likelihood.
    log_weight: f64,
    dual: DualFit,
}

/// All members on one set of examples.
struct Fits {
    mean: Array1<f64>,
    inverse_deviations: Array1<f64>,
    fits: Vec<Fit>,
}

impl Fits {
    fn new(examples: &Examples, maps: &[FeatureMap]) -> Result<Self> {
        let mean = examples.mean();
        let rows = examples.centered(&mean);
        let inverse_deviations = inverse_deviations(&rows);
        let mut fits = Vec::new();
        for standardized in [false, true] {
            for unit in [false, true] {
                let here: Vec<FeatureMap> = maps
                    .iter()
                    .copied()
                    .filter(|m| m.standardized == standardized && m.kernel.is_unit() == unit)
                    .collect();
                if here.is_empty() {
                    continue;
                }
                let scaled = if standardized { &rows * &inverse_deviations } else { rows.clone() };
                let scaled = if unit { to_unit(scaled) } else { scaled };
                let products = Products::new(scaled.view());
                for map in here {
                    fit_map(map, &products, examples, &mut fits);
                }
            }
        }
        if fits.is_empty() {
            return Err(Error::Scale("the automatic head"));
        }
        Ok(Self { mean, inverse_deviations, fits })
    }

    /// Weights that sum to 1.
    fn weights(&self) -> Vec<f64> {
        let largest = self.fits.iter().fold(f64::NEG_INFINITY, |m, fit| m.max(fit.log_weight));
        let mut weights: Vec<f64> =
            self.fits.iter().map(|fit| (fit.log_weight - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        weights
    }

    fn into_head(self, examples: &Examples, classes: Classes) -> AutoHead {
        let mut weights = self.weights();
        let floor = WEIGHT_FLOOR.min(weights.iter().fold(0.0, |m, &w| w.max(m)));
        weights.iter_mut().filter(|w| **w < floor).for_each(|w| *w = 0.0);
        let total: f64 = weights.iter().sum();
        let (n, k) = (examples.len(), examples.classes());
        let mut left_out = Array2::zeros((n, k));
        let rows = examples.centered(&self.mean);
        let mut members = Vec::new();
        let inverse_deviations = self.inverse_deviations;
        for (fit, weight) in self.fits.into_iter().zip(weights).filter(|(_, w)| *w > 0.0) {
            let weight = weight / total;
            let mut proba = &fit.dual.left_out * fit.scale;
            softmax_rows(&mut proba);
            left_out.scaled_add(weight, &proba);
            members.push(Member::new(fit, weight, &rows, &inverse_deviations));
        }
        sharpen(&mut left_out);
        softmax_rows(&mut left_out);
        let curved = members.iter().any(|member| !member.map.kernel.is_linear());
        let examples =
            if curved { examples.x.to_owned() } else { Array2::zeros((0, rows.ncols())) };
        AutoHead { classes, mean: self.mean, inverse_deviations, examples, members, left_out }
    }
}

/// Fits every method and penalty under one map.
fn fit_map(map: FeatureMap, products: &Products, examples: &Examples, fits: &mut Vec<Fit>) {
    let centered = Centered::new(products.kernel(map.kernel));
    let usable = |class: usize| examples.counts[class] > 1;
    let mut push = |method, penalty, dual: Option<DualFit>| {
        let Some(dual) = dual else { return };
        let margin = margin(&dual.scores, examples.y);
        let scale = fit_scale(&dual.left_out, examples.y, usable, PRIOR_SCALE / margin);
        let likelihood = log_likelihood(&dual.left_out, examples.y, usable, scale);
        let log_weight = log_prior(map, penalty) + likelihood;
        if log_weight.is_finite() && dual.coefficients.iter().all(|v| v.is_finite()) {
            let spread = products.spread;
            fits.push(Fit { map, method, penalty, spread, scale, log_weight, dual });
        }
    };
    let ridge = DualRidge::new(&centered, examples);
    for penalty in RIDGE {
        push(Method::Ridge, penalty, ridge.fit(penalty));
    }
    drop(ridge);
    if examples.len() > examples.classes()
        && let Some(discriminant) = DualDiscriminant::new(&centered, examples)
    {
        for penalty in DISCRIMINANT {
            push(Method::Discriminant, penalty, discriminant.fit(penalty));
        }
    }
}

/// Mean lead of an example's own class over the mean of the others, 1 if there is none.
fn margin(scores: &Array2<f64>, y: &[usize]) -> f64 {
    let (n, k) = scores.dim();
    let lead: f64 = scores
        .outer_iter()
        .zip(y)
        .map(|(row, &class)| row[class] - (row.sum() - row[class]) / (k - 1) as f64)
        .sum();
    let margin = lead / n as f64;
    if margin > f64::MIN_POSITIVE.sqrt() { margin } else { 1.0 }
}

/// `Σ ln softmax(τ scores)[y]` over the rows of usable classes.
fn log_likelihood(
    scores: &Array2<f64>,
    y: &[usize],
    usable: impl Fn(usize) -> bool,
    scale: f64,
) -> f64 {
    let mut total = 0.0;
    for (row, &class) in scores.outer_iter().zip(y).filter(|(_, class)| usable(**class)) {
        let largest = row.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        let sum: f64 = row.iter().map(|v| (scale * (v - largest)).exp()).sum();
        total += scale * (row[class] - largest) - sum.ln();
    }
    total
}

/// Replaces probabilities by the scores whose softmax is their sharpened form.
fn sharpen(mixture: &mut Array2<f64>) {
    mixture.mapv_inplace(|p| SHARPNESS * p.max(f64::MIN_POSITIVE).ln());
}

/// A fitted automatic head.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoHead {
    pub(crate) classes: Classes,
    pub(crate) mean: Array1<f64>,
    pub(crate) inverse_deviations: Array1<f64>,
    /// Embeddings that curved members compare with, `[n, dimensions]`; none if all are linear.
    pub(crate) examples: Array2<f32>,
    pub(crate) members: Vec<Member>,
    /// Probabilities of the examples, each by the members fitted without it, `[n, classes]`;
    pub(crate) left_out: Array2<f64>,
}

impl AutoHead {
    /// What was averaged and with which weights, the heaviest first.
    #[must_use]
    pub fn choices(&self) -> Vec<Choice> {
        let mut choices: Vec<Choice> = self.members.iter().map(Member::choice).collect();
        choices.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        choices
    }

    /// The members of the mixture, in the order in which they were fitted.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What is taken from every embedding first, `[dimensions]`.
    #[must_use]
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// What standardising maps multiply centred embeddings by, `[dimensions]`.
    #[must_use]
    pub fn inverse_deviations(&self) -> &Array1<f64> {
        &self.inverse_deviations
    }

    /// Whether it holds the embeddings of the examples.
    #[must_use]
    pub fn holds_examples(&self) -> bool {
        self.examples.nrows() > 0
    }

    /// Probabilities of the examples it was fitted on, each by members fitted without it,
    /// `[examples, classes]`; rows of examples that are alone in their class mean nothing.
    /// A head of a sample of the examples has those of the sample.
    #[must_use]
    pub fn leave_one_out(&self) -> Option<&Array2<f64>> {
        (self.left_out.nrows() > 0).then_some(&self.left_out)
    }
}

/// One member of an [`AutoHead`].
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its share of the answer, 0 to 1.
    pub weight: f64,
    /// The method: `ridge` or `discriminant`.
    pub method: &'static str,
    /// The feature map: `linear`, `cosine`, `gaussian`, `laplace`, `cosine-gaussian`.
    pub map: &'static str,
    /// Whether dimensions are standardised first.
    pub standardized: bool,
    /// Its penalty.
    pub penalty: f64,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standardized = if self.standardized { ", standardised" } else { "" };
        write!(
            f,
            "{:.0} % {} on {} features{standardized}, penalty {}",
            100.0 * self.weight,
            self.method,
            self.map,
            self.penalty
        )
    }
}

impl Classifier for AutoHead {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn dimensions(&self) -> usize {
        self.mean.len()
    }

    /// Logarithms of the mixture's probabilities, sharpened: the scores of the softmax.
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        check(x, self.dimensions())?;
        let rows = x.mapv(f64::from) - &self.mean;
        let mut mixture = Array2::zeros((x.nrows(), self.classes.len()));
        for member in &self.members {
            let mut proba =
                member.logits(&rows, &self.inverse_deviations, &self.mean, &self.examples);
            softmax_rows(&mut proba);
            mixture.scaled_add(member.weight, &proba);
        }
        sharpen(&mut mixture);
        Ok(mixture)
    }

    fn probabilities(&self, mut scores: Array2<f64>) -> Array2<f64> {
        softmax_rows(&mut scores);
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` examples of `k` classes around random centres, `offset` apart.
    fn blobs(n: usize, k: usize, d: usize, offset: f32) -> (Array2<f32>, Vec<usize>, Classes) {
        let noise = |i: usize, j: usize| {
            let mut v = (i as u64 * 1_000_003 + j as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            v ^= v >> 29;
            v = v.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (v >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let y: Vec<usize> = (0..n).map(|i| i % k).collect();
        let x = Array2::from_shape_fn((n, d), |(i, j)| {
            noise(i, j) + offset * noise(1_000_000 + y[i], j)
        });
        let names = (0..k).map(|class| format!("{class:05}")).collect();
        (x, y, Classes::new(names).unwrap())
    }

    #[test]
    fn weights_sum_to_one_and_what_is_left_out_is_not_what_was_fitted() {
        let (x, y, classes) = blobs(24, 3, 10, 0.7);
        let Head::Auto(head) = Auto::default().fit(x.view(), &y, classes).unwrap() else {
            panic!("another head")
        };
        let total: f64 = head.choices().iter().map(|choice| choice.weight).sum();
        assert!((total - 1.0).abs() < 1e-12);
        let (seen, unseen) = (head.predict_proba(x.view()).unwrap(), head.leave_one_out().unwrap());
        let own = |p: &Array2<f64>| y.iter().enumerate().map(|(i, &k)| p[[i, k]].ln()).sum::<f64>();
        assert!(own(&seen) > own(unseen) + 1.0, "examples look better than they are when seen");
    }

    #[test]
    fn one_label_a_class_is_decided_by_the_nearest() {
        let (x, y, classes) = blobs(4, 4, 16, 1.0);
        let head = Auto::default().fit(x.view(), &y, classes).unwrap();
        assert_eq!(head.predict(x.view()).unwrap(), y);
        let (far, truth, _) = blobs(400, 4, 16, 2.0);
        let right = head.predict(far.view()).unwrap();
        let hits = right.iter().zip(&truth).filter(|(a, b)| a == b).count();
        assert!(hits > 200, "{hits} of 400");
    }

    #[test]
    fn many_examples_are_given_to_the_kind_that_predicts_best() {
        // In 40 dimensions the classes overlap, and 2,000 examples tell more than 512.
        let (x, y, classes) = blobs(2_000, 4, 40, 0.5);
        let (test, truth, _) = blobs(4_000, 4, 40, 0.5);
        let test = test.slice_axis(Axis(0), ndarray::Slice::from(2_000..)).to_owned();
        let truth = &truth[2_000..];
        let loss = |head: &Head| log_loss(head.predict_proba(test.view()).unwrap().view(), truth);
        let chosen = Auto::default().fit(x.view(), &y, classes.clone()).unwrap();
        let sample = sampled(x.view(), &y, &[500; 4], classes).unwrap();
        assert!(matches!(sample, Head::Auto(_)));
        assert!(loss(&chosen).unwrap() <= loss(&sample).unwrap());
    }

    #[test]
    fn ten_thousand_classes_get_class_means() {
        let (x, y, classes) = blobs(10_000, 10_000, 4, 3.0);
        let head = Auto::default().fit(x.view(), &y, classes).unwrap();
        assert_eq!(head.kind(), HeadKind::NearestMean);
    }

    #[test]
    fn samples_are_even_and_keep_every_class() {
        let y: Vec<usize> = (0..1_000).map(|i| if i % 100 == 0 { 1 } else { 0 }).collect();
        let rows = even_sample(&y, &[990, 10], 100);
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
        let rare = rows.iter().filter(|&&row| y[row] == 1).count();
        assert!(
            (2..=3).contains(&rare) && (95..=105).contains(&rows.len()),
            "{rare} {}",
            rows.len()
        );
        assert_eq!(even_sample(&y, &[990, 10], 1_000).len(), 1_000);
    }
}
