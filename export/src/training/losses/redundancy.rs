//! Losses without negatives: features that carry something, and not the same thing.

use super::total;
use crate::error::Result;
use crate::graph::{Graph, Value};

/// Weights of [`vicreg`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vicreg {
    /// Of the distance between two views.
    pub invariance: f64,
    /// Of keeping each feature's standard deviation at 1 or more.
    pub variance: f64,
    /// Of keeping features uncorrelated.
    pub covariance: f64,
}

impl Default for Vicreg {
    fn default() -> Self {
        Self { invariance: 25.0, variance: 25.0, covariance: 1.0 }
    }
}

/// VICReg (Bardes, Ponce & LeCun, 2022, arXiv:2105.04906) of two views `[rows, width]`:
/// mean squared difference, `max(0, 1 - √(var + 1e-4))` as the mean over features of both,
/// and squared covariances off the diagonal over the width.
///
/// # Errors
/// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit; so for
/// every loss of this file.
pub fn vicreg(g: &mut Graph, first: Value, second: Value, weights: &Vicreg) -> Result<Value> {
    g.in_scope("vicreg", |g| {
        let invariance = super::mean_squared_error(g, first, second)?;
        let mut loss = g.scaled(invariance, weights.invariance)?;
        for view in [first, second] {
            let (centred, less) = centred(g, view)?;
            let square = g.mul(centred, centred)?;
            let variance = g.reduce_sum(square, 0)?;
            let variance = g.div(variance, less)?;
            let element = g.tensor_type(view)?.element;
            let epsilon = g.scalar_of(element, 1e-4)?;
            let spread = g.add(variance, epsilon)?;
            let spread = g.sqrt(spread)?;
            let one = g.scalar_of(element, 1.0)?;
            let lack = g.sub(one, spread)?;
            let lack = g.relu(lack)?;
            let lack = super::mean(g, lack)?;
            let lack = g.scaled(lack, weights.variance / 2.0)?;
            loss = g.add(loss, lack)?;

            let product = gram(g, centred, centred)?;
            let covariance = g.div(product, less)?;
            let off = off_diagonal(g, covariance)?;
            let width = g.shape(view)?.last().and_then(crate::graph::Dim::fixed);
            let Some(width) = width else {
                return Err(g.error("vicreg", "the number of features is not known".into()));
            };
            let off = g.scaled(off, weights.covariance / width.max(1) as f64)?;
            loss = g.add(loss, off)?;
        }
        Ok(loss)
    })
}

/// Settings of [`barlow_twins`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BarlowTwins {
    /// Weight of correlations between different features.
    pub redundancy: f64,
}

impl Default for BarlowTwins {
    fn default() -> Self {
        Self { redundancy: 5e-3 }
    }
}

/// Barlow Twins (Zbontar et al., 2021, arXiv:2103.03230): the correlations between the
/// features of two views `[rows, width]` are to be the identity:
/// `Σ (1 - cᵢᵢ)² + redundancy · Σ cᵢⱼ²`.
///
/// # Errors
/// As [`vicreg`].
pub fn barlow_twins(
    g: &mut Graph,
    first: Value,
    second: Value,
    settings: &BarlowTwins,
) -> Result<Value> {
    g.in_scope("barlow_twins", |g| {
        let first = standardized(g, first)?;
        let second = standardized(g, second)?;
        let product = gram(g, first, second)?;
        let rows = rows(g, first)?;
        let correlation = g.div(product, rows)?;
        let eye = g.op("EyeLike", &[correlation], vec![])?;
        let diagonal = g.mul(correlation, eye)?;
        let lack = g.sub(eye, diagonal)?;
        let lack = g.mul(lack, lack)?;
        let lack = total(g, lack)?;
        let off = off_diagonal(g, correlation)?;
        let off = g.scaled(off, settings.redundancy)?;
        g.add(lack, off)
    })
}

/// The number of rows, in the element type of `x`, of no dimensions.
fn rows(g: &mut Graph, x: Value) -> Result<Value> {
    let element = g.tensor_type(x)?.element;
    let count = g.size_of(x, 0)?;
    let count = g.squeeze(count, 0)?;
    g.cast(count, element)
}

/// Rows less their mean, and the number of rows less one, at least one.
fn centred(g: &mut Graph, x: Value) -> Result<(Value, Value)> {
    let mean = g.reduce_mean(x, 0)?;
    let centred = g.sub(x, mean)?;
    let element = g.tensor_type(x)?.element;
    let one = g.scalar_of(element, 1.0)?;
    let rows = rows(g, x)?;
    let less = g.sub(rows, one)?;
    let less = g.max(less, one)?;
    Ok((centred, less))
}

/// Features of mean 0 and variance 1 (with 1e-5 added) over the rows.
fn standardized(g: &mut Graph, x: Value) -> Result<Value> {
    let mean = g.reduce_mean(x, 0)?;
    let centred = g.sub(x, mean)?;
    let square = g.mul(centred, centred)?;
    let variance = g.reduce_mean(square, 0)?;
    let element = g.tensor_type(x)?.element;
    let epsilon = g.scalar_of(element, 1e-5)?;
    let variance = g.add(variance, epsilon)?;
    let deviation = g.sqrt(variance)?;
    g.div(centred, deviation)
}

/// `aᵀ·b`.
fn gram(g: &mut Graph, a: Value, b: Value) -> Result<Value> {
    let flipped = g.transpose(a, &[1, 0])?;
    g.matmul(flipped, b)
}

/// The sum of squares off the diagonal of a square matrix.
fn off_diagonal(g: &mut Graph, matrix: Value) -> Result<Value> {
    let element = g.tensor_type(matrix)?.element;
    let eye = g.op("EyeLike", &[matrix], vec![])?;
    let one = g.scalar_of(element, 1.0)?;
    let off = g.sub(one, eye)?;
    let off = g.mul(matrix, off)?;
    let square = g.mul(off, off)?;
    total(g, square)
}
