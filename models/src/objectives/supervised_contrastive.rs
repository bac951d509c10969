//! Examples of a class find each other.

use offshoot_export::graph::{ElementType, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Supervised contrastive learning (Khosla et al., 2020, arXiv:2004.11362): two views of each
/// example, and each view finds those of its class by cosines over τ; see
/// [`losses::supervised_contrastive`]. It reads labels; an example without one is a class of
/// its own.
#[derive(Debug, Clone)]
pub struct SupervisedContrastive {
    /// τ.
    pub temperature: f32,
    /// Widths of the projector after that of the encoder.
    pub projector: Vec<usize>,
}

impl Default for SupervisedContrastive {
    fn default() -> Self {
        Self { temperature: 0.1, projector: vec![512, 128] }
    }
}

impl Objective for SupervisedContrastive {
    fn name(&self) -> &'static str {
        "supervised-contrastive"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn needs_labels(&self) -> bool {
        true
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "supervised-contrastive.", super::pairs())?;
        let shape = shape![super::pairs()];
        let labels = net.graph.input("supervised-contrastive.labels", ElementType::Int64, shape)?;
        let features = encoder.encode(net, input)?;
        let widths = [&[features.width][..], &self.projector].concat();
        let name = "supervised-contrastive.projector";
        let projected = net.projector(name, features.pooled, &widths)?;
        let temperature = net.graph.scalar(self.temperature)?;
        Ok(losses::supervised_contrastive(net.graph, projected, labels, temperature)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let mut feed = preparation.views(self.name(), batch, draw, 2)?;
        let labels = preparation.labels(batch)?;
        let own = |(row, label): (usize, i64)| if label < 0 { -1 - row as i64 } else { label };
        let once: Vec<i64> = labels.into_iter().enumerate().map(own).collect();
        let twice = [&once[..], &once].concat();
        feed.push(super::feed::integers("supervised-contrastive.labels", twice));
        Ok(feed)
    }
}
