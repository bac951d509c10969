//! One step of a run: of one batch, or of several whose gradients are summed up.

use std::collections::BTreeMap;

use offshoot::trainer::{Outputs, Tensor as Fed, Trainer};
use offshoot_export::training::LEARNING_RATE;

use super::loader::Loader;
use crate::error::Result;
use crate::objectives::Feed;

/// What a step told, means over its batches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taken {
    pub(super) loss: f32,
    /// The loss of each objective.
    pub(super) losses: BTreeMap<String, f32>,
    pub(super) gradient_norm: f32,
}

/// Takes a step of the next `batches` batches with this learning rate; `objectives` are the names
/// of those whose losses are told.
pub(super) fn take(
    trainer: &mut Trainer,
    loader: &mut Loader,
    batches: u64,
    rate: f32,
    objectives: &[String],
) -> Result<Taken> {
    let mut told = Told { objectives, loss: 0.0, losses: BTreeMap::new() };
    let gradient_norm = if batches == 1 {
        let outputs = of_one_batch(trainer, &loader.next()?, rate)?;
        told.add(&outputs)?;
        outputs.scalar("gradient_norm")?
    } else {
        for _ in 0..batches {
            let feed = loader.next()?;
            told.add(&trainer.run("accumulate", &inputs(&feed))?)?;
        }
        trainer.run("update", &[(LEARNING_RATE, rate.into())])?.scalar("gradient_norm")?
    };
    let mean = |sum: f64| (sum / batches as f64) as f32;
    let losses = told.losses.into_iter().map(|(name, sum)| (name, mean(sum))).collect();
    Ok(Taken { loss: mean(told.loss), losses, gradient_norm })
}

/// A step of one batch.
pub(super) fn of_one_batch(trainer: &mut Trainer, feed: &Feed, rate: f32) -> Result<Outputs> {
    let mut inputs = inputs(feed);
    inputs.push((LEARNING_RATE, rate.into()));
    Ok(trainer.step(&inputs)?)
}

/// A feed as the trainer takes it.
pub(super) fn inputs(feed: &Feed) -> Vec<(&str, Fed<'_>)> {
    feed.iter().map(|(name, value)| (name.as_str(), value.view())).collect()
}

/// Sums of losses.
struct Told<'a> {
    objectives: &'a [String],
    loss: f64,
    losses: BTreeMap<String, f64>,
}

impl Told<'_> {
    fn add(&mut self, outputs: &Outputs) -> Result<()> {
        self.loss += f64::from(outputs.scalar("loss")?);
        for name in self.objectives {
            let loss = f64::from(outputs.scalar(&format!("loss.{name}"))?);
            *self.losses.entry(name.clone()).or_default() += loss;
        }
        Ok(())
    }
}
