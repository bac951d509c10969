//! Layer-wise adaptive moments, for large batches.

use super::{AdamW, Context, Optimizer, Prepared, Update, as_type_of, averaged};
use crate::error::Result;
use crate::graph::{Attribute, Graph, Value};

/// LAMB (You et al., 2020, arXiv:1904.00962): the step of Adam, with weight decay added
/// to it, `u = m̂/(√v̂ + ε) + decay·p`, scaled by each tensor's own ratio of norms:
/// `p = p - rate·(‖p‖/‖u‖)·u`. The ratio is 1 where either norm is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lamb {
    /// The moments and the weight decay.
    pub adam: AdamW,
}

impl Default for Lamb {
    fn default() -> Self {
        Self { adam: AdamW { epsilon: 1e-6, ..AdamW::default() } }
    }
}

impl Optimizer for Lamb {
    fn state(&self) -> &'static [&'static str] {
        self.adam.state()
    }

    fn prepare(&self, g: &mut Graph, rate: Value, step: Value) -> Result<Prepared> {
        self.adam.prepare_corrections(g, rate, step)
    }

    fn update(&self, g: &mut Graph, prepared: &Prepared, context: &Context<'_>) -> Result<Update> {
        let [first, root] = prepared.numbers;
        let (parameter, gradient) = (context.parameter, context.gradient);
        let (Some(&mean), Some(&square)) = (context.state.first(), context.state.get(1)) else {
            return Err(g.error("Lamb", "lacks its state".into()));
        };
        let mean = averaged(g, mean, gradient, self.adam.beta1)?;
        let squared = g.mul(gradient, gradient)?;
        let square = averaged(g, square, squared, self.adam.beta2)?;
        let epsilon = g.scalar(self.adam.epsilon as f32)?;
        let epsilon = g.mul(epsilon, root)?;
        let epsilon = as_type_of(g, epsilon, parameter)?;
        let factor = g.div(root, first)?;
        let factor = as_type_of(g, factor, parameter)?;
        let divisor = g.sqrt(square)?;
        let divisor = g.add(divisor, epsilon)?;
        let way = g.div(mean, divisor)?;
        let mut way = g.mul(way, factor)?;
        if self.adam.weight_decay != 0.0 && context.decays {
            let pull = g.scaled(parameter, self.adam.weight_decay)?;
            way = g.add(way, pull)?;
        }
        let (length, step) = (norm(g, parameter)?, norm(g, way)?);
        let element = g.tensor_type(parameter)?.element;
        let (zero, one) = (g.scalar_of(element, 0.0)?, g.scalar_of(element, 1.0)?);
        let product = g.mul(length, step)?;
        let degenerate = g.equal(product, zero)?;
        let safe = g.select(degenerate, one, step)?;
        let ratio = g.div(length, safe)?;
        let ratio = g.select(degenerate, one, ratio)?;
        let rate = as_type_of(g, prepared.rate, parameter)?;
        let rate = g.mul(rate, ratio)?;
        let way = g.mul(way, rate)?;
        let parameter = g.sub(parameter, way)?;
        Ok(Update { parameter, state: vec![mean, square] })
    }
}

/// The Euclidean norm of a whole tensor, of no dimensions.
pub(super) fn norm(g: &mut Graph, x: Value) -> Result<Value> {
    g.op("ReduceL2", &[x], vec![Attribute::int("keepdims", 0)])
}
