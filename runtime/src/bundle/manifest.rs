//! The manifest: what an encoder is, and the digest of every entry of its bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The format version that this crate writes and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The largest manifest that is read, in bytes. A manifest is a page of JSON;
/// anything near this size is not one.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// What an encoder is and what its bundle holds: the entry `manifest.json`.
///
/// The SHA-256 of the manifest's bytes identifies the bundle
/// ([`Bundle::digest`](super::Bundle::digest)), since the manifest holds the
/// SHA-256 of every other entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the bundle format, [`FORMAT_VERSION`].
    pub format: u32,
    /// Name of the encoder, for people.
    pub name: String,
    /// What the encoder reads.
    pub modality: Modality,
    /// Width of an embedding.
    pub embedding_size: usize,
    /// How token vectors became one embedding. Already part of the graph;
    /// recorded for people and for exporters.
    pub pooling: Pooling,
    /// Whether the graph returns embeddings of unit Euclidean norm.
    pub normalized: bool,
    /// What is needed to turn text into the graph's inputs; present exactly when
    /// [`modality`](Self::modality) is [`Modality::Text`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// The similarity the encoder was trained for.
    #[serde(default)]
    pub similarity: Similarity,
    /// Where the encoder came from.
    pub provenance: Provenance,
    /// Licence of the weights, as their publisher states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Number of scalar weights.
    pub parameters: u64,
    /// Size and SHA-256 of every entry but the manifest, by name.
    pub entries: BTreeMap<String, EntryInfo>,
}

/// What an encoder reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Modality {
    /// Text, through a tokenizer. Inputs `input_ids` and `attention_mask`, both
    /// int64 `[batch, tokens]`; output `embedding`, float32 `[batch, width]`.
    Text,
}

/// How token vectors became one embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// Mean over the real tokens.
    Mean,
    /// The first token's vector.
    Cls,
    /// The last real token's vector.
    LastToken,
    /// Largest value of each dimension over the real tokens.
    Max,
    /// Sum over the real tokens divided by the square root of their number.
    MeanSqrtLen,
    /// Several of the above, side by side.
    Concatenated,
    /// The source graph returned a pooled embedding; how is not known.
    InGraph,
}

/// The similarity an encoder was trained for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Similarity {
    /// Cosine of the angle.
    #[default]
    Cosine,
    /// Dot product.
    Dot,
    /// Negative Euclidean distance.
    Euclidean,
    /// Negative Manhattan distance.
    Manhattan,
}

/// What turns text into a graph's inputs, besides `tokenizer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Most tokens of a sequence, special tokens included.
    pub max_tokens: usize,
    /// Whether text is lower-cased before the tokenizer sees it.
    #[serde(default)]
    pub lower_case: bool,
    /// Text put before an input, by the prompt's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, String>,
    /// Name of the prompt that is used when none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_prompt: Option<String>,
    /// Token id that fills a row up to the longest of its batch.
    pub pad_id: u32,
    /// The token of [`pad_id`](Self::pad_id).
    pub pad_token: String,
}

/// Where an encoder came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the imported folder or file.
    pub source: String,
    /// Architecture, such as `bert`, or `onnx` for a graph imported as it was.
    pub architecture: String,
    /// SHA-256 of the published weights, where they were one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// Program and version that wrote the bundle.
    pub tool: String,
    /// What was done to the imported encoder since, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// One change that made a bundle of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What was done, such as `quantize int8`.
    pub what: String,
    /// Digest of the bundle that it was done to.
    pub source_digest: String,
    /// Particulars, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// Size and digest of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryInfo {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Reads a manifest and checks that what it says is possible.
    ///
    /// # Errors
    /// [`Error::Manifest`] when it is not JSON, lacks a key, is of a newer format
    /// or holds a value that cannot be; the message names the key.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: Option<u32>,
        }
        let bad = |reason: String| Error::Manifest { reason };
        let version: Version = serde_json::from_slice(bytes)
            .map_err(|e| bad(format!("it is not a JSON object with a `format` number: {e}")))?;
        match version.format {
            Some(FORMAT_VERSION) => {}
            Some(newer) if newer > FORMAT_VERSION => {
                return Err(bad(format!(
                    "its format is {newer} and this program reads up to {FORMAT_VERSION}; use a newer Offshoot"
                )));
            }
            Some(other) => return Err(bad(format!("its format is {other}, which never existed"))),
            None => return Err(bad("it has no `format`".into())),
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as the JSON that a bundle holds.
    ///
    /// # Errors
    /// [`Error::Manifest`] when a value is impossible.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        self.check()?;
        serde_json::to_vec_pretty(self).map_err(|e| Error::Manifest { reason: e.to_string() })
    }

    fn check(&self) -> Result<()> {
        let bad = |reason: String| Err(Error::Manifest { reason });
        if self.embedding_size == 0 || self.embedding_size > 1 << 20 {
            return bad(format!(
                "`embedding_size` is {}, not in 1 to 1048576",
                self.embedding_size
            ));
        }
        match (&self.text, self.modality) {
            (None, Modality::Text) => {
                return bad("`modality` is text but there is no `text`".into());
            }
            (Some(text), Modality::Text) => {
                if text.max_tokens == 0 || text.max_tokens > 1 << 20 {
                    return bad(format!(
                        "`text.max_tokens` is {}, not in 1 to 1048576",
                        text.max_tokens
                    ));
                }
                if let Some(name) = &text.default_prompt
                    && !text.prompts.contains_key(name)
                {
                    return bad(format!(
                        "`text.default_prompt` is `{name}`, which `text.prompts` lacks"
                    ));
                }
            }
        }
        for (name, entry) in &self.entries {
            let digest_is_hex = entry.sha256.len() == 64
                && entry.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if !digest_is_hex {
                return bad(format!(
                    "`entries.{name}.sha256` is not 64 lower-case hexadecimal digits"
                ));
            }
        }
        Ok(())
    }
}
