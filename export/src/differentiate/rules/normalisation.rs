//! Softmax and normalisation over features.

use super::super::backward::Backward;
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Dim, ElementType, TensorType, Value};

pub(super) const RULES: &[Rule] = &[
    rule("Softmax", "dx = y·(dy - Σ dy·y)", softmax),
    rule("LogSoftmax", "dx = dy - exp y·Σ dy", log_softmax),
    rule(
        "LayerNormalization",
        "dx = (g - mean g - n·mean(g·n))/σ, n = (x - μ)/σ, g = dy·scale; dscale = dy·n, dbias = dy",
        layer_normalization,
    ),
];

fn softmax(b: &mut Backward<'_>) -> Result<()> {
    let axis = b.attributes().int("axis", -1);
    let (y, dy) = (b.output(0)?, b.gradient()?);
    let product = b.pair("Mul", dy, y)?;
    let total = b.sum_over(product, &[axis])?;
    let rest = b.pair("Sub", dy, total)?;
    let gradient = b.pair("Mul", y, rest)?;
    b.give(0, gradient)
}

fn log_softmax(b: &mut Backward<'_>) -> Result<()> {
    let axis = b.attributes().int("axis", -1);
    let (y, dy) = (b.output(0)?, b.gradient()?);
    let total = b.sum_over(dy, &[axis])?;
    let share = b.unary("Exp", y)?;
    let product = b.pair("Mul", share, total)?;
    let gradient = b.pair("Sub", dy, product)?;
    b.give(0, gradient)
}

fn layer_normalization(b: &mut Backward<'_>) -> Result<()> {
    let (x, scale, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let kind = b.kind(0)?;
    let rank = kind.rank() as i64;
    let axis = b.attributes().int("axis", -1);
    let first = if axis < 0 { axis + rank } else { axis };
    let axes: Vec<i64> = (first..rank).collect();
    if b.wants(2) {
        b.give(2, dy)?;
    }
    if !(b.wants(0) || b.wants(1)) {
        return Ok(());
    }
    let (mean, inverse) = statistics(b, &kind, first)?;
    let centred = b.pair("Sub", x, mean)?;
    let normal = b.pair("Mul", centred, inverse)?;
    if b.wants(1) {
        let product = b.pair("Mul", dy, normal)?;
        b.give(1, product)?;
    }
    if b.wants(0) {
        let g = b.pair("Mul", dy, scale)?;
        let mean = b.mean_over(g, &axes)?;
        let product = b.pair("Mul", g, normal)?;
        let slope = b.mean_over(product, &axes)?;
        let along = b.pair("Mul", normal, slope)?;
        let rest = b.pair("Sub", g, mean)?;
        let rest = b.pair("Sub", rest, along)?;
        let gradient = b.pair("Mul", rest, inverse)?;
        b.give(0, gradient)?;
    }
    Ok(())
}

/// Mean and inverse standard deviation, which the operator gives on request, in float32;
/// for float64 they are computed.
fn statistics(b: &mut Backward<'_>, x: &TensorType, first: i64) -> Result<(Value, Value)> {
    if x.element == ElementType::Float64 {
        let axes: Vec<i64> = (first..x.rank() as i64).collect();
        let input = b.input(0)?;
        let mean = b.mean_over(input, &axes)?;
        let centred = b.pair("Sub", input, mean)?;
        let square = b.pair("Mul", centred, centred)?;
        let variance = b.mean_over(square, &axes)?;
        let epsilon = b.number(variance, f64::from(b.attributes().float("epsilon", 1e-5)))?;
        let variance = b.pair("Add", variance, epsilon)?;
        let deviation = b.unary("Sqrt", variance)?;
        return Ok((mean, b.unary("Reciprocal", deviation)?));
    }
    let mut shape = x.shape.clone();
    for dim in shape.iter_mut().skip(usize::try_from(first).unwrap_or(0)) {
        *dim = Dim::from(1);
    }
    let kind = TensorType::new(ElementType::Float32, shape);
    let mean = b.extra_output(1, kind.clone())?;
    let inverse = b.extra_output(2, kind)?;
    Ok((b.g.cast(mean, x.element)?, b.g.cast(inverse, x.element)?))
}
