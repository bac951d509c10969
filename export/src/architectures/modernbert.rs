//! ModernBERT (Warner et al., 2024, arXiv:2412.13663): norms before each
//! sub-layer, rotary positions, gated feed-forward layers, and attention that is
//! local in most layers.

use serde_json::{Value as Json, json};

use super::TokenEncoder;
use super::config::Config;
use super::post_norm::{Sizes, Start};
use super::source::Source;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::graph::blocks::{AttentionMask, QueryKeyValue, Rotary};
use crate::graph::{Dim, Graph, Lowering, Tensor, Value};

/// Which biases and norms a model has.
#[derive(Debug, Clone, Copy)]
struct Biases {
    attention: bool,
    feed_forward: bool,
    norm: bool,
}

/// What all layers of one kind of attention share.
#[derive(Debug, Clone, Copy)]
struct Reach {
    mask: AttentionMask,
    rotary: Rotary,
}

pub(super) fn build(
    config: Config<'_>,
    checkpoint: &Checkpoint,
    lowering: Lowering,
) -> Result<TokenEncoder> {
    config.only("rope_scaling", &Json::Null)?;
    let sizes = Sizes::read(config, "hidden_activation", ("norm_eps", 1e-5))?;
    let width = sizes.width;
    let biases = Biases {
        attention: config.flag_or("attention_bias", false)?,
        feed_forward: config.flag_or("mlp_bias", false)?,
        norm: config.flag_or("norm_bias", false)?,
    };
    let local = local_layers(config, sizes.layers)?;
    let window = config.size_or("local_attention", 128)? / 2;
    let max_tokens = config.size("max_position_embeddings")?;

    let prefix = checkpoint.prefix(&["", "model."], "embeddings.tok_embeddings.weight")?;
    let source = Source { checkpoint, prefix };
    let mut start = Start::new("modernbert", lowering)?;
    let g = &mut start.graph;
    let embeddings = source.below("embeddings");
    let mut x = g.in_scope("embeddings", |g| {
        let words = embeddings.tensor("tok_embeddings.weight", &[sizes.vocabulary, width])?;
        let words = g.initializer("tok_embeddings.weight", words.into_tensor())?;
        let words = g.gather(words, start.ids, 0)?;
        let norm = embeddings.norm(g, "norm", width, sizes.epsilon, biases.norm)?;
        g.norm(words, norm)
    })?;

    let count = g.size_of(start.ids, 1)?;
    let positions = g.range(count, Dim::symbol("tokens"))?;
    let global = Reach {
        mask: g.attention_mask(start.mask, None)?,
        rotary: rotary(
            g,
            config,
            "full_attention",
            "global_rope_theta",
            160_000.0,
            &sizes,
            positions,
        )?,
    };
    let near = if local.contains(&true) {
        let bias = window_bias(g, positions, window)?;
        Reach {
            mask: g.attention_mask(start.mask, Some(bias))?,
            rotary: rotary(
                g,
                config,
                "sliding_attention",
                "local_rope_theta",
                10_000.0,
                &sizes,
                positions,
            )?,
        }
    } else {
        global
    };
    for (layer, &is_local) in local.iter().enumerate() {
        let source = source.below(&format!("layers.{layer}"));
        let reach = if is_local { near } else { global };
        x = g.in_scope(&format!("layers.{layer}"), |g| {
            one_layer(g, &source, &sizes, biases, reach, x, layer == 0)
        })?;
    }
    let norm = source.norm(g, "final_norm", width, sizes.epsilon, biases.norm)?;
    let x = g.norm(x, norm)?;
    Ok(start.finish(x, &sizes, max_tokens, "modernbert"))
}

/// Which layers attend only to what is near: all but every n-th, unless the
/// configuration lists them.
fn local_layers(config: Config<'_>, layers: usize) -> Result<Vec<bool>> {
    let Some(kinds) = config.list("layer_types")? else {
        let every = config.size_or("global_attn_every_n_layers", 3)?;
        return Ok((0..layers).map(|layer| !layer.is_multiple_of(every)).collect());
    };
    if kinds.len() != layers {
        return Err(config.error(
            "layer_types",
            format!("lists {} layers where num_hidden_layers is {layers}", kinds.len()),
        ));
    }
    kinds
        .iter()
        .map(|kind| match kind.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(config.error(
                "layer_types",
                format!("holds {kind}; supported are full_attention and sliding_attention"),
            )),
        })
        .collect()
}

