//! Distances between predictions and targets.

use super::mean;
use crate::error::Result;
use crate::graph::{Graph, Value};

/// Mean of squared differences; shapes are equal or broadcast.
///
/// # Errors
/// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit; so for
/// every loss of this file.
pub fn mean_squared_error(g: &mut Graph, prediction: Value, target: Value) -> Result<Value> {
    g.in_scope("mean_squared_error", |g| {
        let difference = g.sub(prediction, target)?;
        let square = g.mul(difference, difference)?;
        mean(g, square)
    })
}

/// Mean Huber loss (Huber, 1964): `d²/2` where `|d| ≤ delta`, `delta·(|d| - delta/2)`
/// beyond.
///
/// # Errors
/// As [`mean_squared_error`].
pub fn huber(g: &mut Graph, prediction: Value, target: Value, delta: f64) -> Result<Value> {
    g.in_scope("huber", |g| {
        let difference = g.sub(prediction, target)?;
        let size = g.abs(difference)?;
        let element = g.tensor_type(size)?.element;
        let edge = g.scalar_of(element, delta)?;
        // With c = min(|d|, delta): c·|d| - c²/2.
        let near = g.op("Min", &[size, edge], vec![])?;
        let product = g.mul(near, size)?;
        let square = g.mul(near, near)?;
        let half = g.scaled(square, 0.5)?;
        let loss = g.sub(product, half)?;
        mean(g, loss)
    })
}

/// Mean of `1 - cosine` of rows `[rows, width]`.
///
/// # Errors
/// As [`mean_squared_error`].
pub fn cosine(g: &mut Graph, prediction: Value, target: Value) -> Result<Value> {
    g.in_scope("cosine", |g| {
        let (a, b) = (g.unit_norm(prediction)?, g.unit_norm(target)?);
        let product = g.mul(a, b)?;
        let cosines = g.reduce_sum(product, -1)?;
        let element = g.tensor_type(cosines)?.element;
        let one = g.scalar_of(element, 1.0)?;
        let distance = g.sub(one, cosines)?;
        mean(g, distance)
    })
}
