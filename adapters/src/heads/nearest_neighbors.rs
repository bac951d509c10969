//! k-nearest neighbours.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::clearly_below;
use crate::classes::Classes;
use crate::classifier::{Classifier, check};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::head::Head;

/// Distances held at once.
const DISTANCES_AT_ONCE: usize = 1 << 20;
/// Squared distances below this share of the squared sizes are rounding error.
const ZERO: f64 = 1e-12;
/// Distances that differ by less than this share are equal.
const TIE: f64 = 1e-9;

/// How far apart two embeddings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `1 - cos`, which is 1 for an embedding of zeros.
    #[default]
    Cosine,
    /// `‖a - b‖`.
    Euclidean,
}

/// Settings of the nearest neighbours.
///
/// # Formula
///
/// The k examples nearest to x vote for their class with weight `1 / distance`; if some are
/// at distance 0, only those vote. All examples as near as the k-th vote, so that the order
/// of examples does not matter. The share `vⱼ` of the votes for class j is the decision, that
/// of scikit-learn's `KNeighborsClassifier(weights="distance")`; the probability is
/// `(k vⱼ + 1/K) / (k + 1)`, one more vote spread over the K classes, because no vote of five
/// is no proof of impossibility. k is the one of [`NearestNeighbors::neighbors`] with the
/// smallest log loss of the examples left out one by one (the first of equals), which is
/// exact: an example's own vote is not counted. Examples alone in their class are not left
/// out; if all are, k is the first.
///
/// The head keeps its examples: forgetting one means fitting again without it.
///
/// # Cost
///
/// n² d multiply-adds to choose k, nothing to fit a single one. Predicting costs n d, and the
/// head n d numbers of memory and file.
///
/// # Source
///
/// Cover and Hart 1967, *IEEE Trans. Inf. Theory* 13; weights: Dudani 1976, *IEEE Trans.
/// Syst. Man Cybern.* 6.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::{Classes, Classifier, NearestNeighbors};
///
/// let x = array![[1.0f32, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]];
/// let (classes, y) = Classes::from_labels(&["ham", "ham", "spam", "spam"])?;
/// let head = NearestNeighbors::default().fit(x.view(), &y, classes)?;
/// assert_eq!(head.predict(array![[0.7f32, 0.2]].view())?, [0]);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NearestNeighbors {
    /// Numbers of neighbours to choose from, each at least 1; those that reach the number of
    /// examples are left out of the choice.
    pub neighbors: Vec<usize>,
    /// The distance.
    pub metric: Metric,
}

impl Default for NearestNeighbors {
    /// 1, 3, 5, 7, 10, 15, 20 or 30 neighbours by the cosine.
    fn default() -> Self {
        Self { neighbors: vec![1, 3, 5, 7, 10, 15, 20, 30], metric: Metric::Cosine }
    }
}

impl NearestNeighbors {
    /// Fits a head to embeddings `[examples, dimensions]` and the class of each.
    ///
    /// # Errors
    ///
    /// Those of bad examples (see [`Error`]), [`Error::Setting`], [`Error::TooLarge`].
    pub fn fit(&self, x: ArrayView2<f32>, y: &[usize], classes: Classes) -> Result<Head> {
        let bad = |value| Error::Setting {
            name: "neighbors",
            value,
            expected: "give at least one number of neighbours, each at least 1",
        };
        if self.neighbors.contains(&0) {
            return Err(bad(0.0));
        }
        let Some(&first) = self.neighbors.first() else { return Err(bad(f64::NAN)) };
        let examples = Examples::new(x, y, &classes)?;
        let (n, d) = (examples.len(), examples.dimensions());
        examples.check_memory("nearest neighbours", &[3 * n as u128 * d as u128])?;
        let keys = Keys::new(x, y.to_vec(), self.metric);
        let mut choices: Vec<usize> = self.neighbors.iter().copied().filter(|&k| k < n).collect();
        if choices.is_empty() {
            choices.push(first.min(n));
        }
        let usable = (0..n).any(|i| examples.counts[y[i]] > 1);
        let neighbors = if usable && choices.len() > 1 {
            choose(&keys, &choices, &examples)
        } else {
            choices[0]
        };
        Ok(Head::NearestNeighbors(NearestNeighborsHead { classes, keys, neighbors }))
    }
}

