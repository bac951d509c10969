//! Optimizers as graphs: how a parameter changes by its gradient.

mod adamw;
mod lamb;
mod lars;
mod sgd;

pub use adamw::AdamW;
pub use lamb::Lamb;
pub use lars::Lars;
pub use sgd::Sgd;

use crate::error::Result;
use crate::graph::{ElementType, Graph, Value};

/// One parameter, as an optimizer sees it.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The parameter's value.
    pub parameter: Value,
    /// The gradient of the loss by it, of its shape.
    pub gradient: Value,
    /// What the optimizer keeps for it, in the order of [`Optimizer::state`].
    pub state: &'a [Value],
    /// Whether weight decay applies to it.
    pub decays: bool,
}

/// The new values of a parameter and of what is kept for it.
#[derive(Debug, Clone)]
pub struct Update {
    /// The parameter.
    pub parameter: Value,
    /// What is kept, in the order of [`Optimizer::state`].
    pub state: Vec<Value>,
}

/// Numbers that are the same for all parameters of a step.
#[derive(Debug, Clone, Copy)]
pub struct Prepared {
    /// The learning rate, float32 of no dimensions.
    pub rate: Value,
    /// Other numbers that the optimizer computed once, such as bias corrections.
    pub numbers: [Value; 2],
}

/// An optimizer: adds to a graph the operators of its update.
pub trait Optimizer {
    /// Suffixes of the names of the tensors that are kept for each parameter, which
    /// start as zeros of its shape.
    fn state(&self) -> &'static [&'static str];

    /// Computes what all parameters share. `step` is the number of this step, from 1.
    ///
    /// # Errors
    /// Those of the operators.
    fn prepare(&self, g: &mut Graph, rate: Value, step: Value) -> Result<Prepared>;

    /// Adds the update of one parameter.
    ///
    /// # Errors
    /// Those of the operators.
    fn update(&self, g: &mut Graph, prepared: &Prepared, context: &Context<'_>) -> Result<Update>;
}

/// `number · old + (1 - number) · new`.
fn averaged(g: &mut Graph, old: Value, new: Value, number: f64) -> Result<Value> {
    let old = g.scaled(old, number)?;
    let new = g.scaled(new, 1.0 - number)?;
    g.add(old, new)
}

/// `1 - number^step`, float32. Computed in 64-bit floats: of 0.999 as a 32-bit float,
/// the difference to 1 has only five right digits.
fn correction(g: &mut Graph, number: f64, step: Value) -> Result<Value> {
    let base = g.scalar_of(ElementType::Float64, number)?;
    let step = g.cast(step, ElementType::Float64)?;
    let power = g.op("Pow", &[base, step], vec![])?;
    let one = g.scalar_of(ElementType::Float64, 1.0)?;
    let rest = g.sub(one, power)?;
    g.cast(rest, ElementType::Float32)
}

/// `number`, a float32, in the element type of `like`.
fn as_type_of(g: &mut Graph, number: Value, like: Value) -> Result<Value> {
    let element = g.tensor_type(like)?.element;
    g.cast(number, element)
}
