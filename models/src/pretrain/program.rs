//! The training program of a run: a step, and the encoder as it is used.

use std::collections::BTreeSet;

use offshoot_export::graph::{Graph, Lowering};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_export::training::{
    AVERAGE, Recompute, TrainingOptions, TrainingStep, accumulating_program,
};

use super::{OptimizerKind, WeightedObjective};
use crate::encoders::{Architecture, Network, Weights};
use crate::error::{Error, Result};

/// Name of the procedure that embeds with the weights as they are.
pub(super) const EMBED: &str = "evaluate";

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
}

/// The program with the procedure `step`, whose inputs are those of the objectives and the
/// learning rate, or in its place the procedures `accumulate`, which takes the former, and
/// `update`, which takes the latter; and the procedure `evaluate`, which gives `embedding` `[batch, width]`.
pub(super) fn build(
    encoder: &Architecture,
    objectives: &[WeightedObjective],
    mut weights: Weights,
    settings: &Settings,
) -> Result<ProgramBuilder> {
    let mut graph = Graph::new("pretrain", Lowering::Standard);
    let mut net = Network { graph: &mut graph, weights: &mut weights };
    let mut total = None;
    for WeightedObjective { objective, weight } in objectives {
        let loss = objective.loss(&mut net, encoder)?;
        let loss = match *weight {
            1.0 => loss,
            weight => net.graph.scaled(loss, f64::from(weight))?,
        };
        net.graph.output(&format!("loss.{}", objective.name()), loss)?;
        total = Some(match total {
            None => loss,
            Some(sum) => net.graph.add(sum, loss)?,
        });
    }
    let loss = total.ok_or_else(|| Error::Pretrain("a run needs an objective".into()))?;
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

    let mut graph = Graph::new("evaluate", Lowering::Standard);
    let mut reading = Weights::random(0);
    let mut net = Network { graph: &mut graph, weights: &mut reading };
    let input = encoder.input(&mut net, "", "batch")?;
    let features = encoder.encode(&mut net, input)?;
    graph.output("embedding", features.pooled)?;
    let names: Vec<String> = reading.made().iter().map(|(name, _)| name.clone()).collect();
    for name in &names {
        graph.initializer_to_input(name);
    }
    let mut procedure = ProcedureGraph::new(EMBED, graph);
    for name in &names {
        let averaged = settings.average_decay.is_some() && trained.contains(name);
        let state = if averaged { format!("{name}{AVERAGE}") } else { name.clone() };
        procedure = procedure.reads(name, &state);
    }
    program.procedure(procedure)?;
    Ok(program)
}
