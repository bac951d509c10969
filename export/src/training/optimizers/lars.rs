//! Layer-wise adaptive rates for stochastic gradient descent with large batches.

use super::lamb::norm;
use super::{Context, Optimizer, Prepared, Update, as_type_of};
use crate::error::Result;
use crate::graph::{Graph, Value};

/// LARS (You, Gitman & Ginsburg, 2017, arXiv:1708.03888, algorithm 1): momentum with each
/// tensor's own rate, `λ = trust·‖p‖/(‖g‖ + decay·‖p‖)`,
/// `v = momentum·v + rate·λ·(g + decay·p)`, `p = p - v`. λ is 1 where it would be 0 or
/// is not defined: of weights that are all 0, and where nothing pulls at them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lars {
    /// Share of the last step that is kept.
    pub momentum: f64,
    /// How far a step goes, as a share of the norm of the weights at a rate of 1.
    pub trust: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Whether tensors without weight decay have rates of their own too, as in the paper;
    /// else λ is 1 for them, as is usual for biases and normalisations in self-supervised
    /// pretraining (Grill et al., 2020, arXiv:2006.07733).
    pub adapts_all: bool,
}

impl Default for Lars {
    fn default() -> Self {
        Self { momentum: 0.9, trust: 1e-3, weight_decay: 5e-4, adapts_all: false }
    }
}

impl Optimizer for Lars {
    fn state(&self) -> &'static [&'static str] {
        &["momentum"]
    }

    fn prepare(&self, _: &mut Graph, rate: Value, step: Value) -> Result<Prepared> {
        Ok(Prepared { rate, numbers: [rate, step] })
    }

    fn update(&self, g: &mut Graph, prepared: &Prepared, context: &Context<'_>) -> Result<Update> {
        let parameter = context.parameter;
        let Some(&momentum) = context.state.first() else {
            return Err(g.error("Lars", "lacks its state".into()));
        };
        let decay = if context.decays { self.weight_decay } else { 0.0 };
        let mut way = context.gradient;
        if decay != 0.0 {
            let pull = g.scaled(parameter, decay)?;
            way = g.add(way, pull)?;
        }
        let mut rate = as_type_of(g, prepared.rate, parameter)?;
        if self.adapts_all || context.decays {
            let own = self.own_rate(g, context, decay)?;
            rate = g.mul(rate, own)?;
        }
        let way = g.mul(way, rate)?;
        let kept = g.scaled(momentum, self.momentum)?;
        let momentum = g.add(kept, way)?;
        let parameter = g.sub(parameter, momentum)?;
        Ok(Update { parameter, state: vec![momentum] })
    }
}

impl Lars {
    /// λ, of no dimensions.
    fn own_rate(&self, g: &mut Graph, context: &Context<'_>, decay: f64) -> Result<Value> {
        let length = norm(g, context.parameter)?;
        let mut pull = norm(g, context.gradient)?;
        if decay != 0.0 {
            let decayed = g.scaled(length, decay)?;
            pull = g.add(pull, decayed)?;
        }
        let element = g.tensor_type(context.parameter)?.element;
        let (zero, one) = (g.scalar_of(element, 0.0)?, g.scalar_of(element, 1.0)?);
        let product = g.mul(length, pull)?;
        let degenerate = g.equal(product, zero)?;
        let safe = g.select(degenerate, one, pull)?;
        let trusted = g.scaled(length, self.trust)?;
        let ratio = g.div(trusted, safe)?;
        g.select(degenerate, one, ratio)
    }
}
