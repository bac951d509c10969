//! Activations, with the linear layer before them.

use crate::error::Result;
use crate::graph::ops::Gelu;
use crate::graph::{Graph, Lowering, Value};

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · Φ(x)`.
    Gelu,
    /// The tanh approximation of [`Self::Gelu`].
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`, also called swish.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x`.
    Identity,
}

impl Activation {
    /// The activation of a name as `transformers` configurations use them; `None`
    /// when it is not supported.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" => Self::GeluTanh,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            "tanh" => Self::Tanh,
            "sigmoid" => Self::Sigmoid,
            "linear" => Self::Identity,
            _ => return None,
        })
    }

    /// The names that [`Self::from_name`] knows, for messages.
    pub(crate) const NAMES: &'static str = "gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, \
                                            silu, swish, tanh, sigmoid, linear";
}

impl Graph {
    /// Applies an activation function.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when `x` is not floating-point.
    pub fn activation(&mut self, x: Value, activation: Activation) -> Result<Value> {
        match activation {
            Activation::Gelu => self.gelu(x, Gelu::Exact),
            Activation::GeluTanh if self.lowering() == Lowering::OnnxRuntime => {
                self.contrib_fast_gelu(x, None)
            }
            Activation::GeluTanh => self.gelu(x, Gelu::Tanh),
            Activation::Relu => self.relu(x),
            Activation::Silu => self.silu(x),
            Activation::Tanh => self.tanh(x),
            Activation::Sigmoid => self.sigmoid(x),
            Activation::Identity => Ok(x),
        }
    }

    /// `activation(x · weight + bias)`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit.
    pub fn linear_activation(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        activation: Activation,
    ) -> Result<Value> {
        if self.lowering() == Lowering::OnnxRuntime
            && let Some(bias) = bias
        {
            match activation {
                Activation::Gelu => {
                    let product = self.matmul(x, weight)?;
                    return self.contrib_bias_gelu(product, bias);
                }
                Activation::GeluTanh => {
                    let product = self.matmul(x, weight)?;
                    return self.contrib_fast_gelu(product, Some(bias));
                }
                _ => {}
            }
        }
        let product = self.linear(x, weight, bias)?;
        self.activation(product, activation)
    }
}