/// Rotary embedding of one kind of attention; its base is under `kind` in newer
/// configurations and under `key` in older ones.
fn rotary(
    g: &mut Graph,
    config: Config<'_>,
    kind: &str,
    key: &str,
    default: f64,
    sizes: &Sizes,
    positions: Value,
) -> Result<Rotary> {
    let parameters = match config.object("rope_parameters")? {
        Some(all) => all.object(kind)?,
        None => None,
    };
    let theta = match parameters {
        Some(parameters) => {
            parameters.only("rope_type", &json!("default"))?;
            parameters.positive_or("rope_theta", default)?
        }
        None => config.positive_or(key, default)?,
    };
    let size = sizes.width / sizes.heads;
    if !size.is_multiple_of(2) {
        return Err(config.error(
            "num_attention_heads",
            format!("gives heads of {size} dimensions; rotary positions need an even number"),
        ));
    }
    g.rotary(positions, &frequencies(theta, size))
}

/// Radians a position for each pair of a head's `size` dimensions:
/// `theta^(-2i / size)`.
///
/// Each step is rounded to 32 bits, as in the reference. Positions multiply an error
/// of the last bit to 5e-4 radians at the 8,192nd.
fn frequencies(theta: f64, size: usize) -> Vec<f32> {
    (0..size / 2)
        .map(|i| {
            let exponent = (2 * i) as f32 / size as f32;
            1.0 / theta.powf(f64::from(exponent)) as f32
        })
        .collect()
}

/// 0 where key and query are at most `window` apart, the lowest number elsewhere:
/// `[1, 1, tokens, tokens]`.
fn window_bias(g: &mut Graph, positions: Value, window: usize) -> Result<Value> {
    g.in_scope("window", |g| {
        let keys = g.unsqueeze(positions, &[0])?;
        let queries = g.unsqueeze(positions, &[1])?;
        let distance = g.sub(keys, queries)?;
        let distance = g.abs(distance)?;
        let most = g.constant(Tensor::from_i64(&[], &[window as i64]))?;
        let near = g.less_or_equal(distance, most)?;
        let (zero, lowest) = (g.scalar(0.0)?, g.scalar(f32::MIN)?);
        let bias = g.select(near, zero, lowest)?;
        g.unsqueeze(bias, &[0, 1])
    })
}

fn one_layer(
    g: &mut Graph,
    source: &Source<'_>,
    sizes: &Sizes,
    biases: Biases,
    reach: Reach,
    x: Value,
    first: bool,
) -> Result<Value> {
    let Sizes { width, inner, heads, activation, epsilon, .. } = *sizes;
    // The embeddings' norm stands before the first layer.
    let normed = if first {
        x
    } else {
        let norm = source.norm(g, "attn_norm", width, epsilon, biases.norm)?;
        g.norm(x, norm)?
    };
    let (weight, bias) = source.linear(g, "attn.Wqkv", [width, 3 * width], biases.attention)?;
    let qkv = QueryKeyValue { weight, bias };
    let context = g.self_attention(normed, qkv, heads, reach.mask, Some(reach.rotary))?;
    let (weight, bias) = source.linear(g, "attn.Wo", [width, width], biases.attention)?;
    let context = g.linear(context, weight, bias)?;
    let x = g.add(x, context)?;

    let norm = source.norm(g, "mlp_norm", width, epsilon, biases.norm)?;
    let normed = g.norm(x, norm)?;
    let (weight, bias) = source.linear(g, "mlp.Wi", [width, 2 * inner], biases.feed_forward)?;
    let hidden = g.linear(normed, weight, bias)?;
    let parts = g.split(hidden, -1, &[inner, inner])?;
    let activated = g.activation(parts[0], activation)?;
    let gated = g.mul(activated, parts[1])?;
    let (weight, bias) = source.linear(g, "mlp.Wo", [inner, width], biases.feed_forward)?;
    let out = g.linear(gated, weight, bias)?;
    g.add(x, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_are_those_of_the_published_model_to_the_last_bit() {
        // ModernBertRotaryEmbedding.compute_default_rope_parameters of transformers, heads
        // of 64; all but the first two differ when only the result is rounded to 32 bits.
        let local = [(0, 0x3f80_0000), (1, 0x3f3f_f911), (5, 0x3e72_d423), (9, 0x3d99_940d)];
        let global = [(0, 0x3f80_0000), (1, 0x3f30_0a3a), (6, 0x3dd8_8cb4), (31, 0x3718_7c4d)];
        for (theta, expected) in [(10_000.0, local), (160_000.0, global)] {
            let found = frequencies(theta, 64);
            assert_eq!(found.len(), 32);
            for (i, bits) in expected {
                assert_eq!(found[i].to_bits(), bits, "{theta}, {i}");
            }
        }
    }
}
