//! The training program of a run: a step, and the encoder as it is used.

use std::collections::BTreeSet;

use offshoot_export::graph::{Graph, Lowering, Value};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_export::training::{
    AVERAGE, Recompute, TrainingOptions, TrainingStep, accumulating_program,
};

use super::{OptimizerKind, WeightedObjective};
use crate::encoders::{Architecture, Network, Weights};
use crate::error::{Error, Result};

/// Name of the procedure that embeds with the weights as they are.
pub(super) const EMBED: &str = "evaluate";
/// Name of the procedure that gives the `cross_entropy` of tokens.
pub(super) const PREDICT: &str = "predict";
/// Name of the procedure that gives the `loss` and changes nothing.
pub(super) const HELD_OUT: &str = "held_out";

/// How the optimizer is set.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) optimizer: OptimizerKind,
    pub(super) weight_decay: f64,
    pub(super) max_gradient_norm: Option<f32>,
    pub(super) average_decay: Option<f32>,
    /// Whether a step is of several batches.
    pub(super) accumulates: bool,
    pub(super) recompute: Recompute,
    /// Whether the loss is also told of examples that are not learned from.
    pub(super) watches: bool,
}

/// The program with the procedure `step`, whose inputs are those of the objectives and the
/// learning rate, or in its place the procedures `accumulate`, which takes the former, and
/// `update`, which takes the latter; the procedure `evaluate`, which gives `embedding`
/// `[batch, width]`; and, where they are of use, `predict` and `held_out`.
pub(super) fn build(
    encoder: &Architecture,
    objectives: &[WeightedObjective],
    mut weights: Weights,
    settings: &Settings,
) -> Result<ProgramBuilder> {
    let mut graph = Graph::new("pretrain", Lowering::Standard);
    let mut net = Network { graph: &mut graph, weights: &mut weights };
    let (loss, parts) = total(&mut net, encoder, objectives)?;
    for (name, loss) in parts {
        graph.output(&format!("loss.{name}"), loss)?;
    }
    let parameters = weights.without_suffix(AVERAGE);
    let optimizer = settings.optimizer.with_decay(settings.weight_decay);
    let options = TrainingOptions {
        max_gradient_norm: settings.max_gradient_norm,
        average_decay: settings.average_decay,
        recompute: settings.recompute.clone(),
        ..TrainingOptions::default()
    };
    let names = parameters.iter().map(|&parameter| graph.value_name(parameter).to_owned());
    let trained: BTreeSet<String> = names.collect();
    let mut program = if settings.accumulates {
        accumulating_program("pretrain", graph, loss, &parameters, &*optimizer, &options)?
    } else {
        TrainingStep::new(graph, loss, &parameters, &*optimizer, &options)?.program("pretrain")?
    };

    // What is written is the average, where there is one.
    let written = if settings.average_decay.is_some() { trained } else { BTreeSet::new() };
    program.procedure(reading(EMBED, &written, |net| {
        let input = encoder.input(net, "", "batch")?;
        Ok(("embedding", encoder.encode(net, input)?.pooled))
    })?)?;
    if let Some(predictor) = objectives.iter().find_map(|o| o.objective.predictor()) {
        program.procedure(reading(PREDICT, &written, |net| {
            Ok(("cross_entropy", predictor.cross_entropy(net, encoder)?))
        })?)?;
    }
    if settings.watches {
        // A teacher is compared with what it teaches, not with itself.
        let taught = objectives.iter().any(|o| o.objective.teacher_decay().is_some());
        let written = if taught { BTreeSet::new() } else { written };
        program.procedure(reading(HELD_OUT, &written, |net| {
            Ok(("loss", total(net, encoder, objectives)?.0))
        })?)?;
    }
    Ok(program)
}

/// The weighted sum of the objectives' losses, and each of them weighted.
fn total<'a>(
    net: &mut Network<'_>,
    encoder: &Architecture,
    objectives: &'a [WeightedObjective],
) -> Result<(Value, Vec<(&'a str, Value)>)> {
    let mut parts = Vec::with_capacity(objectives.len());
    let mut total = None;
    for WeightedObjective { objective, weight } in objectives {
        let loss = objective.loss(net, encoder)?;
        let loss = match *weight {
            1.0 => loss,
            weight => net.graph.scaled(loss, f64::from(weight))?,
        };
        parts.push((objective.name(), loss));
        total = Some(match total {
            None => loss,
            Some(sum) => net.graph.add(sum, loss)?,
        });
    }
    let loss = total.ok_or_else(|| Error::Pretrain("a run needs an objective".into()))?;
    Ok((loss, parts))
}

/// A procedure that reads weights and gives what `build` names; of the weights that are
/// `averaged` it reads the averages.
fn reading(
    name: &str,
    averaged: &BTreeSet<String>,
    build: impl FnOnce(&mut Network<'_>) -> Result<(&'static str, Value)>,
) -> Result<ProcedureGraph> {
    let mut graph = Graph::new(name, Lowering::Standard);
    let mut weights = Weights::random(0);
    let (output, value) = build(&mut Network { graph: &mut graph, weights: &mut weights })?;
    graph.output(output, value)?;
    let names: Vec<String> = weights.made().iter().map(|(name, _)| name.clone()).collect();
    for name in &names {
        graph.initializer_to_input(name);
    }
    let mut procedure = ProcedureGraph::new(name, graph);
    for name in &names {
        let state = if averaged.contains(name) { format!("{name}{AVERAGE}") } else { name.clone() };
        procedure = procedure.reads(name, &state);
    }
    Ok(procedure)
}