/// The number of neighbours with the smallest leave-one-out log loss.
fn choose(keys: &Keys, choices: &[usize], examples: &Examples) -> usize {
    let (n, classes) = (examples.len(), examples.classes());
    let most = choices.iter().copied().max().unwrap_or(1);
    let mut losses = vec![0.0; choices.len()];
    let rows = (DISTANCES_AT_ONCE / n).max(1);
    for (part, queries) in keys.x.axis_chunks_iter(Axis(0), rows).enumerate() {
        let distances = keys.distances(queries);
        for (offset, row) in distances.outer_iter().enumerate() {
            let own = part * rows + offset;
            let class = examples.y[own];
            if examples.counts[class] < 2 {
                continue;
            }
            let others = (0..n).filter(|&i| i != own).map(|i| (row[i], i)).collect();
            let near = nearest(others, most);
            for (loss, &k) in losses.iter_mut().zip(choices) {
                let voters =
                    near.partition_point(|v| v.0 <= near[k.min(near.len()) - 1].0 * (1.0 + TIE));
                let (mut share, mut total) = (0.0, 0.0);
                for (index, weight) in weights(&near[..voters]) {
                    total += weight;
                    share += if examples.y[index] == class { weight } else { 0.0 };
                }
                *loss -= smoothed(share / total, k, classes).ln();
            }
        }
    }
    let best = losses.iter().zip(choices);
    best.fold((f64::INFINITY, choices[0]), |best, (&loss, &k)| {
        if clearly_below(loss, best.0) { (loss, k) } else { best }
    })
    .1
}

/// The `k` nearest and all as near as the last of them, sorted by distance, then place.
fn nearest(mut all: Vec<(f64, usize)>, k: usize) -> Vec<(f64, usize)> {
    let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if k < all.len() {
        let (_, last, _) = all.select_nth_unstable_by(k - 1, order);
        let limit = last.0 * (1.0 + TIE);
        all.retain(|(distance, _)| *distance <= limit);
    }
    all.sort_unstable_by(order);
    all
}

/// Votes of neighbours sorted by distance, relative to the nearest one's.
fn weights(near: &[(f64, usize)]) -> impl Iterator<Item = (usize, f64)> + '_ {
    let first = near.first().map_or(0.0, |v| v.0);
    near.iter().filter_map(move |&(distance, index)| {
        if first > 0.0 {
            Some((index, first / distance))
        } else {
            (distance == 0.0).then_some((index, 1.0))
        }
    })
}

fn smoothed(share: f64, k: usize, classes: usize) -> f64 {
    (k as f64 * share + 1.0 / classes as f64) / (k as f64 + 1.0)
}

/// The examples that others are compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keys {
    /// `[examples, dimensions]`, of length 1 for the cosine.
    pub(crate) x: Array2<f64>,
    /// Squared lengths.
    sizes: Array1<f64>,
    /// Class of each.
    pub(crate) y: Vec<usize>,
    pub(crate) metric: Metric,
}

impl Keys {
    fn new(x: ArrayView2<f32>, y: Vec<usize>, metric: Metric) -> Self {
        Self::from_compared(compared(x, metric), y, metric)
    }

    /// Examples that are of length 1 already if the metric wants it.
    pub(crate) fn from_compared(x: Array2<f64>, y: Vec<usize>, metric: Metric) -> Self {
        let sizes = x.outer_iter().map(|x| x.dot(&x)).collect();
        Self { x, sizes, y, metric }
    }

    /// Distances of embeddings of [`compared`] from all examples, `[embeddings, examples]`.
    fn distances(&self, queries: ArrayView2<f64>) -> Array2<f64> {
        let mut distances = queries.dot(&self.x.t());
        for (mut row, query) in distances.outer_iter_mut().zip(queries.outer_iter()) {
            let size = query.dot(&query);
            row.zip_mut_with(&self.sizes, |v, &key| {
                // For lengths 1, `1 - cos` is half of the squared distance.
                let squared = size + key - 2.0 * *v;
                let squared = if squared > ZERO * (size + key) { squared } else { 0.0 };
                *v = match self.metric {
                    Metric::Euclidean => squared.sqrt(),
                    Metric::Cosine if size == 0.0 || key == 0.0 => 1.0,
                    Metric::Cosine => 0.5 * squared,
                };
            });
        }
        distances
    }
}

/// Embeddings in f64, of length 1 for the cosine.
fn compared(x: ArrayView2<f32>, metric: Metric) -> Array2<f64> {
    match metric {
        Metric::Cosine => super::unit_rows(x),
        Metric::Euclidean => x.mapv(f64::from),
    }
}

/// A fitted nearest-neighbours head.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestNeighborsHead {
    pub(crate) classes: Classes,
    pub(crate) keys: Keys,
    pub(crate) neighbors: usize,
}

impl NearestNeighborsHead {
    /// The chosen number of neighbours.
    #[must_use]
    pub fn neighbors(&self) -> usize {
        self.neighbors
    }

