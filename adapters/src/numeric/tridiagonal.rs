//! A symmetric matrix as `Q T Qᵀ` with `T` tridiagonal.

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::{block, block_mut, parallel_map};

/// Columns that are worked on at once: what they need stays in a core's cache.
pub(crate) const ROWS: usize = 128;

/// `A = Q T Qᵀ`, `Q` orthogonal and `T` symmetric tridiagonal, by Householder reflections
/// (Golub and Van Loan, *Matrix Computations*, section 8.3.1; 8/3 n³ multiply-adds over 2).
///
/// It serves where the resolvent `(A + αI)⁻¹` is wanted for many α: once `A` is reduced,
/// each α costs O(n) a vector, as an eigendecomposition would, for a fraction of its cost
/// and with no iteration that could fail to converge. Eldén (1977, *BIT* 17) uses the same
/// idea, on the bidiagonal form, to choose a ridge penalty.
pub(crate) struct Tridiagonal {
    /// Orthogonal `Q`, `[n, n]`.
    pub(crate) q: Array2<f64>,
    /// Diagonal of `T`, `[n]`.
    diagonal: Array1<f64>,
    /// Off-diagonal of `T`, `[n - 1]`.
    off: Array1<f64>,
}

/// The factorisation `T + αI = L D Lᵀ` for one α, to solve with.
pub(crate) struct Shifted {
    /// Off-diagonal of `L`.
    lower: Vec<f64>,
    /// `D`, all positive.
    pivots: Vec<f64>,
}

impl Tridiagonal {
    /// Reduces a symmetric matrix of at least one row.
    pub(crate) fn new(mut a: Array2<f64>) -> Self {
        let n = a.nrows();
        let mut diagonal = Array1::zeros(n);
        let mut off = Array1::zeros(n.saturating_sub(1));
        let mut scales = vec![0.0; n];
        // Reflection k zeroes column k below the subdiagonal. Its vector v replaces that
        // column, so that `a` ends up holding every v below the diagonal.
        for k in 0..n {
            diagonal[k] = a[[k, k]];
            if k + 1 == n {
                break;
            }
            let mut v = block(a.view(), k + 1..n, k..k + 1).column(0).to_owned();
            let (beta, scale) = reflector(&mut v);
            off[k] = beta;
            scales[k] = scale;
            if scale != 0.0 {
                // B -= v wᵀ + w vᵀ with w = p - (scale/2)(p·v) v, p = scale B v.
                let mut corner = block_mut(a.view_mut(), k + 1..n, k + 1..n);
                let mut w = Array1::zeros(v.len());
                general_mat_vec_mul(scale, &corner, &v, 0.0, &mut w);
                let overlap = w.dot(&v);
                w.scaled_add(-0.5 * scale * overlap, &v);
                for (i, mut row) in corner.outer_iter_mut().enumerate() {
                    let (vi, wi) = (v[i], w[i]);
                    ndarray::Zip::from(&mut row)
                        .and(&v)
                        .and(&w)
                        .for_each(|entry, &vj, &wj| *entry -= vi * wj + wi * vj);
                }
            }
            block_mut(a.view_mut(), k + 1..n, k..k + 1).column_mut(0).assign(&v);
        }
        // Q = H₀ H₁ …, built from the last reflection so that only the active corner grows.
        let mut q = Array2::eye(n);
        for k in (0..n.saturating_sub(1)).rev() {
            if scales[k] == 0.0 {
                continue;
            }
            let v = block(a.view(), k + 1..n, k..k + 1).column(0).to_owned();
            let mut corner = block_mut(q.view_mut(), k + 1..n, k + 1..n);
            let mut product = Array1::<f64>::zeros(v.len());
            for (row, &vi) in corner.outer_iter().zip(&v) {
                product.scaled_add(vi, &row);
            }
            for (mut row, &vi) in corner.outer_iter_mut().zip(&v) {
                row.scaled_add(-scales[k] * vi, &product);
            }
        }
        Self { q, diagonal, off }
    }

    /// `QᵀZᵀ` for the rows Z `[n, m]`, in parts of [`ROWS`] columns; `Qᵀ` itself without any.
    pub(crate) fn in_basis(&self, z: Option<&Array2<f64>>) -> Vec<Array2<f64>> {
        let m = self.q.nrows();
        let rows = z.unwrap_or(&self.q);
        let parts = rows.axis_chunks_iter(Axis(0), ROWS).collect();
        let cost = if z.is_some() { (rows.len() as u128).saturating_mul(m as u128) } else { 0 };
        parallel_map(parts, cost, |rows: ArrayView2<f64>| {
            let mut part = Array2::zeros((m, rows.nrows()));
            if z.is_some() {
                general_mat_mul(1.0, &self.q.t(), &rows.t(), 0.0, &mut part);
            } else {
                part.assign(&rows.t());
            }
            part
        })
    }

    /// Factors `T + alpha I`; `None` when it is not positive definite to working precision.
    pub(crate) fn shifted(&self, alpha: f64) -> Option<Shifted> {
        let n = self.diagonal.len();
        let (mut lower, mut pivots) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut carry = 0.0;
        for k in 0..n {
            let pivot = self.diagonal[k] + alpha - carry;
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            pivots.push(pivot);
            if let Some(&off) = self.off.get(k) {
                lower.push(off / pivot);
                carry = off * off / pivot;
            }
        }
        Some(Shifted { lower, pivots })
    }
}

