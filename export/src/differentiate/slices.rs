//! Gradients of slices that together are a whole.
//!
//! A tensor that is cut by several `Slice`, as exporters write `unbind` and `chunk`, gets
//! from each a gradient with zeros around it. Where the slices cover it side by side, their
//! sum is the slices' gradients joined, without the zeros and without a sum.

use std::collections::HashSet;

use crate::error::Result;
use crate::graph::{Attribute, Dim, Graph, Value};

/// What was padded, how far from the start, and to which size, along one dimension.
struct Piece {
    inner: Value,
    axis: usize,
    before: i64,
    size: i64,
}

/// The sum of `parts` as one `Concat`, where each is a tensor with zeros around it and
/// together they cover one dimension.
pub(super) fn joined(g: &mut Graph, parts: &[Value]) -> Result<Option<Value>> {
    let mut pieces = Vec::with_capacity(parts.len());
    for &part in parts {
        match piece(g, part) {
            Some(piece) => pieces.push(piece),
            None => return Ok(None),
        }
    }
    pieces.sort_by_key(|piece| piece.before);
    let Some(axis) = pieces.first().map(|piece| piece.axis) else { return Ok(None) };
    let mut at = 0;
    for piece in &pieces {
        if piece.axis != axis || piece.before != at {
            return Ok(None);
        }
        at += piece.size;
    }
    let Some(&whole) = parts.first() else { return Ok(None) };
    let kind = g.tensor_type(whole)?.clone();
    if kind.shape.get(axis).and_then(Dim::fixed).map(|size| size as i64) != Some(at) {
        return Ok(None);
    }
    let inner: Vec<Value> = pieces.iter().map(|piece| piece.inner).collect();
    let attributes = vec![Attribute::int("axis", axis as i64)];
    let sum = g.push("Concat", &inner, attributes, kind)?;
    let unused: HashSet<Value> = parts.iter().copied().collect();
    g.remove_unread(&unused);
    Ok(Some(sum))
}

/// The piece that `padded` is, where a `Pad` with zeros along one dimension made it.
fn piece(g: &Graph, padded: Value) -> Option<Piece> {
    let made = |node: &&crate::graph::Node| node.outputs.first() == Some(&Some(padded));
    let node = g.nodes().iter().rev().find(made)?;
    if node.operator != "Pad" || node.inputs.len() != 2 || !node.attributes.is_empty() {
        return None;
    }
    let inner = node.inputs.first().copied().flatten()?;
    let pads = g.numbers_of(node.inputs.get(1).copied().flatten()?)?;
    let (before, after) = pads.split_at(pads.len() / 2);
    let moved: Vec<usize> = (0..before.len())
        .filter(|&i| before.get(i) != Some(&0) || after.get(i) != Some(&0))
        .collect();
    let &[axis] = &moved[..] else { return None };
    let size = g.tensor_type(inner).ok()?.shape.get(axis)?.fixed()? as i64;
    Some(Piece { inner, axis, before: *before.get(axis)?, size })
}

#[cfg(test)]
mod tests {
    use crate::differentiate::gradients;
    use crate::graph::{ElementType, Graph, Lowering};
    use crate::shape;

    fn operators(ranges: &[(usize, usize)]) -> Vec<String> {
        let mut g = Graph::new("g", Lowering::Standard);
        let x = g.input("x", ElementType::Float32, shape![6, 2]).unwrap();
        let mut product = None;
        for &(start, end) in ranges {
            let part = g.slice(x, 0, start, end).unwrap();
            let sum = g.reduce_sum(part, 0).unwrap();
            product = Some(match product {
                Some(before) => g.mul(before, sum).unwrap(),
                None => sum,
            });
        }
        let loss = g.reduce_sum(product.unwrap(), 1).unwrap();
        gradients(&mut g, loss, &[x]).unwrap();
        g.nodes().iter().map(|node| node.operator.clone()).collect()
    }

    #[test]
    fn slices_that_cover_a_dimension_are_joined() {
        let has = |operators: &[String], name: &str| operators.iter().any(|op| op == name);
        let whole = operators(&[(2, 4), (0, 2), (4, 6)]);
        assert!(has(&whole, "Concat") && !has(&whole, "Pad"), "{whole:?}");
        for part in [&[(0, 2), (3, 6)][..], &[(0, 4), (2, 6)]] {
            let part = operators(part);
            assert!(!has(&part, "Concat") && has(&part, "Pad"), "{part:?}");
        }
    }
}
