//! Tuning an encoder on the device: a small part of it is trained on labelled texts or on
//! pairs of texts that belong together.
//!
//! The encoder's graph is brought to standard operators, given low-rank factors or asked
//! for its biases ([`offshoot_export::adapt`]), differentiated and run by the trainer on
//! the engine that serves it. The weights themselves stay pages of the bundle's file.

mod batches;
mod examples;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{ArrayView1, ArrayView2};
use offshoot::bundle::Bundle;
use offshoot::trainer::{Tensor as Fed, Trainer, TrainerOptions};
use offshoot::{AdapterManifest, Engine};
use offshoot_export::adapt::{Adapted, EncoderGraph, LowRank, Method, merge, write_adapter};
use offshoot_export::archive::Written;
use offshoot_export::graph::{ElementType, Graph, Tensor, Value};
use offshoot_export::shape;
use offshoot_export::training::optimizers::AdamW;
use offshoot_export::training::{TrainingOptions, TrainingStep, losses};

use self::batches::Batches;
pub use self::examples::TuningExamples;
use crate::error::{Error, Result};

/// How an encoder is tuned. The defaults are those that BENCHMARKS.md reports; they were not
/// searched for.
#[derive(Debug, Clone)]
pub struct TuneOptions {
    /// Which part is trained.
    pub method: Method,
    /// Number of steps.
    pub steps: usize,
    /// Texts of a step; of pairs, both sides count.
    pub batch: usize,
    /// Learning rate at its highest: it rises over the first tenth of the steps and falls
    /// as a cosine to 0 (Loshchilov & Hutter, 2017, arXiv:1608.03983).
    pub learning_rate: f32,
    /// Temperature of the contrastive losses.
    pub temperature: f32,
    /// Most tokens of a text while training; longer ones are cut.
    pub max_tokens: usize,
    /// Seed of the first factors and of the order of examples.
    pub seed: u64,
    /// Device, threads and other settings of the trainer.
    pub trainer: TrainerOptions,
    /// Ends the work soon after it becomes true; nothing is written.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            method: Method::Lora { rank: 8 },
            steps: 60,
            batch: 32,
            learning_rate: 1e-3,
            temperature: 0.1,
            max_tokens: 128,
            seed: 0,
            trainer: TrainerOptions::new(),
            stop: None,
        }
    }
}

impl TuneOptions {
    /// Whether the encoder would survive them.
    fn check(&self) -> Result<()> {
        for (name, value) in
            [("learning rate", self.learning_rate), ("temperature", self.temperature)]
        {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::Tune(format!(
                    "the {name} is {value}; it must be a number above 0"
                )));
            }
        }
        Ok(())
    }
}

/// A tuned encoder, not yet written.
#[derive(Debug)]
pub struct Tuned {
    bundle: Bundle,
    /// Holds the weights that the graph reads when it is written.
    _source: EncoderGraph,
    graph: Graph,
    method: Method,
    trained: Vec<(String, Tensor)>,
    low_rank: Vec<LowRank>,
    /// The loss of each step.
    pub losses: Vec<f32>,
    /// Number of scalars that were trained.
    pub parameters: u64,
}

/// Tunes the encoder in the bundle at `path`. `progress` is told the number of steps done
/// and the last loss.
///
/// # Errors
/// [`Error::Tune`] when the examples cannot be learned from, or the learning rate or the
/// temperature is not above 0; [`Error::Interrupted`]; those
/// of the bundle, of the graph's differentiation and of the trainer, a loss that is not
/// finite among them.
pub fn tune(
    path: &Path,
    examples: &TuningExamples<'_>,
    options: &TuneOptions,
    progress: &mut dyn FnMut(usize, f32),
) -> Result<Tuned> {
    examples.check()?;
    options.check()?;
    let bundle = Bundle::open(path)?;
    let engine = Engine::load()?;
    let source = EncoderGraph::read(&bundle)?;
    let Adapted { graph, parameters, low_rank } =
        Adapted::new(source.graph.clone(), options.method, options.seed)?;
    let names: Vec<String> =
        parameters.iter().map(|&value| graph.value_name(value).to_owned()).collect();
    let step = training_step(graph.clone(), &parameters, examples, options)?;
    let program = step.program("tune")?.build()?;
    let mut trainer = Trainer::new(&program, &options.trainer.clone().engine(engine))?;
    drop(program);

    let mut batches = Batches::new(&bundle, examples, options)?;
    let mut losses = Vec::with_capacity(options.steps);
    for at in 0..options.steps {
        if options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Interrupted);
        }
        let batch = batches.next();
        let shape = [batch.rows, batch.width];
        let ids = ArrayView2::from_shape(shape, &batch.ids).map_err(shape_error)?;
        let mask = ArrayView2::from_shape(shape, &batch.mask).map_err(shape_error)?;
        let rate = learning_rate(options, at);
        let mut inputs: Vec<(&str, Fed<'_>)> = vec![
            ("input_ids", ids.into_dyn().into()),
            ("attention_mask", mask.into_dyn().into()),
            ("learning_rate", rate.into()),
        ];
        if matches!(examples, TuningExamples::Labelled { .. }) {
            inputs.push(("labels", ArrayView1::from(&batch.labels).into_dyn().into()));
        }
        let loss = trainer.step(&inputs)?.loss()?;
        losses.push(loss);
        progress(at + 1, loss);
    }

    let mut trained = Vec::with_capacity(names.len());
    for name in names {
        let value = trainer.parameter(&name)?;
        let values: Vec<f32> = value.array::<f32>()?.iter().copied().collect();
        trained.push((name, Tensor::from_f32(value.dims(), &values)));
    }
    let parameters = trained.iter().filter_map(|(_, t)| t.elements()).map(|n| n as u64).sum();
    Ok(Tuned {
        bundle,
        _source: source,
        graph,
        method: options.method,
        trained,
        low_rank,
        losses,
        parameters,
    })
}

