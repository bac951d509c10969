//! Activation functions.

use super::super::backward::Backward;
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::Value;

pub(super) const RULES: &[Rule] = &[
    rule("Relu", "dx = dy where y > 0", relu),
    rule("LeakyRelu", "dx = dy where x > 0, alpha·dy elsewhere", leaky_relu),
    rule("PRelu", "dx = dy where x > 0, slope·dy elsewhere; dslope = dy·x where x ≤ 0", prelu),
    rule("Elu", "dx = dy where x > 0, dy·(y + alpha) elsewhere", elu),
    rule("Sigmoid", "dx = dy·y·(1 - y)", sigmoid),
    rule("Tanh", "dx = dy·(1 - y²)", tanh),
    rule("Erf", "dx = dy·2/√π·exp(-x²)", erf),
    rule("Gelu", "dx = dy·(Φ(x) + x·φ(x)), or that of its tanh form", gelu),
    rule("Softplus", "dx = dy·sigmoid x", softplus),
    rule("Softsign", "dx = dy/(1 + |x|)²", softsign),
    rule("HardSigmoid", "dx = alpha·dy where 0 < y < 1", hard_sigmoid),
    rule("HardSwish", "dx = dy·(0, x/3 + 1/2, or 1)", hard_swish),
    rule("Mish", "dx = dy·(t + x·(1 - t²)·sigmoid x), t = tanh(softplus x)", mish),
    rule("Selu", "dx = gamma·dy where x > 0, dy·(y + gamma·alpha) elsewhere", selu),
    rule("Celu", "dx = dy where x > 0, dy·exp(x/alpha) elsewhere", celu),
    rule("ThresholdedRelu", "dx = dy where x > alpha", thresholded_relu),
    rule("Swish", "dx = dy·(s + alpha·y·(1 - s)), s = sigmoid(alpha·x)", swish),
];

fn chain(b: &mut Backward<'_>, slope: Value) -> Result<()> {
    let product = b.pair("Mul", b.gradient()?, slope)?;
    b.give(0, product)
}

/// Whether `x` is above zero.
fn positive(b: &mut Backward<'_>, x: Value) -> Result<Value> {
    let zero = b.number(x, 0.0)?;
    b.pair("Greater", x, zero)
}

fn relu(b: &mut Backward<'_>) -> Result<()> {
    let above = positive(b, b.output(0)?)?;
    let dy = b.gradient()?;
    let kept = b.masked(above, dy)?;
    b.give(0, kept)
}

fn leaky_relu(b: &mut Backward<'_>) -> Result<()> {
    let alpha = f64::from(b.attributes().float("alpha", 0.01));
    let above = positive(b, b.input(0)?)?;
    let dy = b.gradient()?;
    let small = b.scaled(dy, alpha)?;
    let chosen = b.g.op("Where", &[above, dy, small], vec![])?;
    b.give(0, chosen)
}

