//! The logistic loss and its derivative.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use super::rows::ROWS;
use super::space::{Point, dot};
use crate::numeric::{exponentials, parallel_map, values};

/// How many multiply-adds an exponential takes the time of, on the scale of the threads.
const EXPONENTIAL: u128 = 512;

/// What the loss is of.
#[derive(Clone, Copy)]
pub(super) struct Labels<'a> {
    /// The class of each example.
    pub(super) y: &'a [usize],
    /// What the loss of an example of each class is multiplied by, `c wₖ`.
    pub(super) factors: &'a [f64],
}

/// The loss at a point: `Σ c w(y) (-ln p(y))`.
pub(super) struct Loss<'a> {
    labels: Labels<'a>,
    /// Derivative of the loss in each score: `c w(y) (p - [y = k])`, `[examples, classes]`.
    pub(super) residual: Array2<f64>,
    pub(super) value: f64,
    /// Second derivative of the loss of one example, averaged over examples and directions:
    /// the trace of `c w(y) (diag p - p pᵀ)` over `classes - 1`.
    pub(super) curvature: f64,
}

/// Sums over examples: of the loss, of its slope along a direction, and of the traces of its
/// second derivatives.
#[derive(Default)]
struct Sums {
    value: f64,
    slope: f64,
    trace: f64,
}

impl<'a> Loss<'a> {
    /// Evaluates the loss at a point.
    pub(super) fn new(labels: Labels<'a>, point: &Point) -> Self {
        Self::on(labels, point, point, 0.0).0
    }

    /// Evaluates the loss `t` along a direction from a point, and its slope there.
    pub(super) fn along(&self, point: &Point, direction: &Point, t: f64) -> (Self, f64) {
        Self::on(self.labels, point, direction, t)
    }

    /// The slope of the loss along a direction.
    pub(super) fn slope(&self, direction: &Point) -> f64 {
        let intercepts = self.residual.sum_axis(Axis(0)).dot(&direction.intercepts);
        dot(&self.residual, &direction.scores) + intercepts
    }

    fn on(labels: Labels<'a>, point: &Point, direction: &Point, t: f64) -> (Self, f64) {
        let (n, classes) = point.scores.dim();
        let mut residual = Array2::zeros((n, classes));
        let shift = values(direction.intercepts.view());
        let intercepts = &point.intercepts + &(t * &direction.intercepts);
        let intercepts = values(intercepts.view());
        let line = Line { factors: labels.factors, intercepts: &intercepts, shift: &shift, t };
        let parts = point.scores.axis_chunks_iter(Axis(0), ROWS);
        let parts = parts.zip(direction.scores.axis_chunks_iter(Axis(0), ROWS));
        let parts = parts.zip(labels.y.chunks(ROWS));
        let parts = parts.zip(residual.axis_chunks_iter_mut(Axis(0), ROWS)).collect();
        let cost = EXPONENTIAL * (n * classes) as u128;
        let sums = parallel_map(parts, cost, |(((scores, along), y), residual)| {
            line.evaluate(scores, along, y, residual)
        });
        let sums = sums.into_iter().fold(Sums::default(), |sum, part| Sums {
            value: sum.value + part.value,
            slope: sum.slope + part.slope,
            trace: sum.trace + part.trace,
        });
        let largest = labels.factors.iter().copied().fold(0.0, f64::max);
        // Separable data can bring every probability to 0 or 1; the metric stays invertible.
        let curvature = (sums.trace / ((classes - 1) as f64 * n as f64)).max(1e-12 * largest);
        (Self { labels, residual, value: sums.value, curvature }, sums.slope)
    }
}

/// A place on a line through the scores of all examples.
struct Line<'a> {
    factors: &'a [f64],
    /// Intercepts at the place.
    intercepts: &'a [f64],
    /// How the intercepts change along the line.
    shift: &'a [f64],
    /// How far along the line.
    t: f64,
}

impl Line<'_> {
    /// Evaluates the loss of some examples with these scores and changes of the scores.
    fn evaluate(
        &self,
        scores: ArrayView2<f64>,
        along: ArrayView2<f64>,
        y: &[usize],
        mut residual: ArrayViewMut2<f64>,
    ) -> Sums {
        let Self { factors, intercepts, shift, t } = *self;
        let classes = intercepts.len();
        let (scores, along) = (values(scores), values(along));
        let rows = scores.chunks_exact(classes).zip(along.chunks_exact(classes)).zip(y);
        let mut sums = Sums::default();
        let mut p = vec![0.0; classes];
        for (((scores, along), &class), mut residual) in rows.zip(residual.outer_iter_mut()) {
            for (((p, score), d), b) in p.iter_mut().zip(scores).zip(along).zip(intercepts) {
                *p = score + t * d + b;
            }
            let own = p[class];
            let largest = p.iter().fold(f64::NEG_INFINITY, |m, &v| if v > m { v } else { m });
            p.iter_mut().for_each(|p| *p -= largest);
            exponentials(&mut p);
            let total: f64 = p.iter().sum();
            let (factor, scale) = (factors[class], 1.0 / total);
            let (mut slope, mut squares) = (0.0, 0.0);
            for (((p, residual), d), b) in p.iter().zip(&mut residual).zip(along).zip(shift) {
                let p = scale * p;
                *residual = factor * p;
                slope += p * (d + b);
                squares += p * p;
            }
            residual[class] -= factor;
            sums.value += factor * (largest - own + total.ln());
            sums.slope += factor * (slope - along[class] - shift[class]);
            sums.trace += factor * (1.0 - squares);
        }
        sums
    }
}