    /// The distance.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.keys.metric
    }

    /// The examples that others are compared with, `[examples, dimensions]`: of unit length for
    /// the cosine, those of zeros as they are.
    #[must_use]
    pub fn examples(&self) -> &Array2<f64> {
        &self.keys.x
    }

    /// The class of each example.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.keys.y
    }
}

impl Classifier for NearestNeighborsHead {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn dimensions(&self) -> usize {
        self.keys.x.ncols()
    }

    /// Shares of the votes, each 0 to 1.
    fn decision_function(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        check(x, self.dimensions())?;
        let mut shares = Array2::zeros((x.nrows(), self.classes.len()));
        let rows = (DISTANCES_AT_ONCE / self.keys.y.len()).max(1);
        for (part, mut shares) in
            x.axis_chunks_iter(Axis(0), rows).zip(shares.axis_chunks_iter_mut(Axis(0), rows))
        {
            let distances = self.keys.distances(compared(part, self.keys.metric).view());
            for (row, mut shares) in distances.outer_iter().zip(shares.outer_iter_mut()) {
                let all = row.iter().enumerate().map(|(i, &distance)| (distance, i)).collect();
                for (index, weight) in weights(&nearest(all, self.neighbors)) {
                    shares[self.keys.y[index]] += weight;
                }
                let total = shares.sum();
                shares /= total;
            }
        }
        Ok(shares)
    }

    fn probabilities(&self, scores: Array2<f64>) -> Array2<f64> {
        let classes = self.classes.len();
        scores.mapv_into(|share| smoothed(share, self.neighbors, classes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn fit(
        metric: Metric,
        neighbors: &[usize],
        x: &Array2<f32>,
        y: &[usize],
    ) -> NearestNeighborsHead {
        let classes = Classes::new(vec!["a".into(), "b".into()]).unwrap();
        let settings = NearestNeighbors { neighbors: neighbors.to_vec(), metric };
        let Head::NearestNeighbors(head) = settings.fit(x.view(), y, classes).unwrap() else {
            panic!("another head")
        };
        head
    }

    #[test]
    fn votes_by_hand() {
        let x = array![[0f32], [4.0], [10.0], [-30.0]];
        let head = fit(Metric::Euclidean, &[3], &x, &[0, 1, 1, 0]);
        // Distances 1, 3, 9: votes 1, 1/3, 1/9.
        let shares = head.decision_function(array![[1f32], [4.0]].view()).unwrap();
        assert!((shares[[0, 0]] - 9.0 / 13.0).abs() < 1e-12);
        assert_eq!(shares.row(1).to_vec(), [0.0, 1.0]);
        let p = head.predict_proba(array![[4f32]].view()).unwrap();
        assert_eq!(p, array![[0.125, 0.875]]);
    }

    #[test]
    fn ties_all_vote() {
        let x = array![[0f32], [2.0], [0.0], [9.0]];
        let head = fit(Metric::Euclidean, &[1], &x, &[0, 1, 1, 1]);
        let shares = head.decision_function(array![[0f32], [1.0]].view()).unwrap();
        assert_eq!(shares.row(0).to_vec(), [0.5, 0.5]);
        assert!((shares[[1, 0]] - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn leaving_one_out_picks_more_neighbours_among_noise() {
        // Groups around 0 and 10; in each, one label is wrong.
        let x =
            Array2::from_shape_fn((20, 1), |(i, _)| (10 * (i % 2)) as f32 + (i / 2) as f32 * 0.1);
        let mut y: Vec<usize> = (0..20).map(|i| i % 2).collect();
        (y[8], y[9]) = (1, 0);
        let head = fit(Metric::Euclidean, &[1, 5], &x, &y);
        assert_eq!(head.neighbors(), 5);
    }

    #[test]
    fn zeros_and_few_examples() {
        let x = array![[0f32, 0.0], [1.0, 0.0]];
        for metric in [Metric::Cosine, Metric::Euclidean] {
            let head = fit(metric, &[30, 50], &x, &[0, 1]);
            assert_eq!(head.neighbors(), 2);
            let p = head.predict_proba(array![[0f32, 0.0], [5.0, 0.0]].view()).unwrap();
            assert!(p.iter().all(|p| p.is_finite()), "{p}");
            assert_eq!(head.predict(array![[5f32, 0.0]].view()).unwrap(), [1]);
        }
        for neighbors in [vec![], vec![0]] {
            let settings = NearestNeighbors { neighbors, ..NearestNeighbors::default() };
            let classes = Classes::new(vec!["a".into(), "b".into()]).unwrap();
            let error = settings.fit(x.view(), &[0, 1], classes).unwrap_err();
            assert!(matches!(error, Error::Setting { name: "neighbors", .. }), "{error}");
        }
    }
}
