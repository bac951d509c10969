//! One safetensors file.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The largest header that is read, in bytes; the format's own limit.
pub(super) const MAX_HEADER: u64 = 100_000_000;

/// A safetensors file whose header was read and checked.
#[derive(Debug)]
pub(super) struct Shard {
    path: PathBuf,
    file: Mutex<File>,
    metadata: Metadata,
    /// Where the tensors begin.
    start: u64,
}

impl Shard {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        let length = file.metadata().map_err(Error::io("open", path))?.len();
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => bad("it is shorter than a safetensors header".into()),
            _ => Error::io("read", path)(e),
        })?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER || size + 8 > length {
            return Err(bad(format!(
                "its header claims {size} bytes in a file of {length}; it is cut short or not a \
                 safetensors file"
            )));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(Error::io("read", path))?;
        // Deserialising checks that tensors follow one another without gaps and
        // that each has the bytes that its shape needs.
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|e| bad(format!("its header cannot be read: {e}")))?;
        let start = size + 8;
        let end = start.checked_add(metadata.data_len() as u64);
        if end != Some(length) {
            return Err(bad(format!(
                "its header describes {} bytes of tensors and the file has {}; copy it again",
                metadata.data_len(),
                length - start
            )));
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), metadata, start })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.metadata.offset_keys().into_iter()
    }

    pub(super) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.metadata.info(name)
    }

    /// Gives `count` bytes from `offset` of the tensors on to `sink`, in parts of
    /// a multiple of 8 bytes but for the last.
    pub(super) fn read(
        &self,
        offset: usize,
        count: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + offset as u64))
            .map_err(Error::io("read", &self.path))?;
        let mut buffer = vec![0; count.min(1 << 20)];
        let mut left = count;
        while left > 0 {
            let part = left.min(buffer.len());
            let part = &mut buffer[..part];
            file.read_exact(part).map_err(Error::io("read", &self.path))?;
            sink(part)?;
            left -= part.len();
        }
        Ok(())
    }

    pub(super) fn sha256(&self) -> Result<String> {
        let mut file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n = file.read(&mut buffer).map_err(Error::io("read", &self.path))?;
            if n == 0 {
                break;
            }
            hash.update(&buffer[..n]);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
