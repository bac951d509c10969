//! Two views predict each other, and what is predicted is held still.

use offshoot_export::graph::Value;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, halves, two_views};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// SimSiam (Chen & He, 2021, arXiv:2011.10566). With `z` the projected views, `p` what a
/// predictor makes of them, and `sg` a stopped gradient:
///
/// ```text
/// L = -½ mean cos(p₁, sg z₂) - ½ mean cos(p₂, sg z₁)
/// ```
#[derive(Debug, Clone)]
pub struct SimSiam {
    /// Widths of the projector after that of the encoder.
    pub projector: Vec<usize>,
    /// Width between the two layers of the predictor.
    pub predictor: usize,
}

impl Default for SimSiam {
    fn default() -> Self {
        Self { projector: vec![512, 512, 512], predictor: 128 }
    }
}

impl Objective for SimSiam {
    fn name(&self) -> &'static str {
        "simsiam"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let features = two_views(net, encoder, self.name())?;
        let widths = [&[features.width][..], &self.projector].concat();
        let width = self.projector.last().copied().unwrap_or(features.width);
        let projected = net.projector("simsiam.projector", features.pooled, &widths)?;
        // The paper normalises the projector's last layer too.
        let projected = net.batch_norm("simsiam.projector.norm", projected, width)?;
        let predicted =
            net.projector("simsiam.predictor", projected, &[width, self.predictor, width])?;
        let still = net.graph.stop_gradient(projected)?;
        let (still, predicted) = (net.graph.unit_norm(still)?, net.graph.unit_norm(predicted)?);
        let (first, second) = halves(net, predicted)?;
        let (first_still, second_still) = halves(net, still)?;
        let mut sums = Vec::with_capacity(2);
        for (predicted, still) in [(first, second_still), (second, first_still)] {
            let cosines = net.graph.mul(predicted, still)?;
            let cosines = net.graph.reduce_sum(cosines, -1)?;
            sums.push(losses::mean(net.graph, cosines)?);
        }
        let sum = net.graph.add(sums[0], sums[1])?;
        Ok(net.graph.scaled(sum, -0.5)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        preparation.views(self.name(), batch, draw, 2)
    }
}
