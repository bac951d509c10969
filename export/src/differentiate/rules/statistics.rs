//! Normalisation over a batch, over a channel, over groups of channels, and by a norm.

use super::super::backward::Backward;
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Attribute, Dim, TensorType, Value};

pub(super) const RULES: &[Rule] = &[
    rule(
        "BatchNormalization",
        "training: as LayerNormalization, over the batch; else dx = dy·scale/√(var + ε), dscale = \
         Σ dy·n, dbias = Σ dy",
        batch,
    ),
    rule("InstanceNormalization", "as LayerNormalization, over each channel", instance),
    rule("GroupNormalization", "as LayerNormalization, over groups of channels", group),
    rule(
        "RMSNormalization",
        "dx = (g - n·mean(g·n))/r, n = x/r, g = dy·scale, r = √(mean x² + ε); dscale = dy·n",
        root_mean_square,
    ),
    rule("LpNormalization", "dx = (dy - y·Σ dy·y)/‖x‖, or (dy - sign x·Σ dy·y)/‖x‖₁", unit),
];

/// `x` less its mean over `axes`, over its standard deviation; and one over that.
fn normal(b: &mut Backward<'_>, x: Value, axes: &[i64], epsilon: f64) -> Result<(Value, Value)> {
    let mean = b.mean_over(x, axes)?;
    let centred = b.pair("Sub", x, mean)?;
    let square = b.pair("Mul", centred, centred)?;
    let variance = b.mean_over(square, axes)?;
    let inverse = inverse_root(b, variance, epsilon)?;
    Ok((b.pair("Mul", centred, inverse)?, inverse))
}

fn inverse_root(b: &mut Backward<'_>, variance: Value, epsilon: f64) -> Result<Value> {
    let epsilon = b.number(variance, epsilon)?;
    let variance = b.pair("Add", variance, epsilon)?;
    let deviation = b.unary("Sqrt", variance)?;
    b.unary("Reciprocal", deviation)
}

/// The gradient of what was normalised: `g` less its mean and less its part along
/// `normal`.
fn through(
    b: &mut Backward<'_>,
    g: Value,
    normal: Value,
    inverse: Value,
    axes: &[i64],
) -> Result<Value> {
    let mean = b.mean_over(g, axes)?;
    let rest = b.pair("Sub", g, mean)?;
    along(b, rest, g, normal, inverse, axes)
}

/// `(rest - normal · mean(g · normal)) · inverse`.
fn along(
    b: &mut Backward<'_>,
    rest: Value,
    g: Value,
    normal: Value,
    inverse: Value,
    axes: &[i64],
) -> Result<Value> {
    let product = b.pair("Mul", g, normal)?;
    let slope = b.mean_over(product, axes)?;
    let part = b.pair("Mul", normal, slope)?;
    let rest = b.pair("Sub", rest, part)?;
    b.pair("Mul", rest, inverse)
}

/// `[channels]` as `[channels, 1, …]`, to pair with `[batch, channels, …]`.
fn per_channel(b: &mut Backward<'_>, value: Value, rank: usize) -> Result<Value> {
    let axes: Vec<i64> = (1..rank as i64 - 1).collect();
    if axes.is_empty() {
        return Ok(value);
    }
    let axes = b.g.integers(&axes)?;
    b.pair("Unsqueeze", value, axes)
}

/// A sum over all but the channels: `[channels]`.
fn channel_sum(b: &mut Backward<'_>, value: Value, rank: usize) -> Result<Value> {
    let axes: Vec<i64> = (0..rank as i64).filter(|&at| at != 1).collect();
    let axes = b.g.integers(&axes)?;
    b.g.op("ReduceSum", &[value, axes], vec![Attribute::int("keepdims", 0)])
}

/// Gives the gradients of a scale and a bias `[channels]`.
fn affine(b: &mut Backward<'_>, normal: Value, rank: usize) -> Result<()> {
    let dy = b.gradient()?;
    if b.wants(1) {
        let product = b.pair("Mul", dy, normal)?;
        let sum = channel_sum(b, product, rank)?;
        b.give(1, sum)?;
    }
    if b.wants(2) {
        let sum = channel_sum(b, dy, rank)?;
        b.give(2, sum)?;
    }
    Ok(())
}

fn batch(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let rank = b.kind(0)?.rank();
    let epsilon = f64::from(b.attributes().float("epsilon", 1e-5));
    let scale = b.input(1)?;
    let scale = per_channel(b, scale, rank)?;
    if b.attributes().int("training_mode", 0) != 0 {
        let axes: Vec<i64> = (0..rank as i64).filter(|&at| at != 1).collect();
        let (normal, inverse) = normal(b, x, &axes, epsilon)?;
        affine(b, normal, rank)?;
        if b.wants(0) {
            let g = b.pair("Mul", dy, scale)?;
            let gradient = through(b, g, normal, inverse, &axes)?;
            b.give(0, gradient)?;
        }
        return Ok(());
    }
    if b.wants(3) || b.wants(4) {
        return Err(b.unsupported("has trainable statistics, which have no gradient rule"));
    }
    let (mean, variance) = (b.input(3)?, b.input(4)?);
    let inverse = inverse_root(b, variance, epsilon)?;
    let inverse = per_channel(b, inverse, rank)?;
    if b.wants(1) || b.wants(2) {
        let mean = per_channel(b, mean, rank)?;
        let centred = b.pair("Sub", x, mean)?;
        let normal = b.pair("Mul", centred, inverse)?;
        affine(b, normal, rank)?;
    }
    if b.wants(0) {
        let rate = b.pair("Mul", scale, inverse)?;
        let gradient = b.pair("Mul", dy, rate)?;
        b.give(0, gradient)?;
    }
    Ok(())
}

