//! Adapters: small files that change an encoder when it is opened.
//!
//! An adapter holds the encoder's graph with a few tensors of its own, low-rank factors or
//! biases, while every other tensor stays where it is: in the pages of the bundle, which
//! all processes share, adapted or not. The file names the bundle that it belongs to and
//! is refused on any other.
//!
//! Layout: the line `offshoot adapter 1`, the SHA-256 of all that follows as 64 hexadecimal
//! digits and a line feed, the manifest as one line of JSON, the graph as an ONNX model.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bundle::{Bundle, hex};
use crate::error::{Error, Result};

/// The first line of the file.
const MAGIC: &[u8] = b"offshoot adapter 1\n";

/// What every version's first line begins with.
const FAMILY: &[u8] = b"offshoot adapter ";

/// The largest adapter that is read, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// What an adapter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterManifest {
    /// Name of the encoder that it belongs to.
    pub encoder: String,
    /// Digest of that encoder's bundle.
    pub encoder_digest: String,
    /// How it was made, such as `lora rank 8`.
    pub method: String,
    /// Number of scalars that were trained.
    pub parameters: u64,
    /// Program and version that wrote it.
    pub tool: String,
}

/// An adapter that was read and checked.
#[derive(Debug, Clone)]
pub struct Adapter {
    path: PathBuf,
    manifest: AdapterManifest,
    model: Arc<[u8]>,
    digest: String,
}

impl Adapter {
    /// Reads an adapter.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Adapter`] when the file is not an adapter, is damaged or of
    /// a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bad = |reason: String| Error::Adapter { path: path.into(), reason };
        let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let size = file.metadata().map_err(|e| Error::io("open", path, e))?.len();
        if size > MAX_BYTES {
            return Err(bad(format!("it has {size} bytes, more than the {MAX_BYTES} allowed")));
        }
        let mut bytes = Vec::new();
        file.by_ref()
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", path, e))?;
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(bad(if bytes.starts_with(FAMILY) {
                "it is of another version of the format; use the program that wrote it, or a newer \
                 one"
                .into()
            } else {
                "it is not an adapter; `offshoot tune` writes them".into()
            }));
        };
        let (Some(stated), Some(body)) = (rest.get(..65), rest.get(65..)) else {
            return Err(bad("it is cut short".into()));
        };
        let digest = hex(&Sha256::digest(body));
        if stated.strip_suffix(b"\n") != Some(digest.as_bytes()) {
            return Err(bad("it is damaged: its checksum does not fit; copy it again".into()));
        }
        let end = body.iter().position(|&byte| byte == b'\n').unwrap_or(body.len());
        let (line, model) = body.split_at(end);
        let manifest = serde_json::from_slice(line)
            .map_err(|error| bad(format!("its manifest cannot be read: {error}")))?;
        let model = model.get(1..).unwrap_or_default().into();
        Ok(Self { path: path.into(), manifest, model, digest })
    }

    /// A graph of a bundle's encoder that is in no file, whose external data lie in the bundle's
    /// entries.
    pub(crate) fn of_graph(bundle: &Bundle, model: Vec<u8>) -> Self {
        let manifest = AdapterManifest {
            encoder: bundle.manifest().name.clone(),
            encoder_digest: bundle.digest().to_owned(),
            method: "a part of its graph".into(),
            parameters: 0,
            tool: concat!("offshoot ", env!("CARGO_PKG_VERSION")).into(),
        };
        let digest = hex(&Sha256::digest(&model));
        Self { path: bundle.path().to_owned(), manifest, model: model.into(), digest }
    }

    /// The bytes of the file of an adapter: `model` is an ONNX model whose external data
    /// lie in the entries of the encoder's bundle.
    ///
    /// # Errors
    /// [`Error::Adapter`] when the manifest cannot be written.
    pub fn to_bytes(manifest: &AdapterManifest, model: &[u8]) -> Result<Vec<u8>> {
        let mut body = serde_json::to_vec(manifest)
            .map_err(|error| Error::Adapter { path: "".into(), reason: error.to_string() })?;
        body.push(b'\n');
        body.extend_from_slice(model);
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(hex(&Sha256::digest(&body)).as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// What it is.
    pub fn manifest(&self) -> &AdapterManifest {
        &self.manifest
    }

    /// SHA-256 of its content.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The graph, an ONNX model.
    pub(crate) fn model(&self) -> &[u8] {
        &self.model
    }

    /// Checks that it belongs to the bundle of a digest.
    pub(crate) fn check(&self, bundle: &str) -> Result<()> {
        if self.manifest.encoder_digest == bundle {
            return Ok(());
        }
        Err(Error::Adapter {
            path: self.path.clone(),
            reason: format!(
                "it belongs to the encoder {:?} (digest {}), not to this one (digest {bundle}); name \
                 the bundle that it was tuned on",
                self.manifest.encoder, self.manifest.encoder_digest
            ),
        })
    }

    /// The digest of an encoder of the bundle `bundle` with this adapter.
    pub(crate) fn combined(&self, bundle: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(bundle);
        hash.update("\n");
        hash.update(&self.digest);
        hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> AdapterManifest {
        AdapterManifest {
            encoder: "tiny".into(),
            encoder_digest: "ab".into(),
            method: "bias".into(),
            parameters: 3,
            tool: "test".into(),
        }
    }

    #[test]
    fn a_file_is_read_back_and_every_damaged_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.adapter");
        let bytes = Adapter::to_bytes(&manifest(), b"model\nbytes").unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let adapter = Adapter::open(&path).unwrap();
        assert_eq!(*adapter.manifest(), manifest());
        assert_eq!(adapter.model(), b"model\nbytes");
        assert!(adapter.check("ab").is_ok());
        assert!(adapter.check("cd").unwrap_err().to_string().contains("tiny"));
        assert_ne!(adapter.combined("ab"), adapter.combined("cd"));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(Adapter::open(&path).is_err(), "byte {at}");
        }
        for length in [0, 5, 19, 40, 84, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(Adapter::open(&path).is_err(), "{length} bytes");
        }
    }
}
