//! Rectangular parts of a matrix, and the values of one in their order.
//!
//! `ndarray`'s `s!` macro expands to `unsafe`, which this crate forbids.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{ArrayView, ArrayView2, ArrayViewMut2, Axis, Dimension, Slice};

/// The given rows and columns.
pub(crate) fn block<A>(
    mut a: ArrayView2<'_, A>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayView2<'_, A> {
    a.slice_axis_inplace(Axis(0), Slice::from(rows));
    a.slice_axis_inplace(Axis(1), Slice::from(columns));
    a
}

/// The given rows and columns, to change.
pub(crate) fn block_mut<A>(
    mut a: ArrayViewMut2<'_, A>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayViewMut2<'_, A> {
    a.slice_axis_inplace(Axis(0), Slice::from(rows));
    a.slice_axis_inplace(Axis(1), Slice::from(columns));
    a
}

/// The values in their order, without a copy where they lie in it.
pub(crate) fn values<A: Copy, D: Dimension>(a: ArrayView<'_, A, D>) -> Cow<'_, [A]> {
    match a.to_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(a.iter().copied().collect()),
    }
}
