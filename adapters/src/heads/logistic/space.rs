//! Where the coefficients of a logistic head are searched for.
//!
//! Both spaces hold centred embeddings `Z` (rows minus their mean; the intercept absorbs
//! the difference) and precondition with `M = I + sZᵀZ` for the coefficients and `s n` for
//! the intercepts: the Hessian of the objective, were every example to curve its loss by
//! the same `s` in every direction. At the start, all probabilities equal, that is exact.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Zip};

use crate::examples::Examples;
use crate::numeric::{Cholesky, add_lower_gram, parallel_map};

/// Dimensions that are centred at a time, so that the part stays in the cache.
const COLUMNS: usize = 128;

/// Rows of the examples that are multiplied at a time where there are many: the parts, and so
/// the order of additions, do not depend on the number of threads.
pub(super) const ROWS: usize = 1_024;

/// Rounds that bring an earlier head's coefficients into the span of the examples, and how
/// little of a mean direction one leaves.
const REFINEMENTS: usize = 3;
const REFINED: f64 = 1e-7;

/// How much longer a multiply-add takes here than where threads were weighed: a product with few
/// columns waits for memory.
const NARROW: u128 = 16;

/// A set of coefficients, or a direction in which they change.
#[derive(Clone)]
pub(super) struct Point {
    /// Coordinates of the coefficients: `W` itself, or `A` with `W = ZᵀA`.
    pub(super) coordinates: Array2<f64>,
    /// `Z W`, `[examples, classes]`; linear in `W`, so it is carried along. Empty in a direction
    /// that is not complete yet, and in steps that are remembered, where the space can do
    /// without: with many examples it is by far the largest part.
    pub(super) scores: Array2<f64>,
    /// Intercepts of the centred model, `[classes]`.
    pub(super) intercepts: Array1<f64>,
}

/// A gradient, or the difference of two.
#[derive(Clone)]
pub(super) struct Gradient {
    /// Coordinates of the gradient for the coefficients: `G`, or `Q` with `G = ZᵀQ`.
    pub(super) coordinates: Array2<f64>,
    /// Gradient for the intercepts, `[classes]`.
    pub(super) intercepts: Array1<f64>,
}

impl Point {
    /// `self += factor * other`.
    pub(super) fn add(&mut self, factor: f64, other: &Self) {
        self.coordinates.scaled_add(factor, &other.coordinates);
        if !self.scores.is_empty() {
            self.scores.scaled_add(factor, &other.scores);
        }
        self.intercepts.scaled_add(factor, &other.intercepts);
    }

    /// Multiplies every part.
    pub(super) fn scale(&mut self, factor: f64) {
        self.coordinates *= factor;
        self.scores *= factor;
        self.intercepts *= factor;
    }
}

impl Gradient {
    /// `self += factor * other`.
    pub(super) fn add(&mut self, factor: f64, other: &Self) {
        self.coordinates.scaled_add(factor, &other.coordinates);
        self.intercepts.scaled_add(factor, &other.intercepts);
    }
}

/// The search space: all coefficients, or those in the span of the examples.
///
/// By the representer theorem the optimum is `W = ZᵀA`, and so is every iterate of a
/// quasi-Newton method that starts at zero under `M`. With fewer examples than dimensions
/// the search therefore runs on `A`, `[examples, classes]`: with `K = ZZᵀ`, the gradient of
/// the penalised loss has coordinates `A + R` and its preconditioned direction
/// `D = (I + sK)⁻¹ Q` has the scores `K D = (Q - D) / s`, so an iteration needs one solve
/// with a factor computed once, and no product with the data at all.
pub(super) struct Space<'a, 'x> {
    examples: &'a Examples<'x>,
    /// Mean embedding.
    mean: &'a Array1<f64>,
    side: Side,
}

enum Side {
    /// Fewer examples than dimensions. Neither `Z` nor `ZZᵀ` is kept: a small fit spends more
    /// on touching new memory than on making them again.
    Span,
    /// At least as many examples as dimensions.
    Full {
        /// `Z`, `[examples, dimensions]`.
        z: Array2<f64>,
        /// The lower triangle of `ZᵀZ`, `[dimensions, dimensions]`.
        scatter: Array2<f64>,
    },
}

/// A space with a factored preconditioner.
pub(super) struct Preconditioned<'s, 'a, 'x> {
    space: &'s Space<'a, 'x>,
    curvature: f64,
    /// `Σ ‖z‖²` over the examples.
    trace: f64,
    factor: Cholesky,
}

