//! Training steps as plain graphs: forward, backward and update in one.
//!
//! [`TrainingStep::new`] takes a graph with a loss, makes state of the tensors that are to
//! be trained, differentiates and adds an optimizer. The result has no operator that a
//! stock engine lacks. State enters as inputs and leaves as outputs, so that whoever runs
//! the graph keeps it wherever it likes; numbers that change from step to step, such as
//! the learning rate, are inputs too.
//!
//! ```
//! use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor};
//! use offshoot_export::shape;
//! use offshoot_export::training::{TrainingOptions, TrainingStep, losses, optimizers::AdamW};
//!
//! let mut g = Graph::new("linear", Lowering::Standard);
//! let x = g.input("x", ElementType::Float32, shape!["batch", 2])?;
//! let labels = g.input("labels", ElementType::Int64, shape!["batch"])?;
//! let w = g.initializer("weight", Tensor::from_f32(&[2, 3], &[0.0; 6]))?;
//! let logits = g.matmul(x, w)?;
//! let loss = losses::cross_entropy(&mut g, logits, labels, &Default::default())?;
//! let step = TrainingStep::new(g, loss, &[w], &AdamW::default(), &TrainingOptions::default())?;
//! let names: Vec<_> = step.state.iter().map(|state| state.name.as_str()).collect();
//! assert_eq!(names, ["weight", "weight.exp_avg", "weight.exp_avg_sq", "step"]);
//! # Ok::<(), offshoot_export::Error>(())
//! ```

mod accumulation;
pub mod losses;
pub mod optimizers;
mod program;
mod standard;
mod state;

use std::cmp::Reverse;
use std::collections::HashMap;

pub use self::accumulation::accumulating_program;
use self::optimizers::{Context, Optimizer};
pub use self::state::StateTensor;
pub use crate::differentiate::Recompute;
use crate::differentiate::gradients_with;
use crate::error::{Error, Result};
use crate::graph::{Dim, ElementType, Graph, Tensor, Value};
use offshoot::trainer::StateKind;

/// Name of the input that holds the learning rate, float32 of no dimensions.
pub const LEARNING_RATE: &str = "learning_rate";

/// What the name of a parameter's average ends with.
pub const AVERAGE: &str = ".average";

/// What a step does besides the optimizer's update.
#[derive(Debug, Clone, Default)]
pub struct TrainingOptions {
    /// Gradients are scaled down so that their joint Euclidean norm is at most this
    /// (Pascanu, Mikolov & Bengio, 2013, arXiv:1211.5063). `None` leaves them.
    pub max_gradient_norm: Option<f32>,
    /// Decay of an exponential moving average of the parameters, which is kept as state
    /// beside them (`NAME.average`). `None` keeps none. A graph may read it, as the teacher
    /// of self-distillation: an initializer of that name is the average before the step.
    pub average_decay: Option<f32>,
    /// Names of parameters that weight decay leaves alone. Those of one dimension or
    /// none, biases and scales of normalisation, are left alone always.
    pub no_decay: Vec<String>,
    /// Which activations the backward pass computes again in place of keeping them.
    pub recompute: Recompute,
}

/// A graph that does one step of training, and its state.
#[derive(Debug, Clone)]
pub struct TrainingStep {
    /// The graph. Outputs are `loss`, `gradient_norm` (the joint norm before clipping),
    /// any outputs of the forward graph, and the new state.
    pub graph: Graph,
    /// State, in order: each parameter followed by what the optimizer keeps for it, then
    /// the number of steps taken.
    pub state: Vec<StateTensor>,
}

