//! Of how many numbers the embeddings are a function, near each one.
//!
//! Shown and not scored: the literature disagrees on whether low or high is better (Ansuini and
//! others, 2019, arXiv:1905.12784, find low to go with accuracy; Lu and others, 2022,
//! arXiv:2206.01251, reward high). Unit: dimensions. Limits: both are below the truth above
//! about 20, where neighbours are far, and duplicates are left out, as their distance is 0.

use crate::inspect::Interval;
use crate::inspect::numeric::interval::{bootstrap, bootstrap_mean};

/// TwoNN (Facco and others, 2017, arXiv:1803.06992), from the distances to the two nearest
/// neighbours: the slope through 0 of `-log(1 - F(μ))` on `log μ` over `μ = r₂ / r₁` in rising
/// order with `F = i / n`, without the largest tenth.
pub fn two_nn(nearest: &[(f64, f64)], seed: u64) -> Option<(f64, Option<Interval>)> {
    let logs: Vec<f64> =
        nearest.iter().filter(|(one, _)| *one > 0.0).map(|(one, two)| (two / one).ln()).collect();
    if logs.len() < 10 {
        return None;
    }
    let value = slope(logs.clone());
    let interval =
        bootstrap(logs.len(), seed, |drawn| slope(drawn.iter().map(|&i| logs[i]).collect()));
    value.is_finite().then_some((value, interval))
}

fn slope(mut logs: Vec<f64>) -> f64 {
    logs.sort_unstable_by(f64::total_cmp);
    let n = logs.len() as f64;
    let kept = (n * 0.9) as usize;
    let (xy, xx) = logs.iter().take(kept).enumerate().fold((0.0, 0.0), |(xy, xx), (i, x)| {
        let y = -(1.0 - (i as f64 + 1.0) / n).ln();
        (xy + x * y, xx + x * x)
    });
    xy / xx
}

/// The maximum-likelihood estimate of Levina and Bickel (2004), inverses averaged as MacKay
/// and Ghahramani (2005) say: `1 / mean_i( 1/(k - 1) Σ_{j<k} log(T_k / T_j) )` over the
/// distances `T_1 … T_k` of each example to its neighbours, in rising order.
pub fn maximum_likelihood<'a>(
    distances: impl Iterator<Item = &'a [f64]>,
    seed: u64,
) -> Option<(f64, Option<Interval>)> {
    let inverses: Vec<f64> = distances
        .filter(|t| t.len() > 1 && t[0] > 0.0)
        .map(|t| {
            let last = t[t.len() - 1];
            let inner = &t[..t.len() - 1];
            inner.iter().map(|t| (last / t).ln()).sum::<f64>() / inner.len() as f64
        })
        .collect();
    let mean = inverses.iter().sum::<f64>() / inverses.len() as f64;
    if inverses.len() < 10 || mean <= 0.0 {
        return None;
    }
    let interval = bootstrap_mean(&inverses, seed)
        .map(|inverse| Interval { low: 1.0 / inverse.high, high: 1.0 / inverse.low });
    Some((1.0 / mean, interval))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::inspect::numeric::neighbors::Neighbors;
    use crate::random::SplitMix64;

    #[test]
    fn a_line_a_plane_and_duplicates() {
        let mut random = SplitMix64::new(4);
        let directions = Array2::from_shape_simple_fn((2, 384), || random.normal());
        for dimensions in [1usize, 2] {
            let mut t = Array2::from_shape_simple_fn((600, dimensions), || random.unit());
            let twin = t.row(0).to_owned();
            t.row_mut(1).assign(&twin);
            let x = t.dot(&crate::inspect::numeric::products::first(directions.view(), dimensions));
            let found = Neighbors::among(x.view(), 10);
            let pairs: Vec<_> = found.distances.outer_iter().map(|d| (d[0], d[1])).collect();
            let (two, interval) = two_nn(&pairs, 1).unwrap();
            let wanted = dimensions as f64;
            assert!((two / wanted - 1.0).abs() < 0.15, "{two}");
            assert!(interval.unwrap().low < two && two < interval.unwrap().high);
            let rows = found.distances.outer_iter();
            let rows: Vec<Vec<f64>> = rows.map(|row| row.to_vec()).collect();
            let (ml, _) = maximum_likelihood(rows.iter().map(Vec::as_slice), 1).unwrap();
            assert!((ml / wanted - 1.0).abs() < 0.2, "{ml}");
        }
        assert!(two_nn(&[(0.0, 0.0); 50], 1).is_none());
        assert!(maximum_likelihood(std::iter::empty(), 1).is_none());
    }
}
