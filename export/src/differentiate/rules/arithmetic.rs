//! Arithmetic on pairs of elements, and selection.

use super::super::backward::{Backward, is_float};
use super::{Rule, rule, zero};
use crate::error::Result;
use crate::graph::Value;

pub(super) const RULES: &[Rule] = &[
    rule("Add", "da = dy, db = dy", add),
    rule("Sum", "dy to each", add),
    rule("Sub", "da = dy, db = -dy", sub),
    rule("Mul", "da = dy·b, db = dy·a", mul),
    rule("Div", "da = dy/b, db = -dy·y/b", div),
    rule("Pow", "da = dy·b·a^(b-1), db = dy·y·ln a (0 where a = 0)", pow),
    rule("Mean", "dy/n to each of n", mean),
    rule("Max", "dy to the largest, shared equally by those that are equal", extreme),
    rule("Min", "dy to the smallest, shared equally by those that are equal", extreme),
    rule("Mod", "da = dy, db = 0", modulo),
    rule("Neg", "dx = -dy", neg),
    rule("Abs", "dx = dy·sign x", abs),
    rule("Sqrt", "dx = dy/(2y)", sqrt),
    rule("Exp", "dx = dy·y", exp),
    rule("Log", "dx = dy/x", log),
    rule("Reciprocal", "dx = -dy·y²", reciprocal),
    rule("Sin", "dx = dy·cos x", sin),
    rule("Cos", "dx = -dy·sin x", cos),
    rule("Floor", "0", zero),
    rule("Ceil", "0", zero),
    rule("Round", "0", zero),
    rule("Sign", "0", zero),
    rule("Where", "da = dy where the condition holds, db = dy elsewhere", select),
    rule("Clip", "dx = dy where low < x < high", clip),
    rule("Cast", "dx = dy, cast back", cast),
    rule("CastLike", "dx = dy, cast back", cast),
    rule("Identity", "dx = dy", identity),
    rule("Dropout", "dx = dy·mask/(1 - ratio)", dropout),
];

fn add(b: &mut Backward<'_>) -> Result<()> {
    let dy = b.gradient()?;
    for at in 0..b.inputs() {
        if b.wants(at) {
            b.give(at, dy)?;
        }
    }
    Ok(())
}

fn sub(b: &mut Backward<'_>) -> Result<()> {
    let dy = b.gradient()?;
    if b.wants(0) {
        b.give(0, dy)?;
    }
    if b.wants(1) {
        let negative = b.unary("Neg", dy)?;
        b.give(1, negative)?;
    }
    Ok(())
}

fn mul(b: &mut Backward<'_>) -> Result<()> {
    let (dy, x, y) = (b.gradient()?, b.input(0)?, b.input(1)?);
    if b.wants(0) {
        let product = b.pair("Mul", dy, y)?;
        b.give(0, product)?;
    }
    if b.wants(1) {
        let product = b.pair("Mul", dy, x)?;
        b.give(1, product)?;
    }
    Ok(())
}

fn div(b: &mut Backward<'_>) -> Result<()> {
    let (dy, divisor, y) = (b.gradient()?, b.input(1)?, b.output(0)?);
    let quotient = b.pair("Div", dy, divisor)?;
    if b.wants(0) {
        b.give(0, quotient)?;
    }
    if b.wants(1) {
        let product = b.pair("Mul", quotient, y)?;
        let negative = b.unary("Neg", product)?;
        b.give(1, negative)?;
    }
    Ok(())
}

fn pow(b: &mut Backward<'_>) -> Result<()> {
    let (dy, x, exponent) = (b.gradient()?, b.input(0)?, b.input(1)?);
    if b.wants(0) {
        let known = b.g.tensor(exponent).and_then(|tensor| match tensor.elements() {
            Some(1) => tensor.to_f64()?.first().copied(),
            _ => None,
        });
        let slope = match known {
            Some(2.0) => b.scaled(x, 2.0)?,
            Some(3.0) => {
                let square = b.pair("Mul", x, x)?;
                b.scaled(square, 3.0)?
            }
            _ => {
                let element = b.g.tensor_type(x)?.element;
                let exponent = b.g.cast(exponent, element)?;
                let one = b.number(x, 1.0)?;
                let less = b.pair("Sub", exponent, one)?;
                let power = b.pair("Pow", x, less)?;
                let slope = b.pair("Mul", power, exponent)?;
                // An exponent of 0 gives a constant, also at 0.
                let zero = b.number(x, 0.0)?;
                let constant = b.pair("Equal", exponent, zero)?;
                b.g.op("Where", &[constant, zero, slope], vec![])?
            }
        };
        let product = b.pair("Mul", dy, slope)?;
        b.give(0, product)?;
    }
    if b.wants(1) {
        let y = b.output(0)?;
        let zero = b.number(x, 0.0)?;
        let one = b.number(x, 1.0)?;
        let at_zero = b.pair("Equal", x, zero)?;
        let safe = b.g.op("Where", &[at_zero, one, x], vec![])?;
        let log = b.unary("Log", safe)?;
        let slope = b.pair("Mul", y, log)?;
        let product = b.pair("Mul", dy, slope)?;
        b.give(1, product)?;
    }
    Ok(())
}

