//! Learning from examples without labels: smoothing over a graph of neighbours.

mod graph;
mod sureness;
#[cfg(test)]
mod tests;

use ndarray::{Array1, Array2, ArrayView2, Axis};

use self::graph::Graph;
use self::sureness::scale_as_sure_as;
use crate::classes::Classes;
use crate::classifier::check;
use crate::error::{Error, Result};
use crate::examples::{Examples, check_finite};
use crate::head::Head;
use crate::heads::Auto;
use crate::numeric::softmax_rows;
use crate::predictions::most_likely;

/// Neighbours that each example is joined with, and the share of a class's mean size that they
/// are at most, so that few of them belong to other classes.
const NEIGHBORS: usize = 7;
const NEIGHBORS_SHARE: usize = 3;
/// Weight of all labels together, in units of the pool's.
const LABEL_SHARE: f64 = 0.3;
/// Rounds of smoothing; what is left after them is below 0.9⁴⁰, 1.5 %.
const ROUNDS: usize = 40;
/// Most of a score that comes from its neighbours, the labels a class from which it falls, and
/// how soon it falls where the pool is small beside the labels.
const REACH: f64 = 0.9;
const REACH_LABELS: f64 = 5.6;
const REACH_POOL: f64 = 2.0;

/// What is known of the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pool {
    /// Nothing: the shares of the classes are estimated.
    #[default]
    Unknown,
    /// Every class is about equally frequent in it. Better where that is so, worse where not.
    Balanced,
}

/// Settings of learning with a pool of unlabeled embeddings.
///
/// # Method
///
/// Inputs that lie together tend to belong together: the pool shows where the crowds are, the
/// labels name them. The probabilities `P` of [`Auto`], fitted on the labels alone, are
/// smoothed over a graph that joins every embedding, labelled or not, with its 7 nearest
/// neighbours by cosine after centring, or with fewer where classes are small, a third of the
/// examples a class:
///
/// ```text
/// w = exp(-2 d² / sᵢsⱼ),  sᵢ the distance to the last neighbour,  S = D^-½ W D^-½
/// F ← α S F + (1 - α) B,  40 rounds
/// α = min(0.9, 5.6 / labels a class) / (1 + 2 labels / pool)
/// ```
///
/// B holds `P` minus its mean over the pool plus the shares of the classes (equal, or the mean
/// itself drawn towards equality when labels are few) for the pool, and the labels, with 0.3 of
/// the weight of the pool in all. Centring is what makes it work: without it a bias of `P`
/// towards one class is spread over the graph.
///
/// # Cost
///
/// For N embeddings in all, d dimensions and K classes: N² d to find neighbours, in blocks, and
/// 560 N K to smooth.
///
/// # Source
///
/// Zhou et al. 2003, *NIPS* 16 (local and global consistency); local scaling: Zelnik-Manor and
/// Perona 2004, *NIPS* 17; class proportions: Zhu, Ghahramani and Lafferty 2003, *ICML*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemiSupervised {
    /// What is known of the pool.
    pub pool: Pool,
}

impl SemiSupervised {
    /// The most embeddings, labelled and not, that are joined in a graph.
    pub const MAX_EXAMPLES: usize = 50_000;

    /// Fits to embeddings `[examples, dimensions]` with the class of each, and to the
    /// `unlabeled` ones, `[pool, dimensions]`.
    ///
    /// # Errors
    ///
    /// Those of bad examples, [`Error::Width`] and [`Error::NotFinite`] for the pool,
    /// [`Error::TooLarge`] beyond [`SemiSupervised::MAX_EXAMPLES`].
    pub fn fit(
        &self,
        x: ArrayView2<f32>,
        y: &[usize],
        classes: Classes,
        unlabeled: ArrayView2<f32>,
    ) -> Result<SemiSupervisedHead> {
        Self::check(x, y, &classes, unlabeled)?;
        let base = Auto::default().fit(x, y, classes)?;
        self.fit_from(base, x, y, unlabeled)
    }

