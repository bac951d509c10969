//! Examples that are not learned from: what the encoder makes of them.

use ndarray::{Array2, Axis, concatenate};
use offshoot::Trainer;

use super::loader::Maker;
use super::quality::Quality;
use super::source::Source;
use super::{program, step};
use crate::error::{Error, Result};
use crate::objectives::{Batch, Draw, Feed};

/// Examples of one run of the encoder for the figures of quality.
const QUALITY_BATCH: usize = 128;

/// The examples.
#[derive(Debug)]
pub(super) struct HeldOut {
    source: Source,
}

impl HeldOut {
    pub(super) fn new(source: Source) -> Self {
        Self { source }
    }

    pub(super) fn len(&self) -> usize {
        self.source.len()
    }

    /// All of them in batches of `size`, the last of which may be smaller.
    pub(super) fn parts(&self, size: usize) -> Result<Vec<Batch>> {
        let all: Vec<usize> = (0..self.len()).collect();
        all.chunks(size.max(1)).map(|part| Ok(self.source.batch(part)?.0)).collect()
    }

    /// Embeddings of the first `most`, with their labels.
    pub(super) fn embed(
        &self,
        most: usize,
        trainer: &mut Trainer,
        maker: &Maker,
    ) -> Result<(Batch, Array2<f32>)> {
        let indices: Vec<usize> = (0..self.len().min(most)).collect();
        let (batch, _) = self.source.batch(&indices)?;
        let mut parts = Vec::new();
        for part in batch.parts(QUALITY_BATCH) {
            let feed = maker.preparation.plain("", &part)?;
            let outputs = trainer.evaluate(&step::inputs(&feed))?;
            let found = outputs.get("embedding")?.array::<f32>()?.to_owned();
            let found = found
                .into_dimensionality()
                .map_err(|error| Error::Pretrain(format!("embeddings are not a table: {error}")))?;
            parts.push(found);
        }
        let views: Vec<_> = parts.iter().map(|part: &Array2<f32>| part.view()).collect();
        let all = concatenate(Axis(0), &views)
            .map_err(|error| Error::Pretrain(format!("embeddings do not fit together: {error}")))?;
        Ok((batch, all))
    }

    /// Figures of the embeddings of all.
    pub(super) fn quality(&self, trainer: &mut Trainer, maker: &Maker) -> Result<Quality> {
        let (batch, embeddings) = self.embed(self.len(), trainer, maker)?;
        Ok(Quality::of(embeddings.view(), &batch.labels))
    }

    /// The loss of the run: a mean over whole batches, or that of all examples where they are
    /// fewer than one. Views and hidden tokens are always the same.
    pub(super) fn loss(&self, trainer: &mut Trainer, maker: &Maker) -> Result<f32> {
        let size = maker.batch.min(self.len()).max(1);
        let (mut sum, mut batches) = (0.0, 0u64);
        for part in 0..self.len() / size {
            let indices: Vec<usize> = (part * size..(part + 1) * size).collect();
            let (batch, _) = self.source.batch(&indices)?;
            let mut feed = Feed::new();
            for weighted in &maker.objectives {
                let purpose = format!("held-out {}", weighted.objective.name());
                let draw = Draw { seed: maker.seed, step: part as u64, purpose: &purpose };
                feed.extend(weighted.objective.feed(&batch, &maker.preparation, &draw)?);
            }
            let outputs = trainer.run(program::HELD_OUT, &step::inputs(&feed))?;
            sum += f64::from(outputs.scalar("loss")?);
            batches += 1;
        }
        let loss = (sum / batches.max(1) as f64) as f32;
        if !loss.is_finite() {
            return Err(Error::Pretrain(format!(
                "the loss of held-out examples is {loss}; try a lower learning rate"
            )));
        }
        Ok(loss)
    }
}
