//! Transformer for tokens: words, pieces of words or residues.

use offshoot_export::graph::blocks::Pool;
use offshoot_export::graph::{Dim, ElementType, Graph, Value};

use super::layers::{Context, Layers, Network, transformer};
use super::{Features, Init};
use crate::error::Result;

/// How a transformer knows where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// A vector a position, learned.
    Learned,
    /// Rotary position embedding (Su et al., 2021, arXiv:2104.09864).
    Rotary,
}

/// Transformer over tokens: bidirectional, as BERT (Devlin et al., 2018, arXiv:1810.04805), or
/// causal, as GPT (Radford et al., 2018). The embedding is the mean over the tokens.
///
/// With a `window` of several tokens, two linear layers over the vectors of neighbouring tokens
/// come before the first layer, a stem that sees what lies together at once (as convolutions before
/// a vision transformer do: Xiao et al., 2021, arXiv:2106.14881). It tells proteins by the pieces
/// of a few residues that they share, which attention alone learns slowly.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TokenTransformer {
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Most tokens of a row.
    pub max_tokens: usize,
    /// Width of a token's vector.
    pub width: usize,
    /// Number of layers.
    pub layers: usize,
    /// Heads of attention; they divide the width.
    pub heads: usize,
    /// Width between the two linear layers after attention.
    pub hidden: usize,
    /// Whether a token sees only those before it.
    pub causal: bool,
    /// Kind of position.
    pub positions: Positions,
    /// Tokens whose vectors a token is given before the first layer, itself among them: as many
    /// on each side, of a causal encoder those before. 1: none besides its own. It is odd, or the
    /// encoder causal.
    #[serde(default = "alone")]
    pub window: usize,
}

fn alone() -> usize {
    1
}

impl TokenTransformer {
    /// Encodes `ids` under `mask`, both int64 `[batch, tokens]`.
    ///
    /// `dropout` are factors `[batch, 2·layers + 1, width]`, the first for the token vectors.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn encode(
        &self,
        net: &mut Network<'_>,
        ids: Value,
        mask: Value,
        dropout: Option<Value>,
    ) -> Result<Features> {
        let width = self.width;
        let table = self.table(net)?;
        let mut x = net.graph.gather(table, ids, 0)?;
        if self.window > 1 {
            let seen = self.neighbors(net, x, mask)?;
            x = net.graph.add(x, seen)?;
        }
        let count = net.graph.size_of(ids, 1)?;
        let tokens = net.graph.tensor_type(ids)?.shape.get(1).cloned().unwrap_or_else(|| 1.into());
        let mut rotary = None;
        match self.positions {
            Positions::Learned => {
                let positions =
                    net.weight("positions.weight", &[self.max_tokens, width], Init::Normal(0.02))?;
                let positions = net.graph.take_first(positions, count, tokens.clone())?;
                x = net.graph.add(x, positions)?;
            }
            Positions::Rotary => {
                let half = width / self.heads.max(1) / 2;
                let frequencies: Vec<f32> =
                    (0..half).map(|i| 10_000f32.powf(-(i as f32) / half as f32)).collect();
                let positions = net.graph.range(count, tokens.clone())?;
                rotary = Some(net.graph.rotary(positions, &frequencies)?);
            }
        }
        x = net.layer_norm("embedding.norm", x, width)?;
        let mut inner = None;
        if let Some(factors) = dropout {
            let first = net.graph.slice(factors, 1, 0, 1)?;
            x = net.graph.mul(x, first)?;
            inner = Some(net.graph.slice(factors, 1, 1, 2 * self.layers + 1)?);
        }
        let bias = match self.causal {
            true => Some(causal_bias(net.graph, count, tokens)?),
            false => None,
        };
        let context =
            Context { mask: net.graph.attention_mask(mask, bias)?, rotary, dropout: inner };
        let layers = Layers { count: self.layers, width, heads: self.heads, hidden: self.hidden };
        let tokens = transformer(net, "layers", x, &layers, &context)?;
        let pooled = net.graph.pool(tokens, mask, Pool::Mean)?;
        Ok(Features { tokens, pooled, width })
    }

    /// What the stem makes of the vectors `[batch, tokens, width]` around each token; where a
    /// neighbour is missing or masked there are zeros.
    fn neighbors(&self, net: &mut Network<'_>, vectors: Value, mask: Value) -> Result<Value> {
        let g = &mut *net.graph;
        let kind = g.tensor_type(vectors)?.clone();
        let shown = g.cast(mask, ElementType::Float32)?;
        let shown = g.unsqueeze(shown, &[2])?;
        let vectors = g.mul(vectors, shown)?;
        let others = self.window as i64 - 1;
        let before = if self.causal { others } else { others / 2 };
        let around = g.integers(&[0, before, 0, 0, others - before, 0])?;
        let padded = g.op("Pad", &[vectors, around], vec![])?;
        let mut seen = Vec::with_capacity(self.window);
        for place in 0..=others {
            // Padding by negative numbers cuts, and its gradient is padding.
            let cut = g.integers(&[0, -place, 0, 0, place - others, 0])?;
            let neighbor = g.op("Pad", &[padded, cut], vec![])?;
            g.declare_type(neighbor, kind.clone());
            seen.push(neighbor);
        }
        let joined = g.concat(&seen, 2)?;
        let up = net.linear("window.up", joined, [self.window * self.width, self.hidden], true)?;
        let up = net.graph.relu(up)?;
        net.linear("window.down", up, [self.hidden, self.width], true)
    }

    /// The token table, `[vocabulary, width]`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn table(&self, net: &mut Network<'_>) -> Result<Value> {
        net.weight("tokens.weight", &[self.vocabulary, self.width], Init::Normal(0.02))
    }
}

/// What is added to the scores so that no token sees a later one, `[1, 1, tokens, tokens]`.
fn causal_bias(g: &mut Graph, count: Value, tokens: Dim) -> Result<Value> {
    let positions = g.range(count, tokens.clone())?;
    let row = g.reshape(positions, vec![1.into(), tokens.clone()])?;
    let column = g.reshape(positions, vec![tokens, 1.into()])?;
    let sees = g.less_or_equal(row, column)?;
    let sees = g.cast(sees, ElementType::Float32)?;
    let one = g.scalar(1.0)?;
    let hidden = g.sub(one, sees)?;
    let lowest = g.scalar(f32::MIN / 2.0)?;
    let bias = g.mul(hidden, lowest)?;
    Ok(g.unsqueeze(bias, &[0, 1])?)
}
