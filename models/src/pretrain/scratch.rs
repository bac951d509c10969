//! The same network, trained on the labels and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array1, Array2, Axis};
use offshoot::trainer::{Tensor as Fed, Trainer};
use offshoot::{Engine, TrainerOptions};
use offshoot_export::graph::{ElementType, Value};
use offshoot_export::shape;
use offshoot_export::training::{Recompute, losses};

use super::blank::Blank;
use super::program::{self, Settings};
use super::schedule::Schedule;
use super::source::Source;
use super::step;
use super::{OptimizerKind, WeightedObjective};
use crate::data::{Dataset, Example, Kind};
use crate::encoders::{Architecture, Network, Weights};
use crate::error::{Error, Result};
use crate::inspect::measures::efficiency::curve::{Curve, Point};
use crate::inspect::measures::efficiency::draws::Draws;
use crate::objectives::{Batch, Draw, Feed, Objective, Preparation, integers};
use crate::random::SplitMix64;

/// Name of the layer that tells classes.
const HEAD: &str = "from-scratch.head";
/// Examples of a step.
const BATCH: usize = 32;
/// Times that each example is seen, and the bounds of the number of steps.
const PASSES: usize = 30;
const LEAST_STEPS: usize = 60;
const MOST_STEPS: usize = 300;
/// Draws at each number of labels.
const DRAWS: u64 = 2;
/// The learning rate at its highest.
const RATE: f32 = 1e-3;

impl Blank {
    /// Accuracy of the network when it is trained on the labels of `draws` and nothing else:
    /// cross-entropy of a linear layer on the embedding, AdamW, 30 passes in steps of 32
    /// examples (at least 60 steps, at most 300), no augmentation; at 1, 8 and 64 labels of
    /// each class and at all, 2 draws each. Every draw begins with the same weights.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once `stop` is set; those of the trainer.
    pub fn from_scratch(
        &self,
        examples: &Arc<[Example]>,
        draws: &Draws,
        stop: &AtomicBool,
    ) -> Result<Curve> {
        let mut learner = Learner::new(self, examples, draws)?;
        let last = draws.shots.last().copied();
        let shots = draws.shots.iter().filter(|&&s| [1, 8, 64].contains(&s) || Some(s) == last);
        let mut points = Vec::new();
        for &shot in shots {
            let mut found = Vec::new();
            for draw in 0..DRAWS {
                let (rows, y) = draws.examples(shot, draw);
                let seed = SplitMix64::stream(0, "from scratch", &[shot as u64, draw]);
                learner.learn(&rows, &y, seed, stop)?;
                found.push(draws.accuracy(&learner.predict(&draws.tested)?));
            }
            points.extend(Point::of(shot, found, draws));
        }
        Ok(Curve { head: "from scratch".into(), points })
    }
}

struct Learner {
    trainer: Trainer,
    source: Source,
    objective: Arc<dyn Objective>,
    preparation: Preparation,
    /// State and what it was before the first step.
    first: Vec<(String, Fed<'static>)>,
}

impl Learner {
    fn new(blank: &Blank, examples: &Arc<[Example]>, draws: &Draws) -> Result<Self> {
        let classes = draws.classes();
        let objective: Arc<dyn Objective> = Arc::new(Labels { classes });
        let weighted = [WeightedObjective { objective: objective.clone(), weight: 1.0 }];
        let settings = Settings {
            optimizer: OptimizerKind::AdamW,
            weight_decay: 0.01,
            max_gradient_norm: Some(1.0),
            average_decay: None,
            accumulates: false,
            recompute: Recompute::Nothing,
            watches: false,
        };
        let builder = program::build(&blank.encoder, &weighted, Weights::random(0), &settings)?;
        let options = TrainerOptions::new().engine(Engine::load()?);
        let trainer = Trainer::new(&builder.build()?, &options)?;
        let names: Vec<String> = trainer.describe().map(|(name, ..)| name.to_owned()).collect();
        let first = names.into_iter().map(|name| {
            let value = trainer.state(&name)?.into_owned();
            Ok((name, value))
        });
        let first = first.collect::<Result<_>>()?;
        let tokens = blank.tokenizer.as_ref().map(|tokenizer| tokenizer.tokens.clone());
        let channels = blank.encoder.normalization().map_or(0, |n| n.mean.len());
        let held = Arc::new(Held { examples: examples.clone() });
        Ok(Self {
            trainer,
            source: Source::new(held, blank.tokenizer.clone(), channels),
            objective,
            preparation: Preparation::new(blank.encoder.clone(), tokens),
            first,
        })
    }

