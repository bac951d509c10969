//! Pooling.

use super::super::backward::{Backward, filled_like, shape_of};
use super::convolution::{Layer, spread};
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::infer::Window;
use crate::graph::{Attribute, Dim, ElementType, Tensor, TensorType, Value};

pub(super) const RULES: &[Rule] = &[
    rule("MaxPool", "dy, added where each window's largest element was", max_pool),
    rule("AveragePool", "dy/n over each window, n its number of elements", average_pool),
    rule("GlobalAveragePool", "dx = dy/n", global_average_pool),
    rule(
        "GlobalMaxPool",
        "dx = dy at the largest, shared equally by those that are equal",
        global_max_pool,
    ),
];

/// The second output of the operator says where the largest elements were.
///
/// Milliseconds of one core, forward and backward, with ONNX Runtime 1.32: 2×2 windows
/// side by side on 32×64×32×32 18 (a comparison with the output 59, PyTorch 16); 3×3 with
/// strides of 2 on 32×64×56×56 69 (PyTorch 74).
fn max_pool(b: &mut Backward<'_>) -> Result<()> {
    if b.attributes().int("storage_order", 0) != 0 {
        return Err(b.unsupported("counts in column-major order, which has no gradient rule"));
    }
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let places = TensorType::new(ElementType::Int64, b.g.shape(b.output(0)?)?);
    let places = b.extra_output(1, places)?;
    let flat = b.g.integers(&[-1])?;
    let zeros = filled_like(b.g, x, 0.0)?;
    let zeros = b.pair("Reshape", zeros, flat)?;
    let places = b.pair("Reshape", places, flat)?;
    let values = b.pair("Reshape", dy, flat)?;
    let attributes = vec![Attribute::int("axis", 0), Attribute::string("reduction", "add")];
    let added = b.g.op("ScatterElements", &[zeros, places, values], attributes)?;
    let back = b.reshape_like(added, x)?;
    b.give(0, back)
}

/// A convolution with ones, of every channel by itself, after a division.
fn average_pool(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let kind = b.kind(0)?;
    let attributes = b.attributes();
    let kernel = attributes.ints("kernel_shape").unwrap_or_default();
    let mut window = Window::new(b.g, b.operator(), &attributes, kernel, &kind.shape)?;
    let spatial = window.kernel.len();
    let count: i64 = window.kernel.iter().product();
    let padded = window.pads.iter().any(|&pad| pad != 0);
    let ceil = attributes.int("ceil_mode", 0) != 0;
    let share = if ceil || (padded && attributes.int("count_include_pad", 0) == 0) {
        let counts = counts(b, x, &window, ceil)?;
        b.pair("Div", dy, counts)?
    } else {
        b.scaled(dy, 1.0 / count as f64)?
    };
    if ceil {
        reach_to(b, &mut window, &kind, dy)?;
    }
    // `[batch · channels, 1, …]`.
    let given = b.g.tensor_type(share)?.clone();
    let lead = b.g.integers(&[-1, 1])?;
    let sizes = b.g.op("Shape", &[share], vec![Attribute::int("start", 2)])?;
    let sizes = b.g.op("Concat", &[lead, sizes], vec![Attribute::int("axis", 0)])?;
    let rows = Dim::product(given.shape.get(..2).unwrap_or_default());
    let mut shape = vec![rows.unwrap_or_else(|| b.g.fresh_dim("rows")), Dim::from(1)];
    shape.extend(given.shape.iter().skip(2).cloned());
    let apart =
        b.g.push("Reshape", &[share, sizes], vec![], TensorType::new(given.element, shape))?;
    let mut dims = vec![1, 1];
    dims.extend(window.kernel.iter().map(|&size| usize::try_from(size).unwrap_or(1)));
    let ones =
        Tensor::from_f64(given.element, &dims, &vec![1.0; usize::try_from(count).unwrap_or(1)]);
    let ones = ones.ok_or_else(|| b.unsupported("is of a type that is not floating-point"))?;
    let ones = b.g.constant(ones)?;
    debug_assert_eq!(dims.len(), spatial + 2);
    let layer = Layer { window, groups: 1, outer: 1, inner: 1 };
    let whole = spread(b, apart, ones, &layer, x)?;
    let back = b.reshape_like(whole, x)?;
    b.give(0, back)
}

