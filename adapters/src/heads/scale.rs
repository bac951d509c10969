//! How sharp probabilities should be, from leave-one-out scores.

use ndarray::{Array2, Axis};

/// Standard deviation of the prior on the logarithm of the scale.
const PRIOR_DEVIATION: f64 = 1.0;
/// Furthest the logarithm of the scale may lie from the prior's.
const REACH: f64 = 12.0;
/// Length of a step in search of the first peak.
const STRIDE: f64 = 0.5;

/// The scale `τ` that makes `softmax(τ scores)` the most plausible for the true classes.
///
/// This is temperature scaling (Guo et al. 2017, arXiv:1706.04599) made safe for a handful
/// of examples: `ln τ` has a normal prior around `ln prior` with a standard deviation of 1,
/// so that separable scores do not send `τ` to infinity and no scores at all give `prior`.
///
/// The plausibility may have several peaks above the prior's scale, and which of them Newton's
/// steps from afar end on hangs on the last bits of the scores. It is the first one, which is
/// found by walking; below the prior's scale there is one at most.
///
/// `scores` `[examples, classes]` must be made without the example of their row; only rows
/// for which `usable` holds are read.
pub(crate) fn fit_scale(
    scores: &Array2<f64>,
    y: &[usize],
    usable: impl Fn(usize) -> bool,
    prior: f64,
) -> f64 {
    let center = prior.ln();
    let at = |log: f64| {
        let (slope, curvature) = derivatives(scores, y, &usable, log.exp());
        let precision = 1.0 / (PRIOR_DEVIATION * PRIOR_DEVIATION);
        (slope + (log - center) * precision, curvature + precision)
    };
    let (mut low, mut high) = (center, center);
    if at(center).0 > 0.0 {
        low = center - REACH;
    } else {
        while high < center + REACH {
            (low, high) = (high, high + STRIDE);
            if at(high).0 > 0.0 {
                break;
            }
        }
    }
    let mut log = if low < center { center } else { low };
    for _ in 0..60 {
        let (slope, curvature) = at(log);
        if slope > 0.0 {
            high = log;
        } else {
            low = log;
        }
        let newton = log - slope / curvature;
        let inside = curvature > 0.0 && newton >= low && newton <= high;
        let next = if inside { newton } else { 0.5 * (low + high) };
        let moved = (next - log).abs();
        log = next;
        if moved < 1e-9 {
            break;
        }
    }
    log.exp()
}

/// First and second derivative of `Σ -ln softmax(τ scores)[y]` in `ln τ`.
fn derivatives(
    scores: &Array2<f64>,
    y: &[usize],
    usable: &impl Fn(usize) -> bool,
    tau: f64,
) -> (f64, f64) {
    let (mut first, mut second) = (0.0, 0.0);
    for (row, &class) in scores.axis_iter(Axis(0)).zip(y) {
        if !usable(class) {
            continue;
        }
        let largest = row.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
        for &score in row {
            // Relative to the largest, so that squares do not cancel.
            let (score, weight) = (score - largest, (tau * (score - largest)).exp());
            total += weight;
            mean += weight * score;
            square += weight * score * score;
        }
        mean /= total;
        let variance = (square / total - mean * mean).max(0.0);
        let slope = tau * (mean - (row[class] - largest));
        first += slope;
        second += slope + tau * tau * variance;
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_scale_that_made_the_labels() {
        // Three quarters of the labels follow the score: the odds are 3 at a difference of 1.
        let n = 40_000;
        let scores = Array2::from_shape_fn((n, 2), |(_, k)| k as f64);
        let y: Vec<usize> = (0..n).map(|i| usize::from(i % 4 != 0)).collect();
        let scale = fit_scale(&scores, &y, |_| true, 10.0);
        assert!((scale - 3f64.ln()).abs() < 1e-3, "{scale}");
    }

    #[test]
    fn the_prior_holds_it_when_the_labels_cannot() {
        let scores = ndarray::array![[0.0, 1.0], [0.0, 1.0]];
        assert!((fit_scale(&scores, &[1, 1], |_| false, 3.0) - 3.0).abs() < 1e-12);
        let separable = fit_scale(&scores, &[1, 1], |_| true, 3.0);
        assert!(separable > 3.0 && separable < 4.0, "{separable}");
        let wrong = fit_scale(&(&scores * 1e6), &[0, 0], |_| true, 3.0);
        assert!(wrong > 0.0 && wrong < 1e-2, "{wrong}");
        let equal = fit_scale(&Array2::zeros((2, 2)), &[0, 1], |_| true, 3.0);
        assert!((equal - 3.0).abs() < 1e-12);
    }
}
