//! ModernBERT (Warner et al., 2024, arXiv:2412.13663): norms before each
//! sub-layer, rotary positions, gated feed-forward layers, and attention that is
//! local in most layers.

use serde_json::json;

use super::TokenEncoder;
use super::config::Config;
use super::post_norm::{Sizes, Start};
use super::source::Source;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::graph::blocks::{Activation, AttentionMask, QueryKeyValue, Rotary};
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
    config.only("position_embedding_type", &json!("absolute"))?;
    let width = config.size("hidden_size")?;
    let sizes = Sizes {
        vocabulary: config.size("vocab_size")?,
        width,
        inner: config.size("intermediate_size")?,
        heads: config.heads("num_attention_heads", width)?,
        layers: config.size("num_hidden_layers")?,
        activation: config.activation("hidden_activation", Activation::Gelu)?,
        epsilon: config.positive_or("norm_eps", 1e-5)?,
    };
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
    let theta = match config.object("rope_parameters").and_then(|all| all.object(kind)) {
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
    let frequencies: Vec<f32> =
        (0..size / 2).map(|i| (1.0 / theta.powf(2.0 * i as f64 / size as f64)) as f32).collect();
    g.rotary(positions, &frequencies)
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
