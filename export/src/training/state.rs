//! State of a training step: tensors that enter as inputs and leave as outputs.

use offshoot::trainer::StateKind;

use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor, Value};

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