impl Shifted {
    /// Replaces `b`, `[n, k]`, by `(T + αI)⁻¹ b`.
    pub(crate) fn solve(&self, b: &mut Array2<f64>) {
        let n = self.pivots.len();
        for i in 1..n {
            let (above, mut here) = b.view_mut().split_at(Axis(0), i);
            here.row_mut(0).scaled_add(-self.lower[i - 1], &above.row(i - 1));
        }
        for (mut row, &pivot) in b.outer_iter_mut().zip(&self.pivots) {
            row /= pivot;
        }
        for i in (1..n).rev() {
            let (mut above, here) = b.view_mut().split_at(Axis(0), i);
            above.row_mut(i - 1).scaled_add(-self.lower[i - 1], &here.row(0));
        }
    }

    /// `tr (T + αI)⁻¹`, from the pivots of factoring downwards and upwards (Meurant 1992,
    /// *SIAM J. Matrix Anal. Appl.* 13): `1 / (Dᵢ + Eᵢ - Tᵢᵢ - α)`.
    pub(crate) fn trace_of_inverse(&self, matrix: &Tridiagonal) -> f64 {
        let n = self.pivots.len();
        let (mut total, mut carry) = (0.0, 0.0);
        for k in (0..n).rev() {
            // The pivot from below is Tₖₖ + α - carry, so that Tₖₖ + α cancels.
            total += 1.0 / (self.pivots[k] - carry);
            if k > 0 {
                let (off, above) = (matrix.off[k - 1], self.pivots[k - 1]);
                // Tₖₖ + α, from the pivot that came from above.
                let diagonal = self.pivots[k] + off * off / above;
                carry = off * off / (diagonal - carry);
            }
        }
        total
    }

    /// `bᵀ (T + αI)⁻¹ b` for each column b of `columns`, `[n, k]`: `Σ yᵢ² / Dᵢ` with
    /// `L y = b`, for all columns at once.
    pub(crate) fn quadratics(&self, columns: &Array2<f64>) -> Vec<f64> {
        let k = columns.ncols();
        let (mut totals, mut y) = (vec![0.0; k], vec![0.0; k]);
        let mut lower = 0.0;
        for (i, (row, &pivot)) in columns.outer_iter().zip(&self.pivots).enumerate() {
            let scale = 1.0 / pivot;
            let step = |((total, y), b): ((&mut f64, &mut f64), &f64)| {
                *y = b - lower * *y;
                *total += *y * *y * scale;
            };
            let pairs = totals.iter_mut().zip(&mut y);
            match row.to_slice() {
                Some(row) => pairs.zip(row).for_each(step),
                None => pairs.zip(&row).for_each(step),
            }
            lower = self.lower.get(i).copied().unwrap_or(0.0);
        }
        totals
    }
}

/// Turns `x` into the vector `v` of the reflection `H = I - scale v vᵀ` with `H x = beta e₁`.
fn reflector(x: &mut Array1<f64>) -> (f64, f64) {
    let largest = x.fold(0.0, |m: f64, v| m.max(v.abs()));
    let tail = x.iter().skip(1).fold(0.0, |m: f64, v| m.max(v.abs()));
    if tail == 0.0 {
        return (x[0], 0.0);
    }
    // Scaled so that squares neither overflow nor vanish.
    *x /= largest;
    let norm = x.dot(x).sqrt();
    let beta = if x[0] > 0.0 { -norm } else { norm };
    x[0] -= beta;
    (beta * largest, 2.0 / x.dot(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::gram;

    fn largest(a: &Array2<f64>) -> f64 {
        a.fold(0.0, |m, v| m.max(v.abs()))
    }

    #[test]
    fn rebuilds_the_matrix_and_its_resolvent() {
        for (n, rank) in [(1, 1), (2, 2), (3, 1), (40, 40), (40, 7)] {
            let z = Array2::from_shape_fn((n, rank), |(i, j)| ((i * 13 + j * 29) as f64).cos());
            let a = gram(z.view());
            let reduced = Tridiagonal::new(a.clone());
            let mut t = Array2::from_diag(&reduced.diagonal);
            for (k, &off) in reduced.off.iter().enumerate() {
                t[[k, k + 1]] = off;
                t[[k + 1, k]] = off;
            }
            let q = &reduced.q;
            assert!(largest(&(q.dot(&t).dot(&q.t()) - &a)) < 1e-12 * n as f64);
            assert!(largest(&(q.t().dot(q) - Array2::<f64>::eye(n))) < 1e-13 * n as f64);

            let alpha = 0.1;
            let shifted = reduced.shifted(alpha).unwrap();
            let mut inverse = Array2::eye(n);
            shifted.solve(&mut inverse);
            let trace = shifted.trace_of_inverse(&reduced);
            assert!((trace / inverse.diag().sum() - 1.0).abs() < 1e-11);
            let x = Array2::from_shape_fn((n, 2), |(i, j)| (i + 1) as f64 / (j + 1) as f64);
            let b = a.dot(&x) + &x * alpha;
            let mut solved = q.t().dot(&b);
            shifted.solve(&mut solved);
            assert!(largest(&(q.dot(&solved) - &x)) < 1e-9);
            let found = shifted.quadratics(&q.t().dot(&b));
            for (found, (b, x)) in found.iter().zip(b.columns().into_iter().zip(x.columns())) {
                assert!((found - b.dot(&x)).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn zero_matrices_and_indefinite_shifts() {
        let zero = Tridiagonal::new(Array2::zeros((5, 5)));
        assert!(zero.shifted(0.0).is_none());
        assert!(zero.shifted(1.0).is_some());
        assert!(Tridiagonal::new(-Array2::<f64>::eye(3)).shifted(0.5).is_none());
    }
}
