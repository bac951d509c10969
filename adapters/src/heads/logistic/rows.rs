//! Products with many examples.
//!
//! Single precision halves the work of each iteration. Its rounding is a ten-millionth of the
//! change that it describes: a search that adds up changes stays as exact as its last look at
//! the examples in double precision. Where the problem is conditioned so badly that this
//! rounding would hide the penalty, all products are in double precision.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Slice};

use crate::examples::{Examples, minus};
use crate::numeric::{add_lower_gram, parallel_map, values};

/// The golden ratio.
const GOLDEN: f64 = 1.618_033_988_749_895;

/// Rows that are worked on at a time: the parts, and so the order of additions, do not depend
/// on the number of threads.
pub(super) const ROWS: usize = 1_024;

/// Most sums of products that are held at once before they are added up.
const PARTS: usize = 64;

/// Rows whose scatter is one product, and most such sums that are held at once.
const CHUNK: usize = 512;
const SUMS: usize = 16;

/// Examples a dimension that tell the scatter well enough for a preconditioner.
const ENOUGH: usize = 8;

/// Rows that are centred in double precision at a time, so that they stay in the cache.
const EXACT: usize = 128;

/// How much longer a multiply-add takes here than where threads were weighed: a product with few
/// columns waits for memory.
const NARROW: u128 = 16;

/// The largest `sum of squares × curvature`, a bound on the condition of the problem, at which
/// products are in single precision: their rounding then stays far below the penalty.
const SINGLE: f64 = 1e5;

/// Centred embeddings `Z`.
pub(super) struct Rows<'a, 'x> {
    examples: &'a Examples<'x>,
    mean: &'a Array1<f64>,
    /// `Z` over `unit` in single precision, `[examples, dimensions]`, where that is enough for
    /// changes.
    z: Option<Array2<f32>>,
    /// The largest magnitude in `Z`, so that no product overflows.
    unit: f64,
}

impl<'a, 'x> Rows<'a, 'x> {
    /// Centres examples at `mean`; `curvature` is the largest mean curvature of their loss.
    #[expect(clippy::cast_possible_truncation, reason = "single precision is what it is for")]
    pub(super) fn new(examples: &'a Examples<'x>, mean: &'a Array1<f64>, curvature: f64) -> Self {
        let means = values(mean.view());
        let cost = NARROW * examples.x.len() as u128;
        let parts = examples.x.axis_chunks_iter(Axis(0), ROWS);
        let sizes = parallel_map(parts.clone().collect(), cost, |x: ArrayView2<f32>| {
            x.outer_iter().fold((0.0, 0.0), |sizes, row| {
                let row = values(row);
                let centered = row.iter().zip(means.iter()).map(|(&x, m)| f64::from(x) - m);
                centered.fold(sizes, |(largest, squares), v| {
                    (larger(largest, v.abs()), squares + v * v)
                })
            })
        });
        let (largest, squares) = sizes.into_iter().fold((0.0, 0.0), |(largest, squares), part| {
            (larger(largest, part.0), squares + part.1)
        });
        let unit = unit(largest);
        if squares * curvature > SINGLE {
            return Self { examples, mean, z: None, unit };
        }
        let scale = 1.0 / unit;
        let mut z = Array2::zeros(examples.x.dim());
        let items = parts.zip(z.axis_chunks_iter_mut(Axis(0), ROWS)).collect();
        parallel_map(items, cost, |(x, mut z): (ArrayView2<f32>, ArrayViewMut2<f32>)| {
            for (row, mut z) in x.outer_iter().zip(z.outer_iter_mut()) {
                let row = values(row);
                let centered = row.iter().zip(means.iter()).map(|(&x, m)| f64::from(x) - m);
                z.iter_mut().zip(centered).for_each(|(z, v)| *z = (scale * v) as f32);
            }
        });
        Self { examples, mean, z: Some(z), unit }
    }

    /// Some of the rows, and the examples that they are.
    pub(super) fn share<'b, 'y>(&self, examples: &'b Examples<'y>, rows: &[usize]) -> Rows<'b, 'y>
    where
        'a: 'b,
    {
        let z = self.z.as_ref().map(|z| z.select(Axis(0), rows));
        Rows { examples, mean: self.mean, z, unit: self.unit }
    }

    fn cost(&self, columns: usize) -> u128 {
        NARROW * (self.examples.x.len() * columns) as u128
    }

    /// `Z B`, `[examples, classes]`, for a change `B`.
    pub(super) fn product(&self, b: &Array2<f64>) -> Array2<f64> {
        let Some(z) = &self.z else { return self.exact_product(b) };
        let (b, size) = single(b.view());
        let mut out = Array2::zeros((self.examples.len(), b.ncols()));
        let parts = z.axis_chunks_iter(Axis(0), ROWS);
        let items = parts.zip(out.axis_chunks_iter_mut(Axis(0), ROWS)).collect();
        let cost = self.cost(b.ncols());
        parallel_map(items, cost, |(z, mut out): (ArrayView2<f32>, ArrayViewMut2<f64>)| {
            let factor = self.unit * size;
            out.zip_mut_with(&z.dot(&b), |out, &v| *out = factor * f64::from(v));
        });
        out
    }

