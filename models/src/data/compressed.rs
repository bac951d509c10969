//! Files that may be compressed: `.gz` and `.bz2`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// Compressions that are undone while reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Bzip2,
}

impl Compression {
    /// That which the first four bytes of a file tell.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'B', b'Z', b'h', level, ..] if level.is_ascii_digit() => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// That which a file's name tells.
    fn named(path: &Path) -> Option<Self> {
        match path.extension()?.to_ascii_lowercase().to_str()? {
            "gz" => Some(Self::Gzip),
            "bz2" => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// What the compressed bytes hold, all members one after the other.
    pub(crate) fn undo<'a>(self, input: impl Read + Send + 'a) -> Box<dyn Read + Send + 'a> {
        match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Bzip2 => Box::new(MultiBzDecoder::new(input)),
        }
    }
}

/// Opens a file and undoes the compression that its name says.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let file = BufReader::with_capacity(1 << 16, file);
    Ok(match Compression::named(path) {
        Some(compression) => compression.undo(file),
        None => Box::new(file),
    })
}

/// The file's name in lower case, without `.gz` or `.bz2`.
pub(crate) fn plain_name(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".bz2"));
    plain.map_or(name.clone(), str::to_owned)
}

/// Whether the name says that the file is compressed.
pub(super) fn is_compressed(path: &Path) -> bool {
    Compression::named(path).is_some()
}
