//! A text finds itself under other dropout.

use ndarray::Array3;
use offshoot::trainer::Tensor;
use offshoot_export::graph::{ElementType, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, halves, unsuitable};
use crate::encoders::{Architecture, Input, Network};
use crate::error::Result;

/// Unsupervised SimCSE (Gao, Yao & Chen, 2021, arXiv:2104.08821): the same text twice, each
/// time with other numbers dropped after each sub-layer, and the first has to find the second
/// among those of the batch, by the softmax of cosines over τ. A number is dropped for all
/// tokens of a row at once (Gal & Ghahramani, 2016, arXiv:1512.05287), so that what is dropped
/// can be fed and a run can be repeated.
#[derive(Debug, Clone)]
pub struct SimCse {
    /// τ.
    pub temperature: f32,
    /// Share of numbers that are dropped.
    pub dropout: f32,
}

impl Default for SimCse {
    fn default() -> Self {
        Self { temperature: 0.05, dropout: 0.1 }
    }
}

/// Width and factors a row of an encoder's dropout.
fn dropped(encoder: &Architecture) -> Option<(usize, usize)> {
    match encoder {
        Architecture::TokenTransformer(t) => Some((2 * t.layers + 1, t.width)),
        _ => None,
    }
}

impl Objective for SimCse {
    fn name(&self) -> &'static str {
        "simcse"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        match dropped(encoder) {
            Some(_) => Ok(()),
            None if matches!(encoder, Architecture::Imported(_)) => Err(unsuitable(
                self.name(),
                encoder,
                "its graph has no dropout; try multiple-negatives or simclr",
            )),
            None => Err(unsuitable(self.name(), encoder, "it is for texts; try simclr")),
        }
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "simcse.", super::pairs())?;
        let (layers, width) = dropped(encoder).unwrap_or_default();
        let shape = shape![super::pairs(), layers, width];
        let dropout = net.graph.input("simcse.dropout", ElementType::Float32, shape)?;
        let input = match input {
            Input::Tokens { ids, mask, .. } => Input::Tokens { ids, mask, dropout: Some(dropout) },
            other => other,
        };
        let features = encoder.encode(net, input)?;
        let (first, second) = halves(net, features.pooled)?;
        let temperature = net.graph.scalar(self.temperature)?;
        Ok(losses::info_nce(net.graph, first, second, temperature)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let texts = preparation.texts(batch, draw)?;
        let twice: Vec<Vec<u32>> = texts.iter().chain(&texts).cloned().collect();
        let (layers, width) = dropped(preparation.encoder()).unwrap_or_default();
        let mut random = draw.stream("dropout", &[]);
        let kept = 1.0 / (1.0 - self.dropout.min(0.9));
        let factors = Array3::from_shape_simple_fn((twice.len(), layers, width), || {
            if random.chance(self.dropout) { 0.0 } else { kept }
        });
        let mut feed = preparation.tokens("simcse.", &twice)?;
        feed.push(("simcse.dropout".into(), Tensor::from(factors)));
        Ok(feed)
    }
}
