//! Hidden tokens are found from those around them.

use offshoot_export::graph::ops::Gelu;
use offshoot_export::graph::{ElementType, Graph, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::{Asked, Batch, Draw, Feed, Objective, Predictor, Preparation, unsuitable};
use crate::encoders::{
    Architecture, Init, Input, Network, TokenTransformer, own_dim, rows_of, rows_times,
};
use crate::error::Result;

/// Masked language modelling (Devlin et al., 2018, arXiv:1810.04805): a share of the tokens is
/// chosen; of these 80 % become the mask token, 10 % a random one, 10 % stay; cross-entropy of
/// the chosen ones. Only their scores are computed. The scores' weights are the token table's.
#[derive(Debug, Clone)]
pub struct MaskedToken {
    /// Share of tokens that are chosen.
    pub share: f32,
}

impl Default for MaskedToken {
    fn default() -> Self {
        Self { share: 0.15 }
    }
}

impl Objective for MaskedToken {
    fn name(&self) -> &'static str {
        "masked-token"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        match encoder {
            Architecture::Imported(i) if i.table.is_some() => Ok(()),
            _ => bidirectional(self.name(), encoder),
        }
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "masked-token.", "batch")?;
        let (positions, labels) = chosen(net.graph, "masked-token.")?;
        let features = encoder.encode(net, input)?;
        let (table, sizes) = match encoder {
            Architecture::TokenTransformer(t) => (t.table(net)?, [t.vocabulary, t.width]),
            Architecture::Imported(i) => (i.token_table(net)?, i.table.unwrap_or_default()),
            _ => return Err(unsuitable(self.name(), encoder, "it is for tokens")),
        };
        let head = Scores { name: "masked-token.head", table, sizes };
        let scores = head.of(net, features.tokens, positions)?;
        Ok(losses::cross_entropy(net.graph, scores, labels, &Default::default())?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        preparation.masked("masked-token.", batch, draw, self.share, [0.8, 0.1])
    }

    fn predictor(&self) -> Option<&dyn Predictor> {
        Some(self)
    }
}

impl Predictor for MaskedToken {
    fn cross_entropy(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        self.loss(net, encoder)
    }

    fn asks(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Asked> {
        preparation.asks_hidden("masked-token.", batch, draw, self.share)
    }
}

/// Whether an encoder sees tokens on both sides.
pub(super) fn bidirectional(name: &str, encoder: &Architecture) -> Result<()> {
    match encoder {
        Architecture::TokenTransformer(t) if !t.causal => Ok(()),
        Architecture::TokenTransformer(_) => {
            Err(unsuitable(name, encoder, "it needs one that sees both sides; try autoregressive"))
        }
        Architecture::Imported(_) => Err(unsuitable(
            name,
            encoder,
            "the vectors of its tokens are not known; try multiple-negatives or simclr",
        )),
        _ => Err(unsuitable(name, encoder, "it is for tokens; try masked-patches or simclr")),
    }
}

/// The inputs `positions` and `labels`, int64 `[chosen]`: flat places of tokens in
/// `[batch · tokens]`, and what they are.
pub(super) fn chosen(g: &mut Graph, prefix: &str) -> Result<(Value, Value)> {
    let shape = shape![own_dim(prefix, "chosen")];
    let positions = g.input(&format!("{prefix}positions"), ElementType::Int64, shape.clone())?;
    let labels = g.input(&format!("{prefix}labels"), ElementType::Int64, shape)?;
    Ok((positions, labels))
}

/// Scores of all tokens of the vocabulary at chosen places, `[chosen, vocabulary]`.
pub(super) fn token_scores(
    net: &mut Network<'_>,
    name: &str,
    encoder: &TokenTransformer,
    tokens: Value,
    positions: Value,
) -> Result<Value> {
    let table = encoder.table(net)?;
    let sizes = [encoder.vocabulary, encoder.width];
    Scores { name, table, sizes }.of(net, tokens, positions)
}

/// The layers that give tokens scores.
struct Scores<'a> {
    name: &'a str,
    /// The token table.
    table: Value,
    /// Its rows and columns.
    sizes: [usize; 2],
}

impl Scores<'_> {
    fn of(&self, net: &mut Network<'_>, tokens: Value, positions: Value) -> Result<Value> {
        let Self { name, table, sizes: [vocabulary, width] } = *self;
        let rows = chosen_rows(net.graph, tokens, positions)?;
        let rows = net.linear(&format!("{name}.transform"), rows, [width, width], true)?;
        let rows = net.graph.gelu(rows, Gelu::Tanh)?;
        let rows = net.layer_norm(&format!("{name}.norm"), rows, width)?;
        let table = net.graph.transpose(table, &[1, 0])?;
        let scores = net.graph.matmul(rows, table)?;
        let bias = net.weight(&format!("{name}.bias"), &[vocabulary], Init::Zeros)?;
        Ok(net.graph.add(scores, bias)?)
    }
}

/// The vectors at flat places, `[batch, tokens, width]` to `[chosen, width]`.
pub(super) fn chosen_rows(g: &mut Graph, tokens: Value, positions: Value) -> Result<Value> {
    let shape = g.tensor_type(tokens)?.shape.clone();
    let (batch, width) = (rows_of(g, tokens)?, shape.last().cloned().unwrap_or_else(|| 1.into()));
    let count = shape.get(1).cloned().unwrap_or_else(|| 1.into());
    let flat = match count.fixed() {
        Some(count) => rows_times(&batch, count),
        None => batch.times(&count).unwrap_or(batch),
    };
    let flat = g.reshape(tokens, vec![flat, width])?;
    Ok(g.gather(flat, positions, 0)?)
}

/// The ids and the mask of a token encoder's input.
pub(super) fn ids_and_mask(input: Input) -> Option<(Value, Value)> {
    match input {
        Input::Tokens { ids, mask, .. } => Some((ids, mask)),
        _ => None,
    }
}
