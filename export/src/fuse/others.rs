//! Heads of numbers and of several labels as operators, in 64-bit floating point.

use ndarray::{Array1, Array2};
use offshoot::adapters::{MultiLabelHead, RegressionHead};

use super::batch;
use super::numbers::{matrix, row};
use crate::error::Result;
use crate::graph::{ElementType, Graph, Value};

/// The numbers of embeddings `x` `[batch, dimensions]`, float64: `[batch]`, or
/// `[batch, outputs]` of several.
pub(super) fn numbers(
    g: &mut Graph,
    x: Value,
    head: &RegressionHead,
) -> Result<Vec<(&'static str, Value)>> {
    let value = scores(g, x, head.coefficients(), head.intercepts())?;
    let value = match head.intercepts().len() {
        1 => g.reshape(value, vec![batch()])?,
        _ => value,
    };
    Ok(vec![("value", value)])
}

/// Which labels are predicted, bool `[batch, labels]`, and the scores that decide it, float32.
pub(super) fn labels(
    g: &mut Graph,
    x: Value,
    head: &MultiLabelHead,
) -> Result<Vec<(&'static str, Value)>> {
    let scores = scores(g, x, head.coefficients(), head.intercepts())?;
    let thresholds = row(g, "thresholds", &Array1::from_vec(head.thresholds().to_vec()))?;
    let below = g.less_or_equal(scores, thresholds)?;
    let labels = g.not(below)?;
    Ok(vec![("labels", labels), ("scores", g.cast(scores, ElementType::Float32)?)])
}

/// `x Wᵀ + b`.
fn scores(
    g: &mut Graph,
    x: Value,
    coefficients: &Array2<f64>,
    intercepts: &Array1<f64>,
) -> Result<Value> {
    let x = g.cast(x, ElementType::Float64)?;
    let weight = matrix(g, "weight", &coefficients.t().to_owned())?;
    let bias = row(g, "bias", intercepts)?;
    g.linear(x, weight, Some(bias))
}
