//! Repetition, running sums, and blocks of pixels.

use super::super::backward::{Backward, shape_of};
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Attribute, Dim, TensorType};

pub(super) const RULES: &[Rule] = &[
    rule("Tile", "dy, summed over the copies", tile),
    rule("CumSum", "the running sum of dy from the other end", cum_sum),
    rule("DepthToSpace", "dy, its blocks as channels", depth_to_space),
    rule("SpaceToDepth", "dy, its channels as blocks", space_to_depth),
];

/// `dy` in the shape `[copies, size, copies, size, …]`, summed over the copies.
fn tile(b: &mut Backward<'_>) -> Result<()> {
    let (x, copies, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let kind = b.kind(0)?;
    if kind.rank() == 0 {
        return b.give(0, dy);
    }
    let sizes = shape_of(b.g, x)?;
    let last = b.g.integers(&[-1])?;
    let copies_column = b.pair("Unsqueeze", copies, last)?;
    let sizes_column = b.pair("Unsqueeze", sizes, last)?;
    let pairs = [copies_column, sizes_column];
    let table = b.g.op("Concat", &pairs, vec![Attribute::int("axis", 1)])?;
    let flat = b.pair("Reshape", table, last)?;
    let known = b.g.numbers_of(copies);
    let mut shape = Vec::with_capacity(2 * kind.rank());
    for (at, dim) in kind.shape.iter().enumerate() {
        let count = known.as_ref().and_then(|known| usize::try_from(*known.get(at)?).ok());
        shape.push(count.map_or_else(|| b.g.fresh_dim("copies"), Dim::from));
        shape.push(dim.clone());
    }
    let element = b.g.tensor_type(dy)?.element;
    let zero = vec![Attribute::int("allowzero", 1)];
    let apart = b.g.push("Reshape", &[dy, flat], zero, TensorType::new(element, shape))?;
    let axes: Vec<i64> = (0..kind.rank() as i64).map(|at| 2 * at).collect();
    let axes = b.g.integers(&axes)?;
    let summed = b.g.op("ReduceSum", &[apart, axes], vec![Attribute::int("keepdims", 0)])?;
    b.give(0, summed)
}

fn cum_sum(b: &mut Backward<'_>) -> Result<()> {
    let attributes = b.attributes();
    let (exclusive, reverse) = (attributes.int("exclusive", 0), attributes.int("reverse", 0));
    let (axis, dy) = (b.input(1)?, b.gradient()?);
    let attributes = vec![
        Attribute::int("exclusive", exclusive),
        Attribute::int("reverse", i64::from(reverse == 0)),
    ];
    let back = b.g.op("CumSum", &[dy, axis], attributes)?;
    b.give(0, back)
}

fn depth_to_space(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let kind = TensorType::new(b.g.tensor_type(dy)?.element, b.kind(0)?.shape);
    let size = b.attributes().int("blocksize", 1);
    let attributes = vec![Attribute::int("blocksize", size)];
    let blocks = b.g.push("SpaceToDepth", &[dy], attributes, kind.clone())?;
    if b.attributes().string("mode") != "CRD" {
        return b.give(0, blocks);
    }
    // Channels `[block, channel]` in the order `[channel, block]`.
    let square = size * size;
    let channels = kind.shape.get(1).and_then(Dim::fixed).map(|channels| channels as i64);
    let Some(channels) = channels.filter(|_| square > 0) else {
        return Err(b.unsupported("needs a known number of channels"));
    };
    let split = b.g.integers(&[0, square, channels / square, -1])?;
    let apart = b.pair("Reshape", blocks, split)?;
    let turned = b.g.transpose(apart, &[0, 2, 1, 3])?;
    let back = b.reshape_like(turned, x)?;
    b.give(0, back)
}

fn space_to_depth(b: &mut Backward<'_>) -> Result<()> {
    let dy = b.gradient()?;
    let kind = TensorType::new(b.g.tensor_type(dy)?.element, b.kind(0)?.shape);
    let size = b.attributes().int("blocksize", 1);
    let attributes = vec![Attribute::int("blocksize", size)];
    let back = b.g.push("DepthToSpace", &[dy], attributes, kind)?;
    b.give(0, back)
}
