//! Look-ups: rows and elements chosen by integers.

use super::super::backward::{Backward, filled_like};
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

fn gather(b: &mut Backward<'_>) -> Result<()> {
    let (x, indices, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let kind = b.kind(0)?;
    let chosen = b.kind(1)?;
    let axis = b.attributes().int("axis", 0);
    let rank = kind.rank();
    let at = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).unwrap_or(0);
    let indices = b.g.cast(indices, crate::graph::ElementType::Int64)?;
    // Negative indices count from the end in both operators.
    let last = b.g.integers(&[-1])?;
    let indices = b.pair("Unsqueeze", indices, last)?;
    if at == 0 {
        let gradient = added(b, indices, dy, x)?;
        return b.give(0, gradient);
    }
    // The chosen dimension first, and back.
    let width = chosen.rank();
    let total = rank - 1 + width;
    let mut order: Vec<usize> = (at..at + width).collect();
    order.extend((0..total).filter(|i| !(at..at + width).contains(i)));
    let updates = b.g.transpose(dy, &order)?;
    let mut forward: Vec<usize> = vec![at];
    forward.extend((0..rank).filter(|&i| i != at));
    let mut back = vec![0; rank];
    for (to, &from) in forward.iter().enumerate() {
        if let Some(place) = back.get_mut(from) {
            *place = to;
        }
    }
    let moved = b.g.transpose(x, &forward)?;
    let gradient = added(b, indices, updates, moved)?;
    let gradient = b.g.transpose(gradient, &back)?;
    b.give(0, gradient)
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
