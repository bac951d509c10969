//! Tokens that a small generator made up are told from real ones.

use offshoot_export::graph::{Attribute, ElementType, Tensor, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::masked_token::{bidirectional, chosen, ids_and_mask, token_scores};
use super::{Asked, Batch, Draw, Feed, Objective, Predictor, Preparation, unsuitable};
use crate::encoders::{Architecture, Input, Network, TokenTransformer, own_dim};
use crate::error::Result;

/// Replaced token detection (Clark et al., 2020, arXiv:2003.10555, "ELECTRA"): a generator of
/// half the width fills in masked tokens, drawn from its own probabilities, and the encoder
/// tells of every token whether it is the real one. The loss is the generator's cross-entropy
/// and 50 times the encoder's binary cross-entropy.
#[derive(Debug, Clone)]
pub struct ReplacedToken {
    /// Share of tokens that are masked.
    pub share: f32,
    /// Weight of the encoder's part.
    pub weight: f32,
}

impl Default for ReplacedToken {
    fn default() -> Self {
        Self { share: 0.15, weight: 50.0 }
    }
}

impl ReplacedToken {
    fn generator(encoder: &TokenTransformer) -> TokenTransformer {
        let heads = encoder.heads.div_ceil(2);
        let width = encoder.width / encoder.heads.max(1) * heads;
        TokenTransformer {
            width,
            heads,
            hidden: encoder.hidden / 2,
            layers: encoder.layers.div_ceil(2),
            ..encoder.clone()
        }
    }

    /// The generator's scores of all tokens at the masked places, and what those were.
    fn generated(
        net: &mut Network<'_>,
        encoder: &TokenTransformer,
        [ids, mask]: [Value; 2],
    ) -> Result<Generated> {
        let (positions, labels) = chosen(net.graph, "replaced-token.")?;
        let generator = Self::generator(encoder);
        let scores = net.with_prefix("replaced-token.generator.", |net| {
            let made = generator.encode(net, ids, mask, None)?;
            token_scores(net, "head", &generator, made.tokens, positions)
        })?;
        let loss = losses::cross_entropy(net.graph, scores, labels, &Default::default())?;
        Ok(Generated { positions, labels, scores, loss })
    }
}

/// What the generator gives.
struct Generated {
    positions: Value,
    labels: Value,
    scores: Value,
    /// The mean cross-entropy.
    loss: Value,
}

impl Objective for ReplacedToken {
    fn name(&self) -> &'static str {
        "replaced-token"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        bidirectional(self.name(), encoder)
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let not_tokens = || unsuitable(self.name(), encoder, "it is for tokens");
        let Architecture::TokenTransformer(tokens) = encoder else { return Err(not_tokens()) };
        let input = encoder.input(net, "replaced-token.", "batch")?;
        let (ids, mask) = ids_and_mask(input).ok_or_else(not_tokens)?;
        let Generated { positions, labels, scores, loss: generated } =
            Self::generated(net, tokens, [ids, mask])?;
        let shape = shape![own_dim("replaced-token.", "chosen")];
        let uniform = net.graph.input("replaced-token.uniform", ElementType::Float32, shape)?;

        // A token is drawn: the number of those whose cumulative probability is below a
        // uniform number.
        let g = &mut *net.graph;
        let still = g.stop_gradient(scores)?;
        let probabilities = g.softmax(still, -1)?;
        let cumulative = g.cumulative_sum(probabilities, 1)?;
        let uniform = g.unsqueeze(uniform, &[1])?;
        let below = g.less_or_equal(cumulative, uniform)?;
        let below = g.cast(below, ElementType::Int64)?;
        let drawn = g.reduce_sum(below, 1)?;
        let drawn = g.squeeze(drawn, 1)?;
        let last = Tensor::from_i64(&[], &[tokens.vocabulary.saturating_sub(1) as i64]);
        let last = g.constant(last)?;
        let drawn = g.op("Min", &[drawn, last], vec![])?;

        // Both the drawn and the real tokens are put in the places of the masked ones.
        let kind = g.tensor_type(ids)?.shape.clone();
        let flat_dim = match &kind[..] {
            [batch, tokens] => batch.times(tokens).unwrap_or_else(|| batch.clone()),
            _ => return Err(not_tokens()),
        };
        let flat = g.reshape(ids, vec![flat_dim])?;
        let axis = || vec![Attribute::int("axis", 0)];
        let corrupted = g.op("ScatterElements", &[flat, positions, drawn], axis())?;
        let real = g.op("ScatterElements", &[flat, positions, labels], axis())?;
        let same = g.equal(corrupted, real)?;
        let replaced = g.not(same)?;
        let replaced = g.cast(replaced, ElementType::Float32)?;
        let sizes = g.op("Shape", &[ids], vec![])?;
        let corrupted = g.op("Reshape", &[corrupted, sizes], vec![])?;
        let replaced = g.op("Reshape", &[replaced, sizes], vec![])?;

        let input = Input::Tokens { ids: corrupted, mask, dropout: None };
        let features = encoder.encode(net, input)?;
        let width = features.width;
        let head =
            net.feed_forward("replaced-token.head.transform", features.tokens, width, width)?;
        let logits = net.linear("replaced-token.head", head, [width, 1], true)?;
        let g = &mut *net.graph;
        let logits = g.squeeze(logits, 2)?;
        // Binary cross-entropy: softplus(x) - x·y, over real tokens.
        let soft = g.op("Softplus", &[logits], vec![])?;
        let product = g.mul(logits, replaced)?;
        let each = g.sub(soft, product)?;
        let counted = g.cast(mask, ElementType::Float32)?;
        let each = g.mul(each, counted)?;
        let keep = || vec![Attribute::int("keepdims", 0)];
        let sum = g.op("ReduceSum", &[each], keep())?;
        let count = g.op("ReduceSum", &[counted], keep())?;
        let one = g.scalar(1.0)?;
        let count = g.max(count, one)?;
        let detected = g.div(sum, count)?;
        let detected = g.scaled(detected, f64::from(self.weight))?;
        Ok(g.add(generated, detected)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let mut feed =
            preparation.masked("replaced-token.", batch, draw, self.share, [1.0, 0.0])?;
        let chosen = feed
            .iter()
            .find(|(name, _)| name == "replaced-token.labels")
            .map_or(0, |(_, labels)| labels.dims().iter().product());
        let mut random = draw.stream("uniform", &[]);
        let uniform: Vec<f32> = (0..chosen).map(|_| random.unit()).collect();
        feed.push(("replaced-token.uniform".into(), ndarray::Array1::from(uniform).into()));
        Ok(feed)
    }

    fn predictor(&self) -> Option<&dyn Predictor> {
        Some(self)
    }
}

/// The generator is what predicts tokens; the encoder tells which ones it made up.
impl Predictor for ReplacedToken {
    fn cross_entropy(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let not_tokens = || unsuitable(self.name(), encoder, "it is for tokens");
        let Architecture::TokenTransformer(tokens) = encoder else { return Err(not_tokens()) };
        let input = encoder.input(net, "replaced-token.", "batch")?;
        let (ids, mask) = ids_and_mask(input).ok_or_else(not_tokens)?;
        Ok(Self::generated(net, tokens, [ids, mask])?.loss)
    }

    fn asks(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Asked> {
        preparation.asks_hidden("replaced-token.", batch, draw, self.share)
    }
}
