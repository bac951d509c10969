//! Alignment and uniformity on the sphere (Wang and Isola, 2020, arXiv:2005.10242).

use ndarray::{Array2, ArrayView2};

use crate::inspect::Interval;
use crate::inspect::numeric::interval::{RESAMPLES, bootstrap_mean, percentiles};
use crate::inspect::numeric::products::{first, unit_rows};
use crate::random::SplitMix64;

/// Most rows of which every pair is compared.
pub const MOST_ROWS: usize = 1024;

/// `log mean exp(-2 ‖a - b‖²)` over pairs of rows `[rows, width]`, which must have unit length.
///
/// Unit: a logarithm. 0 where all are the same; the lower, the more evenly spread; -4 at best.
/// Of more than [`MOST_ROWS`] rows the first are used. 0 of fewer than 2 rows.
pub fn uniformity(unit: ArrayView2<'_, f32>) -> f64 {
    let kernel = kernel(unit);
    let n = kernel.nrows();
    let pairs = (n * n.saturating_sub(1)).max(1) as f64;
    log_mean(kernel.iter().map(|&v| f64::from(v)).sum::<f64>() / pairs, n)
}

/// [`uniformity`] with its bootstrap interval, in which a pair of an example with itself is no
/// pair.
pub fn uniformity_with_interval(unit: ArrayView2<'_, f32>, seed: u64) -> (f64, Option<Interval>) {
    let kernel = kernel(unit);
    let n = kernel.nrows();
    let value = uniformity(unit);
    if n < 3 {
        return (value, None);
    }
    let mut random = SplitMix64::stream(seed, "uniformity", &[]);
    let mut counts = Array2::<f32>::zeros((n, RESAMPLES));
    for mut column in counts.columns_mut() {
        (0..n).for_each(|_| column[random.below(n)] += 1.0);
    }
    let products = kernel.dot(&counts);
    let resampled = (0..RESAMPLES).map(|b| {
        let (w, kw) = (counts.column(b), products.column(b));
        let (mut total, mut same) = (0.0, 0.0);
        for (w, kw) in w.iter().zip(kw) {
            total += f64::from(*w) * f64::from(*kw);
            same += f64::from(w * w);
        }
        log_mean(total / ((n * n) as f64 - same), n)
    });
    (value, percentiles(resampled.collect()))
}

fn log_mean(mean: f64, rows: usize) -> f64 {
    if rows < 2 { 0.0 } else { mean.max(1e-300).ln() }
}

/// `exp(-2 ‖a - b‖²)` of all pairs, with 0 on the diagonal.
fn kernel(unit: ArrayView2<'_, f32>) -> Array2<f32> {
    let part = first(unit, MOST_ROWS);
    let mut kernel = part.dot(&part.t());
    kernel.mapv_inplace(|cosine| (-4.0 * (1.0 - cosine.min(1.0))).exp());
    kernel.diag_mut().fill(0.0);
    kernel
}

/// Mean squared distance `‖a - b‖²` of the unit embeddings of two views, row by row, with its
/// interval.
///
/// Unit: squared length, 0 where views of an input are the same, 2 where they are unrelated.
/// Limits: 0 for a collapsed encoder too, so it is read together with uniformity.
pub fn alignment(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    seed: u64,
) -> Option<(f64, Option<Interval>)> {
    let (a, b) = (unit_rows(a), unit_rows(b));
    let distances: Vec<f64> = a
        .outer_iter()
        .zip(b.outer_iter())
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum())
        .collect();
    if distances.is_empty() {
        return None;
    }
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    Some((mean, bootstrap_mean(&distances, seed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_limits() {
        let mut random = SplitMix64::new(1);
        let same = Array2::<f32>::from_elem((20, 4), 0.5);
        assert!(uniformity(same.view()).abs() < 1e-6);
        let cloud = Array2::from_shape_simple_fn((900, 256), || random.normal());
        let unit = unit_rows(cloud.view());
        let (value, interval) = uniformity_with_interval(unit.view(), 1);
        // Even in many dimensions: all cosines near 0, so log E exp(4 c - 4) → -4 + 8 / width.
        assert!((value + 4.0 - 8.0 / 256.0).abs() < 0.01, "{value}");
        let interval = interval.unwrap();
        assert!(interval.contains(value) && interval.high - interval.low < 0.05, "{interval:?}");
        assert_eq!(alignment(unit.view(), unit.view(), 1).unwrap().0, 0.0);
        let other = Array2::from_shape_simple_fn((900, 256), || random.normal());
        assert!((alignment(unit.view(), other.view(), 1).unwrap().0 - 2.0).abs() < 0.02);
        assert_eq!(uniformity(first(unit.view(), 1)), 0.0);
    }
}
