//! Pieces of a signal that lie near each other.

use offshoot_export::graph::Value;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, only, projected_views};
use crate::data::Kind;
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Neighbourhood contrast (after Tonekaboni, Eytan & Goldenberg, 2021, arXiv:2106.00750, with
/// the softmax over the batch of van den Oord et al., 2018, in the place of its discriminator):
/// two pieces of the same signal, of half its length or more, find each other by cosines over τ
/// among the pieces of the batch.
#[derive(Debug, Clone)]
pub struct Neighborhood {
    /// τ.
    pub temperature: f32,
    /// Widths of the projector after that of the encoder.
    pub projector: Vec<usize>,
}

impl Default for Neighborhood {
    fn default() -> Self {
        Self { temperature: 0.2, projector: vec![256, 128] }
    }
}

impl Objective for Neighborhood {
    fn name(&self) -> &'static str {
        "neighborhood"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        only(self.name(), encoder, &[Kind::Signal])
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let (first, second) = projected_views(net, encoder, self.name(), &self.projector)?;
        let scale = 1.0 / f64::from(self.temperature);
        Ok(losses::multiple_negatives_ranking(net.graph, first, second, scale)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        preparation.pieces("neighborhood.", batch, draw, 2)
    }
}
