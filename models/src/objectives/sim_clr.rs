//! Instance discrimination: two views of an example find each other.

use offshoot_export::graph::Value;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, projected_views};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// SimCLR (Chen et al., 2020, arXiv:2002.05709). With `z` the projected views, `2n` of them,
/// and `p(i)` the other view of `i`:
///
/// ```text
/// L = -mean log( exp(cos(zᵢ, z_p(i)) / τ) / Σ_{j≠i} exp(cos(zᵢ, zⱼ) / τ) )
/// ```
#[derive(Debug, Clone)]
pub struct SimClr {
    /// τ.
    pub temperature: f32,
    /// Widths of the projector after that of the encoder.
    pub projector: Vec<usize>,
}

impl Default for SimClr {
    fn default() -> Self {
        Self { temperature: 0.2, projector: vec![512, 128] }
    }
}

impl Objective for SimClr {
    fn name(&self) -> &'static str {
        "simclr"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let (first, second) = projected_views(net, encoder, self.name(), &self.projector)?;
        let temperature = net.graph.scalar(self.temperature)?;
        Ok(losses::nt_xent(net.graph, first, second, temperature)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        preparation.views(self.name(), batch, draw, 2)
    }
}
