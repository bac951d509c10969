//! Preconditioned L-BFGS for the logistic objective.

use std::collections::VecDeque;

use ndarray::{Array1, Array2};

use crate::examples::Examples;

use super::line::{Labels, Line, Loss};
use super::space::{Gradient, Point, Preconditioned, Space};

/// Pairs of steps and gradient changes that L-BFGS remembers.
pub(super) const MEMORY: usize = 10;

/// How far the mean curvature may drift from the factored one before it is factored again.
const DRIFT: f64 = 2.0;

/// The distance within which a search that rounding stops counts as converged.
const STALLED: f64 = 1e-4;

/// When to stop.
pub(super) struct Limits {
    /// Most iterations.
    pub(super) iterations: usize,
    /// Largest distance of the coefficients from the optimum, over `max(1, ‖W‖)`.
    pub(super) tolerance: f64,
}

/// Where the search begins.
pub(super) struct Start {
    /// Coefficients `[classes, dimensions]`.
    pub(super) coefficients: Array2<f64>,
    /// Intercepts of the centred model, `[classes]`.
    pub(super) intercepts: Array1<f64>,
}

/// The best point found.
pub(super) struct Minimum {
    /// Coefficients `[classes, dimensions]`.
    pub(super) coefficients: Array2<f64>,
    /// Intercepts of the centred model, `[classes]`.
    pub(super) intercepts: Array1<f64>,
    /// Iterations made.
    pub(super) iterations: usize,
    /// Bound on the distance of the coefficients from the optimum, over `max(1, ‖W‖)`.
    pub(super) distance: f64,
    /// Whether the bound is within the tolerance, or as near as rounding lets it come.
    pub(super) converged: bool,
}

struct Pair {
    step: Point,
    change: Gradient,
    /// `1 / (change · step)`.
    rho: f64,
}

/// Minimises `c Σ w(y) loss + ½‖W‖²` over the examples, centred at `mean`, with the weight `w` of
/// each class.
///
/// Nocedal and Wright, *Numerical Optimization* (2006), algorithm 7.4, with the initial
/// inverse Hessian of [`Space`]. The objective is 1-strongly convex in `W`, so `‖∇‖` bounds
/// `‖W - W*‖` once the intercepts are settled: that, not a count or a change of the loss,
/// is the stopping rule. `None` when the data is scaled too badly to factor.
pub(super) fn minimize(
    examples: &Examples,
    mean: &Array1<f64>,
    c: f64,
    weights: &[f64],
    start: Option<Start>,
    limits: &Limits,
) -> Option<Minimum> {
    let n = examples.len() as f64;
    let factors: Vec<f64> = weights.iter().map(|weight| c * weight).collect();
    let labels = Labels { y: examples.y, factors: &factors };
    let space = Space::new(examples, mean);
    // The intercepts start where they would end if the embeddings told nothing.
    let mut point = space.origin(centered_logs(&examples.counts, weights));
    let mut loss = Loss::new(labels, &point);
    let mut metric = space.precondition(loss.curvature())?;
    if let Some(Start { coefficients, intercepts }) = start {
        point = metric.point(&coefficients, intercepts)?;
        loss = Loss::new(labels, &point);
        if drifted(&loss, &metric) {
            metric = space.precondition(loss.curvature())?;
        }
    }
    let mut gradient = metric.gradient(&point, &loss.residual());
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    // Below this the gradient is rounding error of its own sum.
    let largest = factors.iter().copied().fold(0.0, f64::max);
    let rounding = (1e-14 * largest).powi(2) * n * metric.trace();

    let mut iterations = 0;
    let mut distance;
    let mut converged = false;
    loop {
        let mut direction = descend(&space, &metric, &pairs, &gradient);
        let mut slope = -space.pair(&gradient, &direction);
        if slope >= 0.0 {
            // Only rounding makes the remembered curvature lose positivity.
            pairs.clear();
            direction = metric.solve(&gradient);
            slope = -space.pair(&gradient, &direction);
        }
        space.complete(&mut direction);
        direction.scale(-1.0);

        let size2 = space.inner(&point, &point).max(1.0);
        let target2 = limits.tolerance * limits.tolerance * size2 + rounding;
        let mut error2 = -slope;
        if error2 <= target2 {
            let intercepts = gradient.intercepts.dot(&gradient.intercepts);
            error2 = space.norm2(&gradient) + intercepts / (n * loss.curvature());
        }
        distance = (error2 / size2).sqrt();
        if error2 <= target2 {
            converged = true;
            break;
        }
        if iterations == limits.iterations {
            break;
        }
        let line = Line::new(&space, &point, &direction, &loss);
        let Some((step, reached)) = line.search(slope) else {
            converged = distance <= STALLED;
            break;
        };
        iterations += 1;
        loss = reached;
        direction.scale(step);
        point.add(1.0, &direction);
        let previous = std::mem::replace(&mut gradient, metric.gradient(&point, &loss.residual()));
        remember(&space, &mut pairs, direction, &gradient, previous);

        if drifted(&loss, &metric) {
            metric = space.precondition(loss.curvature())?;
        }
    }
    Some(Minimum {
        coefficients: metric.coefficients(&point),
        intercepts: point.intercepts,
        iterations,
        distance,
        converged,
    })
}

/// Whether the mean curvature is far from the one that was factored.
fn drifted(loss: &Loss<'_>, metric: &Preconditioned<'_, '_, '_>) -> bool {
    !(1.0 / DRIFT..=DRIFT).contains(&(loss.curvature() / metric.curvature()))
}

/// The two-loop recursion: the approximate inverse Hessian times the gradient.
fn descend(
    space: &Space<'_, '_>,
    metric: &Preconditioned<'_, '_, '_>,
    pairs: &VecDeque<Pair>,
    gradient: &Gradient,
) -> Point {
    let mut q = gradient.clone();
    let mut weights = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let weight = pair.rho * space.pair(&q, &pair.step);
        q.add(-weight, &pair.change);
        weights.push(weight);
    }
    let mut direction = metric.solve(&q);
    for (pair, weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let correction = weight - pair.rho * space.pair(&pair.change, &direction);
        direction.add(correction, &pair.step);
    }
    direction
}

fn remember(
    space: &Space<'_, '_>,
    pairs: &mut VecDeque<Pair>,
    mut step: Point,
    gradient: &Gradient,
    mut previous: Gradient,
) {
    previous.coordinates = &gradient.coordinates - &previous.coordinates;
    previous.intercepts = &gradient.intercepts - &previous.intercepts;
    let curvature = space.pair(&previous, &step);
    if curvature > 0.0 && (1.0 / curvature).is_finite() {
        if pairs.len() == MEMORY {
            pairs.pop_front();
        }
        space.lighten(&mut step);
        pairs.push_back(Pair { step, change: previous, rho: 1.0 / curvature });
    }
}

/// Logarithms of the weights that the examples of each class have together, minus their mean.
fn centered_logs(counts: &[usize], weights: &[f64]) -> Array1<f64> {
    let logs: Array1<f64> =
        counts.iter().zip(weights).map(|(&count, weight)| (count as f64 * weight).ln()).collect();
    let mean = logs.sum() / counts.len() as f64;
    logs - mean
}