fn mean(b: &mut Backward<'_>) -> Result<()> {
    let dy = b.gradient()?;
    let share = b.scaled(dy, 1.0 / b.inputs().max(1) as f64)?;
    for at in 0..b.inputs() {
        if b.wants(at) {
            b.give(at, share)?;
        }
    }
    Ok(())
}

fn extreme(b: &mut Backward<'_>) -> Result<()> {
    let (dy, y) = (b.gradient()?, b.output(0)?);
    let element = b.g.tensor_type(y)?.element;
    let mut hits = Vec::with_capacity(b.inputs());
    for at in 0..b.inputs() {
        let equal = b.pair("Equal", b.input(at)?, y)?;
        hits.push(b.g.cast(equal, element)?);
    }
    let share = match hits[..] {
        [_] => dy,
        _ => {
            let count = b.g.op("Sum", &hits, vec![])?;
            b.pair("Div", dy, count)?
        }
    };
    for (at, &hit) in hits.iter().enumerate() {
        if b.wants(at) {
            let product = b.pair("Mul", share, hit)?;
            b.give(at, product)?;
        }
    }
    Ok(())
}

fn modulo(b: &mut Backward<'_>) -> Result<()> {
    if b.wants(1) {
        return Err(b.unsupported("has a trainable divisor, which has no gradient rule"));
    }
    identity(b)
}

fn neg(b: &mut Backward<'_>) -> Result<()> {
    let negative = b.unary("Neg", b.gradient()?)?;
    b.give(0, negative)
}

/// Gives `dy · slope` to the only input.
fn chain(b: &mut Backward<'_>, slope: Value) -> Result<()> {
    let product = b.pair("Mul", b.gradient()?, slope)?;
    b.give(0, product)
}

fn abs(b: &mut Backward<'_>) -> Result<()> {
    let sign = b.unary("Sign", b.input(0)?)?;
    chain(b, sign)
}

fn sqrt(b: &mut Backward<'_>) -> Result<()> {
    let double = b.scaled(b.output(0)?, 2.0)?;
    let quotient = b.pair("Div", b.gradient()?, double)?;
    b.give(0, quotient)
}

fn exp(b: &mut Backward<'_>) -> Result<()> {
    let y = b.output(0)?;
    chain(b, y)
}

fn log(b: &mut Backward<'_>) -> Result<()> {
    let quotient = b.pair("Div", b.gradient()?, b.input(0)?)?;
    b.give(0, quotient)
}

fn reciprocal(b: &mut Backward<'_>) -> Result<()> {
    let y = b.output(0)?;
    let square = b.pair("Mul", y, y)?;
    let slope = b.unary("Neg", square)?;
    chain(b, slope)
}

fn sin(b: &mut Backward<'_>) -> Result<()> {
    let slope = b.unary("Cos", b.input(0)?)?;
    chain(b, slope)
}

fn cos(b: &mut Backward<'_>) -> Result<()> {
    let sine = b.unary("Sin", b.input(0)?)?;
    let slope = b.unary("Neg", sine)?;
    chain(b, slope)
}

fn select(b: &mut Backward<'_>) -> Result<()> {
    let (dy, condition) = (b.gradient()?, b.input(0)?);
    if b.wants(1) {
        let kept = b.masked(condition, dy)?;
        b.give(1, kept)?;
    }
    if b.wants(2) {
        let otherwise = b.unary("Not", condition)?;
        let kept = b.masked(otherwise, dy)?;
        b.give(2, kept)?;
    }
    Ok(())
}

fn clip(b: &mut Backward<'_>) -> Result<()> {
    if b.wants(1) || b.wants(2) {
        return Err(b.unsupported("has a trainable bound, which has no gradient rule"));
    }
    let (mut gradient, x) = (b.gradient()?, b.input(0)?);
    for (at, comparison) in [(1, "Greater"), (2, "Less")] {
        if let Some(bound) = b.optional(at) {
            let within = b.pair(comparison, x, bound)?;
            gradient = b.masked(within, gradient)?;
        }
    }
    b.give(0, gradient)
}

fn cast(b: &mut Backward<'_>) -> Result<()> {
    if !is_float(b.g, b.input(0)?) {
        return Ok(());
    }
    let element = b.kind(0)?.element;
    let gradient = b.gradient()?;
    let back = b.g.cast(gradient, element)?;
    b.give(0, back)
}

fn identity(b: &mut Backward<'_>) -> Result<()> {
    let dy = b.gradient()?;
    b.give(0, dy)
}

/// Outside training `Dropout` is the identity; within, its mask says what was kept.
fn dropout(b: &mut Backward<'_>) -> Result<()> {
    let training = b.optional(2).and_then(|flag| b.g.numbers_of(flag));
    match (b.optional(2), training.as_deref()) {
        (None, _) | (Some(_), Some([0])) => return identity(b),
        _ => {}
    }
    let x = b.kind(0)?;
    let kind = crate::graph::TensorType::new(crate::graph::ElementType::Bool, x.shape);
    let mask = b.extra_output(1, kind)?;
    let dy = b.gradient()?;
    let kept = b.masked(mask, dy)?;
    let scaled = match b.optional(1) {
        Some(ratio) => {
            let ratio = b.g.cast(ratio, x.element)?;
            let one = b.number(dy, 1.0)?;
            let rest = b.pair("Sub", one, ratio)?;
            b.pair("Div", kept, rest)?
        }
        None => b.scaled(kept, 2.0)?,
    };
    b.give(0, scaled)
}
