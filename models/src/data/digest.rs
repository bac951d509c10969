//! Digests of data.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::packages::hex;
use crate::tables::fingerprint;

/// Files above this many bytes are digested by their size and both ends.
const WHOLE: u64 = 1 << 30;

/// SHA-256 of a file's contents, or of its size, first and last MiB where it has more than
/// 1 GiB.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub(super) fn of_file(path: &Path) -> Result<String> {
    let digest = || -> io::Result<Option<String>> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() > WHOLE {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(hex(&hash.finalize()))),
                Ok(n) => hash.update(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    };
    match digest().map_err(|e| Error::io("read", path, e))? {
        Some(digest) => Ok(digest),
        None => fingerprint(path),
    }
}

/// One digest of several parts, each ended by a zero byte.
pub(super) fn of_parts<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_ref());
        hash.update([0]);
    }
    hex(&hash.finalize())
}
