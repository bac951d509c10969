//! The gradient of a convolution's weight.

use super::super::super::backward::{Backward, reshape_like};
use super::{Layer, channels_first};
use crate::error::Result;
use crate::graph::{Attribute, Dim, TensorType, Value};

/// The gradient of the weight `[outer, inner of a group, kernel…]` from the large tensor
/// `[batch, inner, …]` and the small one `[batch, outer, …]`.
///
/// The large tensor is unfolded to `[inner · kernel, batch · windows]`, channels and
/// batch swapped, by one slice for each element of the kernel; one matrix product (one
/// for each group) with the small tensor `[outer, batch · windows]` does the rest.
/// Windows that neither overlap nor leave a gap are unfolded by a transposition.
pub(super) fn gradient(
    b: &mut Backward<'_>,
    layer: &Layer,
    large: Value,
    small: Value,
    w: Value,
) -> Result<Value> {
    let kind = b.g.tensor_type(small)?.clone();
    let rows = kind.shape.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, dim)| dim.clone());
    let rows = Dim::product(&rows.collect::<Vec<_>>());
    let rows = rows.unwrap_or_else(|| b.g.fresh_dim("windows"));
    let unfolded = match patches(b, layer, large)? {
        Some(unfolded) => unfolded,
        None => unfold(b, layer, large, &kind)?,
    };
    let turned = channels_first(b, small)?;
    let groups = layer.groups;
    let taps: i64 = layer.window.kernel.iter().product();
    let (outer, inner) = (layer.outer / groups, layer.inner / groups);
    let matrix = |b: &mut Backward<'_>, x: Value, height: i64| {
        let grouped = [groups as i64, height, -1];
        let sizes = if groups == 1 { grouped.get(1..) } else { grouped.get(..) };
        let sizes = sizes.unwrap_or_default();
        let known = sizes.iter().map(|&size| usize::try_from(size).ok().map(Dim::from));
        let shape = known.map(|dim| dim.unwrap_or_else(|| rows.clone())).collect();
        let element = b.g.tensor_type(x)?.element;
        let sizes = b.g.integers(sizes)?;
        b.g.push("Reshape", &[x, sizes], vec![], TensorType::new(element, shape))
    };
    let turned = matrix(b, turned, outer as i64)?;
    let unfolded = matrix(b, unfolded, inner as i64 * taps)?;
    let product = if groups == 1 {
        b.g.op("Gemm", &[turned, unfolded], vec![Attribute::int("transB", 1)])?
    } else {
        let columns = b.g.transpose(unfolded, &[0, 2, 1])?;
        b.pair("MatMul", turned, columns)?
    };
    reshape_like(b.g, product, w)
}

/// `[inner, kernel, batch · windows]`, for windows side by side.
fn patches(b: &mut Backward<'_>, layer: &Layer, large: Value) -> Result<Option<Value>> {
    let window = &layer.window;
    let kind = b.g.tensor_type(large)?.clone();
    let side_by_side = window.kernel == window.strides
        && window.dilations.iter().all(|&n| n == 1)
        && window.pads.iter().all(|&n| n == 0);
    if !side_by_side {
        return Ok(None);
    }
    let pointwise = window.kernel.iter().all(|&size| size == 1);
    if pointwise {
        return channels_first(b, large).map(Some);
    }
    let spatial = layer.spatial();
    let mut sizes = vec![0, layer.inner as i64];
    let mut shape = vec![kind.shape.first().cloned().unwrap_or_else(|| Dim::from(1))];
    shape.push(Dim::from(layer.inner));
    for (dim, &size) in kind.shape.iter().skip(2).zip(&window.kernel) {
        let Some(length) = dim.fixed().map(|n| n as i64).filter(|n| n % size == 0) else {
            return Ok(None);
        };
        sizes.extend([length / size, size]);
        shape.extend([Dim::from((length / size) as usize), Dim::from(size as usize)]);
    }
    let sizes = b.g.integers(&sizes)?;
    let apart =
        b.g.push("Reshape", &[large, sizes], vec![], TensorType::new(kind.element, shape))?;
    let mut order = vec![1];
    order.extend((0..spatial).map(|i| 3 + 2 * i));
    order.push(0);
    order.extend((0..spatial).map(|i| 2 + 2 * i));
    b.g.transpose(apart, &order).map(Some)
}

/// `[inner, kernel, batch · windows]`, for any windows.
fn unfold(b: &mut Backward<'_>, layer: &Layer, large: Value, small: &TensorType) -> Result<Value> {
    let (window, spatial) = (&layer.window, layer.spatial());
    let mut turned = channels_first(b, large)?;
    if window.pads.iter().any(|&pad| pad != 0) {
        let (before, after) = window.padding();
        let zeros = [0, 0];
        let pads = [&zeros[..], &before, &zeros, &after].concat();
        let pads = b.g.integers(&pads)?;
        turned = b.pair("Pad", turned, pads)?;
    }
    let element = b.g.tensor_type(turned)?.element;
    let reach = window.reach();
    let batch = small.shape.first().cloned().unwrap_or_else(|| Dim::from(1));
    let mut covered = vec![Dim::from(layer.inner), batch];
    covered.extend(small.shape.iter().skip(2).cloned());
    let rows = Dim::product(covered.get(1..).unwrap_or_default());
    let rows = rows.unwrap_or_else(|| b.g.fresh_dim("windows"));
    let axes = b.g.integers(&(2..2 + spatial as i64).collect::<Vec<_>>())?;
    let steps = b.g.integers(&window.strides)?;
    let sizes = b.g.integers(&[layer.inner as i64, 1, -1])?;
    let taps: i64 = window.kernel.iter().product();
    let mut parts = Vec::new();
    for tap in 0..taps {
        // Where each window's element lies; the ends count from the end, so that the
        // sizes need not be known.
        let (mut rest, mut starts, mut ends) = (tap, vec![0; spatial], vec![i64::MAX; spatial]);
        for i in (0..spatial).rev() {
            let get = |list: &[i64]| list.get(i).copied().unwrap_or(1);
            let start = rest % get(&window.kernel) * get(&window.dilations);
            rest /= get(&window.kernel);
            let end = start - (get(&reach) - 1);
            if let (Some(from), Some(to)) = (starts.get_mut(i), ends.get_mut(i)) {
                *from = start;
                *to = if end < 0 { end } else { i64::MAX };
            }
        }
        let (starts, ends) = (b.g.integers(&starts)?, b.g.integers(&ends)?);
        let kind = TensorType::new(element, covered.clone());
        let part = b.g.push("Slice", &[turned, starts, ends, axes, steps], vec![], kind)?;
        let shape = vec![Dim::from(layer.inner), Dim::from(1), rows.clone()];
        let row = b.g.push("Reshape", &[part, sizes], vec![], TensorType::new(element, shape))?;
        parts.push(row);
    }
    b.g.op("Concat", &parts, vec![Attribute::int("axis", 1)])
}