    fn learn(
        &mut self,
        rows: &[usize],
        y: &[usize],
        mut random: SplitMix64,
        stop: &AtomicBool,
    ) -> Result<()> {
        for (name, value) in &self.first {
            self.trainer.set_state(name, value.view())?;
        }
        let batch = BATCH.min(rows.len().max(1));
        let steps = (PASSES * rows.len()).div_ceil(batch).clamp(LEAST_STEPS, MOST_STEPS);
        let schedule = Schedule { steps: steps as u64, warm_up: steps as u64 / 10, peak: RATE };
        let mut order: Vec<usize> = Vec::new();
        for number in 0..steps as u64 {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if order.len() < batch {
                let mut next: Vec<usize> = (0..rows.len()).collect();
                random.shuffle(&mut next);
                order.extend(next);
            }
            let places: Vec<usize> = order.drain(..batch).collect();
            let indices: Vec<usize> = places.iter().map(|&place| rows[place]).collect();
            let mut made = self.source.batch(&indices)?.0;
            made.labels = places.iter().map(|&place| y[place] as i64).collect();
            let draw = Draw { seed: 0, step: number, purpose: self.objective.name() };
            let feed = self.objective.feed(&made, &self.preparation, &draw)?;
            step::of_one_batch(&mut self.trainer, &feed, schedule.rate(number))?;
        }
        Ok(())
    }

    fn predict(&mut self, rows: &[usize]) -> Result<Vec<usize>> {
        let table = |value: Fed<'static>, dims: (usize, usize)| -> Result<Array2<f32>> {
            let values = value.array::<f32>()?.iter().copied().collect();
            Array2::from_shape_vec(dims, values)
                .map_err(|error| Error::Pretrain(format!("the layer that tells classes: {error}")))
        };
        let state = self.trainer.state(&format!("{HEAD}.weight"))?.into_owned();
        let (width, classes) = match state.dims() {
            [width, classes] => (*width, *classes),
            _ => return Err(Error::Pretrain("the layer that tells classes is no table".into())),
        };
        let weight = table(state, (width, classes))?;
        let bias = table(self.trainer.state(&format!("{HEAD}.bias"))?.into_owned(), (1, classes))?;
        let bias: Array1<f32> = bias.index_axis(Axis(0), 0).to_owned();
        let mut found = Vec::with_capacity(rows.len());
        for part in rows.chunks(128) {
            let feed = self.preparation.plain("", &self.source.batch(part)?.0)?;
            let outputs = self.trainer.evaluate(&step::inputs(&feed))?;
            let embedding = outputs.get("embedding")?.view().into_owned();
            let logits = table(embedding, (part.len(), width))?.dot(&weight) + &bias;
            found.extend(logits.outer_iter().map(|row| {
                let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                best.map_or(0, |(class, _)| class)
            }));
        }
        Ok(found)
    }
}

/// Cross-entropy of a linear layer on the embedding.
#[derive(Debug)]
struct Labels {
    classes: usize,
}

impl Objective for Labels {
    fn name(&self) -> &'static str {
        "from-scratch"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn needs_labels(&self) -> bool {
        true
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "from-scratch.", "batch")?;
        let labels = net.graph.input("from-scratch.labels", ElementType::Int64, shape!["batch"])?;
        let features = encoder.encode(net, input)?;
        let logits = net.linear(HEAD, features.pooled, [features.width, self.classes], true)?;
        Ok(losses::cross_entropy(net.graph, logits, labels, &Default::default())?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, _: &Draw) -> Result<Feed> {
        let mut feed = preparation.plain("from-scratch.", batch)?;
        feed.push(integers("from-scratch.labels", batch.labels.clone()));
        Ok(feed)
    }
}

/// Examples that are in memory.
#[derive(Debug)]
struct Held {
    examples: Arc<[Example]>,
}

impl Dataset for Held {
    fn kind(&self) -> Kind {
        match self.examples.first() {
            Some(Example::Image(_)) => Kind::Image,
            Some(Example::Signal(_)) => Kind::Signal,
            _ => Kind::Text,
        }
    }

    fn len(&self) -> usize {
        self.examples.len()
    }

    fn get(&self, index: usize) -> Result<Example> {
        let found = self.examples.get(index).cloned();
        found.ok_or_else(|| Error::Argument(format!("there is no example {index}")))
    }

    fn label(&self, _: usize) -> Option<&str> {
        None
    }

    fn locate(&self, index: usize) -> String {
        format!("example {}", index + 1)
    }

    fn digest(&self) -> &str {
        ""
    }
}
