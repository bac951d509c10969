//! Probabilities from scores, without overflow.

use ndarray::{Array2, Axis};

/// Replaces each row by `exp(v) / Σ exp(v)`.
pub(crate) fn softmax_rows(scores: &mut Array2<f64>) {
    for mut row in scores.axis_iter_mut(Axis(0)) {
        let largest = row.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        row.mapv_inplace(|v| (v - largest).exp());
        let total = row.sum();
        row /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_scores_stay_finite() {
        let mut scores = ndarray::array![[1e300, -1e300], [-1e300, -1e300], [0.0, 3f64.ln()]];
        softmax_rows(&mut scores);
        let expected = ndarray::array![[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]];
        assert!((scores - expected).iter().all(|d| d.abs() < 1e-15));
    }
}