impl Tuned {
    /// Writes what was trained as an adapter of the bundle.
    ///
    /// # Errors
    /// Those of [`write_adapter`].
    pub fn write_adapter(&self, output: &Path, overwrite: bool) -> Result<AdapterManifest> {
        let method = self.method();
        Ok(write_adapter(&self.bundle, &self.graph, &self.trained, &method, output, overwrite)?)
    }

    /// Writes a bundle in which what was trained is merged with the encoder's weights.
    ///
    /// # Errors
    /// Those of [`merge`].
    pub fn write_bundle(&self, output: &Path, overwrite: bool) -> Result<Written> {
        let (trained, low_rank) = (&self.trained, &self.low_rank);
        Ok(merge(self.bundle.path(), trained, low_rank, &self.method(), output, overwrite)?)
    }

    fn method(&self) -> String {
        match self.method {
            Method::Bias => "bias".into(),
            Method::LayerNorm => "layer-norm".into(),
            Method::Lora { rank } => format!("lora rank {rank}"),
        }
    }
}

fn shape_error(error: ndarray::ShapeError) -> Error {
    Error::Tune(format!("a batch has an impossible shape: {error}"))
}

/// The learning rate of a step, from 0.
fn learning_rate(options: &TuneOptions, step: usize) -> f32 {
    let steps = options.steps.max(1) as f32;
    let rise = (steps / 10.0).max(1.0);
    let at = step as f32 + 1.0;
    if at < rise {
        return options.learning_rate * at / rise;
    }
    let share = (at - rise) / (steps - rise + 1.0).max(1.0);
    options.learning_rate * 0.5 * (1.0 + (std::f32::consts::PI * share).cos())
}

/// The graph of one step: embeddings, the loss that suits the examples, AdamW.
fn training_step(
    mut graph: Graph,
    parameters: &[Value],
    examples: &TuningExamples<'_>,
    options: &TuneOptions,
) -> Result<TrainingStep> {
    let g = &mut graph;
    let embedding = g.output_named("embedding").ok_or_else(|| {
        Error::Tune("the encoder's graph has no output `embedding`; import it again".into())
    })?;
    let temperature = g.scalar(options.temperature)?;
    let loss = match examples {
        TuningExamples::Labelled { .. } => {
            let labels = g.input("labels", ElementType::Int64, shape!["batch"])?;
            losses::supervised_contrastive(g, embedding, labels, temperature)?
        }
        TuningExamples::Pairs { .. } => {
            // The first half of the rows are anchors, the second half their partners.
            let halves = g.split_evenly(embedding, 0, 2)?;
            let (Some(&anchors), Some(&partners)) = (halves.first(), halves.get(1)) else {
                return Err(Error::Tune("a batch was not cut into two halves".into()));
            };
            let scale = f64::from(1.0 / options.temperature);
            losses::multiple_negatives_ranking(g, anchors, partners, scale)?
        }
    };
    let decays = AdamW { weight_decay: 0.0, ..AdamW::default() };
    let settings = TrainingOptions { max_gradient_norm: Some(1.0), ..TrainingOptions::default() };
    Ok(TrainingStep::new(graph, loss, parameters, &decays, &settings)?)
}
