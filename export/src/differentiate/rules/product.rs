//! Matrix products.

use super::super::backward::Backward;
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Attribute, Dim, Value};

pub(super) const RULES: &[Rule] = &[
    rule("MatMul", "da = dy·bᵀ, db = aᵀ·dy", matmul),
    rule("Gemm", "da = alpha·dy·bᵀ, db = alpha·aᵀ·dy, dc = beta·dy", gemm),
];

/// `x` with its last two dimensions swapped.
fn swapped(b: &mut Backward<'_>, x: Value) -> Result<Value> {
    let rank = b.g.tensor_type(x)?.rank();
    let mut order: Vec<usize> = (0..rank).collect();
    if rank >= 2 {
        order.swap(rank - 2, rank - 1);
    }
    b.g.transpose(x, &order)
}

/// `x` `[…, width]` as a matrix `[rows, width]`.
fn as_matrix(b: &mut Backward<'_>, x: Value) -> Result<Value> {
    let kind = b.g.tensor_type(x)?.clone();
    if kind.rank() == 2 {
        return Ok(x);
    }
    let width = kind.shape.last().cloned().unwrap_or_else(|| Dim::from(1));
    let sizes = match width.fixed() {
        // With no column, the number of rows cannot be inferred from the elements.
        Some(0) | None => {
            let axis = Attribute::int("axis", kind.rank() as i64 - 1);
            return b.g.op("Flatten", &[x], vec![axis]);
        }
        Some(width) => b.g.integers(&[-1, width as i64])?,
    };
    b.g.op("Reshape", &[x, sizes], vec![])
}

fn matmul(b: &mut Backward<'_>) -> Result<()> {
    let (x, w, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let (left, right) = (b.kind(0)?.rank(), b.kind(1)?.rank());
    // Vectors are matrices of one row or one column.
    if left == 1 || right == 1 {
        return matmul_of_vectors(b, left == 1, right == 1);
    }
    if b.wants(0) {
        let flipped = swapped(b, w)?;
        let product = b.pair("MatMul", dy, flipped)?;
        b.give(0, product)?;
    }
    if b.wants(1) {
        // One product over all rows, rather than a sum of products over the batch.
        let (x, dy) = match right {
            2 => (as_matrix(b, x)?, as_matrix(b, dy)?),
            _ => (x, dy),
        };
        let product = if right == 2 {
            b.g.op("Gemm", &[x, dy], vec![Attribute::int("transA", 1)])?
        } else {
            let flipped = swapped(b, x)?;
            b.pair("MatMul", flipped, dy)?
        };
        b.give(1, product)?;
    }
    Ok(())
}

fn matmul_of_vectors(b: &mut Backward<'_>, row: bool, column: bool) -> Result<()> {
    let (x, w, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let lifted = |b: &mut Backward<'_>, value: Value, axis: i64| {
        let axis = b.g.integers(&[axis])?;
        b.pair("Unsqueeze", value, axis)
    };
    let a = if row { lifted(b, x, 0)? } else { x };
    let m = if column { lifted(b, w, -1)? } else { w };
    let mut grown = dy;
    if column {
        grown = lifted(b, grown, -1)?;
    }
    if row {
        grown = lifted(b, grown, -2)?;
    }
    for (at, lift, first, second) in [(0, row, grown, m), (1, column, a, grown)] {
        if !b.wants(at) {
            continue;
        }
        let product = if at == 0 {
            let flipped = swapped(b, second)?;
            b.pair("MatMul", first, flipped)?
        } else {
            let flipped = swapped(b, first)?;
            b.pair("MatMul", flipped, second)?
        };
        let product = if lift {
            // Summed over what the other side repeats, then without the added dimension.
            let like = if at == 0 { a } else { m };
            let summed = super::super::backward::sum_to(b.g, product, like)?;
            let input = b.input(at)?;
            b.reshape_like(summed, input)?
        } else {
            product
        };
        b.give(at, product)?;
    }
    Ok(())
}

fn gemm(b: &mut Backward<'_>) -> Result<()> {
    let (a, m, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let attributes = b.attributes();
    let (alpha, beta) = (attributes.float("alpha", 1.0), attributes.float("beta", 1.0));
    let flip_a = attributes.int("transA", 0) != 0;
    let flip_b = attributes.int("transB", 0) != 0;
    let product = |b: &mut Backward<'_>, first, second, one: bool, two: bool| {
        let attributes = vec![
            Attribute::float("alpha", alpha),
            Attribute::int("transA", i64::from(one)),
            Attribute::int("transB", i64::from(two)),
        ];
        b.g.op("Gemm", &[first, second], attributes)
    };
    if b.wants(0) {
        let gradient = match flip_a {
            false => product(b, dy, m, false, !flip_b)?,
            true => product(b, m, dy, flip_b, true)?,
        };
        b.give(0, gradient)?;
    }
    if b.wants(1) {
        let gradient = match flip_b {
            false => product(b, a, dy, !flip_a, false)?,
            true => product(b, dy, a, true, flip_a)?,
        };
        b.give(1, gradient)?;
    }
    if b.wants(2) {
        let gradient = if beta == 1.0 { dy } else { b.scaled(dy, f64::from(beta))? };
        b.give(2, gradient)?;
    }
    Ok(())
}
