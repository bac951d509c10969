//! Inner products of the rows or the columns of a matrix.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, LinalgScalar};

use super::{block, block_mut, parallel_map};

/// Rows of the result that one product makes.
const BLOCK: usize = 64;

/// Adds `z zᵀ` to the lower triangle of `products`, `[n, n]`, for `z` of `[n, d]`: about
/// n² d / 2 multiply-adds. Above the diagonal only the diagonal blocks are touched.
pub(crate) fn add_lower_gram<A>(products: &mut Array2<A>, z: ArrayView2<A>)
where
    A: LinalgScalar + Send + Sync,
{
    let (n, d) = (z.nrows(), z.ncols());
    let cost = (n as u128 * n as u128 / 2).saturating_mul(d as u128);
    // Whole blocks of rows, the longest first, so that every entry is one product whoever
    // makes it.
    let mut blocks: Vec<_> = products.axis_chunks_iter_mut(Axis(0), BLOCK).enumerate().collect();
    blocks.reverse();
    parallel_map(blocks, cost, |(index, here)| {
        let (start, end) = (index * BLOCK, index * BLOCK + here.nrows());
        let rows = block(z, start..end, 0..d);
        let columns = block(z, 0..end, 0..d);
        let height = here.nrows();
        let mut here = block_mut(here, 0..height, 0..end);
        general_mat_mul(A::one(), &rows, &columns.t(), A::one(), &mut here);
    });
}

/// `z zᵀ`, `[n, n]` for `z` of `[n, d]`.
pub(crate) fn gram(z: ArrayView2<f64>) -> Array2<f64> {
    let n = z.nrows();
    let mut products = Array2::zeros((n, n));
    add_lower_gram(&mut products, z);
    for start in (0..n).step_by(BLOCK) {
        // What lies left of a diagonal block also lies, mirrored, above it.
        let end = (start + BLOCK).min(n);
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
