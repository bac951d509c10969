//! Bytes that are read by their place, from several threads at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pool::{Stretches, read_exact_at};
use crate::error::{Error, Result};

/// Bytes that all spools together keep in memory; a spool that would go beyond moves to a
/// file, so that a folder of a thousand small files does not fill the memory.
const IN_MEMORY: usize = 256 << 20;

/// Bytes that a spool keeps in memory before it moves to a file.
const ONE_IN_MEMORY: usize = 64 << 20;

/// Bytes that spools hold in memory.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Some of [`HELD`], given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Held(usize);

impl Held {
    /// Holds `bytes` in all; false, and nothing changes, where they are too many.
    fn grow(&mut self, bytes: usize) -> bool {
        if bytes > ONE_IN_MEMORY {
            return false;
        }
        let more = bytes.saturating_sub(self.0);
        if HELD.fetch_add(more, Ordering::Relaxed) + more > IN_MEMORY {
            HELD.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.0 += more;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Where bytes lie.
#[derive(Debug)]
pub(super) enum Store {
    /// In memory.
    Memory(Memory),
    /// In the unnamed temporary file.
    Temporary(Stretches),
    /// In the data's own file, which is opened for each read: there may be too many to hold
    /// open.
    Path(PathBuf),
}

/// Bytes in memory, counted as long as they are there.
#[derive(Debug, Default)]
pub(super) struct Memory {
    bytes: Vec<u8>,
    _held: Held,
}

impl Store {
    /// Reads `len` bytes from `offset` on. An `UnexpectedEof` says that the file is shorter
    /// than it was.
    pub(super) fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match self {
            Self::Memory(Memory { bytes: all, .. }) => {
                let start = usize::try_from(offset).ok();
                let range = start.and_then(|start| all.get(start..start.checked_add(len)?));
                bytes.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
            }
            Self::Temporary(file) => file.read(&mut bytes, offset)?,
            Self::Path(path) => read_exact_at(&File::open(path)?, &mut bytes, offset)?,
        }
        Ok(bytes)
    }
}

/// Collects bytes in memory, and where they are many in the unnamed temporary file.
#[derive(Debug, Default)]
pub(super) struct Spool {
    buffer: Vec<u8>,
    held: Held,
    file: Option<Stretches>,
}

impl Spool {
    /// Bytes so far, the place of the next one.
    pub(super) fn len(&self) -> u64 {
        self.file.as_ref().map_or(0, Stretches::len) + self.buffer.len() as u64
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`] of the folder of temporary files.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        let full = match self.file {
            Some(_) => self.buffer.len() > 1 << 20,
            None => !self.held.grow(self.buffer.len()),
        };
        if full {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let folder = std::env::temp_dir();
        let file = match &mut self.file {
            Some(file) => file,
            empty => {
                let file = Stretches::new().map_err(|e| Error::io("create a file in", &folder, e));
                empty.insert(file?)
            }
        };
        file.append(&self.buffer).map_err(|e| full(&folder, e))?;
        // What was held in memory is given back, capacity and all.
        self.buffer = Vec::new();
        self.held = Held::default();
        Ok(())
    }

    /// Everything, to be read.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(super) fn finish(mut self) -> Result<Store> {
        if self.file.is_some() {
            self.flush()?;
        }
        match self.file {
            Some(file) => Ok(Store::Temporary(file)),
            None => {
                self.buffer.shrink_to_fit();
                Ok(Store::Memory(Memory { bytes: self.buffer, _held: self.held }))
            }
        }
    }
}

fn full(folder: &Path, error: io::Error) -> Error {
    match Error::io("write a temporary file in", folder, error) {
        Error::DiskFull { action, path, .. } => {
            Error::DiskFull { action, path, hint: ", or set TMPDIR to a folder on a larger disk" }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spooled_is_read_from_memory_and_from_a_file() {
        for parts in [3usize, 70] {
            let mut spool = Spool::default();
            for part in 0..parts {
                assert_eq!(spool.len(), (part << 20) as u64);
                spool.push(&vec![part as u8; 1 << 20]).unwrap();
            }
            let store = spool.finish().unwrap();
            assert_eq!(matches!(store, Store::Temporary(_)), parts == 70);
            for part in 1..parts {
                let across = store.read((part << 20) as u64 - 1, 2).unwrap();
                assert_eq!(across, [part as u8 - 1, part as u8]);
            }
            let error = store.read((parts << 20) as u64 - 1, 2).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