impl<'a, 'x> Space<'a, 'x> {
    /// Chooses the smaller space for examples with the given mean.
    pub(super) fn new(examples: &'a Examples<'x>, mean: &'a Array1<f64>) -> Self {
        let side = if examples.len() < examples.dimensions() {
            Side::Span
        } else {
            let z = examples.centered(mean);
            Side::Full { scatter: lower_scatter(&z), z }
        };
        Self { examples, mean, side }
    }

    /// A point of this space where all coefficients are zero.
    pub(super) fn origin(&self, intercepts: Array1<f64>) -> Point {
        let (n, classes) = (self.examples.len(), intercepts.len());
        Point {
            coordinates: Array2::zeros((n.min(self.examples.dimensions()), classes)),
            scores: Array2::zeros((n, classes)),
            intercepts,
        }
    }

    /// `ZᵀA` transposed, `[classes, dimensions]`, for `A` of `[examples, classes]`.
    fn project(&self, a: &Array2<f64>) -> Array2<f64> {
        let mut projected = Array2::zeros((a.ncols(), self.examples.dimensions()));
        for (mut part, z) in projected.axis_chunks_iter_mut(Axis(1), COLUMNS).zip(self.parts()) {
            general_mat_mul(1.0, &a.t(), &z, 0.0, &mut part);
        }
        projected
    }

    /// `Z`, some columns at a time.
    fn parts(&self) -> impl Iterator<Item = Array2<f64>> {
        let d = self.examples.dimensions();
        (0..d).step_by(COLUMNS).map(move |start| {
            self.examples.centered_columns(self.mean, start..(start + COLUMNS).min(d))
        })
    }

    /// Gives a direction the scores that [`Preconditioned::solve`] left out.
    pub(super) fn complete(&self, direction: &mut Point) {
        if let Side::Full { z, .. } = &self.side {
            direction.scores = product(z, &direction.coordinates);
        }
    }

    /// Takes from a step what only the search along it needed.
    pub(super) fn lighten(&self, step: &mut Point) {
        if matches!(self.side, Side::Full { .. }) {
            step.scores = Array2::zeros((0, 0));
        }
    }

    /// The inner product of the coefficients of two points.
    pub(super) fn inner(&self, a: &Point, b: &Point) -> f64 {
        match self.side {
            Side::Span => dot(&a.coordinates, &b.scores),
            Side::Full { .. } => dot(&a.coordinates, &b.coordinates),
        }
    }

    /// The change that a gradient predicts along a direction.
    pub(super) fn pair(&self, gradient: &Gradient, point: &Point) -> f64 {
        let coefficients = match self.side {
            Side::Span => dot(&gradient.coordinates, &point.scores),
            Side::Full { .. } => dot(&gradient.coordinates, &point.coordinates),
        };
        coefficients + gradient.intercepts.dot(&point.intercepts)
    }

    /// The squared norm of the gradient for the coefficients.
    pub(super) fn norm2(&self, gradient: &Gradient) -> f64 {
        match self.side {
            Side::Span => {
                let full = self.project(&gradient.coordinates);
                dot(&full, &full)
            }
            Side::Full { .. } => dot(&gradient.coordinates, &gradient.coordinates),
        }
    }

    /// Factors the preconditioner for the mean curvature `curvature`; `None` if the data is
    /// scaled so badly that it is singular to working precision.
    pub(super) fn precondition(&self, curvature: f64) -> Option<Preconditioned<'_, 'a, 'x>> {
        let mut matrix = match &self.side {
            Side::Span => {
                let n = self.examples.len();
                let mut kernel = Array2::zeros((n, n));
                self.parts().for_each(|z| add_lower_gram(&mut kernel, z.view()));
                kernel
            }
            Side::Full { scatter, .. } => scatter.clone(),
        };
        let trace = matrix.diag().sum();
        matrix *= curvature;
        matrix.diag_mut().mapv_inplace(|v| v + 1.0);
        Some(Preconditioned { space: self, curvature, trace, factor: Cholesky::new(matrix)? })
    }
}

