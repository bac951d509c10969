//! The gradient of a convolution's weight.
//!
//! Four forms, chosen by the window. Milliseconds of one core for the gradient of the
//! weight, in float32 with ONNX Runtime 1.32, and those of PyTorch's own kernel:
//!
//! | layer | form | ms | PyTorch |
//! | --- | --- | --- | --- |
//! | 3×3, 64 → 64, 16×16, batch 128 | unfolded, channels first | 60 | 46 |
//! | the same | unfolded, channels last | 76 | |
//! | the same | `Conv` with batch and channels swapped | 96 | |
//! | 1×1, 64 → 128, 16×16, batch 128 | unfolded, channels first | 11 | 12 |
//! | the same | `Conv` with batch and channels swapped | 47 | |
//! | 3×3 of each of 96 channels, 14×14, batch 32 | a product and a sum for each tap | 4.1 | 0.8 |
//! | the same | unfolded, channels first | 7.6 | |
//! | the same | `Conv` with batch and channels swapped | 10 | |
//! | 16×16 patches, 3 → 192, 224×224, batch 8 | transposed patches, windows first | 9.5 | 7.7 |
//! | the same | transposed patches, channels first | 13 | |
//!
//! A product for each tap needs one slice of the large tensor at a time, where unfolding needs
//! all of them twice. On another machine, one core, unfolded against a product for each tap:
//! 57 against 51 for the first layer, 40 against 30 at 32 → 32, 32×32, batch 64, and 4.5
//! against 9.1 at 3 → 32, whose products are too narrow.

use super::super::super::backward::{Backward, reshape_like};
use super::{Layer, channels_first};
use crate::error::Result;
use crate::graph::{Attribute, Dim, TensorType, Value};

/// The gradient of the weight `[outer, inner of a group, kernel…]` from the large tensor
/// `[batch, inner, …]` and the small one `[batch, outer, …]`.
pub(super) fn gradient(
    b: &mut Backward<'_>,
    layer: &Layer,
    large: Value,
    small: Value,
    w: Value,
) -> Result<Value> {
    if layer.groups == layer.inner && layer.groups == layer.outer && layer.groups > 1 {
        return of_channels(b, layer, large, small, w);
    }
    let window = &layer.window;
    let side_by_side = window.kernel == window.strides
        && window.dilations.iter().all(|&n| n == 1)
        && window.pads.iter().all(|&n| n == 0);
    if side_by_side && layer.groups == 1 && window.kernel.iter().any(|&size| size > 1) {
        let divides = |(dim, size): (&Dim, &i64)| dim.fixed().is_some_and(|n| n as i64 % size == 0);
        if b.g.shape(large)?.iter().skip(2).zip(&window.kernel).all(divides) {
            return of_patches(b, layer, large, small, w);
        }
    }
    unfolded(b, layer, large, small, w)
}

/// Fewest channels of the large tensor in a group for which each element of the kernel has a
/// product of its own.
const CHANNELS_OF_A_TAP: usize = 16;

/// The large tensor, channels and batch swapped, is cut to `[inner, batch · windows]` by one
/// slice for each element of the kernel. Each is multiplied with the small tensor `[outer,
/// batch · windows]`, or all are joined to `[inner · kernel, batch · windows]` first.
fn unfolded(
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
    let parts = slices(b, layer, large, &kind)?;
    let turned = channels_first(b, small)?;
    let groups = layer.groups;
    let taps = parts.len() as i64;
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
    let product = |b: &mut Backward<'_>, turned: Value, columns: Value| {
        if groups == 1 {
            return b.g.op("Gemm", &[turned, columns], vec![Attribute::int("transB", 1)]);
        }
        let columns = b.g.transpose(columns, &[0, 2, 1])?;
        b.pair("MatMul", turned, columns)
    };
    let turned = matrix(b, turned, outer as i64)?;
    let product = match parts[..] {
        [part] => {
            let columns = matrix(b, part, inner as i64)?;
            product(b, turned, columns)?
        }
        _ if inner >= CHANNELS_OF_A_TAP => {
            let last = b.g.integers(&[-1])?;
            let mut products = Vec::with_capacity(parts.len());
            for part in parts {
                let columns = matrix(b, part, inner as i64)?;
                let product = product(b, turned, columns)?;
                products.push(b.pair("Unsqueeze", product, last)?);
            }
            b.g.op("Concat", &products, vec![Attribute::int("axis", -1)])?
        }
        _ => {
            let columns = joined(b, layer, &parts, &rows)?;
            let columns = matrix(b, columns, inner as i64 * taps)?;
            product(b, turned, columns)?
        }
    };
    reshape_like(b.g, product, w)
}

