//! Encoder architectures, each written once on the graph builder.

mod bert;
mod config;
mod distilbert;
mod modernbert;
mod mpnet;
mod post_norm;
mod source;

use std::path::Path;

use bert::Variant;
use config::Config;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::{Graph, Lowering, Value};

/// An encoder up to its token vectors, ready for pooling.
#[derive(Debug)]
pub struct TokenEncoder {
    /// The graph, with the inputs `input_ids` and `attention_mask`, int64
    /// `[batch, tokens]`, and no output yet.
    pub graph: Graph,
    /// The input `attention_mask`, 1 for real tokens.
    pub attention_mask: Value,
    /// The last layer's token vectors, float32 `[batch, tokens, width]`.
    pub token_vectors: Value,
    /// Width of a token vector.
    pub width: usize,
    /// Most tokens that the encoder has positions for.
    pub max_tokens: usize,
    /// Rows of the token embedding: ids are below it.
    pub vocabulary: usize,
    /// Name of the architecture, such as `bert`.
    pub architecture: &'static str,
}

/// The `model_type`s that [`build`] knows.
pub const SUPPORTED: [&str; 7] =
    ["bert", "distilbert", "electra", "modernbert", "mpnet", "roberta", "xlm-roberta"];

/// Builds the encoder that `config` (the content of `config.json`, which lies at
/// `path`) describes, with the weights of `checkpoint`.
///
/// # Errors
/// [`Error::Unsupported`] when the architecture is not one of [`SUPPORTED`];
/// [`Error::Key`] when a key is missing or has a value that cannot be used;
/// [`Error::Tensor`] when a tensor is missing or has another shape than the
/// configuration asks for.
pub fn build(
    path: &Path,
    config: &serde_json::Value,
    checkpoint: &Checkpoint,
    lowering: Lowering,
) -> Result<TokenEncoder> {
    let config = Config { path, json: config };
    let kind = config.text("model_type")?.ok_or_else(|| {
        config.error("model_type", format!("is missing; supported are {}", SUPPORTED.join(", ")))
    })?;
    match kind {
        "bert" => bert::build(config, checkpoint, lowering, Variant::Bert),
        "electra" => bert::build(config, checkpoint, lowering, Variant::Electra),
        "roberta" => bert::build(config, checkpoint, lowering, Variant::Roberta),
        "xlm-roberta" => bert::build(config, checkpoint, lowering, Variant::XlmRoberta),
        "distilbert" => distilbert::build(config, checkpoint, lowering),
        "mpnet" => mpnet::build(config, checkpoint, lowering),
        "modernbert" => modernbert::build(config, checkpoint, lowering),
        other => Err(Error::unsupported(
            path,
            format!("the architecture `{other}` is not supported; {} are", SUPPORTED.join(", ")),
        )),
    }
}
