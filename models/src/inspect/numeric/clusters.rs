//! k-means.

use ndarray::{Array2, ArrayView2, Axis};

use crate::random::SplitMix64;

/// Most steps of one run.
const STEPS: usize = 50;

/// A partition by k-means.
#[derive(Debug, Clone)]
pub(crate) struct Clusters {
    /// The cluster of each row.
    pub(crate) of: Vec<usize>,
    /// The means, `[k, width]`.
    pub(crate) means: Array2<f32>,
    /// Sum of squared distances to the means.
    pub(crate) inertia: f64,
}

impl Clusters {
    /// The best of `restarts` runs of Lloyd's algorithm from means that k-means++ draws
    /// (Arthur and Vassilvitskii, 2007). `k` is at most the number of rows.
    pub(crate) fn fit(x: ArrayView2<'_, f32>, k: usize, restarts: usize, seed: u64) -> Self {
        let k = k.clamp(1, x.nrows().max(1));
        let runs = super::parallel::map(restarts.max(1), |run| {
            one_run(x, k, SplitMix64::stream(seed, "k-means", &[run as u64]))
        });
        let best = runs.into_iter().reduce(|a, b| if b.inertia < a.inertia { b } else { a });
        best.unwrap_or(Self { of: Vec::new(), means: Array2::zeros((k, x.ncols())), inertia: 0.0 })
    }

    /// The nearest mean of each row.
    pub(crate) fn assign(&self, x: ArrayView2<'_, f32>) -> Vec<usize> {
        assign(x, &self.means).0
    }
}

fn one_run(x: ArrayView2<'_, f32>, k: usize, mut random: SplitMix64) -> Clusters {
    let mut means = seeds(x, k, &mut random);
    let (mut of, mut inertia) = assign(x, &means);
    for _ in 0..STEPS {
        let mut counts = vec![0usize; k];
        let mut sums = Array2::<f64>::zeros((k, x.ncols()));
        for (row, &cluster) in x.outer_iter().zip(&of) {
            counts[cluster] += 1;
            sums.row_mut(cluster).iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v));
        }
        for (cluster, &count) in counts.iter().enumerate() {
            // A cluster without rows keeps its mean.
            if count > 0 {
                let mean = sums.row(cluster).mapv(|s| (s / count as f64) as f32);
                means.row_mut(cluster).assign(&mean);
            }
        }
        let (next, smaller) = assign(x, &means);
        let done = next == of;
        (of, inertia) = (next, smaller);
        if done {
            break;
        }
    }
    Clusters { of, means, inertia }
}

fn seeds(x: ArrayView2<'_, f32>, k: usize, random: &mut SplitMix64) -> Array2<f32> {
    let n = x.nrows();
    let mut means = Array2::zeros((k, x.ncols()));
    if n == 0 {
        return means;
    }
    let mut nearest = vec![f64::INFINITY; n];
    let mut chosen = random.below(n);
    for cluster in 0..k {
        means.row_mut(cluster).assign(&x.row(chosen));
        let mean = x.row(chosen);
        let own = f64::from(mean.dot(&mean));
        let products = x.dot(&mean);
        let mut total = 0.0;
        for ((nearest, row), &product) in nearest.iter_mut().zip(x.outer_iter()).zip(&products) {
            let distance = f64::from(row.dot(&row)) + own - 2.0 * f64::from(product);
            *nearest = nearest.min(distance.max(0.0));
            total += *nearest;
        }
        let mut left = f64::from(random.unit()) * total;
        chosen = nearest
            .iter()
            .position(|d| {
                left -= d;
                left < 0.0
            })
            .unwrap_or_else(|| random.below(n));
    }
    means
}

fn assign(x: ArrayView2<'_, f32>, means: &Array2<f32>) -> (Vec<usize>, f64) {
    let half: Vec<f32> = means.outer_iter().map(|m| 0.5 * m.dot(&m)).collect();
    let mut of = Vec::with_capacity(x.nrows());
    let mut inertia = 0.0;
    for part in x.axis_chunks_iter(Axis(0), 2048) {
        let products = part.dot(&means.t());
        for (row, products) in part.outer_iter().zip(products.outer_iter()) {
            let (mut best, mut least) = (0, f32::INFINITY);
            for (cluster, (p, h)) in products.iter().zip(&half).enumerate() {
                if h - p < least {
                    (best, least) = (cluster, h - p);
                }
            }
            inertia += (f64::from(row.dot(&row)) + 2.0 * f64::from(least)).max(0.0);
            of.push(best);
        }
    }
    (of, inertia)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separate_clouds_are_found() {
        let mut random = SplitMix64::new(2);
        let x = Array2::from_shape_fn((90, 3), |(i, j)| {
            0.1 * random.normal() + if j == i % 3 { 5.0 } else { 0.0 }
        });
        let clusters = Clusters::fit(x.view(), 3, 4, 7);
        for i in 0..90 {
            assert_eq!(clusters.of[i], clusters.of[i % 3]);
        }
        assert!(clusters.inertia < 90.0 * 3.0 * 0.02 && clusters.assign(x.view()) == clusters.of);
    }

    #[test]
    fn more_clusters_than_rows_and_equal_rows() {
        let same = Array2::<f32>::ones((4, 2));
        assert_eq!(Clusters::fit(same.view(), 9, 1, 0).inertia, 0.0);
        assert!(Clusters::fit(Array2::zeros((0, 2)).view(), 3, 1, 0).of.is_empty());
    }
}
