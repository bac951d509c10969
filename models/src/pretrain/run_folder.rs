//! The folder of a run's own files, and what it says about the run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::encoders::Architecture;
use crate::error::{Error, Result};
use crate::lock::FileLock;

const FORMAT: u32 = 1;
const DESCRIPTION: &str = "run.json";
const CHECKPOINT: &str = "checkpoint.safetensors";
const BEST: &str = "best.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const LOCK: &str = "lock";
/// What the names of files begin with that are being written.
const PARTIAL: &str = ".partial.";

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
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    lock: Option<FileLock>,
}

impl RunFolder {
    /// The folder, which may not be there yet.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    /// Whether it is there.
    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Makes the folder if it is not there, and locks it for as long as this lives. What a
    /// killed run was about to write is removed.
    pub(super) fn open(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.path).map_err(|e| Error::io("create", &self.path, e))?;
        let Some(lock) = FileLock::acquire(&self.path.join(LOCK), || false)? else {
            return Err(Error::Pretrain(format!(
                "another process is at work in {}; wait for it, or choose another output",
                self.path.display()
            )));
        };
        self.lock = Some(lock);
        let list = |e| Error::io("list", &self.path, e);
        for entry in fs::read_dir(&self.path).map_err(list)? {
            let entry = entry.map_err(list)?;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(PARTIAL.as_bytes()) || name.starts_with(b".checkpoint.") {
                // What cannot be removed is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Forgets a checkpoint of a run that was not described.
    pub(super) fn forget(&self) -> Result<()> {
        [self.path.join(DESCRIPTION), self.checkpoint(), self.best()]
            .iter()
            .try_for_each(|path| remove(path))
    }

    /// A file that is to be renamed.
    pub(super) fn partial(&self) -> std::io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(PARTIAL).tempfile_in(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// The state with the lowest loss of held-out examples.
    pub(super) fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// Keeps the checkpoint as the best state: under a second name where the file system has
    /// these, else as a copy.
    pub(super) fn keep_best(&self) -> Result<()> {
        let (from, to) = (self.checkpoint(), self.best());
        let beside = self.path.join(format!("{PARTIAL}{BEST}"));
        // Nothing is written through another name of a file that is kept.
        remove(&beside)?;
        if fs::hard_link(&from, &beside).is_err() {
            fs::copy(&from, &beside).map_err(|e| Error::io("write", &beside, e))?;
            let copied = fs::File::open(&beside).and_then(|file| file.sync_all());
            copied.map_err(|e| Error::io("write", &beside, e))?;
        }
        fs::rename(&beside, &to).map_err(|e| Error::io("rename", &to, e))?;
        // Of two names of one file, renaming leaves both.
        remove(&beside)
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
        let mut file = self.partial().map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(&path).map_err(|e| Error::io("rename", &path, e.error))?;
        Ok(())
    }
}

/// Removes a file where it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}
