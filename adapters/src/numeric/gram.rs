//! Inner products of the rows or the columns of a matrix.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};

use super::{block, block_mut};

/// Rows of the result that one product makes.
const BLOCK: usize = 64;

/// `z zᵀ`, `[n, n]` for `z` of `[n, d]`: about n² d multiply-adds over 2, as only the lower
/// triangle is multiplied out.
pub(crate) fn gram(z: ArrayView2<f64>) -> Array2<f64> {
    let n = z.nrows();
    let mut products = Array2::zeros((n, n));
    for start in (0..n).step_by(BLOCK) {
        let end = (start + BLOCK).min(n);
        let rows = block(z, start..end, 0..z.ncols());
        let columns = block(z, 0..end, 0..z.ncols());
        let mut here = block_mut(products.view_mut(), start..end, 0..end);
        general_mat_mul(1.0, &rows, &columns.t(), 0.0, &mut here);
        // The part left of the diagonal block also lies, mirrored, above it.
        let (above, below) = products.view_mut().split_at(Axis(0), start);
        let below = block(below.view(), 0..end - start, 0..start);
        block_mut(above, 0..start, start..end).assign(&below.t());
    }
    products
}

/// `zᵀ z`, `[d, d]` for `z` of `[n, d]`.
pub(crate) fn scatter(z: ArrayView2<f64>) -> Array2<f64> {
    gram(z.reversed_axes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_plain_products() {
        let z = Array2::from_shape_fn((150, 7), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0);
        assert_eq!(gram(z.view()), z.dot(&z.t()));
        assert_eq!(scatter(z.view()), z.t().dot(&z));
        assert_eq!(scatter(z.t()), z.dot(&z.t()));
    }
}
