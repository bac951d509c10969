//! Where the coefficients of a logistic head are searched for.
//!
//! Both spaces hold centred embeddings `Z` (rows minus their mean; the intercept absorbs
//! the difference) and precondition with `M = I + sZᵀZ` for the coefficients and `s n` for
//! the intercepts: the Hessian of the objective, were every example to curve its loss by
//! the same `s` in every direction. At the start, all probabilities equal, that is exact.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis, Zip};

use crate::numeric::{Cholesky, gram, scatter};

/// A set of coefficients, or a direction in which they change.
#[derive(Clone)]
pub(super) struct Point {
    /// Coordinates of the coefficients: `W` itself, or `A` with `W = ZᵀA`.
    pub(super) coordinates: Array2<f64>,
    /// `Z W`, `[examples, classes]`; linear in `W`, so it is carried along.
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
        self.scores.scaled_add(factor, &other.scores);
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
pub(super) enum Space {
    /// Fewer examples than dimensions.
    Span {
        /// `Z Zᵀ`, `[examples, examples]`.
        kernel: Array2<f64>,
    },
    /// At least as many examples as dimensions.
    Full {
        /// `Zᵀ Z`, `[dimensions, dimensions]`.
        scatter: Array2<f64>,
    },
}

/// A space with the data and a factored preconditioner.
pub(super) struct Preconditioned<'a> {
    space: &'a Space,
    z: &'a Array2<f64>,
    curvature: f64,
    factor: Cholesky,
}

impl Space {
    /// Chooses the smaller space for centred embeddings `[examples, dimensions]`.
    pub(super) fn new(z: &Array2<f64>) -> Self {
        if z.nrows() < z.ncols() {
            Self::Span { kernel: gram(z.view()) }
        } else {
            Self::Full { scatter: scatter(z.view()) }
        }
    }

    fn matrix(&self) -> &Array2<f64> {
        match self {
            Self::Span { kernel } => kernel,
            Self::Full { scatter } => scatter,
        }
    }

    /// Size of the coordinates of `classes` sets of coefficients.
    pub(super) fn shape(&self, classes: usize) -> (usize, usize) {
        (self.matrix().nrows(), classes)
    }

    /// `Σ ‖z‖²` over the examples.
    pub(super) fn trace(&self) -> f64 {
        self.matrix().diag().sum()
    }

    /// The inner product of the coefficients of two points.
    pub(super) fn inner(&self, a: &Point, b: &Point) -> f64 {
        match self {
            Self::Span { .. } => dot(&a.coordinates, &b.scores),
            Self::Full { .. } => dot(&a.coordinates, &b.coordinates),
        }
    }

    /// The change that a gradient predicts along a direction.
    pub(super) fn pair(&self, gradient: &Gradient, point: &Point) -> f64 {
        let coefficients = match self {
            Self::Span { .. } => dot(&gradient.coordinates, &point.scores),
            Self::Full { .. } => dot(&gradient.coordinates, &point.coordinates),
        };
        coefficients + gradient.intercepts.dot(&point.intercepts)
    }

    /// The squared norm of the gradient for the coefficients.
    pub(super) fn norm2(&self, gradient: &Gradient) -> f64 {
        match self {
            Self::Span { kernel } => {
                let q = &gradient.coordinates;
                dot(q, &kernel.dot(q)).max(0.0)
            }
            Self::Full { .. } => dot(&gradient.coordinates, &gradient.coordinates),
        }
    }

    /// Factors the preconditioner for the mean curvature `curvature`; `None` if the data is
    /// scaled so badly that it is singular to working precision.
    pub(super) fn precondition<'a>(
        &'a self,
        z: &'a Array2<f64>,
        curvature: f64,
    ) -> Option<Preconditioned<'a>> {
        let mut matrix = self.matrix() * curvature;
        matrix.diag_mut().mapv_inplace(|v| v + 1.0);
        Some(Preconditioned { space: self, z, curvature, factor: Cholesky::new(matrix)? })
    }
}

impl Preconditioned<'_> {
    /// The curvature it was factored for.
    pub(super) fn curvature(&self) -> f64 {
        self.curvature
    }

    /// Gradient at a point whose loss has the derivative `residual` in the scores.
    pub(super) fn gradient(&self, point: &Point, residual: &Array2<f64>) -> Gradient {
        let mut coordinates = point.coordinates.clone();
        match self.space {
            Space::Span { .. } => coordinates += residual,
            Space::Full { .. } => {
                general_mat_mul(1.0, &self.z.t(), residual, 1.0, &mut coordinates);
            }
        }
        Gradient { coordinates, intercepts: residual.sum_axis(Axis(0)) }
    }

    /// `M⁻¹` times a gradient.
    pub(super) fn solve(&self, gradient: &Gradient) -> Point {
        let mut coordinates = gradient.coordinates.clone();
        self.factor.solve(&mut coordinates);
        let scores = match self.space {
            Space::Span { .. } => (&gradient.coordinates - &coordinates) / self.curvature,
            Space::Full { .. } => self.z.dot(&coordinates),
        };
        let intercepts = &gradient.intercepts / (self.curvature * self.z.nrows() as f64);
        Point { coordinates, scores, intercepts }
    }

    /// The coefficients of a point, `[classes, dimensions]`.
    pub(super) fn coefficients(&self, point: &Point) -> Array2<f64> {
        match self.space {
            Space::Span { .. } => point.coordinates.t().dot(self.z),
            Space::Full { .. } => point.coordinates.t().to_owned(),
        }
    }
}

/// `Σ a b` over all entries.
fn dot(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    match (a.as_slice(), b.as_slice()) {
        (Some(a), Some(b)) => ndarray::aview1(a).dot(&ndarray::aview1(b)),
        _ => Zip::from(a).and(b).fold(0.0, |total, &a, &b| total + a * b),
    }
}