impl Preconditioned<'_, '_, '_> {
    /// The point of these coefficients `[classes, dimensions]` or, where the examples span less
    /// than all, of those in their span that give the same scores: `K A = Z W` solved by
    /// refinement with another factor of `I + sK`, of a large s. `None` where it is singular.
    pub(super) fn point(
        &self,
        coefficients: &Array2<f64>,
        intercepts: Array1<f64>,
    ) -> Option<Point> {
        let space = self.space;
        let wanted = coefficients.t().as_standard_layout().to_owned();
        if let Side::Full { z, .. } = &space.side {
            let scores = product(z, &wanted);
            return Some(Point { coordinates: wanted, scores, intercepts });
        }
        let mean_size = self.trace / space.examples.len() as f64;
        if mean_size <= 0.0 {
            return Some(space.origin(intercepts));
        }
        let large = space.precondition(1.0 / (REFINED * mean_size))?;
        let mut left = Array2::zeros((space.examples.len(), coefficients.nrows()));
        for (z, w) in space.parts().zip(wanted.axis_chunks_iter(Axis(0), COLUMNS)) {
            general_mat_mul(1.0, &z, &w, 1.0, &mut left);
        }
        let mut coordinates = Array2::zeros(left.dim());
        let mut scores = left.clone();
        for _ in 0..REFINEMENTS {
            // (I + sK) D = s R gives K D = R - D / s: what is left then is D / s.
            left *= large.curvature;
            large.factor.solve(&mut left);
            coordinates += &left;
            left /= large.curvature;
        }
        scores -= &left;
        Some(Point { coordinates, scores, intercepts })
    }

    /// The curvature it was factored for.
    pub(super) fn curvature(&self) -> f64 {
        self.curvature
    }

    /// `Σ ‖z‖²` over the examples.
    pub(super) fn trace(&self) -> f64 {
        self.trace
    }

    /// Gradient at a point whose loss has the derivative `residual` in the scores.
    pub(super) fn gradient(&self, point: &Point, residual: &Array2<f64>) -> Gradient {
        let mut coordinates = point.coordinates.clone();
        match &self.space.side {
            Side::Span => coordinates += residual,
            Side::Full { z, .. } => add_transposed_product(z, residual, &mut coordinates),
        }
        Gradient { coordinates, intercepts: residual.sum_axis(Axis(0)) }
    }

    /// `M⁻¹` times a gradient; [`Space::complete`] finishes it.
    pub(super) fn solve(&self, gradient: &Gradient) -> Point {
        let mut coordinates = gradient.coordinates.clone();
        self.factor.solve(&mut coordinates);
        let scores = match &self.space.side {
            Side::Span => (&gradient.coordinates - &coordinates) / self.curvature,
            Side::Full { .. } => Array2::zeros((0, 0)),
        };
        let intercepts = &gradient.intercepts / (self.curvature * self.space.examples.len() as f64);
        Point { coordinates, scores, intercepts }
    }

    /// The coefficients of a point, `[classes, dimensions]`.
    pub(super) fn coefficients(&self, point: &Point) -> Array2<f64> {
        match self.space.side {
            Side::Span => self.space.project(&point.coordinates),
            Side::Full { .. } => point.coordinates.t().to_owned(),
        }
    }
}

/// `Z B`, `[examples, classes]`.
fn product(z: &Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
    let mut product = Array2::zeros((z.nrows(), b.ncols()));
    let parts = z.axis_chunks_iter(Axis(0), ROWS);
    let items: Vec<_> = parts.zip(product.axis_chunks_iter_mut(Axis(0), ROWS)).collect();
    let cost = NARROW * (z.len() * b.ncols()) as u128;
    parallel_map(items, cost, |(z, mut out): (ArrayView2<f64>, ArrayViewMut2<f64>)| {
        general_mat_mul(1.0, &z, b, 0.0, &mut out);
    });
    product
}

/// `sum += Zᵀ R`, `[dimensions, classes]`.
fn add_transposed_product(z: &Array2<f64>, residual: &Array2<f64>, sum: &mut Array2<f64>) {
    let items = z.axis_chunks_iter(Axis(0), ROWS).zip(residual.axis_chunks_iter(Axis(0), ROWS));
    let cost = NARROW * (z.len() * residual.ncols()) as u128;
    let parts =
        parallel_map(items.collect(), cost, |(z, r): (ArrayView2<f64>, ArrayView2<f64>)| {
            z.t().dot(&r)
        });
    parts.iter().for_each(|part| *sum += part);
}

/// The lower triangle of `ZᵀZ`.
fn lower_scatter(z: &Array2<f64>) -> Array2<f64> {
    let (n, d) = z.dim();
    let cost = n as u128 * (d * d) as u128 / 2;
    let parts = z.axis_chunks_iter(Axis(0), 2 * ROWS).collect();
    let mut parts = parallel_map(parts, cost, |z: ArrayView2<f64>| {
        let mut products = Array2::zeros((d, d));
        add_lower_gram(&mut products, z.reversed_axes());
        products
    })
    .into_iter();
    let mut sum = parts.next().unwrap_or_else(|| Array2::zeros((d, d)));
    parts.for_each(|part| sum += &part);
    sum
}

/// `Σ a b` over all entries.
fn dot(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    match (a.as_slice(), b.as_slice()) {
        (Some(a), Some(b)) => ndarray::aview1(a).dot(&ndarray::aview1(b)),
        _ => Zip::from(a).and(b).fold(0.0, |total, &a, &b| total + a * b),
    }
}