    /// Smooths the probabilities of a head that was fitted to `x` and `y`, of any kind.
    ///
    /// # Errors
    ///
    /// As [`SemiSupervised::fit`]; [`Error::Width`] for a head of other dimensions.
    pub fn fit_from(
        &self,
        base: Head,
        x: ArrayView2<f32>,
        y: &[usize],
        unlabeled: ArrayView2<f32>,
    ) -> Result<SemiSupervisedHead> {
        check(x, base.dimensions())?;
        let examples = Self::check(x, y, base.classes(), unlabeled)?;
        let (n, k) = (examples.len(), base.classes().len());
        let total = n + unlabeled.nrows();
        let labels_a_class = n as f64 / k as f64;
        let mut shift = Array1::zeros(k);
        let mut start = Array2::zeros((total, k));
        let mean = joint_mean(x, unlabeled);
        if unlabeled.nrows() > 0 {
            let proba = base.predict_proba(unlabeled)?;
            let frequency = proba.sum_axis(Axis(0)) / unlabeled.nrows() as f64;
            shift = shares(&frequency, self.pool, labels_a_class) - &frequency - 1.0 / k as f64;
            for (mut row, p) in start.outer_iter_mut().skip(n).zip(proba.outer_iter()) {
                row.assign(&(&p + &shift));
            }
        }
        let weight = 1.0 + LABEL_SHARE * total as f64 / n as f64;
        for (mut row, &class) in start.outer_iter_mut().zip(y) {
            row.fill(-weight / k as f64);
            row[class] += weight;
        }

        let mut rows = Array2::zeros((total, examples.dimensions()));
        for (mut row, source) in
            rows.outer_iter_mut().zip(x.outer_iter().chain(unlabeled.outer_iter()))
        {
            row.zip_mut_with(&source, |v, &value| *v = value);
        }
        let rows = unit_rows(rows, &mean);
        let neighbors = (total / k / NEIGHBORS_SHARE).clamp(2, NEIGHBORS);
        let graph = Graph::new(rows, neighbors);
        let beside = n as f64 / unlabeled.nrows().max(1) as f64;
        let reach = REACH.min(REACH_LABELS / labels_a_class) / (1.0 + REACH_POOL * beside);
        let mut scores = start.clone();
        for _ in 0..ROUNDS {
            scores = graph.step(&scores, reach, &start);
        }
        let pool = scores.view().split_at(Axis(0), n).1;
        let scale = scale_as_sure_as(pool, base.predict_proba(unlabeled)?.view());
        Ok(SemiSupervisedHead { base, mean, graph, scores, labelled: n, reach, shift, scale })
    }

    /// Refuses bad examples and pools.
    fn check<'a>(
        x: ArrayView2<'a, f32>,
        y: &'a [usize],
        classes: &Classes,
        unlabeled: ArrayView2<f32>,
    ) -> Result<Examples<'a>> {
        let examples = Examples::new(x, y, classes)?;
        check(unlabeled, examples.dimensions())?;
        let (n, k) = (examples.len(), classes.len());
        let total = n + unlabeled.nrows();
        // 4 bytes a dimension; scores and edges besides.
        let mib = |rows: usize| (rows * (4 * examples.dimensions() + 24 * k + 200)) as u64 >> 20;
        if total > Self::MAX_EXAMPLES {
            return Err(Error::TooLarge {
                what: "learning with unlabeled examples",
                examples: total,
                classes: k,
                dimensions: examples.dimensions(),
                needed_mib: mib(total),
                limit_mib: mib(Self::MAX_EXAMPLES),
            });
        }
        Ok(examples)
    }
}

/// The shares of the classes that smoothing aims at, from their mean probabilities.
fn shares(frequency: &Array1<f64>, pool: Pool, labels_a_class: f64) -> Array1<f64> {
    // With few labels the mean says more of the head's bias than of the pool.
    let trust = match pool {
        Pool::Balanced => 0.0,
        Pool::Unknown => labels_a_class / (labels_a_class + 1.0),
    };
    let shares = frequency.mapv(|f| f.max(f64::MIN_POSITIVE).powf(trust));
    let total = shares.sum();
    shares / total
}

