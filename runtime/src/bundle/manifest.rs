//! The manifest: what an encoder is, and the digest of every entry of its bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::inputs::{ImageConfig, Modality, SignalConfig, TextConfig};
use super::provenance::Provenance;
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
    /// How the vectors of tokens, patches or samples became one embedding. Already
    /// part of the graph; recorded for people and for exporters.
    pub pooling: Pooling,
    /// Whether the graph returns embeddings of unit Euclidean norm.
    pub normalized: bool,
    /// What is needed to turn text into the graph's inputs; present exactly when
    /// [`modality`](Self::modality) is [`Modality::Text`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// The images that the graph reads; present exactly when the modality is
    /// [`Modality::Image`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageConfig>,
    /// The windows of signals that the graph reads; present exactly when the modality
    /// is [`Modality::Signal`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalConfig>,
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

/// How vectors of the parts of an input became one embedding. Parts are the tokens of a
/// text, patches of an image, or stretches of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// Mean over the real parts.
    Mean,
    /// The first part's vector.
    Cls,
    /// The last real part's vector.
    LastToken,
    /// Largest value of each dimension over the real parts.
    Max,
    /// Sum over the real parts divided by the square root of their number.
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
        self.check_inputs()?;
        if let Some(pretraining) = &self.provenance.pretraining {
            pretraining.check().or_else(bad)?;
        }
        for (name, entry) in &self.entries {
            if !super::is_sha256(&entry.sha256) {
                return bad(format!(
                    "`entries.{name}.sha256` is not 64 lower-case hexadecimal digits"
                ));
            }
        }
        Ok(())
    }

    /// Checks that what the encoder reads is described, and nothing else is.
    fn check_inputs(&self) -> Result<()> {
        let bad = |reason: String| Error::Manifest { reason };
        let described = [
            (Modality::Text, self.text.as_ref().map(TextConfig::check)),
            (Modality::Image, self.image.as_ref().map(ImageConfig::check)),
            (Modality::Signal, self.signal.as_ref().map(SignalConfig::check)),
        ];
        for (key, checked) in described {
            match (checked, key == self.modality) {
                (Some(checked), true) => checked.map_err(bad)?,
                (None, false) => {}
                (None, true) => {
                    return Err(bad(format!("`modality` is {key} but there is no `{key}`")));
                }
                (Some(_), false) => {
                    return Err(bad(format!(
                        "`modality` is {}, to which `{key}` does not belong",
                        self.modality
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A manifest as it was written before encoders read anything but text.
    const TEXT: &str = r#"{
  "format": 1,
  "name": "tiny",
  "modality": "text",
  "embedding_size": 16,
  "pooling": "mean",
  "normalized": true,
  "text": {
    "max_tokens": 24,
    "lower_case": false,
    "pad_id": 0,
    "pad_token": "[PAD]"
  },
  "similarity": "cosine",
  "provenance": {
    "source": "encoder",
    "architecture": "bert",
    "tool": "offshoot-export 0.1.0"
  },
  "parameters": 3808,
  "entries": {}
}"#;

    fn of(modality: &str, config: Value) -> Value {
        let mut value: Value = serde_json::from_str(TEXT).unwrap();
        value.as_object_mut().unwrap().remove("text");
        value["modality"] = modality.into();
        value[modality] = config;
        value
    }

    fn image() -> Value {
        of("image", json!({"height": 28, "width": 28, "channels": 1}))
    }

    fn signal() -> Value {
        let names = json!(["x", "y"]);
        let config = json!({"channels": 2, "length": 100, "channel_names": names,
                            "sampling_rate": 50.0});
        of("signal", config)
    }

    fn read(value: &Value) -> Result<Manifest> {
        Manifest::from_json(value.to_string().as_bytes())
    }

    #[test]
    fn a_manifest_of_text_keeps_its_bytes_and_so_its_digest() {
        let manifest = Manifest::from_json(TEXT.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(manifest.to_json().unwrap()).unwrap(), TEXT);
    }

    #[test]
    fn images_and_signals_come_back_as_they_were_written() {
        for (value, modality) in [(image(), Modality::Image), (signal(), Modality::Signal)] {
            let manifest = read(&value).unwrap();
            assert_eq!(manifest.modality, modality);
            let again: Value = serde_json::from_slice(&manifest.to_json().unwrap()).unwrap();
            assert_eq!(again, value);
        }
        let mut bare = signal();
        bare["signal"] = json!({"channels": 1, "length": 1});
        let signal = read(&bare).unwrap().signal.unwrap();
        assert_eq!((signal.channel_names.len(), signal.sampling_rate), (0, None));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_its_key() {
        let refuses = |mut value: Value, at: &str, to: Value, says: &str| {
            *value.pointer_mut(at).unwrap() = to;
            let error = read(&value).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        for side in ["height", "width"] {
            for size in [0, 4097] {
                let says = format!("`image.{side}` is {size}, not in 1 to 4096");
                refuses(image(), &format!("/image/{side}"), size.into(), &says);
            }
        }
        refuses(image(), "/image/channels", 4.into(), "`image.channels` is 4, not 1 or 3");
        refuses(image(), "/image", Value::Null, "`modality` is image but there is no `image`");
        refuses(signal(), "/signal", Value::Null, "`modality` is signal but there is no `signal`");
        refuses(
            image(),
            "/modality",
            "signal".into(),
            "is signal, to which `image` does not belong",
        );
        refuses(image(), "/modality", "smell".into(), "smell");
        refuses(signal(), "/signal/channels", 0.into(), "`signal.channels` is 0");
        refuses(signal(), "/signal/channels", 3.into(), "has 2 names for 3 channels");
        refuses(signal(), "/signal/length", 0.into(), "`signal.length` is 0");
        refuses(signal(), "/signal/length", 600_000.into(), "more than 1048576 together");
        refuses(signal(), "/signal/channel_names/1", "a\nb".into(), "\"a\\nb\", which is empty or");
        refuses(signal(), "/signal/channel_names/1", " ".into(), "which is empty or");
        for rate in [json!(0.0), json!(-50.0)] {
            refuses(signal(), "/signal/sampling_rate", rate, "`signal.sampling_rate` is");
        }
        let mut both = image();
        both["signal"] = signal()["signal"].clone();
        assert!(read(&both).unwrap_err().to_string().contains("`signal` does not belong"));
    }

    #[test]
    fn pretraining_is_kept_and_checked() {
        let mut value = image();
        let pretraining = json!({
            "objective": "vicreg", "data_digest": "ab".repeat(32), "examples": 60_000, "seed": 7,
            "steps": 1000, "versions": {"onnxruntime": "1.32.0"}, "curve": [[1.0, 5.5], [1000.0, 0.25]],
            "options": {"batch": "256"}
        });
        value["provenance"]["pretraining"] = pretraining;
        let mut manifest = read(&value).unwrap();
        let again: Value = serde_json::from_slice(&manifest.to_json().unwrap()).unwrap();
        assert_eq!(again, value);
        let kept = manifest.provenance.pretraining.as_mut().unwrap();
        assert_eq!((kept.steps, kept.curve[1]), (1000, [1000.0, 0.25]));
        kept.curve.push([2.0, f32::NAN]);
        let error = manifest.to_json().unwrap_err().to_string();
        assert!(error.contains("`provenance.pretraining.curve` has a number"), "{error}");
        value["provenance"]["pretraining"]["data_digest"] = "AB".into();
        let error = read(&value).unwrap_err().to_string();
        assert!(error.contains("`provenance.pretraining.data_digest`"), "{error}");
    }
}
