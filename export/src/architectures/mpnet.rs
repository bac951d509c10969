//! MPNet (Song et al., 2020, arXiv:2004.09297): BERT without segments, with a
//! bias of the attention scores by relative position (Raffel et al., 2019,
//! arXiv:1910.10683) that all layers share.

use serde_json::json;

use super::TokenEncoder;
use super::config::Config;
use super::post_norm::{Names, Positions, Sizes, Start, embed, layers};
use super::source::Source;
use crate::checkpoint::{Checkpoint, Weights};
use crate::error::Result;
use crate::graph::{Dim, Graph, Lowering, Tensor, Value};

const NAMES: Names = Names {
    query_key_value: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    inner: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

/// Buckets of relative positions, of both directions.
const BUCKETS: usize = 32;

/// Distance from which all positions share the last bucket.
const MAX_DISTANCE: usize = 128;

pub(super) fn build(
    config: Config<'_>,
    checkpoint: &Checkpoint,
    lowering: Lowering,
) -> Result<TokenEncoder> {
    let sizes = Sizes::read(config, "hidden_act", ("layer_norm_eps", 1e-12))?;
    let width = sizes.width;
    // The published code holds to these two, whatever the configuration says.
    config.only("relative_attention_num_buckets", &json!(BUCKETS))?;
    config.only("pad_token_id", &json!(1))?;
    let positions = config.size("max_position_embeddings")?;
    let padding = config.padding_before(positions)?;
    let max_tokens = positions - padding - 1;
    let prefix =
        checkpoint.prefix(&["", "mpnet.", "model."], "embeddings.word_embeddings.weight")?;
    let source = Source { checkpoint, prefix };
    let embeddings = source.below("embeddings");
    let table = embeddings
        .tensor("position_embeddings.weight", &[positions, width])?
        .select_rows((padding..positions).collect())?;
    let table = Positions::Counted { table, padding };
    let mut start = Start::new("mpnet", lowering)?;
    let x = embed(&mut start, &embeddings, table, width, sizes.vocabulary, sizes.epsilon)?;
    let g = &mut start.graph;
    let encoder = source.below("encoder");
    let by_bucket = encoder.tensor("relative_attention_bias.weight", &[BUCKETS, sizes.heads])?;
    let bias = relative_bias(g, start.ids, by_bucket, max_tokens)?;
    let mask = g.attention_mask(start.mask, Some(bias))?;
    let x = layers(g, &encoder.below("layer"), NAMES, &sizes, mask, x)?;
    Ok(start.finish(x, &sizes, max_tokens, "mpnet"))
}

/// The bias `[1, heads, tokens, tokens]`, looked up by distance in a table that is
/// made now.
fn relative_bias(
    g: &mut Graph,
    ids: Value,
    by_bucket: Weights,
    max_tokens: usize,
) -> Result<Value> {
    let far = max_tokens as i64 - 1;
    let rows = (-far..=far).map(bucket).collect();
    g.in_scope("relative_positions", |g| {
        let table =
            g.initializer("bias_by_distance", by_bucket.select_rows(rows)?.into_tensor())?;
        let count = g.size_of(ids, 1)?;
        let positions = g.range(count, Dim::symbol("tokens"))?;
        let keys = g.unsqueeze(positions, &[0])?;
        let queries = g.unsqueeze(positions, &[1])?;
        let distance = g.sub(keys, queries)?;
        let offset = g.constant(Tensor::from_i64(&[], &[far]))?;
        let row = g.add(distance, offset)?;
        let bias = g.gather(table, row, 0)?;
        let bias = g.transpose(bias, &[2, 0, 1])?;
        g.unsqueeze(bias, &[0])
    })
}

/// The bucket of a key that stands `distance` behind its query: half of the
/// buckets for each direction, the first half of these exact, the others growing
/// with the logarithm of the distance.
fn bucket(distance: i64) -> usize {
    let half = BUCKETS / 2;
    let direction = if distance > 0 { half } else { 0 };
    let steps = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
    let exact = half / 2;
    if steps < exact {
        return direction + steps;
    }
    // In 32-bit floats, as published models were trained.
    let growth = (steps as f32 / exact as f32).ln()
        / (MAX_DISTANCE as f64 / exact as f64).ln() as f32
        * (half - exact) as f32;
    direction + (exact + growth as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_published_model() {
        // MPNetEncoder.relative_position_bucket of transformers, 32 buckets.
        let distances = [-600, -128, -127, -64, -16, -9, -8, -7, -1, 0, 1, 7, 8, 16, 64, 127, 600];
        let expected = [15, 15, 15, 14, 10, 8, 8, 7, 1, 0, 17, 23, 24, 26, 30, 31, 31];
        let found: Vec<usize> = distances.iter().map(|&d| bucket(d)).collect();
        assert_eq!(found, expected);
    }
}