fn joint_mean(x: ArrayView2<f32>, unlabeled: ArrayView2<f32>) -> Array1<f32> {
    let mut sum = Array1::<f64>::zeros(x.ncols());
    for row in x.outer_iter().chain(unlabeled.outer_iter()) {
        sum.zip_mut_with(&row, |total, &value| *total += f64::from(value));
    }
    let count = (x.nrows() + unlabeled.nrows()) as f64;
    sum.mapv(|total| (total / count) as f32)
}

/// Rows minus `mean`, scaled to unit length.
fn unit_rows(mut rows: Array2<f32>, mean: &Array1<f32>) -> Array2<f32> {
    for mut row in rows.outer_iter_mut() {
        row -= mean;
        let length = row.dot(&row).sqrt().max(1e-12);
        row /= length;
    }
    rows
}

/// A head that was fitted with a pool.
///
/// Its scores rank classes. Its probabilities are their softmax at the scale where they are as
/// sure of the pool, on the mean, as those of the base head: smoothing moves decisions, and says
/// little of how many of them are right. Without a pool they are the base head's.
#[derive(Clone, Debug, PartialEq)]
pub struct SemiSupervisedHead {
    base: Head,
    mean: Array1<f32>,
    graph: Graph,
    scores: Array2<f64>,
    labelled: usize,
    reach: f64,
    shift: Array1<f64>,
    /// What scores are multiplied by to be log-odds; `None` without a pool.
    scale: Option<f64>,
}

impl SemiSupervisedHead {
    /// The classes, in the order of the columns of every result.
    #[must_use]
    pub fn classes(&self) -> &Classes {
        self.base.classes()
    }

    /// The head that knows the labels only.
    #[must_use]
    pub fn base(&self) -> &Head {
        &self.base
    }

    /// Scores of the pool's embeddings, `[pool, classes]`; the highest one wins.
    #[must_use]
    pub fn pool_scores(&self) -> ArrayView2<'_, f64> {
        self.scores.view().split_at(Axis(0), self.labelled).1
    }

    /// The most likely class of each of the pool's embeddings.
    #[must_use]
    pub fn pool_classes(&self) -> Vec<usize> {
        self.pool_scores().outer_iter().map(|row| most_likely(row).0).collect()
    }

    /// Scores of embeddings that were not in the pool, `[examples, classes]`: those of their
    /// neighbours in it, and the base head's own answer.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    pub fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        check_finite(x)?;
        let mut scores = self.base.predict_proba(x)? + &self.shift;
        scores *= 1.0 - self.reach;
        let rows = unit_rows(x.to_owned(), &self.mean);
        scores.scaled_add(self.reach, &self.graph.extend(rows.view(), &self.scores));
        Ok(scores)
    }

    /// Probabilities of the pool's embeddings, `[pool, classes]`.
    #[must_use]
    pub fn pool_proba(&self) -> Array2<f64> {
        let mut logits = self.pool_scores().to_owned() * self.scale.unwrap_or(1.0);
        softmax_rows(&mut logits);
        logits
    }

    /// Probabilities of embeddings that were not in the pool, `[examples, classes]`.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    pub fn predict_proba(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        let Some(scale) = self.scale else { return self.base.predict_proba(x) };
        let mut logits = self.decision_function(x)? * scale;
        softmax_rows(&mut logits);
        Ok(logits)
    }

    /// The most likely class of embeddings that were not in the pool.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::NotFinite`].
    pub fn predict(&self, x: ArrayView2<f32>) -> Result<Vec<usize>> {
        let scores = self.decision_function(x)?;
        Ok(scores.outer_iter().map(|row| most_likely(row).0).collect())
    }
}
