//! Calibration as operators after a head's probabilities.

use offshoot::adapters::calibration::{Calibration, LOG_FLOOR};

use super::numbers::{matrix, number, row, unary};
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};

/// Calibrated probabilities `[batch, classes]` of the head's, both float64.
pub(super) fn probabilities(
    g: &mut Graph,
    probabilities: Value,
    calibration: &Calibration,
    classes: usize,
) -> Result<Value> {
    let scores = match calibration {
        Calibration::Temperature(temperature) => {
            let logs = logs(g, probabilities, f64::MIN_POSITIVE)?;
            let inverse = number(g, temperature.inverse())?;
            g.mul(logs, inverse)?
        }
        Calibration::Dirichlet(map) => {
            if map.intercepts().len() != classes {
                return Err(Error::Head(format!(
                    "the calibration is of {} classes and the head has {classes}: fit it to this \
                     head's predictions",
                    map.intercepts().len()
                )));
            }
            let logs = logs(g, probabilities, LOG_FLOOR.exp())?;
            let weights = matrix(g, "weights", &map.weights().t().to_owned())?;
            let intercepts = row(g, "intercepts", map.intercepts())?;
            g.linear(logs, weights, Some(intercepts))?
        }
    };
    g.softmax(scores, -1)
}

/// Logarithms of probabilities, those below `least` raised to it.
fn logs(g: &mut Graph, probabilities: Value, least: f64) -> Result<Value> {
    let least = number(g, least)?;
    let raised = g.max(probabilities, least)?;
    unary(g, "Log", raised)
}
