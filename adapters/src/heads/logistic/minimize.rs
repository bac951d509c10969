//! Preconditioned L-BFGS for the logistic objective.

use std::collections::VecDeque;
use std::mem::replace;

use ndarray::{Array1, Array2, Axis};

use crate::examples::Examples;

use super::line::Line;
use super::loss::{Labels, Loss};
use super::space::{Gradient, Point, Preconditioned, Space};

/// Pairs of steps and gradient changes that L-BFGS remembers.
pub(super) const MEMORY: usize = 10;

/// How far the mean curvature may drift from the factored one before it is factored again.
const DRIFT: f64 = 2.0;

/// The distance within which a search that rounding stops counts as converged.
const STALLED: f64 = 1e-4;

/// How far the distance may fall while the point's scores and its gradient are carried along by
/// changes in single precision, before they are computed again in double precision.
const CARRIED: f64 = 1e-5;

/// Examples from which on the search begins with a share of them, one of so many.
const MANY: usize = 4_096;
const SHARE: usize = 4;

/// How near the optimum of a share the search with all begins.
const ROUGH: Limits = Limits { iterations: 50, tolerance: 0.1, exact: false };

/// When to stop.
pub(super) struct Limits {
    /// Most iterations.
    pub(super) iterations: usize,
    /// Largest distance of the coefficients from the optimum, over `max(1, ‖W‖)`.
    pub(super) tolerance: f64,
    /// Whether the end is judged in double precision.
    pub(super) exact: bool,
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
    let factors: Vec<f64> = weights.iter().map(|weight| c * weight).collect();
    let largest = factors.iter().copied().fold(0.0, f64::max);
    // Equal probabilities curve the loss most.
    let space = Space::new(examples, mean, largest / factors.len() as f64);
    let start = start.or_else(|| rough(&space, examples, c, weights));
    let labels = Labels { y: examples.y, factors: &factors };
    // The intercepts start where they would end if the embeddings told nothing.
    let intercepts = centered_logs(&examples.counts, weights);
    run(Search::new(&space, labels, intercepts, start)?, limits)
}

/// Lets a search run to its limits. `None` where the data cannot be factored.
fn run(mut search: Search<'_, '_, '_>, limits: &Limits) -> Option<Minimum> {
    let space = search.space;
    let n = search.labels.y.len() as f64;
    // Below this the gradient is rounding error of its own sum.
    let largest = search.labels.factors.iter().copied().fold(0.0, f64::max);
    let rounding = (1e-14 * largest).powi(2) * n * search.metric.trace();

    let mut iterations = 0;
    let mut renewed2 = None;
    loop {
        let (mut direction, slope) = search.direction();
        let size2 = space.inner(&search.point, &search.point).max(1.0);
        let target2 = limits.tolerance * limits.tolerance * size2 + rounding;
        let mut error2 = -slope;
        if error2 <= target2 {
            error2 = search.error2(n);
        }
        let mut converged = error2 <= target2;
        let distance = (error2 / size2).sqrt();
        let near2 = CARRIED * CARRIED * *renewed2.get_or_insert(error2);
        if limits.exact && search.carried && (converged || error2 <= near2) {
            search.renew();
            renewed2 = Some(error2);
            continue;
        }
        let mut found = None;
        if !converged && iterations < limits.iterations {
            space.complete(&mut direction);
            found = Line::new(space, &search.point, &direction, &search.loss, slope).search();
            if found.is_none() && search.carried {
                search.renew();
                search.pairs.clear();
                continue;
            }
            converged = found.is_none() && distance <= STALLED;
        }
        let Some((step, loss)) = found else {
            let coefficients = search.metric.coefficients(&search.point);
            let intercepts = search.point.intercepts;
            return Some(Minimum { coefficients, intercepts, iterations, distance, converged });
        };
        iterations += 1;
        direction.scale(step);
        search.step(direction, loss)?;
    }
}

/// Where the search for the optimum of many examples begins: near that of every fourth of each
/// class, which count for four. Coefficients grow from zero in many small steps, and these steps
/// need not be exact. `None` for few examples.
fn rough(space: &Space<'_, '_>, examples: &Examples, c: f64, weights: &[f64]) -> Option<Start> {
    if examples.len() < MANY {
        return None;
    }
    let mut seen = vec![0; weights.len()];
    let rows: Vec<usize> = (examples.y.iter().enumerate())
        .filter_map(|(row, &class)| {
            seen[class] += 1;
            (seen[class] % SHARE == 1).then_some(row)
        })
        .collect();
    let x = examples.x.select(Axis(0), &rows);
    let y: Vec<usize> = rows.iter().map(|&row| examples.y[row]).collect();
    let counts: Vec<usize> = examples.counts.iter().map(|count| count.div_ceil(SHARE)).collect();
    let larger = c * examples.len() as f64 / y.len() as f64;
    let factors: Vec<f64> = weights.iter().map(|weight| larger * weight).collect();
    let labels = Labels { y: &y, factors: &factors };
    let intercepts = centered_logs(&counts, weights);
    let some = Examples { x: x.view(), y: &y, counts };
    let space = space.share(&some, &rows)?;
    let found = run(Search::new(&space, labels, intercepts, None)?, &ROUGH)?;
    Some(Start { coefficients: found.coefficients, intercepts: found.intercepts })
}

