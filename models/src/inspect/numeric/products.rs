//! Rows of unit length, centred rows, and sums of products.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};

use super::parallel;

/// Rows whose products are summed at once.
const ROWS: usize = 1024;

/// The first `n` rows, or all of fewer.
pub(crate) fn first<T>(x: ArrayView2<'_, T>, n: usize) -> ArrayView2<'_, T> {
    let n = n.min(x.nrows());
    x.slice_axis_move(Axis(0), Slice::from(..n))
}

/// Rows of unit length; a row of zeros stays one.
pub(crate) fn unit_rows(x: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut unit = x.to_owned();
    for mut row in unit.outer_iter_mut() {
        let squares: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let length = squares.sqrt();
        if length > 1e-30 {
            row.mapv_inplace(|v| (f64::from(v) / length) as f32);
        }
    }
    unit
}

/// The mean row.
pub(crate) fn mean(x: ArrayView2<'_, f32>) -> Array1<f64> {
    let mut sum = Array1::<f64>::zeros(x.ncols());
    for row in x.outer_iter() {
        sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
    }
    sum / x.nrows().max(1) as f64
}

/// Rows minus the mean row.
pub(crate) fn centred(x: ArrayView2<'_, f32>) -> Array2<f32> {
    let mean = mean(x);
    let mut centred = x.to_owned();
    for mut row in centred.outer_iter_mut() {
        row.iter_mut().zip(&mean).for_each(|(v, mean)| *v = (f64::from(*v) - mean) as f32);
    }
    centred
}

/// `Σ x xᵀ` over the rows, `[columns, columns]`, in 64-bit floats.
pub(crate) fn scatter(x: ArrayView2<'_, f32>) -> Array2<f64> {
    let parts: Vec<_> = x.axis_chunks_iter(Axis(0), ROWS).collect();
    let width = x.ncols();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(parts.len());
    let sums = parallel::map(threads, |first| {
        let mut sum = Array2::<f64>::zeros((width, width));
        for part in parts.iter().skip(first).step_by(threads) {
            let part = part.mapv(f64::from);
            general_mat_mul(1.0, &part.t(), &part, 1.0, &mut sum);
        }
        sum
    });
    sums.into_iter().reduce(|a, b| a + b).unwrap_or_else(|| Array2::zeros((width, width)))
}

/// `a bᵀ` in 64-bit floats.
pub(crate) fn gram(x: ArrayView2<'_, f32>) -> Array2<f64> {
    let x = x.mapv(f64::from);
    x.dot(&x.t())
}
