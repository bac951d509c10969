//! The record beside a work file: what the work is and how much of it is durable.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Layout, parent, with_suffix};
use crate::error::{Error, Result};
use crate::packages::sync_folder;

/// What identifies the work, so that a run never goes on with another one's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Digest of the source, such as [`fingerprint`](crate::tables::fingerprint) gives.
    pub source: String,
    /// Digest of the encoder.
    pub encoder: String,
    /// Everything else that the rows depend on: columns, prompt, dimensions, truncation …
    pub options: String,
}

/// How far the work is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Durable rows.
    pub(super) rows: u64,
    /// Durable bytes of the work file, or number of part files for Parquet.
    pub(super) length: u64,
    /// All rows are written and the work file is complete.
    pub(super) complete: bool,
}

/// The content of `OUTPUT.part.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sidecar {
    pub(super) version: u32,
    pub(super) layout: Layout,
    pub(super) job: Job,
    pub(super) progress: Progress,
}

/// Far more than any record has.
const MAX_BYTES: u64 = 1 << 20;

fn path(output: &Path) -> PathBuf {
    with_suffix(output, ".part.json")
}

impl Sidecar {
    /// The record of an output, if there is one.
    pub(super) fn read(output: &Path) -> Result<Option<Self>> {
        let path = path(output);
        match fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", path, e)),
            Ok(meta) if meta.len() > MAX_BYTES => return Err(damaged(path, "it is too large")),
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let sidecar: Self =
            serde_json::from_slice(&bytes).map_err(|e| damaged(path.clone(), &e.to_string()))?;
        if sidecar.version != 1 {
            return Err(damaged(path, "it is of another version"));
        }
        Ok(Some(sidecar))
    }

    /// Replaces the record, durably: after a crash it is the old one or the new one.
    pub(super) fn write(&self, output: &Path) -> Result<()> {
        let path = path(output);
        let folder = parent(output);
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(|e| Error::io("write", &path, e))?;
        sync_folder(folder)
    }

    pub(super) fn remove(output: &Path) -> Result<()> {
        let path = path(output);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
            _ => Ok(()),
        }
    }

    /// Whether the interrupted work is the one at hand.
    pub(super) fn check(&self, output: &Path, layout: &Layout, job: &Job) -> Result<()> {
        let differs = [
            ("source", self.job.source != job.source),
            ("encoder", self.job.encoder != job.encoder),
            ("options", self.job.options != job.options),
            ("output layout", self.layout != *layout),
        ];
        let names: Vec<&str> = differs.iter().filter(|d| d.1).map(|d| d.0).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(Error::Output {
            path: output.into(),
            reason: format!(
                "the interrupted run had another {}; run it as before, or start without resuming",
                names.join(" and another ")
            ),
        })
    }
}

fn damaged(path: PathBuf, reason: &str) -> Error {
    let reason = format!(
        "the record of the interrupted run cannot be used ({reason}); start \
                          without resuming"
    );
    Error::Output { path, reason }
}