impl TrainingStep {
    /// Makes a training step of `graph`, which computes `loss`. `parameters` are
    /// initializers of the graph; all other initializers stay constant.
    ///
    /// # Errors
    /// [`Error::Gradient`] when the loss cannot be differentiated by a parameter or a
    /// parameter is not a floating-point initializer; [`Error::Operator`] when names
    /// clash with those of the state.
    pub fn new(
        mut graph: Graph,
        loss: Value,
        parameters: &[Value],
        optimizer: &dyn Optimizer,
        options: &TrainingOptions,
    ) -> Result<Self> {
        let g = &mut graph;
        let gradients = parameter_gradients(g, loss, parameters, options)?;
        let rate = g.input(LEARNING_RATE, ElementType::Float32, vec![])?;
        let (state, norm) = update(g, parameters, &gradients, rate, optimizer, options)?;
        name_output(g, "loss", loss)?;
        name_output(g, "gradient_norm", norm)?;
        g.merge_common();
        Ok(Self { graph, state })
    }
}

/// The gradients of a loss by all parameters, of which there must be one.
fn parameter_gradients(
    g: &mut Graph,
    loss: Value,
    parameters: &[Value],
    options: &TrainingOptions,
) -> Result<Vec<Value>> {
    if parameters.is_empty() {
        return Err(Error::Gradient("there is no parameter to train".into()));
    }
    gradients_with(g, loss, parameters, &options.recompute)
}

/// Adds the update of all parameters by their gradients, and makes state of them and of
/// what is kept for them. Returns the state and the joint norm of the gradients.
fn update(
    g: &mut Graph,
    parameters: &[Value],
    gradients: &[Value],
    rate: Value,
    optimizer: &dyn Optimizer,
    options: &TrainingOptions,
) -> Result<(Vec<StateTensor>, Value)> {
    let norm = g.in_scope("gradient_norm", |g| joint_norm(g, gradients))?;
    let gradients = match options.max_gradient_norm {
        Some(most) => g.in_scope("clip", |g| clipped(g, gradients, norm, most))?,
        None => gradients.to_vec(),
    };
    let count = g.initializer("step", Tensor::from_f32(&[], &[0.0]))?;
    let one = g.scalar(1.0)?;
    let next = g.in_scope("optimizer", |g| g.add(count, one))?;
    let prepared = g.in_scope("optimizer", |g| optimizer.prepare(g, rate, next))?;

    let mut updated = Vec::with_capacity(parameters.len());
    for at in latest_first(g, &gradients) {
        let (Some(&parameter), Some(&gradient)) = (parameters.get(at), gradients.get(at)) else {
            continue;
        };
        let name = g.value_name(parameter).to_owned();
        let kind = g.tensor_type(parameter)?.clone();
        let decays = kind.rank() > 1 && !options.no_decay.contains(&name);
        let mut kept = Vec::new();
        for suffix in optimizer.state() {
            let zeros = zeros(g, parameter)?;
            let name = format!("{name}.{suffix}");
            kept.push((name.clone(), g.root_initializer(&name, zeros)?));
        }
        let values: Vec<Value> = kept.iter().map(|(_, value)| *value).collect();
        let scope = format!("optimizer/{name}");
        let context = Context { parameter, gradient, state: &values, decays };
        let update = g.in_scope(&scope, |g| optimizer.update(g, &prepared, &context))?;
        let average = match options.average_decay {
            Some(decay) => {
                let name = format!("{name}{AVERAGE}");
                let value = match g.initializer_named(&name) {
                    Some(value) => value,
                    None => {
                        let start = state::initial(g, parameter)?;
                        g.root_initializer(&name, start)?
                    }
                };
                let next = g.in_scope(&scope, |g| {
                    moved_towards(g, value, update.parameter, 1.0 - f64::from(decay))
                })?;
                Some((name, value, next))
            }
            None => None,
        };
        let mut next = vec![(StateKind::Parameter, name, update.parameter)];
        for ((name, _), value) in kept.into_iter().zip(update.state) {
            next.push((StateKind::Optimizer, name, value));
        }
        next.extend(average.map(|(name, _, value)| (StateKind::Average, name, value)));
        updated.push((at, next));
    }
    updated.sort_by_key(|(at, _)| *at);
    let mut state = Vec::new();
    for (kind, name, value) in updated.into_iter().flat_map(|(_, next)| next) {
        state.push(StateTensor::take(g, kind, &name, value)?);
    }
    state.push(StateTensor::take(g, StateKind::Other, "step", next)?);
    Ok((state, norm))
}

