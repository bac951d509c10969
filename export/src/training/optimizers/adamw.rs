//! Adam with decoupled weight decay.

use super::{Context, Optimizer, Prepared, Update, as_type_of, averaged, correction};
use crate::error::Result;
use crate::graph::{Graph, Value};

/// Adam with decoupled weight decay (Loshchilov & Hutter, 2019, arXiv:1711.05101; Kingma &
/// Ba, 2015, arXiv:1412.6980): `m = β₁m + (1-β₁)g`, `v = β₂v + (1-β₂)g²`,
/// `p = p·(1 - rate·decay) - rate · m/(1-β₁ᵗ) / (√(v/(1-β₂ᵗ)) + ε)`, as PyTorch computes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay of the mean of gradients, β₁.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, β₂.
    pub beta2: f64,
    /// Added to the root, ε.
    pub epsilon: f64,
    /// Weight decay.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

impl AdamW {
    /// `rate / (1-β₁ᵗ)` and `√(1-β₂ᵗ)`.
    pub(super) fn prepare_corrections(
        &self,
        g: &mut Graph,
        rate: Value,
        step: Value,
    ) -> Result<Prepared> {
        let first = correction(g, self.beta1, step)?;
        let second = correction(g, self.beta2, step)?;
        let root = g.sqrt(second)?;
        Ok(Prepared { rate, numbers: [first, root] })
    }
}

impl Optimizer for AdamW {
    fn state(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    fn prepare(&self, g: &mut Graph, rate: Value, step: Value) -> Result<Prepared> {
        self.prepare_corrections(g, rate, step)
    }

    fn update(&self, g: &mut Graph, prepared: &Prepared, context: &Context<'_>) -> Result<Update> {
        let [first, root] = prepared.numbers;
        let (parameter, gradient) = (context.parameter, context.gradient);
        let (Some(&mean), Some(&square)) = (context.state.first(), context.state.get(1)) else {
            return Err(g.error("AdamW", "lacks its state".into()));
        };
        let mean = averaged(g, mean, gradient, self.beta1)?;
        let squared = g.mul(gradient, gradient)?;
        let square = averaged(g, square, squared, self.beta2)?;
        // rate·(m/c₁)/(√v/r + ε) = (rate·r/c₁)·m/(√v + ε·r): the numbers first.
        let epsilon = g.scalar(self.epsilon as f32)?;
        let epsilon = g.mul(epsilon, root)?;
        let factor = g.mul(prepared.rate, root)?;
        let factor = g.div(factor, first)?;
        let epsilon = as_type_of(g, epsilon, parameter)?;
        let factor = as_type_of(g, factor, parameter)?;
        let divisor = g.sqrt(square)?;
        let divisor = g.add(divisor, epsilon)?;
        let way = g.div(mean, divisor)?;
        let way = g.mul(way, factor)?;
        let kept = decayed(g, prepared, context, self.weight_decay)?;
        let parameter = g.sub(kept, way)?;
        Ok(Update { parameter, state: vec![mean, square] })
    }
}

/// `p·(1 - rate·decay)`, where decay applies.
pub(super) fn decayed(
    g: &mut Graph,
    prepared: &Prepared,
    context: &Context<'_>,
    decay: f64,
) -> Result<Value> {
    if decay == 0.0 || !context.decays {
        return Ok(context.parameter);
    }
    let one = g.scalar(1.0)?;
    let decay = g.scalar(decay as f32)?;
    let share = g.mul(prepared.rate, decay)?;
    let rest = g.sub(one, share)?;
    let rest = as_type_of(g, rest, context.parameter)?;
    g.mul(context.parameter, rest)
}
