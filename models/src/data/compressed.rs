//! Files that may be compressed: `.gz` and `.bz2`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// Opens a file and undoes the compression that its name says.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let file = BufReader::with_capacity(1 << 16, file);
    let extension = path.extension().map(|e| e.to_ascii_lowercase());
    Ok(match extension.as_ref().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(MultiGzDecoder::new(file)),
        Some("bz2") => Box::new(MultiBzDecoder::new(file)),
        _ => Box::new(file),
    })
}

/// The file's name in lower case, without `.gz` or `.bz2`.
pub(super) fn plain_name(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".bz2"));
    plain.map_or(name.clone(), str::to_owned)
}

/// Whether the name says that the file is compressed.
pub(super) fn is_compressed(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| e.eq_ignore_ascii_case("gz") || e.eq_ignore_ascii_case("bz2"))
}
