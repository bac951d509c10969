//! The head that sets itself: a mixture weighted by leave-one-out likelihood.

mod candidates;
mod dual;
mod fits;
mod kernel;
mod member;
mod sample;
mod tensors;

use std::fmt;

use ndarray::{Array1, Array2, ArrayView2, Axis};

use self::candidates::MAPS;
pub use self::candidates::Method;
use self::fits::{Fits, finalists};
pub use self::kernel::{FeatureMap, Kernel};
pub use self::member::Member;
use self::sample::{Many, even_sample, pick};
pub(crate) use self::tensors::{from_tensors, tensors};
use crate::classes::Classes;
use crate::classifier::{Classifier, check};
use crate::error::Result;
use crate::examples::Examples;
use crate::head::Head;
use crate::numeric::softmax_rows;

/// Power of the mixture's probabilities: a mean of calibrated answers is too timid.
pub const SHARPNESS: f64 = 1.2;
/// Most examples on which every map is tried.
const RACE: usize = 192;
/// Most examples that are compared pair by pair.
const PAIRS: usize = 512;

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
    /// Those of bad examples, [`Error::TooLarge`](crate::Error::TooLarge) and
    /// [`Error::Scale`](crate::Error::Scale).
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
    use super::sample::sampled;
    use super::*;
    use crate::head::HeadKind;
    use crate::metrics::log_loss;

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
}
