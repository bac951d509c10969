//! Residual connections with the layer norm after them.

use crate::error::Result;
use crate::graph::{Graph, Lowering, Value};

/// A layer norm's weights.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    /// `[width]`.
    pub scale: Value,
    /// `[width]`.
    pub bias: Option<Value>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Graph {
    /// Layer norm of `x`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn norm(&mut self, x: Value, norm: Norm) -> Result<Value> {
        self.layer_norm(x, norm.scale, norm.bias, norm.epsilon)
    }

    /// `norm(x · weight + bias + residual)`: the end of a post-norm sub-layer.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn linear_residual_norm(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        residual: Value,
        norm: Norm,
    ) -> Result<Value> {
        match self.lowering() {
            Lowering::Standard => {
                let out = self.linear(x, weight, bias)?;
                let sum = self.add(out, residual)?;
                self.norm(sum, norm)
            }
            Lowering::OnnxRuntime => {
                let out = self.matmul(x, weight)?;
                let Norm { scale, bias: norm_bias, epsilon } = norm;
                self.contrib_skip_layer_norm(out, residual, scale, norm_bias, bias, epsilon)
            }
        }
    }
}
