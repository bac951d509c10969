//! The clean example is made of the embedding of a damaged one.

use ndarray::Array2;
use offshoot::trainer::Tensor;
use offshoot_export::graph::ops::Gelu;
use offshoot_export::graph::{ElementType, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, only};
use crate::data::Kind;
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Largest side of the images that are made, and largest length of the signals.
const SIDE: usize = 32;
const LENGTH: usize = 128;

/// Denoising autoencoder (Vincent et al., 2008): from the embedding of a damaged example two
/// linear layers make the undamaged one, shrunk to 32 by 32 pixels or 128 samples; mean squared
/// error of normalised values.
#[derive(Debug, Clone)]
pub struct Denoising {
    /// Width between the decoder's two layers.
    pub decoder: usize,
}

impl Default for Denoising {
    fn default() -> Self {
        Self { decoder: 512 }
    }
}

/// Sizes of what is made: `[height, width, channels]` or `[channels, length]`.
fn target(encoder: &Architecture) -> Vec<usize> {
    match (encoder.image_size(), encoder.signal_size()) {
        (Some([height, width, channels]), _) => vec![height.min(SIDE), width.min(SIDE), channels],
        (_, Some([channels, length])) => vec![channels, length.min(LENGTH)],
        _ => Vec::new(),
    }
}

impl Objective for Denoising {
    fn name(&self) -> &'static str {
        "denoising"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        only(self.name(), encoder, &[Kind::Image, Kind::Signal])
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "denoising.", "batch")?;
        let numbers: usize = target(encoder).iter().product();
        let shape = shape!["batch", numbers];
        let clean = net.graph.input("denoising.clean", ElementType::Float32, shape)?;
        let features = encoder.encode(net, input)?;
        let sizes = [features.width, self.decoder];
        let hidden = net.linear("denoising.decoder.0", features.pooled, sizes, true)?;
        let hidden = net.graph.gelu(hidden, Gelu::Tanh)?;
        let made = net.linear("denoising.decoder.1", hidden, [self.decoder, numbers], true)?;
        Ok(losses::mean_squared_error(net.graph, made, clean)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let mut feed = preparation.damaged("denoising.", batch, draw)?;
        let target = target(preparation.encoder());
        let clean = preparation.shrunk(batch, &target)?;
        let numbers = target.iter().product();
        let clean = Array2::from_shape_vec((batch.len(), numbers), clean)
            .map_err(|error| crate::error::Error::Pretrain(format!("a clean batch: {error}")))?;
        feed.push(("denoising.clean".into(), Tensor::from(clean)));
        Ok(feed)
    }
}