/// For windows side by side: a transposition of the large tensor, of known spatial sizes,
/// to `[batch · windows, inner · kernel]`, and one matrix product.
fn of_patches(
    b: &mut Backward<'_>,
    layer: &Layer,
    large: Value,
    small: Value,
    w: Value,
) -> Result<Value> {
    let kind = b.g.tensor_type(large)?.clone();
    let spatial = layer.spatial();
    let batch = kind.shape.first().cloned().unwrap_or_else(|| Dim::from(1));
    let mut sizes = vec![0, layer.inner as i64];
    let mut shape = vec![batch, Dim::from(layer.inner)];
    for (dim, &size) in kind.shape.iter().skip(2).zip(&layer.window.kernel) {
        let count = dim.fixed().unwrap_or(0) as i64 / size.max(1);
        sizes.extend([count, size]);
        shape.extend([Dim::from(count as usize), Dim::from(size as usize)]);
    }
    let sizes = b.g.integers(&sizes)?;
    let apart =
        b.g.push("Reshape", &[large, sizes], vec![], TensorType::new(kind.element, shape))?;
    let mut order = vec![0];
    order.extend((0..spatial).map(|i| 2 + 2 * i));
    order.push(1);
    order.extend((0..spatial).map(|i| 3 + 2 * i));
    let patches = b.g.transpose(apart, &order)?;
    let taps: i64 = layer.window.kernel.iter().product();
    let width = b.g.integers(&[-1, layer.inner as i64 * taps])?;
    let patches = b.pair("Reshape", patches, width)?;
    let turned = channels_last(b, small)?;
    let width = b.g.integers(&[-1, layer.outer as i64])?;
    let turned = b.pair("Reshape", turned, width)?;
    let product = b.g.op("Gemm", &[turned, patches], vec![Attribute::int("transA", 1)])?;
    reshape_like(b.g, product, w)
}

/// For a kernel of each channel: for each of its elements a product with the small tensor,
/// channels last, summed over all but the channels.
fn of_channels(
    b: &mut Backward<'_>,
    layer: &Layer,
    large: Value,
    small: Value,
    w: Value,
) -> Result<Value> {
    let turned = channels_last(b, large)?;
    let turned = padded(b, layer, turned, 1)?;
    let small = channels_last(b, small)?;
    let kind = b.g.tensor_type(small)?.clone();
    let all = b.g.integers(&(0..=layer.spatial() as i64).collect::<Vec<_>>())?;
    let mut sums = Vec::new();
    for part in taps(b, layer, turned, 1, &kind)? {
        let product = b.pair("Mul", part, small)?;
        let sum = b.g.op("ReduceSum", &[product, all], vec![Attribute::int("keepdims", 0)])?;
        let last = b.g.integers(&[-1])?;
        sums.push(b.pair("Unsqueeze", sum, last)?);
    }
    let rows = b.g.op("Concat", &sums, vec![Attribute::int("axis", 1)])?;
    reshape_like(b.g, rows, w)
}

/// `[batch, channels, …]` as `[batch, …, channels]`.
fn channels_last(b: &mut Backward<'_>, x: Value) -> Result<Value> {
    let rank = b.g.tensor_type(x)?.rank();
    let mut order: Vec<usize> = (0..rank).filter(|&at| at != 1).collect();
    order.push(1);
    b.g.transpose(x, &order)
}

/// `x` with the window's padding around its spatial dimensions, which begin at `first`.
fn padded(b: &mut Backward<'_>, layer: &Layer, x: Value, first: usize) -> Result<Value> {
    if layer.window.pads.iter().all(|&pad| pad == 0) {
        return Ok(x);
    }
    let (before, after) = layer.window.padding();
    let lead = vec![0; first];
    // Two dimensions are not spatial: batch and channels.
    let rest = vec![0; 2 - first];
    let pads = [&lead, &before, &rest, &lead, &after, &rest].map(Vec::as_slice).concat();
    let pads = b.g.integers(&pads)?;
    b.pair("Pad", x, pads)
}

/// What each element of the kernel meets, `[inner, batch, windows…]`, for any windows.
fn slices(
    b: &mut Backward<'_>,
    layer: &Layer,
    large: Value,
    small: &TensorType,
) -> Result<Vec<Value>> {
    let turned = channels_first(b, large)?;
    let turned = padded(b, layer, turned, 2)?;
    let element = b.g.tensor_type(turned)?.element;
    let batch = small.shape.first().cloned().unwrap_or_else(|| Dim::from(1));
    let mut covered = vec![Dim::from(layer.inner), batch];
    covered.extend(small.shape.iter().skip(2).cloned());
    taps(b, layer, turned, 2, &TensorType::new(element, covered))
}

/// Slices side by side, `[inner, kernel, batch · windows]`.
fn joined(b: &mut Backward<'_>, layer: &Layer, parts: &[Value], rows: &Dim) -> Result<Value> {
    let sizes = b.g.integers(&[layer.inner as i64, 1, -1])?;
    let mut flat = Vec::with_capacity(parts.len());
    for &part in parts {
        let element = b.g.tensor_type(part)?.element;
        let shape = vec![Dim::from(layer.inner), Dim::from(1), rows.clone()];
        flat.push(b.g.push("Reshape", &[part, sizes], vec![], TensorType::new(element, shape))?);
    }
    b.g.op("Concat", &flat, vec![Attribute::int("axis", 1)])
}

/// For each element of the kernel, what it meets in all windows: slices of the type
/// `covered` of a padded tensor whose spatial dimensions begin at `first`. Ends count from
/// the end, so that sizes need not be known.
fn taps(
    b: &mut Backward<'_>,
    layer: &Layer,
    padded: Value,
    first: i64,
    covered: &TensorType,
) -> Result<Vec<Value>> {
    let (window, spatial) = (&layer.window, layer.spatial());
    let reach = window.reach();
    let axes = b.g.integers(&(first..first + spatial as i64).collect::<Vec<_>>())?;
    let steps = b.g.integers(&window.strides)?;
    let count: i64 = window.kernel.iter().product();
    let mut parts = Vec::new();
    for tap in 0..count {
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
        let inputs = [padded, starts, ends, axes, steps];
        parts.push(b.g.push("Slice", &inputs, vec![], covered.clone())?);
    }
    Ok(parts)
}
