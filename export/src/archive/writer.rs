//! Writes a bundle: a ZIP archive with every entry stored and page-aligned.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offshoot::bundle::{EntryInfo, MANIFEST, MODEL, Manifest, check_entry_name};
use protobuf::Message;
use sha2::{Digest, Sha256};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::out::{GiveUpOnDrop, GivenUp, Out};
use super::{Target, hex};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::graph::external::{Layout, WEIGHTS_FILE};

/// Alignment of an entry's first byte within the bundle: a page of memory.
const ENTRY_ALIGNMENT: u16 = 4096;

/// Sizes from here on are written in the 64-bit form of ZIP.
const ZIP64_FROM: u64 = u32::MAX as u64;

/// Writes a bundle entry by entry, in one pass.
///
/// Digests are computed as bytes pass. The manifest, which holds them, is the last
/// entry, beside the directory that a reader opens first. Nothing stands at the
/// target's name until [`finish`](Self::finish) returns; a writer that is dropped
/// leaves nothing behind. The same entries give the same bytes: times are fixed and
/// no name of user or machine is written.
#[derive(Debug)]
pub struct BundleWriter {
    /// Before `zip`, so that it is dropped first.
    given_up: GiveUpOnDrop,
    target: Target,
    zip: ZipWriter<Out>,
    entries: BTreeMap<String, EntryInfo>,
    stop: Option<Arc<AtomicBool>>,
}

/// A finished bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The manifest, with the size and digest of every entry.
    pub manifest: Manifest,
    /// SHA-256 of the manifest's bytes: the bundle's digest.
    pub digest: String,
    /// Size of the file in bytes.
    pub size: u64,
}