/// Number of elements that each window averages: `[1, 1, …]`.
fn counts(b: &mut Backward<'_>, x: Value, window: &Window, ceil: bool) -> Result<Value> {
    let include = b.attributes().int("count_include_pad", 0) != 0;
    let (before, after) = window.padding();
    let element = b.kind(0)?.element;
    // Ones where there are elements that count, and sums over windows of them.
    let one = b.number(x, 1.0)?;
    let sizes = b.g.op("Shape", &[x], vec![Attribute::int("start", 2)])?;
    let lead = b.g.integers(&[1, 1])?;
    let sizes = b.g.op("Concat", &[lead, sizes], vec![Attribute::int("axis", 0)])?;
    let mut ones = b.pair("Expand", one, sizes)?;
    if include {
        let zeros = [0, 0];
        let pads = b.g.integers(&[&zeros[..], &before, &zeros, &after].concat())?;
        ones = b.g.op("Pad", &[ones, pads, one], vec![])?;
    }
    // The sum over a window is the average with everything counted, times the count.
    // Windows that begin within the padding and end beyond it see zeros there.
    let mut shape = vec![Dim::from(1), Dim::from(1)];
    shape.extend(b.g.shape(b.output(0)?)?.into_iter().skip(2));
    let mut kernel = window.kernel.clone();
    kernel.splice(0..0, [1, 1]);
    let dims: Vec<usize> = kernel.iter().map(|&n| usize::try_from(n).unwrap_or(1)).collect();
    let weights = vec![1.0; dims.iter().product()];
    let weights = Tensor::from_f64(element, &dims, &weights)
        .ok_or_else(|| b.unsupported("is of a type that is not floating-point"))?;
    let weights = b.g.constant(weights)?;
    let (mut pads, mut rest) =
        if include { (vec![0; before.len()], vec![0; after.len()]) } else { (before, after) };
    if ceil {
        // Room for the last window.
        for (i, pad) in rest.iter_mut().enumerate() {
            *pad += window.strides.get(i).map_or(0, |stride| stride - 1);
        }
    }
    pads.append(&mut rest);
    let attributes = vec![
        Attribute::ints("kernel_shape", window.kernel.clone()),
        Attribute::ints("strides", window.strides.clone()),
        Attribute::ints("dilations", window.dilations.clone()),
        Attribute::ints("pads", pads),
    ];
    if !ceil {
        let kind = TensorType::new(element, shape);
        return b.g.push("Conv", &[ones, weights], attributes, kind);
    }
    let sums = b.g.op("Conv", &[ones, weights], attributes)?;
    // A window that would begin beyond the elements is none.
    let dy = b.gradient()?;
    let start = b.g.integers(&vec![0; window.kernel.len()])?;
    let end = b.g.op("Shape", &[dy], vec![Attribute::int("start", 2)])?;
    let axes: Vec<i64> = (2..2 + window.kernel.len() as i64).collect();
    let axes = b.g.integers(&axes)?;
    let kind = TensorType::new(element, shape);
    b.g.push("Slice", &[sums, start, end, axes], vec![], kind)
}

/// Makes the padding such that the last windows, which `ceil_mode` lets reach beyond
/// it, fit exactly.
fn reach_to(b: &Backward<'_>, window: &mut Window, x: &TensorType, dy: Value) -> Result<()> {
    let (reach, spatial) = (window.reach(), window.kernel.len());
    let small = b.g.shape(dy)?;
    for i in 0..spatial {
        let size = |shape: &[Dim]| shape.get(i + 2).and_then(Dim::fixed).map(|n| n as i64);
        let (Some(large), Some(small)) = (size(&x.shape), size(&small)) else {
            return Err(b.unsupported("has `ceil_mode`, for which sizes must be known; bind them"));
        };
        let get = |list: &[i64]| list.get(i).copied().unwrap_or(0);
        let before = get(&window.pads);
        let after = (small - 1) * get(&window.strides) + get(&reach) - large - before;
        if let Some(pad) = window.pads.get_mut(i + spatial) {
            *pad = after.max(0);
        }
    }
    Ok(())
}

fn global_average_pool(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy, kind) = (b.input(0)?, b.gradient()?, b.kind(0)?);
    let count = Dim::product(kind.shape.get(2..).unwrap_or_default()).and_then(|n| n.fixed());
    let share = match count {
        Some(count) => b.scaled(dy, 1.0 / count.max(1) as f64)?,
        None => {
            let sizes = b.g.op("Shape", &[x], vec![Attribute::int("start", 2)])?;
            let product = vec![Attribute::int("keepdims", 0)];
            let count = b.g.op("ReduceProd", &[sizes], product)?;
            let count = b.g.cast(count, kind.element)?;
            b.pair("Div", dy, count)?
        }
    };
    let sizes = shape_of(b.g, x)?;
    let whole =
        b.g.push("Expand", &[share, sizes], vec![], TensorType::new(kind.element, kind.shape))?;
    b.give(0, whole)
}

fn global_max_pool(b: &mut Backward<'_>) -> Result<()> {
    let (x, y, dy) = (b.input(0)?, b.output(0)?, b.gradient()?);
    let kind = b.kind(0)?;
    let equal = b.pair("Equal", x, y)?;
    let hits = b.g.cast(equal, kind.element)?;
    let axes: Vec<i64> = (2..kind.rank() as i64).collect();
    let count = b.sum_over(hits, &axes)?;
    let share = b.pair("Div", dy, count)?;
    let product = b.pair("Mul", hits, share)?;
    b.give(0, product)
}
