//! State of a training step: tensors that enter as inputs and leave as outputs.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor, TensorData, Value};

/// What a state tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// A tensor that is trained.
    Parameter,
    /// What the optimizer keeps for a parameter.
    Optimizer,
    /// A moving average of a parameter.
    Average,
    /// A count, such as that of steps.
    Counter,
}

/// A tensor that a step takes in and gives anew.
#[derive(Debug, Clone)]
pub struct StateTensor {
    /// Its name: that of the graph's input.
    pub name: String,
    /// Name of the output with its new value.
    pub output: String,
    /// What it is.
    pub kind: StateKind,
    /// Its value before the first step.
    pub initial: Tensor,
}

impl StateTensor {
    /// Makes an input of the initializer `name`, and an output of its new value.
    pub(super) fn take(g: &mut Graph, kind: StateKind, name: &str, next: Value) -> Result<Self> {
        let initial = g.initializer_to_input(name).ok_or_else(|| {
            Error::Gradient(format!("the parameter `{name}` is not an initializer of the graph"))
        })?;
        let output = format!("{name}.next");
        g.output(&output, next)?;
        Ok(Self { name: name.into(), output, kind, initial })
    }

    /// The initial value, little-endian, in row-major order.
    ///
    /// # Errors
    /// Those of the tensor's source.
    pub fn initial_bytes(&self) -> Result<Arc<[u8]>> {
        match &self.initial.data {
            TensorData::Bytes(bytes) => Ok(bytes.clone()),
            TensorData::Source(source) => {
                let mut bytes = Vec::with_capacity(self.initial.bytes().unwrap_or(0));
                source.write_to(&mut bytes)?;
                Ok(bytes.into())
            }
            TensorData::Proto(_) => Err(Error::Gradient(format!(
                "the tensor `{}` is of a type that cannot be trained",
                self.name
            ))),
        }
    }
}

/// The tensor of an initializer, shared.
pub(super) fn initial(g: &Graph, value: Value) -> Result<Tensor> {
    g.tensor(value).cloned().ok_or_else(|| {
        Error::Gradient(format!(
            "the parameter `{}` is not an initializer of the graph",
            g.value_name(value)
        ))
    })
}