/// Where the search has come, and what it remembers.
struct Search<'s, 'a, 'x> {
    space: &'s Space<'a, 'x>,
    labels: Labels<'s>,
    metric: Preconditioned<'s, 'a, 'x>,
    point: Point,
    loss: Loss<'s>,
    gradient: Gradient,
    pairs: VecDeque<Pair>,
    /// Whether the scores and the gradient were carried along by changes since they were last
    /// computed.
    carried: bool,
}

impl<'s, 'a, 'x> Search<'s, 'a, 'x> {
    /// Begins at `start` or, if there is none, at zero with these intercepts. `None` where the data
    /// cannot be factored.
    fn new(
        space: &'s Space<'a, 'x>,
        labels: Labels<'s>,
        intercepts: Array1<f64>,
        start: Option<Start>,
    ) -> Option<Self> {
        let point = match start {
            Some(start) => space.point(&start.coefficients, start.intercepts)?,
            None => space.origin(intercepts),
        };
        let loss = Loss::new(labels, &point);
        let metric = space.precondition(loss.curvature)?;
        // From zero, all of the gradient is a change of it.
        let gradient = metric.change(&point, &loss.residual, None);
        let pairs = VecDeque::with_capacity(MEMORY);
        Some(Self { space, labels, metric, point, loss, gradient, pairs, carried: true })
    }

    /// The direction down, and the slope of the objective along it.
    fn direction(&mut self) -> (Point, f64) {
        let Self { space, metric, gradient, pairs, .. } = self;
        let mut direction = descend(space, metric, pairs, gradient);
        let mut slope = -space.pair(gradient, &direction);
        if slope >= 0.0 {
            // Only rounding makes the remembered curvature lose positivity.
            pairs.clear();
            direction = metric.solve(gradient);
            slope = -space.pair(gradient, &direction);
        }
        direction.scale(-1.0);
        (direction, slope)
    }

    /// Bound on the squared distance from the optimum, from the gradient of `n` examples.
    fn error2(&self, n: f64) -> f64 {
        let intercepts = self.gradient.intercepts.dot(&self.gradient.intercepts);
        self.space.norm2(&self.gradient) + intercepts / (n * self.loss.curvature)
    }

    /// Computes the scores and the gradient in double precision.
    fn renew(&mut self) {
        self.metric.renew(&mut self.point);
        self.loss = Loss::new(self.labels, &self.point);
        self.gradient = self.metric.gradient(&self.point, &self.loss.residual);
        self.carried = false;
    }

    /// Takes a step to where the loss is the given one. `None` where the data cannot be factored.
    fn step(&mut self, step: Point, loss: Loss<'s>) -> Option<()> {
        self.point.add(1.0, &step);
        let before = replace(&mut self.loss, loss);
        let change = self.metric.change(&step, &self.loss.residual, Some(&before.residual));
        self.gradient.add(1.0, &change);
        self.carried = true;
        self.remember(step, change);
        if drifted(&self.loss, &self.metric) {
            self.metric = self.space.precondition(self.loss.curvature)?;
        }
        Some(())
    }

    fn remember(&mut self, mut step: Point, change: Gradient) {
        let curvature = self.space.pair(&change, &step);
        if curvature > 0.0 && (1.0 / curvature).is_finite() {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.space.lighten(&mut step);
            self.pairs.push_back(Pair { step, change, rho: 1.0 / curvature });
        }
    }
}

/// Whether the mean curvature is far from the one that was factored.
fn drifted(loss: &Loss<'_>, metric: &Preconditioned<'_, '_, '_>) -> bool {
    !(1.0 / DRIFT..=DRIFT).contains(&(loss.curvature / metric.curvature()))
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

/// Logarithms of the weights that the examples of each class have together, minus their mean.
fn centered_logs(counts: &[usize], weights: &[f64]) -> Array1<f64> {
    let logs: Array1<f64> =
        counts.iter().zip(weights).map(|(&count, weight)| (count as f64 * weight).ln()).collect();
    let mean = logs.sum() / counts.len() as f64;
    logs - mean
}
