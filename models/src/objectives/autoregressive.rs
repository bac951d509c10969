//! Each token is found from those before it.

use offshoot_export::graph::Value;
use offshoot_export::training::losses;

use super::masked_token::{chosen, token_scores};
use super::{Asked, Batch, Draw, Feed, Objective, Predictor, Preparation, unsuitable};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Autoregressive language modelling (Radford et al., 2018): the cross-entropy of each token
/// given those before it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Autoregressive {}

impl Objective for Autoregressive {
    fn name(&self) -> &'static str {
        "autoregressive"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        match encoder {
            Architecture::TokenTransformer(t) if t.causal => Ok(()),
            _ => Err(unsuitable(self.name(), encoder, "it needs a causal-transformer")),
        }
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let Architecture::TokenTransformer(tokens) = encoder else {
            return Err(unsuitable(self.name(), encoder, "it is for tokens"));
        };
        let input = encoder.input(net, "autoregressive.", "batch")?;
        let (positions, labels) = chosen(net.graph, "autoregressive.")?;
        let features = encoder.encode(net, input)?;
        let scores = token_scores(net, "autoregressive.head", tokens, features.tokens, positions)?;
        Ok(losses::cross_entropy(net.graph, scores, labels, &Default::default())?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        Ok(next_tokens(batch, preparation, draw, |_| true)?.feed)
    }

    fn predictor(&self) -> Option<&dyn Predictor> {
        Some(self)
    }
}

impl Predictor for Autoregressive {
    fn cross_entropy(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        self.loss(net, encoder)
    }

    fn asks(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Asked> {
        let special = &preparation.token_rules()?.special;
        next_tokens(batch, preparation, draw, |id| !special.contains(&id))
    }
}

/// Asks for every token but the first, from those before it, where `wanted` is true of it.
fn next_tokens(
    batch: &Batch,
    preparation: &Preparation,
    draw: &Draw,
    wanted: impl Fn(u32) -> bool,
) -> Result<Asked> {
    let rows = preparation.texts(batch, draw)?;
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let (mut positions, mut labels, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (row, text) in rows.iter().enumerate() {
        for (at, &next) in text.iter().skip(1).enumerate().filter(|(_, next)| wanted(**next)) {
            positions.push((row * width + at) as i64);
            labels.push(i64::from(next));
            places.push([row, at + 1]);
        }
    }
    let mut feed = preparation.tokens("autoregressive.", &rows)?;
    feed.push(super::feed::integers("autoregressive.positions", positions));
    feed.push(super::feed::integers("autoregressive.labels", labels));
    Ok(Asked { feed, rows, places })
}
