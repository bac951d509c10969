//! Leave-one-out errors of ridge regression, for many penalties at once.

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use crate::numeric::{ROWS, Shifted, Tridiagonal, block, gram, parallel_map, scatter};

/// Columns of the solutions of several penalties that are multiplied at once.
pub(super) const PANEL: usize = 512;

/// The reduced normal equations, ready for any penalty.
pub(crate) struct System {
    reduced: Tridiagonal,
    side: Side,
    /// The examples in the reduced basis, in parts of `[m, ROWS]` columns: `QᵀZᵀ`, or `Qᵀ`
    /// on the dual side.
    parts: Vec<Array2<f64>>,
    /// Centred targets `[examples, classes]`.
    targets: Array2<f64>,
    /// Targets in the reduced basis, `[m, classes]`.
    rotated: Array2<f64>,
    /// `Zᵀ` times the targets, `[dimensions, classes]`.
    pub(crate) moments: Array2<f64>,
}

/// The side that the equations are solved on.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// Fewer examples than dimensions: `ZZᵀ = QTQᵀ`.
    Dual,
    /// `ZᵀZ = QTQᵀ`.
    Primal,
}

/// The solution for one penalty.
pub(crate) struct Solution {
    /// Dual or primal coefficients in the reduced basis.
    pub(crate) solution: Array2<f64>,
    /// Leave-one-out errors `[examples, classes]`.
    pub(crate) errors: Array2<f64>,
}

impl System {
    pub(crate) fn new(z: &Array2<f64>, targets: Array2<f64>) -> Self {
        let (n, d) = z.dim();
        let (reduced, side) = if n < d {
            (Tridiagonal::new(gram(z.view())), Side::Dual)
        } else {
            (Tridiagonal::new(scatter(z.view())), Side::Primal)
        };
        let q = &reduced.q;
        let parts = match side {
            Side::Dual => reduced.in_basis(None),
            Side::Primal => reduced.in_basis(Some(z)),
        };
        let moments = z.t().dot(&targets);
        let rotated = match side {
            Side::Dual => q.t().dot(&targets),
            Side::Primal => q.t().dot(&moments),
        };
        Self { reduced, side, parts, targets, rotated, moments }
    }

    /// The mean squared leave-one-out error at each penalty; not finite where the penalty is
    /// too small to matter at this scale of data.
    pub(crate) fn errors(&self, penalties: &[f64]) -> Vec<f64> {
        let count = self.targets.len() as f64;
        let at_once = (PANEL / self.targets.ncols().max(1)).max(1);
        let mut errors = Vec::with_capacity(penalties.len());
        for group in penalties.chunks(at_once) {
            let solved: Vec<Solved> = group.iter().map(|&penalty| self.reduce(penalty)).collect();
            let known: Vec<&Solved> = solved.iter().filter(|s| s.shifted.is_some()).collect();
            let sums = self.each_part(&known, |errors| {
                let squares = errors.iter().map(|part| part.iter().map(|e| e * e).sum::<f64>());
                squares.collect::<Vec<f64>>()
            });
            let mut totals = (0..known.len()).map(|p| sums.iter().map(|part| part[p]).sum::<f64>());
            for one in &solved {
                let total = one.shifted.as_ref().and_then(|_| totals.next());
                errors.push(total.map_or(f64::INFINITY, |total| total / count));
            }
        }
        errors
    }

    /// The penalty with the smallest error, the first of equals, with that error and its
    /// solution; `None` where all are too small to matter.
    pub(crate) fn choose(&self, penalties: &[f64]) -> Option<(f64, f64, Solution)> {
        let (penalty, error) = penalties
            .iter()
            .copied()
            .zip(self.errors(penalties))
            .filter(|(_, error)| error.is_finite())
            .reduce(|best, next| if next.1 < best.1 { next } else { best })?;
        Some((penalty, error, self.solve(penalty)?))
    }

    /// Solves for one penalty.
    pub(crate) fn solve(&self, penalty: f64) -> Option<Solution> {
        let solved = self.reduce(penalty);
        solved.shifted.as_ref()?;
        let parts = self.each_part(&[&solved], |mut errors| errors.swap_remove(0));
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        let errors = concatenate(Axis(0), &views).ok()?;
        Some(Solution { solution: solved.solution, errors })
    }

    fn reduce(&self, penalty: f64) -> Solved {
        let shifted = self.reduced.shifted(penalty);
        let mut solution = self.rotated.clone();
        if let Some(shifted) = &shifted {
            shifted.solve(&mut solution);
        }
        Solved { penalty, shifted, solution }
    }

    /// Hands over the leave-one-out errors of each part of the examples, `[rows, classes]` for
    /// each penalty; NaN where rounding leaves none.
    fn each_part<R: Send>(
        &self,
        solved: &[&Solved],
        take: impl Fn(Vec<Array2<f64>>) -> R + Sync,
    ) -> Vec<R> {
        let (n, k) = self.targets.dim();
        let solutions: Vec<_> = solved.iter().map(|s| s.solution.view()).collect();
        let Ok(solutions) = concatenate(Axis(1), &solutions) else { return Vec::new() };
        let cost = n as u128 * (solutions.len() + solved.len() * solutions.nrows()) as u128;
        let parts = self.parts.iter().zip(self.targets.axis_chunks_iter(Axis(0), ROWS)).collect();
        parallel_map(parts, cost, |(part, targets): (&Array2<f64>, ArrayView2<f64>)| {
            let fitted = part.t().dot(&solutions);
            let errors = solved.iter().enumerate().map(|(p, solved)| {
                let fitted = block(fitted.view(), 0..part.ncols(), p * k..(p + 1) * k);
                self.left_out(solved, part, fitted, targets)
            });
            take(errors.collect())
        })
    }

    /// Leave-one-out errors of some examples. Both sides give αG⁻¹t and the diagonal of αG⁻¹.
    fn left_out(
        &self,
        solved: &Solved,
        part: &Array2<f64>,
        fitted: ArrayView2<f64>,
        targets: ArrayView2<f64>,
    ) -> Array2<f64> {
        let Some(shifted) = &solved.shifted else {
            return Array2::from_elem(targets.dim(), f64::NAN);
        };
        let mut errors = match self.side {
            Side::Dual => &fitted * solved.penalty,
            Side::Primal => &targets - &fitted,
        };
        let share = 1.0 / self.targets.nrows() as f64;
        for (mut row, quadratic) in errors.outer_iter_mut().zip(shifted.quadratics(part)) {
            let diagonal = match self.side {
                Side::Dual => solved.penalty * quadratic,
                Side::Primal => 1.0 - quadratic,
            };
            let left = diagonal - share;
            row /= if left > f64::EPSILON { left } else { f64::NAN };
        }
        errors
    }

    /// Coefficients `[classes, dimensions]`.
    pub(crate) fn coefficients(&self, z: &Array2<f64>, solution: &Array2<f64>) -> Array2<f64> {
        let turned = self.reduced.q.dot(solution);
        match self.side {
            Side::Dual => turned.t().dot(z),
            Side::Primal => turned.reversed_axes(),
        }
    }
}

/// One penalty, solved in the reduced basis.
struct Solved {
    penalty: f64,
    /// `None` if the penalty is lost beside the data.
    shifted: Option<Shifted>,
    /// `[m, classes]`.
    solution: Array2<f64>,
}
