//! The cosines of unrelated examples.

use ndarray::ArrayView2;

use super::uniformity::MOST_ROWS;
use crate::inspect::Interval;
use crate::inspect::numeric::interval::bootstrap;
use crate::inspect::numeric::products::first;

/// Bins of the histogram, from -1 to 1.
pub const BINS: usize = 40;

/// How the cosines of pairs are distributed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Cosines {
    /// Their mean, the anisotropy (Ethayarajh, 2019, arXiv:1909.00512): 0 where directions are
    /// used evenly, 1 where all embeddings point the same way.
    pub mean: f64,
    /// Interval of the mean.
    pub interval: Option<Interval>,
    /// Their standard deviation.
    pub deviation: f64,
    /// Share of the pairs in each of [`BINS`] bins of equal width from -1 to 1.
    pub histogram: Vec<f64>,
}

/// Of rows of unit length; of more than 1,024 the first. `None` of fewer than 3.
pub fn cosines(unit: ArrayView2<'_, f32>, seed: u64) -> Option<Cosines> {
    let n = unit.nrows().min(MOST_ROWS);
    if n < 3 {
        return None;
    }
    let part = first(unit, n);
    let cosines = part.dot(&part.t());
    let mut histogram = vec![0.0; BINS];
    let (mut sum, mut squares, mut pairs) = (0.0, 0.0, 0.0);
    for (i, row) in cosines.outer_iter().enumerate() {
        for &cosine in row.iter().skip(i + 1) {
            let cosine = f64::from(cosine).clamp(-1.0, 1.0);
            sum += cosine;
            squares += cosine * cosine;
            pairs += 1.0;
            histogram[(((cosine + 1.0) / 2.0 * BINS as f64) as usize).min(BINS - 1)] += 1.0;
        }
    }
    histogram.iter_mut().for_each(|count| *count /= pairs);
    let mean = sum / pairs;
    // Σ over pairs = (‖Σ x‖² - Σ ‖x‖²) / 2: a resample needs its sum only; pairs of an example
    // with itself have cosine 1 and are taken out.
    let interval = bootstrap(n, seed, |drawn| {
        let mut total = ndarray::Array1::<f32>::zeros(part.ncols());
        let mut counts = vec![0.0f64; n];
        for &i in drawn {
            total += &part.row(i);
            counts[i] += 1.0;
        }
        let same: f64 = counts.iter().map(|c| c * c).sum();
        (f64::from(total.dot(&total)) - same) / ((n * n) as f64 - same)
    });
    let deviation = (squares / pairs - mean * mean).max(0.0).sqrt();
    Some(Cosines { mean, interval, deviation, histogram })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::inspect::numeric::products::unit_rows;
    use crate::random::SplitMix64;

    #[test]
    fn an_even_cloud_and_a_collapse() {
        let mut random = SplitMix64::new(1);
        let cloud = Array2::from_shape_simple_fn((500, 64), || random.normal());
        let found = cosines(unit_rows(cloud.view()).view(), 3).unwrap();
        assert!(found.mean.abs() < 0.01 && found.interval.unwrap().contains(found.mean));
        // The cosine of random directions has variance 1 / width.
        assert!((found.deviation - 0.125).abs() < 0.003, "{found:?}");
        assert!((found.histogram.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let same = unit_rows(Array2::ones((50, 4)).view());
        assert!((cosines(same.view(), 3).unwrap().mean - 1.0).abs() < 1e-6);
        assert!(cosines(first(same.view(), 2), 3).is_none());
    }
}
