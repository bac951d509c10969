//! Finds the entries of an archive without trusting it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::{Place, check_entry_name};
use crate::error::{Error, Result};

/// Most entries of an archive; a model's folder has a dozen.
const MAX_ENTRIES: usize = 4096;

/// Where each entry of the archive `file` lies, by name. `refuse` makes an error of
/// the reason why it is not usable, `remedy` says how such a file is made.
pub(crate) fn places(
    path: &Path,
    file: &File,
    remedy: &str,
    refuse: &dyn Fn(String) -> Error,
) -> Result<BTreeMap<String, Place>> {
    let length = file.metadata().map_err(|e| Error::io("open", path, e))?.len();
    let unreadable = |e: zip::result::ZipError| {
        refuse(format!(
            "it is not a ZIP archive, or is cut short ({e}); copy it again, or make it with \
             {remedy}"
        ))
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut archive = ZipArchive::new(&mut reader).map_err(unreadable)?;
    if archive.has_duplicate_names() {
        return Err(refuse("two of its entries have the same name".into()));
    }
    if archive.len() > MAX_ENTRIES {
        return Err(refuse(format!("it has {} entries, more than {MAX_ENTRIES}", archive.len())));
    }
    let mut places = BTreeMap::new();
    let mut spans = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(unreadable)?;
        let name = entry.name().map_err(unreadable)?.into_owned();
        check_entry_name(&name).map_err(refuse)?;
        if entry.encrypted() || !entry.is_file() {
            return Err(refuse(format!("its entry `{name}` is encrypted or not a file")));
        }
        let size = entry.size();
        if entry.compression() != CompressionMethod::Stored || entry.compressed_size() != size {
            return Err(refuse(format!(
                "its entry `{name}` is compressed; entries are stored as they are, so that they can \
                 be mapped"
            )));
        }
        let offset = entry.data_start().unwrap_or(u64::MAX);
        let end = offset.checked_add(size).filter(|&end| end <= length).ok_or_else(|| {
            refuse(format!("its entry `{name}` reaches beyond the end of the file"))
        })?;
        spans.push((offset, end, name.clone()));
        places.insert(name, Place { file: path.to_owned(), offset, size });
    }
    spans.sort();
    for pair in spans.windows(2) {
        if let [(_, end, a), (start, _, b)] = pair
            && end > start
        {
            return Err(refuse(format!("its entries `{a}` and `{b}` overlap")));
        }
    }
    Ok(places)
}
