//! The objective along a line.

use super::loss::Loss;
use super::space::{Point, Space};

/// Sufficient decrease of a step.
const DECREASE: f64 = 1e-4;
/// Largest slope left after a step, against the one before it.
const CURVATURE: f64 = 0.9;
/// Most evaluations of one search.
const EVALUATIONS: usize = 60;

/// The objective on a line through a point.
///
/// The slope at the point is known from the gradient. What the loss adds further on is the
/// difference of two sums over the same scores, and so is exact to rounding of the difference,
/// where the scores of the direction are known to single precision only.
pub(super) struct Line<'a, 'y> {
    point: &'a Point,
    direction: &'a Point,
    start: &'a Loss<'y>,
    /// The slope of the objective at the point.
    slope: f64,
    /// The slope of the loss at the point, from the scores of the direction.
    loss_slope: f64,
    /// The squared norm of the direction's coefficients.
    size2: f64,
}

impl<'a, 'y> Line<'a, 'y> {
    pub(super) fn new(
        space: &Space<'_, '_>,
        point: &'a Point,
        direction: &'a Point,
        start: &'a Loss<'y>,
        slope: f64,
    ) -> Self {
        let loss_slope = start.slope(direction);
        Self {
            point,
            direction,
            start,
            slope,
            loss_slope,
            size2: space.inner(direction, direction),
        }
    }

    /// The loss at step `t`, the change of the objective since step 0, and its slope.
    fn evaluate(&self, t: f64) -> (Loss<'y>, f64, f64) {
        let (loss, loss_slope) = self.start.along(self.point, self.direction, t);
        let bend = loss.value - self.start.value - t * self.loss_slope;
        let change = bend + t * self.slope + 0.5 * t * t * self.size2;
        (loss, change, self.slope + (loss_slope - self.loss_slope) + t * self.size2)
    }

    /// A step that meets the Wolfe conditions, or close to the optimum, where the objective
    /// no longer resolves the change, the approximate ones of Hager and Zhang (2005, *SIAM J.
    /// Optim.* 16). Scores are linear in the step, so a trial costs the exponentials only.
    /// `None` when rounding hides every descent.
    pub(super) fn search(&self) -> Option<(f64, Loss<'y>)> {
        let slope = self.slope;
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
