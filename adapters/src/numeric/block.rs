//! Rectangular parts of a matrix.
//!
//! `ndarray`'s `s!` macro expands to `unsafe`, which this crate forbids.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

/// The given rows and columns.
pub(crate) fn block(
    mut a: ArrayView2<'_, f64>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayView2<'_, f64> {
    a.slice_axis_inplace(Axis(0), Slice::from(rows));
    a.slice_axis_inplace(Axis(1), Slice::from(columns));
    a
}

/// The given rows and columns, to change.
pub(crate) fn block_mut(
    mut a: ArrayViewMut2<'_, f64>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayViewMut2<'_, f64> {
    a.slice_axis_inplace(Axis(0), Slice::from(rows));
    a.slice_axis_inplace(Axis(1), Slice::from(columns));
    a
}