fn prelu(b: &mut Backward<'_>) -> Result<()> {
    let (x, slope, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let above = positive(b, x)?;
    if b.wants(0) {
        let small = b.pair("Mul", dy, slope)?;
        let chosen = b.g.op("Where", &[above, dy, small], vec![])?;
        b.give(0, chosen)?;
    }
    if b.wants(1) {
        let product = b.pair("Mul", dy, x)?;
        let zero = b.number(x, 0.0)?;
        let below = b.g.op("Where", &[above, zero, product], vec![])?;
        b.give(1, below)?;
    }
    Ok(())
}

fn elu(b: &mut Backward<'_>) -> Result<()> {
    let alpha = f64::from(b.attributes().float("alpha", 1.0));
    let (x, y, dy) = (b.input(0)?, b.output(0)?, b.gradient()?);
    let above = positive(b, x)?;
    let alpha = b.number(x, alpha)?;
    let slope = b.pair("Add", y, alpha)?;
    let curved = b.pair("Mul", dy, slope)?;
    let chosen = b.g.op("Where", &[above, dy, curved], vec![])?;
    b.give(0, chosen)
}

fn sigmoid(b: &mut Backward<'_>) -> Result<()> {
    let y = b.output(0)?;
    let one = b.number(y, 1.0)?;
    let rest = b.pair("Sub", one, y)?;
    let slope = b.pair("Mul", y, rest)?;
    chain(b, slope)
}

fn tanh(b: &mut Backward<'_>) -> Result<()> {
    let y = b.output(0)?;
    let one = b.number(y, 1.0)?;
    let square = b.pair("Mul", y, y)?;
    let slope = b.pair("Sub", one, square)?;
    chain(b, slope)
}

fn erf(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let square = b.pair("Mul", x, x)?;
    let negative = b.unary("Neg", square)?;
    let bell = b.unary("Exp", negative)?;
    let slope = b.scaled(bell, std::f64::consts::FRAC_2_SQRT_PI)?;
    chain(b, slope)
}

fn gelu(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let slope = if b.attributes().string("approximate") == "tanh" {
        tanh_gelu_slope(b, x)?
    } else {
        gelu_slope(b, x)?
    };
    chain(b, slope)
}

/// `Φ(x) + x·φ(x)`, with `s = x/√2`: `(1 + erf s)/2 + s·exp(-s²)/√π`.
fn gelu_slope(b: &mut Backward<'_>, x: Value) -> Result<Value> {
    let s = b.scaled(x, std::f64::consts::FRAC_1_SQRT_2)?;
    let curve = b.unary("Erf", s)?;
    let half = b.scaled(curve, 0.5)?;
    let square = b.pair("Mul", s, s)?;
    let negative = b.unary("Neg", square)?;
    let bell = b.unary("Exp", negative)?;
    let bell = b.pair("Mul", bell, s)?;
    let bell = b.scaled(bell, std::f64::consts::FRAC_2_SQRT_PI / 2.0)?;
    let sum = b.pair("Add", half, bell)?;
    let offset = b.number(x, 0.5)?;
    b.pair("Add", sum, offset)
}

/// `(1 + t)/2 + x·(1 - t²)·u'/2`, with `u = √(2/π)·(x + 0.044715·x³)` and `t = tanh u`.
fn tanh_gelu_slope(b: &mut Backward<'_>, x: Value) -> Result<Value> {
    let root = (2.0 / std::f64::consts::PI).sqrt();
    let one = b.number(x, 1.0)?;
    let square = b.pair("Mul", x, x)?;
    let inner = b.scaled(square, 0.044_715)?;
    let inner = b.pair("Add", inner, one)?;
    let inner = b.pair("Mul", inner, x)?;
    let inner = b.scaled(inner, root)?;
    let t = b.unary("Tanh", inner)?;
    let rate = b.scaled(square, 3.0 * 0.044_715)?;
    let rate = b.pair("Add", rate, one)?;
    let rate = b.scaled(rate, root)?;
    let t_square = b.pair("Mul", t, t)?;
    let rest = b.pair("Sub", one, t_square)?;
    let bend = b.pair("Mul", rest, rate)?;
    let bend = b.pair("Mul", bend, x)?;
    let sum = b.pair("Add", t, one)?;
    let sum = b.pair("Add", sum, bend)?;
    b.scaled(sum, 0.5)
}

fn softplus(b: &mut Backward<'_>) -> Result<()> {
    let slope = b.unary("Sigmoid", b.input(0)?)?;
    chain(b, slope)
}

fn softsign(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let one = b.number(x, 1.0)?;
    let size = b.unary("Abs", x)?;
    let sum = b.pair("Add", size, one)?;
    let square = b.pair("Mul", sum, sum)?;
    let quotient = b.pair("Div", b.gradient()?, square)?;
    b.give(0, quotient)
}

fn hard_sigmoid(b: &mut Backward<'_>) -> Result<()> {
    let alpha = f64::from(b.attributes().float("alpha", 0.2));
    let y = b.output(0)?;
    let (zero, one) = (b.number(y, 0.0)?, b.number(y, 1.0)?);
    let above = b.pair("Greater", y, zero)?;
    let below = b.pair("Less", y, one)?;
    let within = b.pair("And", above, below)?;
    let slope = b.scaled(b.gradient()?, alpha)?;
    let kept = b.masked(within, slope)?;
    b.give(0, kept)
}

fn hard_swish(b: &mut Backward<'_>) -> Result<()> {
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let third = b.scaled(x, 1.0 / 3.0)?;
    let half = b.number(x, 0.5)?;
    let slope = b.pair("Add", third, half)?;
    let curved = b.pair("Mul", dy, slope)?;
    let (low, high) = (b.number(x, -3.0)?, b.number(x, 3.0)?);
    let above = b.pair("GreaterOrEqual", x, high)?;
    let inner = b.g.op("Where", &[above, dy, curved], vec![])?;
    let beyond = b.pair("Greater", x, low)?;
    let kept = b.masked(beyond, inner)?;
    b.give(0, kept)
}

fn mish(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let soft = b.unary("Softplus", x)?;
    let t = b.unary("Tanh", soft)?;
    let gate = b.unary("Sigmoid", x)?;
    let one = b.number(x, 1.0)?;
    let square = b.pair("Mul", t, t)?;
    let rest = b.pair("Sub", one, square)?;
    let bend = b.pair("Mul", rest, gate)?;
    let bend = b.pair("Mul", bend, x)?;
    let slope = b.pair("Add", t, bend)?;
    chain(b, slope)
}

fn selu(b: &mut Backward<'_>) -> Result<()> {
    let alpha = f64::from(b.attributes().float("alpha", 1.673_263_2));
    let gamma = f64::from(b.attributes().float("gamma", 1.050_701));
    let (x, y) = (b.input(0)?, b.output(0)?);
    let above = positive(b, x)?;
    let offset = b.number(x, gamma * alpha)?;
    let curved = b.pair("Add", y, offset)?;
    let straight = b.number(x, gamma)?;
    let slope = b.g.op("Where", &[above, straight, curved], vec![])?;
    chain(b, slope)
}

fn celu(b: &mut Backward<'_>) -> Result<()> {
    let alpha = f64::from(b.attributes().float("alpha", 1.0));
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let above = positive(b, x)?;
    let scaled = b.scaled(x, 1.0 / alpha)?;
    let slope = b.unary("Exp", scaled)?;
    let curved = b.pair("Mul", dy, slope)?;
    let chosen = b.g.op("Where", &[above, dy, curved], vec![])?;
    b.give(0, chosen)
}

fn thresholded_relu(b: &mut Backward<'_>) -> Result<()> {
    let alpha = f64::from(b.attributes().float("alpha", 1.0));
    let (x, dy) = (b.input(0)?, b.gradient()?);
    let threshold = b.number(x, alpha)?;
    let above = b.pair("Greater", x, threshold)?;
    let kept = b.masked(above, dy)?;
    b.give(0, kept)
}

fn swish(b: &mut Backward<'_>) -> Result<()> {
    let alpha = f64::from(b.attributes().float("alpha", 1.0));
    let (x, y) = (b.input(0)?, b.output(0)?);
    let inner = if alpha == 1.0 { x } else { b.scaled(x, alpha)? };
    let gate = b.unary("Sigmoid", inner)?;
    let one = b.number(x, 1.0)?;
    let rest = b.pair("Sub", one, gate)?;
    let bend = b.pair("Mul", rest, y)?;
    let bend = if alpha == 1.0 { bend } else { b.scaled(bend, alpha)? };
    let slope = b.pair("Add", gate, bend)?;
    chain(b, slope)
}