impl BundleWriter {
    /// Begins a bundle that is to stand at `path`.
    ///
    /// # Errors
    /// [`Error::Archive`] when something stands there and `overwrite` is false;
    /// [`Error::Io`] when the folder cannot be written.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        let target = Target::create(path, overwrite)?;
        let given_up = GivenUp::default();
        let file = Out::new(target.handle()?, given_up.clone());
        Ok(Self {
            given_up: GiveUpOnDrop(given_up),
            target,
            zip: ZipWriter::new(file),
            entries: BTreeMap::new(),
            stop: None,
        })
    }

    /// Lets another thread, or a signal's handler, end the writing: once `stop` is
    /// true, the next write is [`Error::Interrupted`].
    #[must_use]
    pub fn stop_when(mut self, stop: Option<Arc<AtomicBool>>) -> Self {
        self.stop = stop;
        self
    }

    /// Adds the entry `name` of `size` bytes, which `write` must write.
    ///
    /// # Errors
    /// [`Error::Archive`] for a name that is unfit or taken, or when another number
    /// of bytes was written; [`Error::Io`] when the disk refuses them; those of
    /// `write`.
    pub fn add(
        &mut self,
        name: &str,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        if name == MANIFEST || self.entries.contains_key(name) {
            return Err(self.error(format!("entry `{name}` is there already")));
        }
        let entry = self.write_entry(name, size, write)?;
        self.entries.insert(name.into(), entry);
        Ok(())
    }

    /// Adds an entry that is in memory.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.add(name, bytes.len() as u64, |out| {
            out.write_all(bytes).map_err(Error::io("write", WEIGHTS_FILE))
        })
    }

    /// Adds `graph` and its weights, which lie where `layout` says. `progress` is told the
    /// bytes of weights written so far.
    ///
    /// # Errors
    /// As [`Self::add`]; those of the sources of the weights.
    pub fn add_graph(
        &mut self,
        graph: &Graph,
        layout: &Layout,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let model = graph
            .to_model(layout)?
            .write_to_bytes()
            .map_err(|error| self.error(format!("the graph cannot be written: {error}")))?;
        self.add_bytes(MODEL, &model)?;
        self.add(WEIGHTS_FILE, layout.size(), |out| layout.write(graph, out, progress))
    }

    /// Writes `manifest`, whose entries are filled in here, and gives the bundle its
    /// name.
    ///
    /// # Errors
    /// As [`Self::add`]; [`Error::Runtime`] when the manifest says something
    /// impossible.
    pub fn finish(self, mut manifest: Manifest) -> Result<Written> {
        let (digest, size) = self.finish_with(|entries| {
            manifest.entries = entries;
            Ok(manifest.to_json()?)
        })?;
        Ok(Written { manifest, digest, size })
    }

    /// As [`Self::finish`], with a manifest of any form: `manifest` makes its bytes of
    /// the size and digest of every entry. Returns its SHA-256 and the file's size.
    pub(crate) fn finish_with(
        mut self,
        manifest: impl FnOnce(BTreeMap<String, EntryInfo>) -> Result<Vec<u8>>,
    ) -> Result<(String, u64)> {
        let bytes = manifest(std::mem::take(&mut self.entries))?;
        let entry = self.write_entry(MANIFEST, bytes.len() as u64, |out| {
            out.write_all(&bytes).map_err(Error::io("write", WEIGHTS_FILE))
        })?;
        let path = self.target.path().to_owned();
        let failed =
            |source: std::io::Error| Error::Io { action: "write", path: path.clone(), source };
        let mut out = self.zip.finish().map_err(|error| failed(io_error(error)))?;
        let size = out.finish().map_err(&failed)?;
        drop(out);
        check_stop(self.stop.as_deref())?;
        self.target.commit()?;
        Ok((entry.sha256, size))
    }

    fn write_entry(
        &mut self,
        name: &str,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<EntryInfo> {
        check_entry_name(name)
            .map_err(|reason| self.error(format!("entry `{name}` cannot be written: {reason}")))?;
        if self.given_up.0.is_true() {
            return Err(self.error("an earlier write failed".into()));
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .with_alignment(ENTRY_ALIGNMENT)
            .large_file(size >= ZIP64_FROM);
        let path = self.target.path().to_owned();
        self.zip.start_file(name, options).map_err(|error| Error::Io {
            action: "write",
            path: path.clone(),
            source: io_error(error),
        })?;
        let mut out = EntryWriter {
            zip: &mut self.zip,
            hasher: Sha256::new(),
            left: size,
            failed: false,
            stop: self.stop.as_deref(),
        };
        let written = write(&mut out);
        let EntryWriter { hasher, left, failed, .. } = out;
        check_stop(self.stop.as_deref())?;
        // Whoever writes tensors does not know the bundle's name.
        written.map_err(|error| match error {
            Error::Io { source, .. } if failed => {
                Error::Io { action: "write", path: path.clone(), source }
            }
            other => other,
        })?;
        if left != 0 {
            return Err(self.error(format!(
                "entry `{name}` got {} bytes where {size} were announced",
                size - left
            )));
        }
        Ok(EntryInfo { size, sha256: hex(hasher) })
    }

    fn error(&self, reason: String) -> Error {
        Error::archive(self.target.path(), reason)
    }
}

/// The system's own error, where an archive's error is one.
fn io_error(error: ZipError) -> std::io::Error {
    match error {
        ZipError::Io(error) => error,
        other => std::io::Error::other(other),
    }
}

pub(crate) fn check_stop(stop: Option<&AtomicBool>) -> Result<()> {
    match stop {
        Some(stop) if stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
        _ => Ok(()),
    }
}

/// An entry under way: counts, hashes and forwards.
struct EntryWriter<'a> {
    zip: &'a mut ZipWriter<Out>,
    hasher: Sha256,
    left: u64,
    /// Whether the bundle's file refused bytes.
    failed: bool,
    stop: Option<&'a AtomicBool>,
}

impl Write for EntryWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if check_stop(self.stop).is_err() {
            return Err(std::io::Error::other("interrupted"));
        }
        // A piece at a time, so that an interrupt is seen soon.
        let bytes = bytes.get(..1 << 20).unwrap_or(bytes);
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            self.failed = true;
            return Err(std::io::Error::other("more bytes than were announced for the entry"));
        };
        let written = self.zip.write(bytes).inspect_err(|_| self.failed = true)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.left = left + (bytes.len() - written) as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
