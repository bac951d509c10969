//! Correlations of two views that are the identity.

use offshoot_export::graph::Value;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, projected_views};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Barlow Twins (Zbontar et al., 2021, arXiv:2103.03230): the correlations between the numbers
/// of two views' projections are to be 1 for the same number and 0 for others; see
/// [`losses::barlow_twins`]. The loss is divided by the width of the projection.
#[derive(Debug, Clone)]
pub struct BarlowTwins {
    /// Weight of correlations between different numbers.
    pub settings: losses::BarlowTwins,
    /// Widths of the projector after that of the encoder.
    pub projector: Vec<usize>,
}

impl Default for BarlowTwins {
    fn default() -> Self {
        Self { settings: losses::BarlowTwins::default(), projector: vec![512, 512, 512] }
    }
}

impl Objective for BarlowTwins {
    fn name(&self) -> &'static str {
        "barlow-twins"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let (first, second) = projected_views(net, encoder, self.name(), &self.projector)?;
        let loss = losses::barlow_twins(net.graph, first, second, &self.settings)?;
        let width = self.projector.last().copied().unwrap_or(1).max(1);
        Ok(net.graph.scaled(loss, 1.0 / width as f64)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        preparation.views(self.name(), batch, draw, 2)
    }
}
