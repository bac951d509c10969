//! The folder of a run's own files, and what it says about the run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::encoders::Architecture;
use crate::error::{Error, Result};

const FORMAT: u32 = 1;
const DESCRIPTION: &str = "run.json";
const CHECKPOINT: &str = "checkpoint.safetensors";
const TOKENIZER: &str = "tokenizer.json";

/// What was settled before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    format: u32,
    /// What the run was asked for, see `PretrainOptions::fingerprint`.
    pub(super) options: String,
    pub(super) data_digest: String,
    pub(super) encoder: Architecture,
    /// Number of steps.
    pub(super) steps: u64,
    /// Digest of the bundle that the run began with, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) init: Option<String>,
}

impl Description {
    pub(super) fn new(
        options: String,
        data_digest: String,
        encoder: Architecture,
        steps: u64,
        init: Option<String>,
    ) -> Self {
        Self { format: FORMAT, options, data_digest, encoder, steps, init }
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder if it is not there.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    pub(super) fn tokenizer(&self) -> PathBuf {
        self.path.join(TOKENIZER)
    }

    /// What an earlier run left, of which a checkpoint exists.
    pub(super) fn earlier(&self) -> Result<Option<Description>> {
        let path = self.path.join(DESCRIPTION);
        if !self.checkpoint().is_file() {
            return Ok(None);
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let bad = |reason: String| {
            Error::Pretrain(format!(
                "{} cannot be read: {reason}; remove the folder {} to begin again",
                path.display(),
                self.path.display()
            ))
        };
        let description: Description =
            serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        if description.format != FORMAT {
            return Err(bad(format!("its format is {}", description.format)));
        }
        Ok(Some(description))
    }

    pub(super) fn describe(&self, description: &Description) -> Result<()> {
        let json = serde_json::to_vec_pretty(description)
            .map_err(|e| Error::Pretrain(format!("the run cannot be described: {e}")))?;
        self.write(DESCRIPTION, &json)
    }

    pub(super) fn write_tokenizer(&self, json: &[u8]) -> Result<()> {
        self.write(TOKENIZER, json)
    }

    /// Writes a file beside its name, synced and renamed.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let io = |e| Error::io("write", &path, e);
        let mut file = tempfile::NamedTempFile::new_in(&self.path).map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(&path).map_err(|e| Error::io("rename", &path, e.error))?;
        Ok(())
    }
}
