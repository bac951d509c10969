//! Writing into a tensor, and the largest elements.

use super::super::backward::{Backward, filled_like};
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Attribute, TensorType};

pub(super) const RULES: &[Rule] = &[
    rule("ScatterElements", "ddata = dy, 0 where replaced; dupdates = dy there", scatter_elements),
    rule("ScatterND", "ddata = dy, 0 where replaced; dupdates = dy there", scatter_nd),
    rule("TopK", "dy, put back where the elements were", top_k),
];

/// Whether elements are added (`add`) rather than replaced (`none`).
fn adds(b: &Backward<'_>) -> Result<bool> {
    match b.attributes().string("reduction").as_str() {
        "" | "none" => Ok(false),
        "add" => Ok(true),
        other => Err(b.unsupported(&format!(
            "reduces by `{other}`; only `none` and `add` have a gradient rule"
        ))),
    }
}

fn scatter_elements(b: &mut Backward<'_>) -> Result<()> {
    let axis = vec![Attribute::int("axis", b.attributes().int("axis", 0))];
    scatter(b, "ScatterElements", "GatherElements", axis)
}

fn scatter_nd(b: &mut Backward<'_>) -> Result<()> {
    scatter(b, "ScatterND", "GatherND", vec![])
}

fn scatter(
    b: &mut Backward<'_>,
    put: &str,
    take: &str,
    attributes: Vec<onnx_protobuf::AttributeProto>,
) -> Result<()> {
    let adds = adds(b)?;
    let (indices, dy) = (b.input(1)?, b.gradient()?);
    if b.wants(0) {
        let kept = if adds {
            dy
        } else {
            let updates = b.input(2)?;
            let zeros = filled_like(b.g, updates, 0.0)?;
            b.g.op(put, &[dy, indices, zeros], attributes.clone())?
        };
        b.give(0, kept)?;
    }
    if b.wants(2) {
        let kind = TensorType::new(b.g.tensor_type(dy)?.element, b.kind(2)?.shape);
        let taken = b.g.push(take, &[dy, indices], attributes, kind)?;
        b.give(2, taken)?;
    }
    Ok(())
}

fn top_k(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let axis = b.attributes().int("axis", -1);
    let chosen = b.g.shape(b.output(0)?)?;
    let kind = TensorType::new(crate::graph::ElementType::Int64, chosen);
    let indices = b.extra_output(1, kind)?;
    let zeros = filled_like(b.g, x, 0.0)?;
    let back =
        b.g.op("ScatterElements", &[zeros, indices, dy], vec![Attribute::int("axis", axis)])?;
    b.give(0, back)
}
