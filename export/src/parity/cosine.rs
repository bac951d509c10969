//! Cosines of two embeddings of each text.

use ndarray::ArrayView2;
use serde::Serialize;

use super::Sample;

/// Cosines of the embeddings before and after, over texts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cosines {
    /// The smallest.
    pub min: f64,
    /// The first percentile.
    pub first_percentile: f64,
    /// The mean.
    pub mean: f64,
    /// Row of the text with the smallest.
    pub worst_row: u64,
}

impl Cosines {
    /// Of the cosines of the samples.
    pub(crate) fn of(cosines: &[f64], samples: &[Sample]) -> Self {
        let mut all: Vec<(f64, u64)> =
            cosines.iter().zip(samples).map(|(cosine, sample)| (*cosine, sample.row)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |i: usize| all.get(i).copied().unwrap_or((-1.0, 0));
        let mean = all.iter().map(|(cosine, _)| cosine).sum::<f64>() / all.len().max(1) as f64;
        Self { min: at(0).0, first_percentile: at(all.len() / 100).0, mean, worst_row: at(0).1 }
    }
}

/// The cosine of each row of `x` with that of `y`, `[texts, width]`. One that is not a
/// number counts as -1.
pub(crate) fn each(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> Vec<f64> {
    x.outer_iter()
        .zip(y.outer_iter())
        .map(|(x, y)| {
            let (mut dot, mut xx, mut yy) = (0f64, 0f64, 0f64);
            for (x, y) in x.iter().zip(y) {
                let (x, y) = (f64::from(*x), f64::from(*y));
                (dot, xx, yy) = (dot + x * y, xx + x * x, yy + y * y);
            }
            // Two embeddings of zero are the same.
            let cosine = if xx == 0.0 && yy == 0.0 { 1.0 } else { dot / (xx * yy).sqrt() };
            if cosine.is_finite() { cosine.clamp(-1.0, 1.0) } else { -1.0 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::Input;
    use super::*;

    #[test]
    fn the_worst_row_is_named() {
        let samples =
            [4, 9, 11].map(|row| Sample { row, input: Input::Text(String::new()), label: None });
        let x = array![[1f32, 0.], [3., 4.], [0., 0.]];
        let y = array![[2f32, 0.], [4., 3.], [0., 0.]];
        let cosines = Cosines::of(&each(x.view(), y.view()), &samples);
        assert!((cosines.min - 0.96).abs() < 1e-12);
        assert_eq!(cosines.worst_row, 9);
        assert!((cosines.mean - 2.96 / 3.0).abs() < 1e-12);
        let broken = array![[f32::NAN, 0.], [4., 3.], [0., 0.]];
        assert_eq!(Cosines::of(&each(x.view(), broken.view()), &samples).min, -1.0);
    }
}
