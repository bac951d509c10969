//! Groups without labels.

use ndarray::{ArrayView2, Axis};

use super::partition::adjusted_rand;
use crate::inspect::Interval;
use crate::inspect::numeric::clusters::Clusters;
use crate::inspect::numeric::interval::bootstrap_mean;
use crate::inspect::numeric::products::first;
use crate::inspect::numeric::{parallel, statistics};
use crate::random::SplitMix64;

/// Most rows of which every pair is compared.
pub const MOST_ROWS: usize = 1500;
/// Pairs of halves by which stability is judged.
const HALVES: usize = 6;
/// Numbers of clusters that are tried where none is given.
const TRIED: [usize; 7] = [2, 3, 4, 6, 8, 12, 16];

/// A grouping by k-means.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Grouping {
    /// Number of clusters.
    pub k: usize,
    /// Mean silhouette (Rousseeuw, 1987) `(b - a) / max(a, b)` of [`MOST_ROWS`] examples at
    /// most, with a the mean distance to the own and b to the nearest other cluster: 1 for
    /// far and tight clusters, 0 for a division of one cloud.
    pub silhouette: f64,
    /// Its interval, over the examples.
    pub interval: Option<Interval>,
    /// Mean adjusted Rand index of the groupings of all rows that are learned from two halves
    /// (after Lange and others, 2004): 1 where the groups are the data's and not chance's.
    pub stability: f64,
    /// Interval of the stability, over pairs of halves.
    pub stability_interval: Option<Interval>,
    /// The cluster of each row.
    #[serde(skip)]
    pub of: Vec<usize>,
}

/// Groups rows into `k` clusters or, where `k` is `None`, into the number among 2 to 16 of the
/// largest silhouette. `None` of fewer than 8 rows or rows that are all the same.
pub fn group(x: ArrayView2<'_, f32>, k: Option<usize>, seed: u64) -> Option<Grouping> {
    let n = x.nrows();
    if n < 8 || x.outer_iter().all(|row| row == x.row(0)) {
        return None;
    }
    let part = first(x, MOST_ROWS);
    let distances = distances(part);
    let k = k.unwrap_or_else(|| {
        let tried = TRIED.iter().copied().filter(|&k| k <= n / 3);
        let scored = tried.map(|k| {
            let clusters = Clusters::fit(part, k, 2, seed);
            (k, statistics::mean(&silhouettes(distances.view(), &clusters.of)))
        });
        scored.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(2, |(k, _)| k)
    });
    let k = k.clamp(2, n / 2);
    let clusters = Clusters::fit(x, k, 4, seed);
    let each = silhouettes(distances.view(), &clusters.of[..part.nrows()]);
    let agreements = parallel::map(HALVES, |pair| {
        let mut random = SplitMix64::stream(seed, "halves", &[pair as u64]);
        let mut order: Vec<usize> = (0..n).collect();
        random.shuffle(&mut order);
        let learned = |rows: &[usize]| {
            Clusters::fit(x.select(Axis(0), rows).view(), k, 2, seed ^ pair as u64).assign(x)
        };
        let (a, b) = order.split_at(n / 2);
        adjusted_rand(&learned(a), &learned(b))
    });
    Some(Grouping {
        k,
        silhouette: statistics::mean(&each),
        interval: bootstrap_mean(&each, seed),
        stability: statistics::mean(&agreements),
        stability_interval: bootstrap_mean(&agreements, seed),
        of: clusters.of,
    })
}

/// Distances of all pairs of rows.
pub(crate) fn distances(x: ArrayView2<'_, f32>) -> ndarray::Array2<f32> {
    let squares: Vec<f32> = x.outer_iter().map(|row| row.dot(&row)).collect();
    let mut distances = x.dot(&x.t());
    for ((i, j), v) in distances.indexed_iter_mut() {
        *v = if i == j { 0.0 } else { (squares[i] + squares[j] - 2.0 * *v).max(0.0).sqrt() };
    }
    distances
}

/// The silhouette of each row, from the distances of all pairs; 0 in a cluster of one.
pub fn silhouettes(distances: ArrayView2<'_, f32>, of: &[usize]) -> Vec<f64> {
    let k = of.iter().max().map_or(0, |most| most + 1);
    let mut counts = vec![0usize; k];
    of.iter().for_each(|&cluster| counts[cluster] += 1);
    let each = distances.outer_iter().zip(of).map(|(row, &own)| {
        let mut sums = vec![0.0f64; k];
        row.iter().zip(of).for_each(|(&d, &cluster)| sums[cluster] += f64::from(d));
        if counts[own] < 2 {
            return 0.0;
        }
        let within = sums[own] / (counts[own] - 1) as f64;
        let other = (0..k)
            .filter(|&c| c != own && counts[c] > 0)
            .map(|c| sums[c] / counts[c] as f64)
            .fold(f64::INFINITY, f64::min);
        let most = within.max(other);
        if most > 0.0 && other.is_finite() { (other - within) / most } else { 0.0 }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn perfect_clusters_are_found_counted_and_stable() {
        let mut random = SplitMix64::new(3);
        let x = Array2::from_shape_fn((160, 5), |(i, j)| {
            0.05 * random.normal() + if j == i % 4 { 3.0 } else { 0.0 }
        });
        let found = group(x.view(), None, 1).unwrap();
        assert_eq!(found.k, 4);
        assert!(found.silhouette > 0.95 && found.stability > 0.999, "{found:?}");
    }

    #[test]
    fn one_cloud_has_no_stable_groups_and_equal_rows_none() {
        let mut random = SplitMix64::new(3);
        let x = Array2::from_shape_simple_fn((200, 10), || random.normal());
        let found = group(x.view(), Some(5), 1).unwrap();
        assert!(found.silhouette < 0.15 && found.stability < 0.6, "{found:?}");
        assert!(group(Array2::ones((50, 3)).view(), None, 1).is_none());
    }
}
