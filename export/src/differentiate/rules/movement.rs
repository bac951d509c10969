//! Operators that move elements and change shapes.

use super::super::backward::{Backward, filled_like, shape_of};
use super::{Rule, rule, zero};
use crate::error::Result;
use crate::graph::{Attribute, Dim, ElementType, TensorType};

pub(super) const RULES: &[Rule] = &[
    rule("Reshape", "dy in the shape of x", reshaped),
    rule("Flatten", "dy in the shape of x", reshaped),
    rule("Squeeze", "dy in the shape of x", reshaped),
    rule("Unsqueeze", "dy in the shape of x", reshaped),
    rule("Transpose", "dy in the inverse order", transpose),
    rule("Expand", "dy, summed over what was repeated", expand),
    rule("Concat", "dy, cut into the parts", concat),
    rule("Split", "the parts' gradients, joined", split),
    rule("Slice", "dy with zeros around it", slice),
    rule("Pad", "the middle of dy (constant padding)", pad),
    rule("Trilu", "dy in the same triangle", trilu),
    rule("Shape", "0", zero),
    rule("Size", "0", zero),
    rule("ConstantOfShape", "0", zero),
    rule("EyeLike", "0", zero),
    rule("RandomNormalLike", "0", zero),
    rule("RandomUniformLike", "0", zero),
    rule("Bernoulli", "0", zero),
];

fn reshaped(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let dy = b.gradient()?;
    let back = b.reshape_like(dy, x)?;
    b.give(0, back)
}

fn transpose(b: &mut Backward<'_>) -> Result<()> {
    let rank = b.kind(0)?.rank();
    let order = b.attributes().ints("perm").unwrap_or_else(|| (0..rank as i64).rev().collect());
    let mut inverse = vec![0; rank];
    for (at, &from) in order.iter().enumerate() {
        if let Some(place) = usize::try_from(from).ok().and_then(|from| inverse.get_mut(from)) {
            *place = at;
        }
    }
    let dy = b.gradient()?;
    let back = b.g.transpose(dy, &inverse)?;
    b.give(0, back)
}

fn expand(b: &mut Backward<'_>) -> Result<()> {
    let dy = b.gradient()?;
    b.give(0, dy)
}

fn concat(b: &mut Backward<'_>) -> Result<()> {
    let dy = b.gradient()?;
    let rank = b.kind(0)?.rank();
    let axis = b.attributes().int("axis", 0);
    let at = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).unwrap_or(0);
    let mut kinds = Vec::with_capacity(b.inputs());
    let mut lengths = Vec::with_capacity(b.inputs());
    for i in 0..b.inputs() {
        let mut kind = b.kind(i)?;
        kind.element = b.g.tensor_type(dy)?.element;
        lengths.push(kind.shape.get(at).and_then(Dim::fixed).map(|size| size as i64));
        kinds.push(kind);
    }
    if b.inputs() == 1 {
        return b.give(0, dy);
    }
    let fixed: Option<Vec<i64>> = lengths.into_iter().collect();
    let sizes = match fixed {
        Some(sizes) => b.g.integers(&sizes)?,
        None => {
            let mut parts = Vec::with_capacity(b.inputs());
            for i in 0..b.inputs() {
                let input = b.input(i)?;
                parts.push(b.g.size_of(input, at)?);
            }
            b.g.op("Concat", &parts, vec![Attribute::int("axis", 0)])?
        }
    };
    let axis = vec![Attribute::int("axis", axis)];
    let parts = b.g.push_node("Split", "", &[Some(dy), Some(sizes)], axis, kinds);
    for (i, part) in parts.into_iter().enumerate() {
        if b.wants(i) {
            b.give(i, part)?;
        }
    }
    Ok(())
}

fn split(b: &mut Backward<'_>) -> Result<()> {
    let axis = b.attributes().int("axis", 0);
    let mut parts = Vec::with_capacity(b.outputs());
    for at in 0..b.outputs() {
        parts.push(match b.gradient_of(at) {
            Some(gradient) => gradient,
            None => {
                let output = b.output(at)?;
                filled_like(b.g, output, 0.0)?
            }
        });
    }
    let kind = b.kind(0)?;
    let joined = b.g.push("Concat", &parts, vec![Attribute::int("axis", axis)], kind)?;
    b.give(0, joined)
}

