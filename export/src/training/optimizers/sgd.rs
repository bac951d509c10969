//! Stochastic gradient descent.

use super::{Context, Optimizer, Prepared, Update, as_type_of};
use crate::error::Result;
use crate::graph::{Graph, Value};

/// Stochastic gradient descent with momentum, as PyTorch computes it:
/// `g = g + decay·p`, `b = momentum·b + g`, `p = p - rate·b`, or with Nesterov's form
/// `p = p - rate·(g + momentum·b)` (Sutskever et al., 2013).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sgd {
    /// Share of the last step that is kept; 0 keeps no state.
    pub momentum: f64,
    /// Whether the gradient is looked at after the momentum's step.
    pub nesterov: bool,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
}

impl Optimizer for Sgd {
    fn state(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum"] }
    }

    fn prepare(&self, _: &mut Graph, rate: Value, step: Value) -> Result<Prepared> {
        Ok(Prepared { rate, numbers: [rate, step] })
    }

    fn update(&self, g: &mut Graph, prepared: &Prepared, context: &Context<'_>) -> Result<Update> {
        let mut gradient = context.gradient;
        if self.weight_decay != 0.0 && context.decays {
            let pull = g.scaled(context.parameter, self.weight_decay)?;
            gradient = g.add(gradient, pull)?;
        }
        let mut state = vec![];
        let mut way = gradient;
        if let Some(&momentum) = context.state.first() {
            let kept = g.scaled(momentum, self.momentum)?;
            let momentum = g.add(kept, gradient)?;
            way = momentum;
            if self.nesterov {
                let ahead = g.scaled(momentum, self.momentum)?;
                way = g.add(gradient, ahead)?;
            }
            state.push(momentum);
        }
        let rate = as_type_of(g, prepared.rate, context.parameter)?;
        let way = g.mul(way, rate)?;
        let parameter = g.sub(context.parameter, way)?;
        Ok(Update { parameter, state })
    }
}
