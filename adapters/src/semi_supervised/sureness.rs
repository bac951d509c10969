//! From scores to probabilities that are as sure as others.

use ndarray::{Array2, ArrayView2};

use crate::numeric::softmax_rows;

/// Halvings of the interval of the logarithm of the scale.
const HALVINGS: usize = 60;
/// Largest and smallest scale.
const RANGE: (f64, f64) = (1e-3, 1e6);

/// The scale `s` at which the mean over rows of `max softmax(s · scores)` is that of
/// `max probabilities`, both `[rows, classes]`; it grows with s, so there is one. At the end of
/// the range where no scale reaches it; `None` without rows.
pub(super) fn scale_as_sure_as(
    scores: ArrayView2<f64>,
    probabilities: ArrayView2<f64>,
) -> Option<f64> {
    if scores.nrows() == 0 {
        return None;
    }
    let wanted = mean_largest(&probabilities.to_owned());
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let mut logits = &scores * middle.exp();
        softmax_rows(&mut logits);
        if mean_largest(&logits) < wanted { low = middle } else { high = middle }
    }
    Some((0.5 * (low + high)).exp())
}

fn mean_largest(rows: &Array2<f64>) -> f64 {
    let sum: f64 = rows.outer_iter().map(|row| row.fold(0.0, |m: f64, &p| m.max(p))).sum();
    sum / rows.nrows() as f64
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn scales_by_hand_and_at_the_ends() {
        // Softmax of (s, 0) is 0.9 at s = ln 9; the scores are half of that apart.
        let scores = array![[0.5, 0.0], [-0.25, 0.25]];
        let sure = array![[0.9, 0.1], [0.1, 0.9]];
        let scale = scale_as_sure_as(scores.view(), sure.view()).unwrap();
        assert!((scale - 2.0 * 9f64.ln()).abs() < 1e-9, "{scale}");
        let certain = array![[1.0, 0.0], [1.0, 0.0]];
        assert!(scale_as_sure_as(scores.view(), certain.view()).unwrap().is_finite());
        let even = array![[0.5, 0.5], [0.5, 0.5]];
        assert!(scale_as_sure_as(scores.view(), even.view()).unwrap() < 1.1e-3);
        assert_eq!(scale_as_sure_as(Array2::zeros((0, 2)).view(), even.view()), None);
    }
}
