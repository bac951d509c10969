//! Where the coefficients of a logistic head are searched for.
//!
//! Both spaces hold centred embeddings `Z` (rows minus their mean; the intercept absorbs
//! the difference) and precondition with `M = I + sZᵀZ` for the coefficients and `s n` for
//! the intercepts: the Hessian of the objective, were every example to curve its loss by
//! the same `s` in every direction. At the start, all probabilities equal, that is exact.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis, Zip};

use super::rows::Rows;
use crate::examples::Examples;
use crate::numeric::{Cholesky, add_lower_gram};

/// Dimensions that are centred at a time, so that the part stays in the cache.
const COLUMNS: usize = 128;

/// Rounds that bring an earlier head's coefficients into the span of the examples, and how
/// little of a mean direction one leaves.
const REFINEMENTS: usize = 3;
const REFINED: f64 = 1e-7;

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
    side: Side<'a, 'x>,
}

enum Side<'a, 'x> {
    /// Fewer examples than dimensions. Neither `Z` nor `ZZᵀ` is kept: a small fit spends more
    /// on touching new memory than on making them again.
    Span,
    /// At least as many examples as dimensions.
    Full {
        /// `Z`, `[examples, dimensions]`.
        z: Rows<'a, 'x>,
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
    /// Chooses the smaller space for examples with the given mean, whose loss nowhere has a mean
    /// curvature above `curvature`.
    pub(super) fn new(examples: &'a Examples<'x>, mean: &'a Array1<f64>, curvature: f64) -> Self {
        let side = if examples.len() < examples.dimensions() {
            Side::Span
        } else {
            let z = Rows::new(examples, mean, curvature);
            Side::Full { scatter: z.lower_scatter(), z }
        };
        Self { examples, mean, side }
    }

    /// The space of some of the examples, the given rows, whose scatter is taken for a share of
    /// the whole. `None` with fewer examples than dimensions.
    pub(super) fn share<'b, 'y>(
        &self,
        examples: &'b Examples<'y>,
        rows: &[usize],
    ) -> Option<Space<'b, 'y>>
    where
        'a: 'b,
    {
        let Side::Full { z, scatter } = &self.side else { return None };
        let scatter = scatter * (rows.len() as f64 / self.examples.len() as f64);
        let side = Side::Full { z: z.share(examples, rows), scatter };
        Some(Space { examples, mean: self.mean, side })
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
            direction.scores = z.product(&direction.coordinates);
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

    /// The point of these coefficients `[classes, dimensions]` or, where the examples span less
    /// than all, of those in their span that give the same scores: `K A = Z W` solved by
    /// refinement with another factor of `I + sK`, of a large s. `None` where it is singular.
    pub(super) fn point(
        &self,
        coefficients: &Array2<f64>,
        intercepts: Array1<f64>,
    ) -> Option<Point> {
        let wanted = coefficients.t().as_standard_layout().to_owned();
        if let Side::Full { z, .. } = &self.side {
            let scores = z.product(&wanted);
            return Some(Point { coordinates: wanted, scores, intercepts });
        }
        let squares: f64 = self.parts().map(|z| dot(&z, &z)).sum();
        let mean_size = squares / self.examples.len() as f64;
        if mean_size <= 0.0 {
            return Some(self.origin(intercepts));
        }
        let large = self.precondition(1.0 / (REFINED * mean_size))?;
        let mut left = Array2::zeros((self.examples.len(), coefficients.nrows()));
        for (z, w) in self.parts().zip(wanted.axis_chunks_iter(Axis(0), COLUMNS)) {
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
    /// The curvature it was factored for.
    pub(super) fn curvature(&self) -> f64 {
        self.curvature
    }

    /// `Σ ‖z‖²` over the examples.
    pub(super) fn trace(&self) -> f64 {
        self.trace
    }

    /// Makes the scores of a point those of its coordinates, without what rounding added up.
    pub(super) fn renew(&self, point: &mut Point) {
        if let Side::Full { z, .. } = &self.space.side {
            point.scores = z.exact_product(&point.coordinates);
        }
    }

    /// Gradient at a point whose loss has the derivative `residual` in the scores.
    pub(super) fn gradient(&self, point: &Point, residual: &Array2<f64>) -> Gradient {
        let mut coordinates = point.coordinates.clone();
        match &self.space.side {
            Side::Span => coordinates += residual,
            Side::Full { z, .. } => coordinates += &z.exact_transposed_product(residual),
        }
        Gradient { coordinates, intercepts: residual.sum_axis(Axis(0)) }
    }

    /// How much a step changes the gradient that changes the derivative of the loss in the scores
    /// to `residual` from that of `before`, or from zero.
    pub(super) fn change(
        &self,
        step: &Point,
        residual: &Array2<f64>,
        before: Option<&Array2<f64>>,
    ) -> Gradient {
        let mut coordinates = step.coordinates.clone();
        let mut intercepts = residual.sum_axis(Axis(0));
        if let Some(before) = before {
            intercepts -= &before.sum_axis(Axis(0));
        }
        match (&self.space.side, before) {
            (Side::Full { z, .. }, _) => coordinates += &z.transposed_product(residual, before),
            (Side::Span, None) => coordinates += residual,
            (Side::Span, Some(before)) => {
                Zip::from(&mut coordinates)
                    .and(residual)
                    .and(before)
                    .for_each(|c, r, b| *c += r - b);
            }
        }
        Gradient { coordinates, intercepts }
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

/// `Σ a b` over all entries.
pub(super) fn dot(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    match (a.as_slice(), b.as_slice()) {
        (Some(a), Some(b)) => ndarray::aview1(a).dot(&ndarray::aview1(b)),
        _ => Zip::from(a).and(b).fold(0.0, |total, &a, &b| total + a * b),
    }
}
