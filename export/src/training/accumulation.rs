//! Steps over more examples than fit a batch: gradients are summed up, then applied.

use offshoot::trainer::StateKind;

use super::optimizers::Optimizer;
use super::state::initial;
use super::{
    LEARNING_RATE, StateTensor, TrainingOptions, latest_first, name_output, parameter_gradients,
    update, zeros,
};
use crate::error::Result;
use crate::graph::{ElementType, Graph, Lowering, Tensor, Value};
use crate::program::{ProcedureGraph, ProgramBuilder};

/// Name of the state that counts the batches since the last update.
const BATCHES: &str = "accumulated_batches";

/// A program with two procedures: `accumulate` computes the loss of a batch and adds its
/// gradients to sums that are kept as state (`NAME.gradient`); `update` divides the sums by
/// the number of batches, does the optimizer's step and sets the sums to zero. With batches
/// of the same size the step is that of all of them together, as far as the loss is a mean
/// over examples.
///
/// `accumulate` takes the graph's inputs and returns `loss` and the graph's outputs;
/// `update` takes `learning_rate` and returns `gradient_norm`. Neither keeps anything of a
/// run in which these are not finite, and so an `update` before any `accumulate` is refused.
///
/// # Errors
/// As [`TrainingStep::new`](super::TrainingStep::new) and
/// [`TrainingStep::program`](super::TrainingStep::program).
pub fn accumulating_program(
    name: &str,
    mut graph: Graph,
    loss: Value,
    parameters: &[Value],
    optimizer: &dyn Optimizer,
    options: &TrainingOptions,
) -> Result<ProgramBuilder> {
    let mut apply = Graph::new("update", Lowering::Standard);
    let mut weights = Vec::with_capacity(parameters.len());
    for &parameter in parameters {
        let tensor = initial(&graph, parameter)?;
        weights.push(apply.root_initializer(graph.value_name(parameter), tensor)?);
    }

    let mut sums = Vec::with_capacity(parameters.len());
    let gradients = parameter_gradients(&mut graph, loss, parameters, options)?;
    for at in latest_first(&graph, &gradients) {
        let (Some(&parameter), Some(&gradient)) = (parameters.get(at), gradients.get(at)) else {
            continue;
        };
        let name = format!("{}.gradient", graph.value_name(parameter));
        let zeros = zeros(&graph, parameter)?;
        let sum = graph.root_initializer(&name, zeros)?;
        let next = graph.in_scope("accumulate", |g| g.add(sum, gradient))?;
        sums.push((at, name, next));
    }
    sums.sort_by_key(|(at, ..)| *at);
    let count = graph.root_initializer(BATCHES, Tensor::from_f32(&[], &[0.0]))?;
    let one = graph.scalar(1.0)?;
    let counted = graph.in_scope("accumulate", |g| g.add(count, one))?;
    name_output(&mut graph, "loss", loss)?;
    let names: Vec<String> =
        parameters.iter().map(|&value| graph.value_name(value).to_owned()).collect();
    let mut kept = Vec::with_capacity(sums.len() + 1);
    for (_, name, next) in sums {
        kept.push(StateTensor::take(&mut graph, StateKind::Optimizer, &name, next)?);
    }
    kept.push(StateTensor::take(&mut graph, StateKind::Other, BATCHES, counted)?);
    for name in &names {
        graph.initializer_to_input(name);
    }

    let (state, cleared) = updating(&mut apply, &weights, &names, optimizer, options)?;
    graph.merge_common();
    apply.merge_common();
    let mut builder = ProgramBuilder::new(name);
    let mut accumulate = ProcedureGraph::new("accumulate", graph).guard("loss");
    let mut update = ProcedureGraph::new("update", apply).guard("gradient_norm");
    for name in &names {
        accumulate = accumulate.reads(name, name);
    }
    for state in kept {
        accumulate = accumulate.reads(&state.name, &state.name);
        accumulate = accumulate.writes(&state.output, &state.name);
        builder.state(&state.name, state.initial, state.kind)?;
    }
    for state in state {
        update = update.reads(&state.name, &state.name).writes(&state.output, &state.name);
        builder.state(&state.name, state.initial, state.kind)?;
    }
    for (name, output) in &cleared {
        update = update.reads(name, name).writes(output, name);
    }
    builder.procedure(accumulate)?;
    builder.procedure(update)?;
    Ok(builder)
}

/// A name of the state with the output that gives its new value.
type Written = (String, String);

/// Adds to `g` the update by mean gradients; returns the state, and the sums with the
/// outputs that set them to zero.
fn updating(
    g: &mut Graph,
    weights: &[Value],
    names: &[String],
    optimizer: &dyn Optimizer,
    options: &TrainingOptions,
) -> Result<(Vec<StateTensor>, Vec<Written>)> {
    let count = g.input(BATCHES, ElementType::Float32, vec![])?;
    let rate = g.input(LEARNING_RATE, ElementType::Float32, vec![])?;
    let mut means = Vec::with_capacity(weights.len());
    let mut cleared = Vec::with_capacity(weights.len() + 1);
    for (&weight, name) in weights.iter().zip(names) {
        let kind = g.tensor_type(weight)?.clone();
        let name = format!("{name}.gradient");
        let sum = g.input(&name, kind.element, kind.shape)?;
        let (mean, zero) = g.in_scope("mean", |g| {
            let divisor = g.cast(count, kind.element)?;
            Ok((g.div(sum, divisor)?, g.sub(sum, sum)?))
        })?;
        let output = format!("{name}.next");
        g.output(&output, zero)?;
        means.push(mean);
        cleared.push((name, output));
    }
    let none = g.in_scope("mean", |g| g.sub(count, count))?;
    let output = format!("{BATCHES}.next");
    g.output(&output, none)?;
    cleared.push((BATCHES.to_owned(), output));
    let (state, norm) = update(g, weights, &means, rate, optimizer, options)?;
    g.output("gradient_norm", norm)?;
    Ok((state, cleared))
}
