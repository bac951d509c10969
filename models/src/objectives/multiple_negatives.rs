//! Two parts of an example find each other.

use offshoot_export::graph::Value;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, Rows, halves, two_views};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Multiple negatives ranking (Henderson et al., 2017, arXiv:1705.00652) on pairs that need no
/// labels: the two halves of a text, and two views of an image or signal. Each finds its partner
/// among those of the batch by the softmax of `scale` times the cosine, in both directions.
#[derive(Debug, Clone)]
pub struct MultipleNegatives {
    /// Inverse of a temperature.
    pub scale: f64,
}

impl Default for MultipleNegatives {
    fn default() -> Self {
        Self { scale: 20.0 }
    }
}

impl Objective for MultipleNegatives {
    fn name(&self) -> &'static str {
        "multiple-negatives"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let features = two_views(net, encoder, self.name())?;
        let (first, second) = halves(net, features.pooled)?;
        Ok(losses::multiple_negatives_ranking(net.graph, first, second, self.scale)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        match &batch.rows {
            Rows::Texts(texts) => {
                let mut halves = parts(texts, draw);
                for (row, half) in halves.iter_mut().enumerate() {
                    let mut random = draw.stream("part", &[row as u64]);
                    *half = preparation.part_of(half, 1.0, &mut random)?;
                }
                preparation.tokens("multiple-negatives.", &halves)
            }
            _ => preparation.views(self.name(), batch, draw, 2),
        }
    }
}

/// First parts, then second parts, of texts that are cut near their middle. Special tokens at
/// either end go with both parts.
fn parts(texts: &[Vec<u32>], draw: &Draw) -> Vec<Vec<u32>> {
    let mut first = Vec::with_capacity(2 * texts.len());
    let mut second = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let inner = text.len().saturating_sub(2);
        if inner < 2 {
            first.push(text.clone());
            second.push(text.clone());
            continue;
        }
        let spread = (inner / 4).max(1);
        let offset = draw.stream("cut", &[row as u64]).below(2 * spread + 1);
        let cut = (inner / 2 + offset).saturating_sub(spread).clamp(1, inner - 1);
        let (start, end) = (text[0], text[text.len() - 1]);
        let body = &text[1..text.len() - 1];
        first.push([&[start][..], &body[..cut], &[end]].concat());
        second.push([&[start][..], &body[cut..], &[end]].concat());
    }
    first.extend(second);
    first
}
