//! Operators that turn many elements into one.

use super::super::backward::{Backward, shape_of};
use super::{Rule, rule, zero};
use crate::error::Result;
use crate::graph::{Dim, Value};

pub(super) const RULES: &[Rule] = &[
    rule("ReduceSum", "dx = dy", sum),
    rule("ReduceMean", "dx = dy/n", mean),
    rule("ReduceMax", "dx = dy at the largest, shared equally by those that are equal", extreme),
    rule("ReduceMin", "dx = dy at the smallest, shared equally by those that are equal", extreme),
    rule("ReduceL1", "dx = dy·sign x", l1),
    rule("ReduceL2", "dx = dy·x/y (0 where y = 0)", l2),
    rule("ReduceSumSquare", "dx = 2·dy·x", sum_square),
    rule("ReduceLogSum", "dx = dy/exp y", log_sum),
    rule("ReduceLogSumExp", "dx = dy·exp(x - y)", log_sum_exp),
    rule("ReduceProd", "dx = dy·product of the other elements", product),
    rule("ArgMax", "0", zero),
    rule("ArgMin", "0", zero),
];

/// The axes that the operator sums over, from 0.
fn axes(b: &mut Backward<'_>) -> Result<Vec<i64>> {
    let rank = b.kind(0)?.rank() as i64;
    let stated = match (b.attributes().ints("axes"), b.optional(1)) {
        (Some(axes), _) => axes,
        (None, Some(axes)) => b
            .g
            .numbers_of(axes)
            .ok_or_else(|| b.unsupported("has axes that are computed; state them as a constant"))?,
        (None, None) => vec![],
    };
    let all = stated.is_empty() && b.attributes().int("noop_with_empty_axes", 0) == 0;
    let stated = if all { (0..rank).collect() } else { stated };
    let mut axes: Vec<i64> =
        stated.into_iter().map(|axis| if axis < 0 { axis + rank } else { axis }).collect();
    axes.sort_unstable();
    Ok(axes)
}

/// `y`, an output or its gradient, with the dimensions that were summed over as 1.
fn kept(b: &mut Backward<'_>, y: Value) -> Result<Value> {
    if b.attributes().int("keepdims", 1) != 0 {
        return Ok(y);
    }
    let axes = axes(b)?;
    if axes.is_empty() {
        return Ok(y);
    }
    let axes = b.g.integers(&axes)?;
    b.pair("Unsqueeze", y, axes)
}

/// Gives `gradient`, which broadcasts to the shape of the input, in that shape.
fn spread(b: &mut Backward<'_>, gradient: Value) -> Result<()> {
    let x = b.input(0)?;
    if b.g.shape(gradient)? == b.g.shape(x)? {
        return b.give(0, gradient);
    }
    let kind = b.kind(0)?;
    let sizes = shape_of(b.g, x)?;
    let element = b.g.tensor_type(gradient)?.element;
    let kind = crate::graph::TensorType::new(element, kind.shape);
    let wide = b.g.push("Expand", &[gradient, sizes], vec![], kind)?;
    b.give(0, wide)
}

fn sum(b: &mut Backward<'_>) -> Result<()> {
    let dy = kept(b, b.gradient()?)?;
    spread(b, dy)
}

fn mean(b: &mut Backward<'_>) -> Result<()> {
    let dy = kept(b, b.gradient()?)?;
    let axes = axes(b)?;
    let x = b.kind(0)?;
    let dims: Vec<Dim> =
        axes.iter().filter_map(|&axis| x.shape.get(usize::try_from(axis).ok()?).cloned()).collect();
    let share = match Dim::product(&dims).and_then(|count| count.fixed()) {
        Some(count) => b.scaled(dy, 1.0 / count.max(1) as f64)?,
        None => {
            let sizes = b.unary("Shape", b.input(0)?)?;
            let at = b.g.integers(&axes)?;
            let sizes = b.pair("Gather", sizes, at)?;
            let count =
                b.g.op("ReduceProd", &[sizes], vec![crate::graph::Attribute::int("keepdims", 0)])?;
            let count = b.g.cast(count, x.element)?;
            b.pair("Div", dy, count)?
        }
    };
    spread(b, share)
}

