//! From the small tensor to the large one: the gradient of a convolution's input.

use super::super::super::backward::Backward;
use super::Layer;
use crate::error::Result;
use crate::graph::{Attribute, Dim, Shape, TensorType, Value};

/// The gradient of the large tensor, `[batch, inner, …]` with the spatial sizes of
/// `like`, from that of the small one, `[batch, outer, …]`.
///
/// With strides of 1 it is a convolution with the flipped weight, else a transposed
/// convolution.
pub(in super::super) fn spread(
    b: &mut Backward<'_>,
    small: Value,
    w: Value,
    layer: &Layer,
    like: Value,
) -> Result<Value> {
    let window = &layer.window;
    let (before, after) = window.padding();
    let reach = window.reach();
    let kind = b.g.tensor_type(small)?.clone();
    let mut shape: Shape = kind.shape.iter().take(1).cloned().collect();
    shape.push(Dim::from(layer.inner));
    shape.extend(b.g.shape(like)?.into_iter().skip(2));
    let result = TensorType::new(kind.element, shape);
    let within = reach.iter().zip(before.iter().zip(&after)).all(|(r, (p, q))| *p < *r && *q < *r);
    if within && window.strides.iter().all(|&stride| stride == 1) {
        let flipped = flip(b, w, layer)?;
        let opposite = |pads: &[i64]| reach.iter().zip(pads).map(|(r, p)| r - 1 - p).collect();
        let (mut pads, rest): (Vec<i64>, Vec<i64>) = (opposite(&before), opposite(&after));
        pads.extend(rest);
        let attributes = vec![
            Attribute::ints("kernel_shape", window.kernel.clone()),
            Attribute::ints("dilations", window.dilations.clone()),
            Attribute::ints("pads", pads),
            Attribute::int("group", layer.groups as i64),
        ];
        return b.g.push("Conv", &[small, flipped], attributes, result);
    }

    let mut attributes = window.attributes(layer.groups);
    let sizes: Option<Vec<i64>> =
        result.shape.iter().skip(2).map(|dim| dim.fixed().map(|size| size as i64)).collect();
    if let Some(sizes) = sizes {
        // What no window reaches at the end is restored.
        let extra = sizes
            .iter()
            .enumerate()
            .map(|(i, size)| {
                let get = |list: &[i64]| list.get(i).copied().unwrap_or(0);
                let room = size + get(&before) + get(&after) - get(&reach);
                room.rem_euclid(get(&window.strides).max(1))
            })
            .collect();
        attributes.push(Attribute::ints("output_padding", extra));
        return b.g.push("ConvTranspose", &[small, w], attributes, result);
    }
    // Nothing is cut off at the end before the sizes are known: what lies beyond the last
    // window is added there, or what lies in the padding is taken away.
    let mut pads = before;
    pads.resize(2 * layer.spatial(), 0);
    attributes.retain(|attribute| attribute.name != "pads");
    attributes.push(Attribute::ints("pads", pads));
    let mut reached = result.clone();
    for dim in reached.shape.iter_mut().skip(2) {
        *dim = b.g.fresh_dim("reached");
    }
    let reached = b.g.push("ConvTranspose", &[small, w], attributes, reached)?;
    let start = vec![Attribute::int("start", 2)];
    let wanted = b.g.op("Shape", &[like], start.clone())?;
    let found = b.g.op("Shape", &[reached], start)?;
    let missing = b.pair("Sub", wanted, found)?;
    let rank = result.rank();
    let zeros = b.g.integers(&vec![0; rank + 2])?;
    let pads = b.g.op("Concat", &[zeros, missing], vec![Attribute::int("axis", 0)])?;
    b.g.push("Pad", &[reached, pads], vec![], result)
}

/// The weight `[outer, inner of a group, …]` as `[inner, outer of a group, …]`, its
/// kernel reversed.
fn flip(b: &mut Backward<'_>, w: Value, layer: &Layer) -> Result<Value> {
    let (groups, spatial) = (layer.groups, layer.spatial());
    let (outer, inner) = (layer.outer / groups, layer.inner / groups);
    let mut turned = w;
    if groups == 1 {
        turned = super::channels_first(b, w)?;
    } else if outer != 1 || inner != 1 {
        let kernel = layer.window.kernel.iter().copied();
        let apart = [groups as i64, outer as i64, inner as i64].into_iter();
        let apart = b.g.integers(&apart.chain(kernel.clone()).collect::<Vec<_>>())?;
        let apart = b.pair("Reshape", w, apart)?;
        let mut order: Vec<usize> = (0..spatial + 3).collect();
        order.swap(1, 2);
        let swapped = b.g.transpose(apart, &order)?;
        let joined = [layer.inner as i64, outer as i64].into_iter();
        let joined = b.g.integers(&joined.chain(kernel).collect::<Vec<_>>())?;
        turned = b.pair("Reshape", swapped, joined)?;
    }
    if layer.window.kernel.iter().all(|&size| size == 1) {
        return Ok(turned);
    }
    let axes: Vec<i64> = (2..2 + spatial as i64).collect();
    let starts = b.g.integers(&vec![-1; spatial])?;
    let ends = b.g.integers(&vec![i64::MIN + 1; spatial])?;
    let axes = b.g.integers(&axes)?;
    let steps = b.g.integers(&vec![-1; spatial])?;
    b.g.op("Slice", &[turned, starts, ends, axes, steps], vec![])
}
