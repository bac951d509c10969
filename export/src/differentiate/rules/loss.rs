//! Cross-entropy as one operator.

use super::super::backward::{Backward, filled_like};
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Attribute, ElementType, Tensor, Value};

pub(super) const RULES: &[Rule] = &[
    rule(
        "SoftmaxCrossEntropyLoss",
        "dscores = dy·w·m·(softmax - onehot)/n, w the label's weight, m 0 where it is ignored, \
         n = Σ w·m for the mean",
        softmax_cross_entropy,
    ),
    rule("NegativeLogLikelihoodLoss", "dx = -dy·w·m·onehot/n, as above", negative_log_likelihood),
];

/// The labels as `[batch, 1, …]`, ignored ones replaced by 0, and each one's share of
/// the gradient in the same shape.
fn shares(b: &mut Backward<'_>, scores: Value) -> Result<(Value, Value)> {
    if b.wants(2) {
        return Err(b.unsupported("has trainable weights, which have no gradient rule"));
    }
    let dy = b.gradient()?;
    let element = b.g.tensor_type(scores)?.element;
    let labels = b.input(1)?;
    let mut labels = b.g.cast(labels, ElementType::Int64)?;
    let mut share = None;
    if b.attributes().find("ignore_index").is_some() {
        let ignored = b.attributes().int("ignore_index", 0);
        let ignored = b.g.constant(Tensor::from_i64(&[], &[ignored]))?;
        let zero = b.g.constant(Tensor::from_i64(&[], &[0]))?;
        let dropped = b.pair("Equal", labels, ignored)?;
        labels = b.g.op("Where", &[dropped, zero, labels], vec![])?;
        let counted = b.unary("Not", dropped)?;
        share = Some(b.g.cast(counted, element)?);
    }
    if let Some(weights) = b.optional(2) {
        let weight = b.g.op("Gather", &[weights, labels], vec![Attribute::int("axis", 0)])?;
        share = Some(match share {
            Some(mask) => b.pair("Mul", weight, mask)?,
            None => weight,
        });
    }
    let share = match share {
        Some(share) => share,
        None => {
            let one = b.number(scores, 1.0)?;
            let sizes = b.unary("Shape", labels)?;
            let kind = crate::graph::TensorType::new(element, b.g.shape(labels)?);
            b.g.push("Expand", &[one, sizes], vec![], kind)?
        }
    };
    let reduction = b.attributes().string("reduction");
    let rate = if reduction.is_empty() || reduction == "mean" {
        let total = b.g.op("ReduceSum", &[share], vec![Attribute::int("keepdims", 0)])?;
        b.pair("Div", dy, total)?
    } else {
        dy
    };
    let share = b.pair("Mul", share, rate)?;
    let axis = b.g.integers(&[1])?;
    Ok((b.pair("Unsqueeze", labels, axis)?, b.pair("Unsqueeze", share, axis)?))
}

/// `onto` less `share` at the labels.
fn less_at(b: &mut Backward<'_>, onto: Value, labels: Value, share: Value) -> Result<Value> {
    let negative = b.unary("Neg", share)?;
    let attributes = vec![Attribute::int("axis", 1), Attribute::string("reduction", "add")];
    b.g.op("ScatterElements", &[onto, labels, negative], attributes)
}

fn softmax_cross_entropy(b: &mut Backward<'_>) -> Result<()> {
    let (scores, kind) = (b.input(0)?, b.kind(0)?);
    let logarithms = b.extra_output(1, kind)?;
    let (labels, share) = shares(b, scores)?;
    let probabilities = b.unary("Exp", logarithms)?;
    let scaled = b.pair("Mul", probabilities, share)?;
    let gradient = less_at(b, scaled, labels, share)?;
    b.give(0, gradient)
}

fn negative_log_likelihood(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let (labels, share) = shares(b, x)?;
    let zeros = filled_like(b.g, x, 0.0)?;
    let gradient = less_at(b, zeros, labels, share)?;
    b.give(0, gradient)
}
