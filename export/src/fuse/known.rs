//! Open-set rejection as operators beside a head.

use offshoot::adapters::open_set::OpenSet;

use super::batch;
use super::numbers::{matrix, number, row, unit};
use crate::error::{Error, Result};
use crate::graph::{ElementType, Graph, Value};
use crate::shape;

/// Shortest length that is divided by.
const LENGTH_FLOOR: f64 = 1e-12;

/// Tells inputs of no known class, at a wanted false-accept rate.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// What the examples say of unknown inputs.
    pub open_set: OpenSet,
    /// The share of unknown inputs that passes as known, between 0 and 1.
    pub false_accepts: f64,
}

impl Rejection {
    /// The score that a known input passes.
    pub(super) fn threshold(&self) -> Result<f64> {
        self.open_set.threshold(self.false_accepts).map_err(|error| Error::Head(error.to_string()))
    }
}

/// For embeddings `x` `[batch, dimensions]` their scores, float32 `[batch]`, and whether each
/// passes the threshold, bool `[batch]`, compared in float64.
pub(super) fn answer(g: &mut Graph, x: Value, rejection: &Rejection) -> Result<(Value, Value)> {
    let open_set = &rejection.open_set;
    let width = open_set.center().len();
    let found = g.tensor_type(x)?.shape.last().cloned();
    if found != shape![width].into_iter().next() {
        return Err(Error::Head(format!(
            "the rejection was learned from embeddings of {width} dimensions, and the head takes \
             others"
        )));
    }
    let x = g.cast(x, ElementType::Float64)?;
    let mut directions = unit(g, x, LENGTH_FLOOR)?;
    if open_set.center().iter().any(|&v| v != 0.0) {
        let center = row(g, "center", open_set.center())?;
        let centered = g.sub(directions, center)?;
        directions = unit(g, centered, LENGTH_FLOOR)?;
    }
    let keys = matrix(g, "keys", &open_set.keys().t().to_owned())?;
    let cosines = g.matmul(directions, keys)?;
    let score = g.reduce_max(cosines, -1)?;
    let one = number(g, 1.0)?;
    let kind = g.tensor_type(score)?.clone();
    let score = g.push("Min", &[score, one], vec![], kind)?;
    let score = g.reshape(score, vec![batch()])?;
    let threshold = number(g, rejection.threshold()?)?;
    let unknown = g.less_or_equal(score, threshold)?;
    let known = g.not(unknown)?;
    Ok((g.cast(score, ElementType::Float32)?, known))
}
