//! DistilBERT (Sanh et al., 2019, arXiv:1910.01108): BERT without segments.

use super::TokenEncoder;
use super::config::Config;
use super::post_norm::{Names, Positions, Sizes, Start, embed, layers};
use super::source::Source;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::graph::Lowering;
use crate::graph::blocks::Activation;

const NAMES: Names = Names {
    query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    inner: "ffn.lin1",
    output: "ffn.lin2",
    output_norm: "output_layer_norm",
};

pub(super) fn build(
    config: Config<'_>,
    checkpoint: &Checkpoint,
    lowering: Lowering,
) -> Result<TokenEncoder> {
    let width = config.size("dim")?;
    let sizes = Sizes {
        vocabulary: config.size("vocab_size")?,
        width,
        inner: config.size("hidden_dim")?,
        heads: config.heads("n_heads", width)?,
        layers: config.layers("n_layers")?,
        activation: config.activation("activation", Activation::Gelu)?,
        epsilon: 1e-12,
    };
    let positions = config.size("max_position_embeddings")?;
    let prefix =
        checkpoint.prefix(&["", "distilbert.", "model."], "embeddings.word_embeddings.weight")?;
    let source = Source { checkpoint, prefix };
    let embeddings = source.below("embeddings");
    let table =
        Positions::ByColumn(embeddings.tensor("position_embeddings.weight", &[positions, width])?);
    let mut start = Start::new("distilbert", lowering)?;
    let x = embed(&mut start, &embeddings, table, width, sizes.vocabulary, sizes.epsilon)?;
    let g = &mut start.graph;
    let mask = g.attention_mask(start.mask, None)?;
    let x = layers(g, &source.below("transformer.layer"), NAMES, &sizes, mask, x)?;
    Ok(start.finish(x, &sizes, positions, "distilbert"))
}
