//! A checkpoint's tensors under one prefix, as values of a graph.

use crate::checkpoint::{Checkpoint, Weights};
use crate::error::Result;
use crate::graph::blocks::{Norm, QueryKeyValue};
use crate::graph::{Graph, Value};

/// Where an encoder's weights are read from.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) prefix: String,
}

impl Source<'_> {
    /// The tensors below `name`.
    pub(super) fn below(&self, name: &str) -> Self {
        Self { checkpoint: self.checkpoint, prefix: format!("{}{name}.", self.prefix) }
    }

    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Weights> {
        self.checkpoint.tensor(&format!("{}{name}", self.prefix), shape)
    }

    /// A linear layer's weight, `[in, out]`: PyTorch keeps it transposed.
    fn weight(&self, name: &str, [input, output]: [usize; 2]) -> Result<Weights> {
        Ok(self.tensor(&format!("{name}.weight"), &[output, input])?.transposed())
    }

    /// A linear layer: weight `[in, out]` and, with `bias`, bias `[out]`.
    pub(super) fn linear(
        &self,
        g: &mut Graph,
        name: &str,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<(Value, Option<Value>)> {
        let weight = self.weight(name, shape)?;
        let weight = g.initializer(&format!("{name}.weight"), weight.into_tensor())?;
        let bias = bias
            .then(|| {
                let name = format!("{name}.bias");
                let bias = self.tensor(&name, &shape[1..])?;
                g.initializer(&name, bias.into_tensor())
            })
            .transpose()?;
        Ok((weight, bias))
    }

    /// Three linear layers side by side.
    pub(super) fn query_key_value(
        &self,
        g: &mut Graph,
        names: [&str; 3],
        width: usize,
    ) -> Result<QueryKeyValue> {
        let weights = names.iter().map(|name| self.weight(name, [width, width]));
        let weight = Weights::beside(weights.collect::<Result<_>>()?)?;
        let biases = names.iter().map(|name| self.tensor(&format!("{name}.bias"), &[width]));
        let bias = Weights::beside(biases.collect::<Result<_>>()?)?;
        Ok(QueryKeyValue {
            weight: g.initializer("query_key_value.weight", weight.into_tensor())?,
            bias: Some(g.initializer("query_key_value.bias", bias.into_tensor())?),
        })
    }

    /// A layer norm over `width`. The first published checkpoints call its weights
    /// gamma and beta.
    pub(super) fn norm(
        &self,
        g: &mut Graph,
        name: &str,
        width: usize,
        epsilon: f64,
        bias: bool,
    ) -> Result<Norm> {
        let mut vector = |part: &str, older: &str| {
            let mut stored = format!("{name}.{part}");
            let other = format!("{name}.{older}");
            if !self.contains(&stored) && self.contains(&other) {
                stored = other;
            }
            let vector = self.tensor(&stored, &[width])?;
            g.initializer(&format!("{name}.{part}"), vector.into_tensor())
        };
        Ok(Norm {
            scale: vector("weight", "gamma")?,
            bias: bias.then(|| vector("bias", "beta")).transpose()?,
            epsilon: epsilon as f32,
        })
    }

    fn contains(&self, name: &str) -> bool {
        self.checkpoint.contains(&format!("{}{name}", self.prefix))
    }
}