fn extreme(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let dy = kept(b, b.gradient()?)?;
    let y = kept(b, b.output(0)?)?;
    let axes = axes(b)?;
    let element = b.kind(0)?.element;
    let equal = b.pair("Equal", x, y)?;
    let hits = b.g.cast(equal, element)?;
    let count = b.sum_over(hits, &axes)?;
    let share = b.pair("Div", dy, count)?;
    let product = b.pair("Mul", hits, share)?;
    b.give(0, product)
}

fn l1(b: &mut Backward<'_>) -> Result<()> {
    let dy = kept(b, b.gradient()?)?;
    let sign = b.unary("Sign", b.input(0)?)?;
    let product = b.pair("Mul", sign, dy)?;
    b.give(0, product)
}

fn l2(b: &mut Backward<'_>) -> Result<()> {
    let dy = kept(b, b.gradient()?)?;
    let y = kept(b, b.output(0)?)?;
    let (zero, one) = (b.number(y, 0.0)?, b.number(y, 1.0)?);
    // At 0 the norm has no slope; 0 is among its subgradients.
    let at_zero = b.pair("Equal", y, zero)?;
    let safe = b.g.op("Where", &[at_zero, one, y], vec![])?;
    let rate = b.pair("Div", dy, safe)?;
    let product = b.pair("Mul", b.input(0)?, rate)?;
    b.give(0, product)
}

fn sum_square(b: &mut Backward<'_>) -> Result<()> {
    let dy = kept(b, b.gradient()?)?;
    let double = b.scaled(dy, 2.0)?;
    let product = b.pair("Mul", b.input(0)?, double)?;
    b.give(0, product)
}

fn log_sum(b: &mut Backward<'_>) -> Result<()> {
    let dy = kept(b, b.gradient()?)?;
    let y = kept(b, b.output(0)?)?;
    let total = b.unary("Exp", y)?;
    let share = b.pair("Div", dy, total)?;
    spread(b, share)
}

fn log_sum_exp(b: &mut Backward<'_>) -> Result<()> {
    let dy = kept(b, b.gradient()?)?;
    let y = kept(b, b.output(0)?)?;
    let shifted = b.pair("Sub", b.input(0)?, y)?;
    let share = b.unary("Exp", shifted)?;
    let product = b.pair("Mul", share, dy)?;
    b.give(0, product)
}

/// The product of the others is `y/x`, unless zeros are among them: with one zero only its
/// own element has a gradient, with more there is none.
fn product(b: &mut Backward<'_>) -> Result<()> {
    let x = b.input(0)?;
    let dy = kept(b, b.gradient()?)?;
    let axes = axes(b)?;
    let element = b.kind(0)?.element;
    let (zero, one) = (b.number(x, 0.0)?, b.number(x, 1.0)?);
    let at_zero = b.pair("Equal", x, zero)?;
    let safe = b.g.op("Where", &[at_zero, one, x], vec![])?;
    let dims = b.g.integers(&axes)?;
    let keep = vec![
        crate::graph::Attribute::int("keepdims", 1),
        crate::graph::Attribute::int("noop_with_empty_axes", 1),
    ];
    let all = b.g.op("ReduceProd", &[safe, dims], keep)?;
    let zeros = b.g.cast(at_zero, element)?;
    let count = if axes.is_empty() { zeros } else { b.sum_over(zeros, &axes)? };
    let others = b.pair("Sub", count, zeros)?;
    let alone = b.pair("Equal", others, zero)?;
    let scaled = b.pair("Mul", dy, all)?;
    let quotient = b.pair("Div", scaled, safe)?;
    let gradient = b.masked(alone, quotient)?;
    b.give(0, gradient)
}
