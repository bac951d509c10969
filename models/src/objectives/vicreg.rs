//! Variance, invariance and covariance.

use offshoot_export::graph::Value;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, projected_views};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// VICReg (Bardes, Ponce & LeCun, 2022, arXiv:2105.04906): two views have the same projection,
/// each number of it varies over the batch, and no two vary together; see
/// [`losses::vicreg`].
#[derive(Debug, Clone)]
pub struct Vicreg {
    /// Weights of the three parts.
    pub weights: losses::Vicreg,
    /// Widths of the projector after that of the encoder.
    pub projector: Vec<usize>,
}

impl Default for Vicreg {
    fn default() -> Self {
        Self { weights: losses::Vicreg::default(), projector: vec![512, 512, 512] }
    }
}

impl Objective for Vicreg {
    fn name(&self) -> &'static str {
        "vicreg"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let (first, second) = projected_views(net, encoder, self.name(), &self.projector)?;
        Ok(losses::vicreg(net.graph, first, second, &self.weights)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        preparation.views(self.name(), batch, draw, 2)
    }
}