    /// `Zᵀ(R - before)`, `[dimensions, classes]`, of a change.
    pub(super) fn transposed_product(
        &self,
        r: &Array2<f64>,
        before: Option<&Array2<f64>>,
    ) -> Array2<f64> {
        let Some(z) = &self.z else {
            return match before {
                Some(before) => self.exact_transposed_product(&(r - before)),
                None => self.exact_transposed_product(r),
            };
        };
        let shape = (z.ncols(), r.ncols());
        let rows = ROWS.max(self.examples.len().div_ceil(PARTS));
        let parts = self.parts(rows).collect();
        let parts = parallel_map(parts, self.cost(r.ncols()), |rows: Range<usize>| {
            let mut sum = Array2::<f64>::zeros(shape);
            for start in rows.clone().step_by(ROWS) {
                let rows = Slice::from(start..rows.end.min(start + ROWS));
                let z = z.slice_axis(Axis(0), rows);
                let mut r = r.slice_axis(Axis(0), rows).to_owned();
                if let Some(before) = before {
                    r -= &before.slice_axis(Axis(0), rows);
                }
                let (r, size) = single(r.view());
                let factor = self.unit * size;
                sum.zip_mut_with(&z.t().dot(&r), |sum, &v| *sum += factor * f64::from(v));
            }
            sum
        });
        parts.into_iter().fold(Array2::zeros(shape), |total, part| total + part)
    }

    /// `Z B` in double precision.
    pub(super) fn exact_product(&self, b: &Array2<f64>) -> Array2<f64> {
        let mut out = Array2::zeros((self.examples.len(), b.ncols()));
        let items = self.parts(ROWS).zip(out.axis_chunks_iter_mut(Axis(0), ROWS)).collect();
        let cost = self.cost(b.ncols());
        parallel_map(items, cost, |(rows, mut out): (Range<usize>, ArrayViewMut2<f64>)| {
            let parts = out.axis_chunks_iter_mut(Axis(0), EXACT);
            for (start, mut out) in rows.clone().step_by(EXACT).zip(parts) {
                let z = self.exact(start..rows.end.min(start + EXACT));
                general_mat_mul(1.0, &z, b, 0.0, &mut out);
            }
        });
        out
    }

    /// `ZᵀR` in double precision.
    pub(super) fn exact_transposed_product(&self, r: &Array2<f64>) -> Array2<f64> {
        let shape = (self.examples.dimensions(), r.ncols());
        let rows = ROWS.max(self.examples.len().div_ceil(PARTS));
        let items = self.parts(rows).zip(r.axis_chunks_iter(Axis(0), rows)).collect();
        let cost = self.cost(r.ncols());
        let parts = parallel_map(items, cost, |(rows, r): (Range<usize>, ArrayView2<f64>)| {
            let mut sum = Array2::zeros(shape);
            let parts = r.axis_chunks_iter(Axis(0), EXACT);
            for (start, r) in rows.clone().step_by(EXACT).zip(parts) {
                let z = self.exact(start..rows.end.min(start + EXACT));
                general_mat_mul(1.0, &z.t(), &r, 1.0, &mut sum);
            }
            sum
        });
        parts.into_iter().fold(Array2::zeros(shape), |total, part| total + part)
    }

    /// The lower triangle of `ZᵀZ`, estimated from some rows where there are many.
    pub(super) fn lower_scatter(&self) -> Array2<f64> {
        let square = self.unit * self.unit;
        let (n, d) = self.examples.x.dim();
        let rows = spread(n, n.min(ENOUGH * d));
        let chunks: Vec<_> = rows.chunks(CHUNK).collect();
        let parts: Vec<_> = chunks.chunks(chunks.len().div_ceil(SUMS)).collect();
        let cost = rows.len() as u128 * (d * d) as u128 / 2;
        let parts = parallel_map(parts, cost, |chunks: &[&[usize]]| {
            let mut sum = Array2::zeros((d, d));
            for rows in chunks {
                if let Some(z) = &self.z {
                    let z = z.select(Axis(0), rows);
                    let mut products = Array2::zeros((d, d));
                    add_lower_gram(&mut products, z.t());
                    sum.zip_mut_with(&products, |sum, &v: &f32| *sum += square * f64::from(v));
                } else {
                    let x = self.examples.x.select(Axis(0), rows);
                    add_lower_gram(&mut sum, minus(x.view(), self.mean.view()).t());
                }
            }
            sum
        });
        let mut total = parts.into_iter().fold(Array2::zeros((d, d)), |total, part| total + part);
        total *= n as f64 / rows.len() as f64;
        total
    }

    /// The given rows of `Z` in double precision.
    fn exact(&self, rows: Range<usize>) -> Array2<f64> {
        let mut x = self.examples.x;
        x.slice_axis_inplace(Axis(0), Slice::from(rows));
        minus(x, self.mean.view())
    }

    /// The rows, so many at a time.
    fn parts(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let n = self.examples.len();
        (0..n).step_by(rows).map(move |start| start..n.min(start + rows))
    }
}

/// Values in single precision, and what they were divided by.
#[expect(clippy::cast_possible_truncation, reason = "single precision is what it is for")]
fn single(values: ArrayView2<f64>) -> (Array2<f32>, f64) {
    let size = unit(values.iter().map(|v| v.abs()).fold(0.0, larger));
    let scale = 1.0 / size;
    (values.mapv(|v| (scale * v) as f32), size)
}

/// What values of this largest magnitude are divided by.
fn unit(largest: f64) -> f64 {
    if largest > 0.0 { largest } else { 1.0 }
}

fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// `count` of `n` rows, spread over them with no period that their labels could share: those
/// where the multiples of the golden ratio fall low.
fn spread(n: usize, count: usize) -> Vec<usize> {
    if count == n {
        return (0..n).collect();
    }
    let share = count as f64 / n as f64;
    (0..n).filter(|&row| (row as f64 * GOLDEN).fract() < share).collect()
}
