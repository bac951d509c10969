//! Look-ups: rows and elements chosen by integers.

use super::super::backward::{Backward, filled_like, shape_of};
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Attribute, Dim, Value};

pub(super) const RULES: &[Rule] = &[
    rule("Gather", "dy, added at the entries that were chosen", gather),
    rule("GatherElements", "dy, added at the elements that were chosen", gather_elements),
    rule("GatherND", "dy, added at the entries that were chosen", gather_nd),
];

/// `ScatterND` onto zeros, adding: entries chosen more than once receive the sum.
fn added(b: &mut Backward<'_>, indices: Value, updates: Value, like: Value) -> Result<Value> {
    let zeros = filled_like(b.g, like, 0.0)?;
    let attributes = vec![Attribute::string("reduction", "add")];
    b.g.op("ScatterND", &[zeros, indices, updates], attributes)
}

/// `ScatterElements` rather than `ScatterND`, whose sums depend on the order in which
/// ONNX Runtime's threads arrive.
fn gather(b: &mut Backward<'_>) -> Result<()> {
    let (x, indices, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let (kind, chosen) = (b.kind(0)?, b.kind(1)?);
    let axis = b.attributes().int("axis", 0);
    let rank = kind.rank();
    let at = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).unwrap_or(0);
    // What was chosen along one dimension, in the place of the dimension it was chosen from.
    let updates = match chosen.rank() {
        1 => dy,
        _ => {
            let sizes = sizes_with_one_free(b, x, at)?;
            b.pair("Reshape", dy, sizes)?
        }
    };
    let mut column = vec![1i64; rank];
    if let Some(place) = column.get_mut(at) {
        *place = -1;
    }
    let column = b.g.integers(&column)?;
    let column = b.pair("Reshape", indices, column)?;
    let sizes = shape_of(b.g, updates)?;
    // Negative indices count from the end in both operators.
    let everywhere = b.pair("Expand", column, sizes)?;
    let zeros = filled_like(b.g, x, 0.0)?;
    let attributes = vec![Attribute::int("axis", at as i64), Attribute::string("reduction", "add")];
    let gradient = b.g.op("ScatterElements", &[zeros, everywhere, updates], attributes)?;
    b.give(0, gradient)
}

/// The sizes of `x` for `Reshape`, with -1 for the dimension `at`.
fn sizes_with_one_free(b: &mut Backward<'_>, x: Value, at: usize) -> Result<Value> {
    let shape = b.g.shape(x)?;
    let known = shape
        .iter()
        .enumerate()
        .map(|(i, dim)| if i == at { Some(-1) } else { dim.fixed().map(|size| size as i64) });
    if let Some(sizes) = known.collect::<Option<Vec<i64>>>() {
        return b.g.integers(&sizes);
    }
    let mut parts = Vec::with_capacity(shape.len());
    for i in 0..shape.len() {
        parts.push(if i == at { b.g.integers(&[-1])? } else { b.g.size_of(x, i)? });
    }
    b.g.op("Concat", &parts, vec![Attribute::int("axis", 0)])
}

fn gather_elements(b: &mut Backward<'_>) -> Result<()> {
    let (x, indices, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let axis = b.attributes().int("axis", 0);
    let zeros = filled_like(b.g, x, 0.0)?;
    let attributes = vec![Attribute::int("axis", axis), Attribute::string("reduction", "add")];
    let gradient = b.g.op("ScatterElements", &[zeros, indices, dy], attributes)?;
    b.give(0, gradient)
}

fn gather_nd(b: &mut Backward<'_>) -> Result<()> {
    let (x, indices, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    match b.attributes().int("batch_dims", 0) {
        0 => {
            let gradient = added(b, indices, dy, x)?;
            b.give(0, gradient)
        }
        1 => {
            // The row's own number in front of each index.
            let count = b.g.size_of(x, 0)?;
            let rows = b.kind(0)?.shape.first().cloned().unwrap_or_else(|| Dim::from(1));
            let rows = b.g.range(count, rows)?;
            let width = b.kind(1)?.rank();
            let axes: Vec<i64> = (1..width as i64).collect();
            let axes = b.g.integers(&axes)?;
            let rows = b.pair("Unsqueeze", rows, axes)?;
            let zero = b.g.constant(crate::graph::Tensor::from_i64(&[], &[0]))?;
            let one = b.g.integers(&[1])?;
            let last = b.g.integers(&[-1])?;
            let lead = b.g.integers(&[0])?;
            let first = b.g.op("Slice", &[indices, lead, one, last], vec![])?;
            let blank = b.pair("Mul", first, zero)?;
            let rows = b.pair("Add", blank, rows)?;
            let full = b.g.op("Concat", &[rows, indices], vec![Attribute::int("axis", -1)])?;
            let gradient = added(b, full, dy, x)?;
            b.give(0, gradient)
        }
        _ => Err(b.unsupported("has more than one batch dimension, which has no gradient rule")),
    }
}
