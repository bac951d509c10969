//! The Cholesky factorisation of a positive definite matrix, and solving with it.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayViewMut2, Axis};

use super::{block, block_mut};

/// Columns factored at a time.
const BLOCK: usize = 32;

/// `A = L Lᵀ` with `L` lower triangular.
///
/// Right-looking and blocked (Golub and Van Loan, *Matrix Computations*, section 4.2). The
/// inverses of the diagonal blocks of `L` are kept, so that factoring (n³/3 multiply-adds
/// over 1) and solving (n² a right-hand side) are matrix products.
pub(crate) struct Cholesky {
    /// `L` strictly below its diagonal blocks; the rest is not used.
    lower: Array2<f64>,
    /// Inverse of each diagonal block of `L`.
    inverses: Vec<Array2<f64>>,
}

impl Cholesky {
    /// Factors a symmetric matrix, reading its lower triangle; `None` when it is not
    /// positive definite to working precision or holds NaN.
    pub(crate) fn new(mut a: Array2<f64>) -> Option<Self> {
        let n = a.nrows();
        let mut inverses = Vec::with_capacity(n.div_ceil(BLOCK));
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            let inverse = invert_factor(block_mut(a.view_mut(), start..end, start..end))?;
            // L21 = A21 L11⁻ᵀ, then A22 -= L21 L21ᵀ, block column by block column.
            let panel = block(a.view(), end..n, start..end).dot(&inverse.t());
            block_mut(a.view_mut(), end..n, start..end).assign(&panel);
            for column in (end..n).step_by(BLOCK) {
                let stop = (column + BLOCK).min(n);
                let rows = block(panel.view(), column - end..n - end, 0..end - start);
                let columns = block(panel.view(), column - end..stop - end, 0..end - start);
                let mut here = block_mut(a.view_mut(), column..n, column..stop);
                general_mat_mul(-1.0, &rows, &columns.t(), 1.0, &mut here);
            }
            inverses.push(inverse);
        }
        Some(Self { lower: a, inverses })
    }

    /// Replaces `b`, `[n, k]`, by `A⁻¹ b`.
    pub(crate) fn solve(&self, b: &mut Array2<f64>) {
        let (n, columns) = b.dim();
        // L y = b, downwards. Each block gathers all that is solved above it, so that it is
        // written once.
        for (index, inverse) in self.inverses.iter().enumerate() {
            let (start, end) = (index * BLOCK, (index * BLOCK + BLOCK).min(n));
            let (above, below) = b.view_mut().split_at(Axis(0), start);
            let mut here = block_mut(below, 0..end - start, 0..columns);
            let panel = block(self.lower.view(), start..end, 0..start);
            general_mat_mul(-1.0, &panel, &above, 1.0, &mut here);
            let solved = inverse.dot(&here);
            here.assign(&solved);
        }
        // Lᵀ x = y, upwards.
        for (index, inverse) in self.inverses.iter().enumerate().rev() {
            let (start, end) = (index * BLOCK, (index * BLOCK + BLOCK).min(n));
            let (above, below) = b.view_mut().split_at(Axis(0), end);
            let mut here = block_mut(above, start..end, 0..columns);
            let panel = block(self.lower.view(), end..n, start..end);
            general_mat_mul(-1.0, &panel.t(), &below, 1.0, &mut here);
            let solved = inverse.t().dot(&here);
            here.assign(&solved);
        }
    }
}

/// Inverse of the Cholesky factor of one small diagonal block.
fn invert_factor(mut a: ArrayViewMut2<f64>) -> Option<Array2<f64>> {
    let n = a.nrows();
    for j in 0..n {
        for k in 0..j {
            for i in j..n {
                a[[i, j]] -= a[[i, k]] * a[[j, k]];
            }
        }
        let pivot = a[[j, j]];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let root = pivot.sqrt();
        for i in j..n {
            a[[i, j]] /= root;
        }
    }
    // Row i of the inverse: (eᵢ - Σ L[i, k] row k) / L[i, i] over k < i.
    let mut inverse = Array2::zeros((n, n));
    for i in 0..n {
        let (done, mut rest) = inverse.view_mut().split_at(Axis(0), i);
        let mut row = rest.row_mut(0);
        row[i] = 1.0;
        for (k, earlier) in done.outer_iter().enumerate() {
            row.scaled_add(-a[[i, k]], &earlier);
        }
        row /= a[[i, i]];
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::gram;

    #[test]
    fn solves_small_and_blocked_systems() {
        for n in [1, 2, 31, 32, 33, 100] {
            let z = Array2::from_shape_fn((n, n + 1), |(i, j)| ((i * 31 + j * 17) as f64).sin());
            let mut a = gram(z.view());
            a.diag_mut().mapv_inplace(|v| v + 1.0);
            let x = Array2::from_shape_fn((n, 3), |(i, j)| (i as f64 - j as f64) / n as f64);
            let mut b = a.dot(&x);
            Cholesky::new(a).unwrap().solve(&mut b);
            let error = (&b - &x).mapv(f64::abs).fold(0.0, |m: f64, &v| m.max(v));
            assert!(error < 1e-11, "n {n}: {error}");
        }
    }

    #[test]
    fn refuses_what_is_not_positive_definite() {
        assert!(Cholesky::new(ndarray::array![[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(Cholesky::new(ndarray::array![[f64::NAN]]).is_none());
        assert!(Cholesky::new(ndarray::array![[f64::INFINITY]]).is_none());
        assert!(Cholesky::new(ndarray::array![[0.0]]).is_none());
    }
}
