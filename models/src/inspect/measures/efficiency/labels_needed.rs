//! How many labels a wanted accuracy needs.

use super::curve::Point;
use crate::inspect::Interval;
use crate::inspect::numeric::interval::percentiles;
use crate::inspect::numeric::statistics;
use crate::random::SplitMix64;

/// Curves that are drawn to know the uncertainty.
const DRAWS: usize = 200;
/// Most labels of each class that are spoken of.
const MOST_LABELS: f64 = 1e7;

/// Error that falls by a power of the number of labels, `e(n) = a + b n^(-c)` (Hestness and
/// others, 2017, arXiv:1712.00409), with parametric bootstrap curves: the measured points
/// moved by their own errors.
///
/// Limits: a power law is an empirical rule; what lies far beyond the measured labels is a
/// guess, and its interval says how wide at least.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerLaw {
    fitted: [f64; 3],
    drawn: Vec<[f64; 3]>,
    /// Root of the mean squared distance of points from the fit, at least that of one example.
    noise: f64,
}

impl PowerLaw {
    /// Fits the points of a curve; `None` of fewer than 4.
    pub fn fit(points: &[Point], seed: u64) -> Option<Self> {
        if points.len() < 4 {
            return None;
        }
        let n: Vec<f64> = points.iter().map(|p| p.labels as f64).collect();
        let errors: Vec<f64> = points.iter().map(|p| 1.0 - p.accuracy).collect();
        let sigmas: Vec<f64> = points
            .iter()
            .map(|p| ((p.interval.high - p.interval.low) / (2.0 * 1.96)).max(2e-3))
            .collect();
        let fitted = solve(&n, &errors, &sigmas);
        let away: Vec<f64> =
            n.iter().zip(&errors).map(|(&n, e)| (value(fitted, n) - e).powi(2)).collect();
        let noise = statistics::mean(&away).sqrt();
        let mut random = SplitMix64::stream(seed, "power law", &[]);
        let drawn = (0..DRAWS).map(|_| {
            let moved = errors
                .iter()
                .zip(&sigmas)
                .map(|(e, s)| (e + s.hypot(noise) * f64::from(random.normal())).clamp(0.0, 1.0));
            solve(&n, &moved.collect::<Vec<_>>(), &sigmas)
        });
        let drawn = drawn.collect();
        Some(Self { fitted, drawn, noise })
    }

    /// Accuracy at `labels` of each class, and its interval.
    pub fn accuracy(&self, labels: usize) -> (f64, Option<Interval>) {
        let at = |law: &[f64; 3]| (1.0 - value(*law, labels as f64)).clamp(0.0, 1.0);
        let interval = percentiles(self.drawn.iter().map(at).collect()).map(|i| Interval {
            low: (i.low - self.noise).max(0.0),
            high: (i.high + self.noise).min(1.0),
        });
        (at(&self.fitted), interval)
    }

    /// Labels of each class for an accuracy, and the interval of that number. Infinite where
    /// the fitted curve never gets there; the upper end often is, which says that the measured
    /// labels do not rule it out.
    pub fn labels_for(&self, accuracy: f64) -> (f64, Option<Interval>) {
        let need = |[a, b, c]: &[f64; 3]| {
            let left = 1.0 - accuracy - a;
            if b + a <= 1.0 - accuracy {
                return 1.0;
            }
            let labels = if left > 0.0 { (b / left).powf(1.0 / c) } else { f64::INFINITY };
            if labels > MOST_LABELS { f64::INFINITY } else { labels.max(1.0) }
        };
        (need(&self.fitted), percentiles(self.drawn.iter().map(need).collect()))
    }
}

fn value([a, b, c]: [f64; 3], n: f64) -> f64 {
    a + b * n.powf(-c)
}

/// Weighted least squares with a, b ≥ 0, over a grid of exponents.
fn solve(n: &[f64], errors: &[f64], sigmas: &[f64]) -> [f64; 3] {
    let mut best = ([0.0, 0.0, 1.0], f64::INFINITY);
    for step in 1..=40 {
        let c = 0.05 * f64::from(step);
        let (mut w, mut wx, mut wxx, mut wy, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for ((n, y), s) in n.iter().zip(errors).zip(sigmas) {
            let (x, weight) = (n.powf(-c), 1.0 / (s * s));
            w += weight;
            wx += weight * x;
            wxx += weight * x * x;
            wy += weight * y;
            wxy += weight * x * y;
        }
        let determinant = w * wxx - wx * wx;
        let (mut a, mut b) =
            ((wxx * wy - wx * wxy) / determinant, (w * wxy - wx * wy) / determinant);
        if a < 0.0 {
            (a, b) = (0.0, wxy / wxx);
        }
        if b < 0.0 {
            (a, b) = (wy / w, 0.0);
        }
        let law = [a, b, c];
        let each = n.iter().zip(errors).zip(sigmas);
        let loss: f64 = each.map(|((n, y), s)| ((value(law, *n) - y) / s).powi(2)).sum();
        if loss < best.1 {
            best = (law, loss);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(law: [f64; 3], labels: &[usize], noise: f64, seed: u64) -> Vec<Point> {
        let mut random = SplitMix64::new(seed);
        let each = labels.iter().map(|&labels| {
            let accuracy = 1.0 - value(law, labels as f64) + noise * f64::from(random.normal());
            let reach = 1.96 * noise.max(1e-3);
            let interval = Interval { low: accuracy - reach, high: accuracy + reach };
            Point { labels, accuracy, interval, draws: vec![accuracy] }
        });
        each.collect()
    }

    #[test]
    fn the_law_that_made_the_points_is_found() {
        let law =
            PowerLaw::fit(&points([0.1, 0.5, 0.5], &[1, 2, 4, 8, 16, 32], 0.0, 1), 1).unwrap();
        assert!((law.accuracy(400).0 - 0.875).abs() < 1e-3);
        assert!((law.labels_for(0.8).0 - 25.0).abs() < 0.5);
        assert_eq!(law.labels_for(0.95).0, f64::INFINITY);
        assert_eq!(law.labels_for(0.3).0, 1.0);
        assert!(PowerLaw::fit(&points([0.1, 0.5, 0.5], &[1, 2, 4], 0.0, 1), 1).is_none());
    }

    #[test]
    fn the_true_curve_lies_within_the_interval_beyond_the_points() {
        let mut held = 0;
        for case in 0..20u64 {
            let law = [0.02 * (case % 5) as f64, 0.5, 0.2 + 0.05 * (case % 7) as f64];
            let seen = points(law, &[1, 2, 4, 8, 16, 32], 0.01, case);
            let fit = PowerLaw::fit(&seen, case).unwrap();
            held += usize::from(fit.accuracy(128).1.unwrap().contains(1.0 - value(law, 128.0)));
        }
        assert!(held >= 17, "{held} of 20");
    }
}
