//! Encoder architectures, each written once on the graph builder.

use std::path::Path;

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

/// Builds the encoder that `config` (the content of `config.json`, which lies at
/// `path`) describes, with the weights of `checkpoint`.
///
/// # Errors
/// When the architecture is not supported, a key or tensor is missing or unusable.
pub fn build(
    path: &Path,
    _config: &serde_json::Value,
    _checkpoint: &Checkpoint,
    _lowering: Lowering,
) -> Result<TokenEncoder> {
    Err(Error::unsupported(path, "no architecture is supported yet"))
}
