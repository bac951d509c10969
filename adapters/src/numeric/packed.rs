//! A symmetric matrix whose lower triangle lies row after row, without gaps: half the
//! memory to pass through, where passing through memory is all the work.

use ndarray::Array2;

/// A symmetric matrix `[n, n]`, packed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packed {
    n: usize,
    values: Vec<f64>,
}

impl Packed {
    /// `value I`.
    pub(crate) fn diagonal(n: usize, value: f64) -> Self {
        let mut packed = Self { n, values: vec![0.0; n * (n + 1) / 2] };
        (0..n).for_each(|i| packed.values[i * (i + 3) / 2] = value);
        packed
    }

    /// The lower triangle of a square matrix.
    pub(crate) fn lower(a: &Array2<f64>) -> Self {
        let rows = a.outer_iter().enumerate();
        let values = rows.flat_map(|(i, row)| row.to_vec().into_iter().take(i + 1)).collect();
        Self { n: a.nrows(), values }
    }

    /// Replaces `y` by the product with `x`, both `[n]`.
    pub(crate) fn multiply(&self, x: &[f64], y: &mut [f64]) {
        multiply(&self.values, |value| value, x, y);
    }

    /// Adds `scale v vᵀ` for `v` of `[n]`.
    pub(crate) fn add_outer(&mut self, scale: f64, v: &[f64]) {
        let mut rest = self.values.as_mut_slice();
        for (i, &value) in v.iter().enumerate() {
            let Some((row, below)) = rest.split_at_mut_checked(i + 1) else { return };
            add_scaled(row, scale * value, v);
            rest = below;
        }
    }

    /// The sum of the diagonal.
    pub(crate) fn trace(&self) -> f64 {
        (0..self.n).map(|i| self.values[i * (i + 3) / 2]).sum()
    }
}

/// Replaces `y` by the product of a packed symmetric matrix with `x`, its entries read
/// through `value`. Each row serves at once as the row and as the column that mirrors it.
#[inline(always)]
pub(crate) fn multiply<T: Copy>(packed: &[T], value: impl Fn(T) -> f64, x: &[f64], y: &mut [f64]) {
    y.fill(0.0);
    let mut rest = packed;
    for (i, &xi) in x.iter().enumerate() {
        let Some((row, below)) = rest.split_at_checked(i + 1) else { return };
        let (before, here) = y.split_at_mut(i);
        let (row_chunks, row_rest) = row[..i].as_chunks::<8>();
        let (y_chunks, y_rest) = before.as_chunks_mut::<8>();
        let (x_chunks, x_rest) = x[..i].as_chunks::<8>();
        let mut sums = [0.0; 8];
        for ((row, y), x) in row_chunks.iter().zip(y_chunks).zip(x_chunks) {
            for lane in 0..8 {
                let entry = value(row[lane]);
                sums[lane] += entry * x[lane];
                y[lane] += entry * xi;
            }
        }
        let mut sum = value(row[i]) * xi + sums.iter().sum::<f64>();
        for ((&row, y), x) in row_rest.iter().zip(y_rest).zip(x_rest) {
            sum += value(row) * x;
            *y += value(row) * xi;
        }
        here[0] += sum;
        rest = below;
    }
}

/// Adds `scale x` to `y`, over the shorter of them.
#[inline(always)]
pub(crate) fn add_scaled(y: &mut [f64], scale: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += scale * x);
}

/// `a · b` in eight partial sums.
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    #[test]
    fn equals_the_dense_matrix() {
        for n in [1, 2, 8, 9, 31] {
            let half = Array2::from_shape_fn((n, n), |(i, j)| ((i * 5 + j * 3) as f64).sin());
            let mut dense = &half + &half.t();
            let mut packed = Packed::lower(&dense);
            let v = Array1::from_shape_fn(n, |i| (i as f64).cos());
            packed.add_outer(-0.7, v.as_slice().unwrap());
            let column = v.clone().insert_axis(ndarray::Axis(1));
            dense -= &(column.dot(&column.t()) * 0.7);
            let mut product = vec![f64::NAN; n];
            packed.multiply(v.as_slice().unwrap(), &mut product);
            let expected = dense.dot(&v);
            assert!(product.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-13 * n as f64));
            assert!((packed.trace() - dense.diag().sum()).abs() < 1e-13 * n as f64);
            assert!((dot(&product, v.as_slice().unwrap()) - expected.dot(&v)).abs() < 1e-11);
            Packed::diagonal(n, 3.0).multiply(v.as_slice().unwrap(), &mut product);
            assert_eq!(product, (v * 3.0).to_vec());
        }
    }
}