/// A slice of a constant range with step 1 is padded; any other is scattered back.
fn slice(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let kind = b.kind(0)?;
    let rank = kind.rank();
    let numbers = |b: &Backward<'_>, at: usize| b.optional(at).and_then(|v| b.g.numbers_of(v));
    let (starts, ends) = (numbers(b, 1), numbers(b, 2));
    let axes = match b.optional(3) {
        Some(_) => numbers(b, 3),
        None => starts.as_ref().map(|starts| (0..starts.len() as i64).collect()),
    };
    let steps = match b.optional(4) {
        Some(_) => numbers(b, 4),
        None => Some(vec![1; rank]),
    };
    if let (Some(starts), Some(ends), Some(axes), Some(steps)) = (starts, ends, axes, steps) {
        let mut before = vec![0i64; rank];
        let mut after = vec![0i64; rank];
        let mut simple = true;
        for (i, &axis) in axes.iter().enumerate() {
            let at = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok();
            let size = at.and_then(|at| kind.shape.get(at)).and_then(Dim::fixed);
            let range = (starts.get(i).copied(), ends.get(i).copied(), steps.get(i).copied());
            match (at, size, range) {
                (Some(at), Some(size), (Some(start), Some(end), Some(1))) => {
                    let size = size as i64;
                    let shift = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
                    let (start, end) = (shift(start).clamp(0, size), shift(end).clamp(0, size));
                    if let (Some(first), Some(last)) = (before.get_mut(at), after.get_mut(at)) {
                        *first = start;
                        *last = size - end.max(start);
                    }
                }
                _ => simple = false,
            }
        }
        if simple {
            let pads: Vec<i64> = before.into_iter().chain(after).collect();
            if pads.iter().all(|&pad| pad == 0) {
                return b.give(0, dy);
            }
            let pads = b.g.integers(&pads)?;
            let element = b.g.tensor_type(dy)?.element;
            let kind = TensorType::new(element, kind.shape);
            let padded = b.g.push("Pad", &[dy, pads], vec![], kind)?;
            return b.give(0, padded);
        }
    }
    // Positions of the elements, sliced as they were, say where each gradient belongs.
    let sizes = shape_of(b.g, x)?;
    let count = b.g.op("ReduceProd", &[sizes], vec![Attribute::int("keepdims", 0)])?;
    let (zero, one) = (int64(b, 0)?, int64(b, 1)?);
    let all = TensorType::new(ElementType::Int64, vec![b.g.fresh_dim("elements")]);
    let positions = b.g.push("Range", &[zero, count, one], vec![], all)?;
    let shape = TensorType::new(ElementType::Int64, kind.shape.clone());
    let positions = b.g.push("Reshape", &[positions, sizes], vec![], shape)?;
    let mut inputs = vec![Some(positions)];
    inputs.extend((1..b.inputs()).map(|at| b.optional(at)));
    let mut sliced = b.g.tensor_type(dy)?.clone();
    sliced.element = ElementType::Int64;
    let chosen = b.g.push_optional("Slice", "", &inputs, vec![], sliced)?;
    let flat = b.g.integers(&[-1])?;
    let chosen = b.pair("Reshape", chosen, flat)?;
    let values = b.pair("Reshape", dy, flat)?;
    let zeros = filled_like(b.g, x, 0.0)?;
    let zeros = b.pair("Reshape", zeros, flat)?;
    let scattered =
        b.g.op("ScatterElements", &[zeros, chosen, values], vec![Attribute::int("axis", 0)])?;
    let back = b.reshape_like(scattered, x)?;
    b.give(0, back)
}

fn int64(b: &mut Backward<'_>, number: i64) -> Result<crate::graph::Value> {
    b.g.constant(crate::graph::Tensor::from_i64(&[], &[number]))
}

fn pad(b: &mut Backward<'_>) -> Result<()> {
    let mode = b.attributes().string("mode");
    if !(mode.is_empty() || mode == "constant") {
        return Err(b.unsupported(&format!("pads by `{mode}`; only constant padding has a rule")));
    }
    if b.wants(2) {
        return Err(b.unsupported("pads with a trainable value, which has no gradient rule"));
    }
    let (dy, kind) = (b.gradient()?, b.kind(0)?);
    // Padding by the opposite numbers takes away what was added, and restores what a
    // negative padding removed, with zeros.
    let pads = b.input(1)?;
    let opposite = match b.g.numbers_of(pads) {
        Some(pads) => {
            b.g.integers(&pads.iter().map(|pad| pad.saturating_neg()).collect::<Vec<_>>())?
        }
        None => b.unary("Neg", pads)?,
    };
    let inputs = [Some(dy), Some(opposite), None, b.optional(3)];
    let kind = TensorType::new(b.g.tensor_type(dy)?.element, kind.shape);
    let middle = b.g.push_optional("Pad", "", &inputs, vec![], kind)?;
    b.give(0, middle)
}

fn trilu(b: &mut Backward<'_>) -> Result<()> {
    let upper = b.attributes().int("upper", 1);
    let dy = b.gradient()?;
    let mut inputs = vec![dy];
    inputs.extend(b.optional(1));
    let kept = b.g.op("Trilu", &inputs, vec![Attribute::int("upper", upper)])?;
    b.give(0, kept)
}
