//! The logistic loss, and its course along a line.

use ndarray::{Array2, ArrayViewMut2, Axis};

use super::space::{Point, ROWS, Space};
use crate::numeric::parallel_map;

/// Sufficient decrease of a step.
const DECREASE: f64 = 1e-4;
/// Largest slope left after a step, against the one before it.
const CURVATURE: f64 = 0.9;
/// Most evaluations of one search.
const EVALUATIONS: usize = 60;
/// How many multiply-adds an exponential takes the time of, on the scale of the threads.
const EXPONENTIAL: u128 = 256;

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
    /// Probabilities `[examples, classes]`.
    probabilities: Array2<f64>,
    value: f64,
}

impl<'a> Loss<'a> {
    /// Evaluates the loss at a point.
    pub(super) fn new(labels: Labels<'a>, point: &Point) -> Self {
        Self::at(labels, &point.scores + &point.intercepts)
    }

    /// Evaluates the loss at the given scores, which it uses up.
    fn at(labels: Labels<'a>, mut scores: Array2<f64>) -> Self {
        let cost = EXPONENTIAL * scores.len() as u128;
        let parts = scores.axis_chunks_iter_mut(Axis(0), ROWS);
        let parts = parts.zip(labels.y.chunks(ROWS)).collect();
        let values = parallel_map(parts, cost, |(mut rows, y): (ArrayViewMut2<f64>, &[usize])| {
            let mut value = 0.0;
            for (mut row, &class) in rows.axis_iter_mut(Axis(0)).zip(y) {
                let largest = row.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
                let own = row[class];
                row.mapv_inplace(|score| (score - largest).exp());
                let total = row.sum();
                value += labels.factors[class] * (largest - own + total.ln());
                row *= 1.0 / total;
            }
            value
        });
        Self { labels, probabilities: scores, value: values.into_iter().sum() }
    }

    /// Derivative of the loss in each score: `c w(y) (p - [y = k])`, `[examples, classes]`.
    pub(super) fn residual(&self) -> Array2<f64> {
        let mut residual = self.probabilities.clone();
        for (mut row, &class) in residual.axis_iter_mut(Axis(0)).zip(self.labels.y) {
            row[class] -= 1.0;
            row *= self.labels.factors[class];
        }
        residual
    }

    /// Second derivative of the loss of one example, averaged over examples and directions:
    /// the trace of `c w(y) (diag p - p pᵀ)` over `classes - 1`.
    pub(super) fn curvature(&self) -> f64 {
        let (n, classes) = self.probabilities.dim();
        let trace: f64 = self
            .probabilities
            .outer_iter()
            .zip(self.labels.y)
            .map(|(row, &class)| self.labels.factors[class] * (1.0 - row.dot(&row)))
            .sum();
        let largest = self.labels.factors.iter().copied().fold(0.0, f64::max);
        // Separable data can bring every probability to 0 or 1; the metric stays invertible.
        (trace / ((classes - 1) as f64 * n as f64)).max(1e-12 * largest)
    }
}

/// The objective on a line through a point.
pub(super) struct Line<'a, 'y> {
    point: &'a Point,
    direction: &'a Point,
    start: &'a Loss<'y>,
    /// `½‖W + tD‖² = ½‖W‖² + t cross + ½ t² size2`.
    cross: f64,
    size2: f64,
}

impl<'a, 'y> Line<'a, 'y> {
    pub(super) fn new(
        space: &Space<'_, '_>,
        point: &'a Point,
        direction: &'a Point,
        start: &'a Loss<'y>,
    ) -> Self {
        let cross = space.inner(point, direction);
        let size2 = space.inner(direction, direction);
        Self { point, direction, start, cross, size2 }
    }

    /// The loss at step `t`, the change of the objective since step 0, and its slope.
    fn evaluate(&self, t: f64) -> (Loss<'y>, f64, f64) {
        let Self { point, direction, start, cross, size2 } = *self;
        let mut scores = &point.scores + &point.intercepts;
        scores.scaled_add(t, &direction.scores);
        scores += &(&direction.intercepts * t);
        let loss = Loss::at(start.labels, scores);
        let mut slope = 0.0;
        for ((row, along), &class) in
            loss.probabilities.outer_iter().zip(direction.scores.outer_iter()).zip(loss.labels.y)
        {
            let mut own = row.dot(&along) - along[class];
            own += row.dot(&direction.intercepts) - direction.intercepts[class];
            slope += loss.labels.factors[class] * own;
        }
        let change = loss.value - start.value + t * cross + 0.5 * t * t * size2;
        (loss, change, slope + cross + t * size2)
    }

    /// A step that meets the Wolfe conditions, or close to the optimum, where the objective
    /// no longer resolves the change, the approximate ones of Hager and Zhang (2005, *SIAM J.
    /// Optim.* 16). Scores are linear in the step, so a trial costs the exponentials only.
    /// `None` when rounding hides every descent.
    pub(super) fn search(&self, slope: f64) -> Option<(f64, Loss<'y>)> {
        let noise = 1e-12 * (1.0 + self.start.value.abs());
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut t = 1.0;
        for _ in 0..EVALUATIONS {
            let (loss, change, slope_t) = self.evaluate(t);
            let decreased = change <= DECREASE * t * slope;
            let nearly = change <= noise && slope_t <= (2.0 * DECREASE - 1.0) * slope;
            let finite = change.is_finite() && slope_t.is_finite();
            if finite && (decreased || nearly) && slope_t >= CURVATURE * slope {
                return Some((t, loss));
            }
            // The objective is convex: a step whose slope is positive, or whose decrease is
            // too small, is too long.
            if finite && (decreased || change <= noise) && slope_t < 0.0 {
                low = t;
            } else {
                high = t;
            }
            t = if high.is_finite() { 0.5 * (low + high) } else { 4.0 * t };
        }
        None
    }
}
