//! Where an encoder came from and what was done to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where an encoder came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the imported folder or file, or of the data it was pretrained on.
    pub source: String,
    /// Architecture, such as `bert`, or `onnx` for a graph imported as it was.
    pub architecture: String,
    /// SHA-256 of the published weights, where they were one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// Program and version that wrote the bundle.
    pub tool: String,
    /// How it was pretrained, where that was done here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretraining: Option<Pretraining>,
    /// What was done to the encoder since, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// How an encoder was pretrained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pretraining {
    /// Name of the objective, or of several with their weights.
    pub objective: String,
    /// What identifies the data: 64 hexadecimal digits.
    pub data_digest: String,
    /// Number of examples in the data.
    pub examples: u64,
    /// The seed of every random number.
    pub seed: u64,
    /// Number of updates.
    pub steps: u64,
    /// Versions of what ran, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// The loss over the run: pairs of a step and its loss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<[f32; 2]>,
    /// Figures of examples that were not learned from, after the last of the updates, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// Options of the run, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
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

impl Pretraining {
    /// What is impossible about it, naming the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if !super::is_sha256(&self.data_digest) {
            return Err("`provenance.pretraining.data_digest` is not 64 lower-case hexadecimal \
                        digits"
                .into());
        }
        // JSON has no other numbers.
        if self.curve.iter().flatten().any(|value| !value.is_finite()) {
            return Err("`provenance.pretraining.curve` has a number that is not finite".into());
        }
        if let Some((name, _)) = self.figures.iter().find(|(_, value)| !value.is_finite()) {
            return Err(format!(
                "`provenance.pretraining.figures` has a number that is not finite: {name}"
            ));
        }
        Ok(())
    }
}