fn instance(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let rank = b.kind(0)?.rank();
    let epsilon = f64::from(b.attributes().float("epsilon", 1e-5));
    let axes: Vec<i64> = (2..rank as i64).collect();
    let (normal, inverse) = normal(b, x, &axes, epsilon)?;
    affine(b, normal, rank)?;
    if b.wants(0) {
        let scale = b.input(1)?;
        let scale = per_channel(b, scale, rank)?;
        let g = b.pair("Mul", dy, scale)?;
        let gradient = through(b, g, normal, inverse, &axes)?;
        b.give(0, gradient)?;
    }
    Ok(())
}

/// Before version 21 of the operator set there is a scale for each group, after it one
/// for each channel.
fn group(b: &mut Backward<'_>) -> Result<()> {
    let (x, scale, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let kind = b.kind(0)?;
    let epsilon = f64::from(b.attributes().float("epsilon", 1e-5));
    let groups = b.attributes().int("num_groups", 1);
    let scales = b.kind(1)?.shape.first().and_then(Dim::fixed).map(|n| n as i64);
    let channels = kind.shape.get(1).and_then(Dim::fixed).map(|n| n as i64);
    let channels = channels.or(scales.filter(|&n| n != groups));
    let (Some(channels), true) = (channels, groups > 0) else {
        return Err(b.unsupported("needs a known number of channels"));
    };
    // `[batch, groups, channels of a group, elements]`.
    let apart = b.g.integers(&[0, groups, channels / groups, -1])?;
    let x_apart = b.pair("Reshape", x, apart)?;
    let dy_apart = b.pair("Reshape", dy, apart)?;
    let (normal, inverse) = normal(b, x_apart, &[2, 3], epsilon)?;
    let each = if b.g.opset() >= 21 { channels / groups } else { 1 };
    let scale_shape = b.g.integers(&[groups, each, 1])?;
    let scale = b.pair("Reshape", scale, scale_shape)?;
    let axes: &[i64] = if each == 1 && channels != groups { &[0, 2, 3] } else { &[0, 3] };
    for (at, product) in [(1, true), (2, false)] {
        if !b.wants(at) {
            continue;
        }
        let rated = if product { b.pair("Mul", dy_apart, normal)? } else { dy_apart };
        let axes = b.g.integers(axes)?;
        let sum = b.g.op("ReduceSum", &[rated, axes], vec![Attribute::int("keepdims", 0)])?;
        let like = b.input(at)?;
        let flat = b.g.integers(&[-1])?;
        let kind = TensorType::new(b.g.tensor_type(sum)?.element, b.g.shape(like)?);
        let sum = b.g.push("Reshape", &[sum, flat], vec![], kind)?;
        b.give(at, sum)?;
    }
    if b.wants(0) {
        let g = b.pair("Mul", dy_apart, scale)?;
        let gradient = through(b, g, normal, inverse, &[2, 3])?;
        let back = b.reshape_like(gradient, x)?;
        b.give(0, back)?;
    }
    Ok(())
}

fn root_mean_square(b: &mut Backward<'_>) -> Result<()> {
    let (x, scale, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let rank = b.kind(0)?.rank() as i64;
    let epsilon = f64::from(b.attributes().float("epsilon", 1e-5));
    let axis = b.attributes().int("axis", -1);
    let axes: Vec<i64> = (if axis < 0 { axis + rank } else { axis }..rank).collect();
    let square = b.pair("Mul", x, x)?;
    let mean = b.mean_over(square, &axes)?;
    let inverse = inverse_root(b, mean, epsilon)?;
    let normal = b.pair("Mul", x, inverse)?;
    if b.wants(1) {
        let product = b.pair("Mul", dy, normal)?;
        b.give(1, product)?;
    }
    if b.wants(0) {
        let g = b.pair("Mul", dy, scale)?;
        let gradient = along(b, g, g, normal, inverse, &axes)?;
        b.give(0, gradient)?;
    }
    Ok(())
}

/// A vector of zeros stays one, and has no gradient.
fn unit(b: &mut Backward<'_>) -> Result<()> {
    let (x, y, dy) = (b.input(0)?, b.output(0)?, b.gradient()?);
    let axis = b.attributes().int("axis", -1);
    let first = b.attributes().int("p", 2) == 1;
    let axes = b.g.integers(&[axis])?;
    let operator = if first { "ReduceL1" } else { "ReduceL2" };
    let norm = b.g.op(operator, &[x, axes], vec![Attribute::int("keepdims", 1)])?;
    let (zero, one) = (b.number(norm, 0.0)?, b.number(norm, 1.0)?);
    let at_zero = b.pair("Equal", norm, zero)?;
    let safe = b.g.op("Where", &[at_zero, one, norm], vec![])?;
    let product = b.pair("Mul", dy, y)?;
    let total = b.sum_over(product, &[axis])?;
    let direction = if first { b.unary("Sign", x)? } else { y };
    let part = b.pair("Mul", direction, total)?;
    let rest = b.pair("Sub", dy, part)?;
    let quotient = b.pair("Div", rest, safe)?;
    let gradient = b.g.op("Where", &[at_zero, zero, quotient], vec![])?;
    b.give(0, gradient)
}