/// Places of `gradients`, the one that is computed last first.
///
/// ONNX Runtime does not run operators in the order of the file: it begins with what nothing
/// reads and stands last there, and computes what that needs, so that the operators that use
/// gradients stand in the opposite order of that in which gradients come. Each is then used as
/// soon as it is there. In the order of the file, an update of the first layer's weight at the
/// end of it has the gradients of all activations computed, and kept, before any weight's.
fn latest_first(g: &Graph, gradients: &[Value]) -> Vec<usize> {
    let mut made = HashMap::new();
    for (at, node) in g.nodes().iter().enumerate() {
        made.extend(node.outputs.iter().flatten().map(|&output| (output, at)));
    }
    let mut places: Vec<usize> = (0..gradients.len()).collect();
    places.sort_by_key(|&at| Reverse(gradients.get(at).and_then(|value| made.get(value))));
    places
}

/// Makes a value the output of a name, unless it is that already.
fn name_output(g: &mut Graph, name: &str, value: Value) -> Result<()> {
    match g.output_named(name) {
        Some(output) if output == value => Ok(()),
        _ => g.output(name, value),
    }
}

/// Zeros of the type and shape of a parameter.
fn zeros(g: &Graph, parameter: Value) -> Result<Tensor> {
    let kind = g.tensor_type(parameter)?;
    let dims: Option<Vec<usize>> = kind.shape.iter().map(Dim::fixed).collect();
    let tensor = dims.and_then(|dims| {
        let count = dims.iter().product();
        Tensor::from_f64(kind.element, &dims, &vec![0.0; count])
    });
    tensor.ok_or_else(|| {
        Error::Gradient(format!(
            "the parameter `{}` is {kind}; it must be a floating-point tensor of a fixed shape",
            g.value_name(parameter)
        ))
    })
}

/// The Euclidean norm of all tensors together, float32.
fn joint_norm(g: &mut Graph, tensors: &[Value]) -> Result<Value> {
    let mut squares = Vec::with_capacity(tensors.len());
    for at in latest_first(g, tensors) {
        let Some(&tensor) = tensors.get(at) else { continue };
        // Squares of half-precision numbers soon leave its range.
        let element = g.tensor_type(tensor)?.element;
        let half = matches!(element, ElementType::Float16 | ElementType::Bfloat16);
        let tensor = if half { g.cast(tensor, ElementType::Float32)? } else { tensor };
        let square =
            g.op("ReduceSumSquare", &[tensor], vec![crate::graph::Attribute::int("keepdims", 0)])?;
        squares.push((at, g.cast(square, ElementType::Float32)?));
    }
    squares.sort_by_key(|(at, _)| *at);
    let squares: Vec<Value> = squares.into_iter().map(|(_, square)| square).collect();
    let total = match squares[..] {
        [one] => one,
        _ => g.op("Sum", &squares, vec![])?,
    };
    g.sqrt(total)
}

/// Tensors scaled so that their joint norm, `norm`, is at most `most`.
fn clipped(g: &mut Graph, tensors: &[Value], norm: Value, most: f32) -> Result<Vec<Value>> {
    let most = g.scalar(most)?;
    let one = g.scalar(1.0)?;
    let least = g.scalar(1e-12)?;
    let safe = g.max(norm, least)?;
    let ratio = g.div(most, safe)?;
    let factor = g.op("Min", &[ratio, one], vec![])?;
    tensors
        .iter()
        .map(|&tensor| {
            let element = g.tensor_type(tensor)?.element;
            let factor = g.cast(factor, element)?;
            g.mul(tensor, factor)
        })
        .collect()
}

/// `from + share · (to - from)`.
fn moved_towards(g: &mut Graph, from: Value, to: Value, share: f64) -> Result<Value> {
    let element = g.tensor_type(from)?.element;
    let share = g.scalar_of(element, share)?;
    let way = g.sub(to, from)?;
    let way = g.mul(way, share)?;
    g.add(from, way)
}
