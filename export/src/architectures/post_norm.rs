//! What BERT and its descendants have in common: embeddings of tokens and
//! positions, and layers whose norms stand after each residual sum (Devlin et
//! al., 2018, arXiv:1810.04805).

use super::TokenEncoder;
use super::config::Config;
use super::source::Source;
use crate::checkpoint::Weights;
use crate::error::Result;
use crate::graph::blocks::{Activation, AttentionMask};
use crate::graph::{ElementType, Graph, Lowering, Tensor, Value};
use crate::shape;

/// Sizes of an encoder.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    pub(super) vocabulary: usize,
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) heads: usize,
    pub(super) layers: usize,
    pub(super) activation: Activation,
    pub(super) epsilon: f64,
}

impl Sizes {
    /// Sizes under the keys that most configurations share; `activation` names the
    /// activation's key, `epsilon` the norms' with its default.
    pub(super) fn read(
        config: Config<'_>,
        activation: &str,
        (epsilon, default): (&str, f64),
    ) -> Result<Self> {
        let width = config.size("hidden_size")?;
        Ok(Self {
            vocabulary: config.size("vocab_size")?,
            width,
            inner: config.size("intermediate_size")?,
            heads: config.heads("num_attention_heads", width)?,
            layers: config.layers("num_hidden_layers")?,
            activation: config.activation(activation, Activation::Gelu)?,
            epsilon: config.positive_or(epsilon, default)?,
        })
    }
}

/// Names of a layer's tensors, as a published model has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub(super) query_key_value: [&'static str; 3],
    pub(super) attention_output: &'static str,
    pub(super) attention_norm: &'static str,
    pub(super) inner: &'static str,
    pub(super) output: &'static str,
    pub(super) output_norm: &'static str,
}

/// The names that BERT, RoBERTa and ELECTRA use.
pub(super) const BERT_NAMES: Names = Names {
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

/// A graph with its two inputs.
pub(super) struct Start {
    pub(super) graph: Graph,
    pub(super) ids: Value,
    pub(super) mask: Value,
}

impl Start {
    pub(super) fn new(architecture: &str, lowering: Lowering) -> Result<Self> {
        let mut graph = Graph::new(architecture, lowering);
        let ids = graph.input("input_ids", ElementType::Int64, shape!["batch", "tokens"])?;
        let mask = graph.input("attention_mask", ElementType::Int64, shape!["batch", "tokens"])?;
        Ok(Self { graph, ids, mask })
    }

    /// The result, once the graph is built.
    pub(super) fn finish(
        self,
        token_vectors: Value,
        sizes: &Sizes,
        max_tokens: usize,
        architecture: &'static str,
    ) -> TokenEncoder {
        TokenEncoder {
            graph: self.graph,
            attention_mask: self.mask,
            token_vectors,
            width: sizes.width,
            max_tokens,
            vocabulary: sizes.vocabulary,
            architecture,
        }
    }
}

/// Which row of the table of positions belongs to a token.
pub(super) enum Positions {
    /// That of its column.
    ByColumn(Weights),
    /// Tokens with another id than `padding` are counted from 1 in each text; those
    /// with the id `padding`, which a text may hold too, have row 0.
    Counted {
        /// The rows from 0.
        table: Weights,
        /// The padding's id.
        padding: usize,
    },
}

impl Positions {
    /// A row for each token of `ids`: `[tokens, width]` or `[batch, tokens, width]`.
    fn vectors(self, g: &mut Graph, ids: Value) -> Result<Value> {
        const NAME: &str = "position_embeddings.weight";
        match self {
            Self::ByColumn(table) => {
                let table = g.initializer(NAME, table.into_tensor())?;
                let count = g.size_of(ids, 1)?;
                g.take_first(table, count, "tokens".into())
            }
            Self::Counted { table, padding } => {
                let table = g.initializer(NAME, table.into_tensor())?;
                let padding = g.constant(Tensor::from_i64(&[], &[padding as i64]))?;
                let absent = g.equal(ids, padding)?;
                let present = g.not(absent)?;
                let present = g.cast(present, ElementType::Int64)?;
                let count = g.cumulative_sum(present, 1)?;
                let row = g.mul(count, present)?;
                g.gather(table, row, 0)
            }
        }
    }
}

/// Norm of the sum of each token's and its position's vector: `[batch, tokens,
/// width]`. Padding follows the text.
pub(super) fn embed(
    start: &mut Start,
    source: &Source<'_>,
    positions: Positions,
    width: usize,
    vocabulary: usize,
    epsilon: f64,
) -> Result<Value> {
    let (ids, g) = (start.ids, &mut start.graph);
    g.in_scope("embeddings", |g| {
        let words = source.tensor("word_embeddings.weight", &[vocabulary, width])?;
        let words = g.initializer("word_embeddings.weight", words.into_tensor())?;
        let words = g.gather(words, ids, 0)?;
        let positions = positions.vectors(g, ids)?;
        let sum = g.add(words, positions)?;
        let norm = source.norm(g, "LayerNorm", width, epsilon, true)?;
        g.norm(sum, norm)
    })
}

/// All layers: `x` `[batch, tokens, width]` to the same shape.
pub(super) fn layers(
    g: &mut Graph,
    source: &Source<'_>,
    names: Names,
    sizes: &Sizes,
    mask: AttentionMask,
    mut x: Value,
) -> Result<Value> {
    for layer in 0..sizes.layers {
        let source = source.below(&layer.to_string());
        x = g.in_scope(&format!("layer.{layer}"), |g| {
            one_layer(g, &source, names, sizes, mask, x)
        })?;
    }
    Ok(x)
}

fn one_layer(
    g: &mut Graph,
    source: &Source<'_>,
    names: Names,
    sizes: &Sizes,
    mask: AttentionMask,
    x: Value,
) -> Result<Value> {
    let Sizes { width, inner, heads, activation, epsilon, .. } = *sizes;
    let qkv = source.query_key_value(g, names.query_key_value, width)?;
    let context = g.self_attention(x, qkv, heads, mask, None)?;
    let (weight, bias) = source.linear(g, names.attention_output, [width, width], true)?;
    let norm = source.norm(g, names.attention_norm, width, epsilon, true)?;
    let x = g.linear_residual_norm(context, weight, bias, x, norm)?;
    let (weight, bias) = source.linear(g, names.inner, [width, inner], true)?;
    let hidden = g.linear_activation(x, weight, bias, activation)?;
    let (weight, bias) = source.linear(g, names.output, [inner, width], true)?;
    let norm = source.norm(g, names.output_norm, width, epsilon, true)?;
    g.linear_residual_norm(hidden, weight, bias, x, norm)
}
