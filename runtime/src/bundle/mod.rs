//! Bundles: one encoder in one file, read without copying it to memory.
//!
//! A bundle is a ZIP archive whose entries are stored as they are, or a folder
//! with the same entries as files. It may come from anywhere, so names, sizes and
//! offsets are checked when it is opened and digests before an entry is used.

pub(crate) mod archive;
mod inputs;
mod manifest;
mod name;
mod provenance;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

pub use inputs::{ImageConfig, MAX_SAMPLES, MAX_SIDE, Modality, SignalConfig, TextConfig};
pub use manifest::{EntryInfo, FORMAT_VERSION, MAX_MANIFEST_BYTES, Manifest, Pooling, Similarity};
pub use name::check_entry_name;
pub use provenance::{Change, Pretraining, Provenance};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Name of the entry that describes all others.
pub const MANIFEST: &str = "manifest.json";
/// Name of the entry that holds the graph.
pub const MODEL: &str = "model.onnx";
/// Name of the entry that holds the weights.
pub const WEIGHTS: &str = "weights.bin";
/// Name of the entry that holds the tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";

/// Where an entry's bytes lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file that holds them.
    pub(crate) file: PathBuf,
    /// First byte.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) size: u64,
}

/// An encoder's bundle, opened and checked but not loaded.
///
/// An archive's file is kept open: replacing it by a rename, as every careful
/// program writes files, does not disturb a bundle that is open.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    /// The archive; `None` for a folder.
    archive: Option<File>,
    manifest: Manifest,
    digest: String,
    places: BTreeMap<String, Place>,
}

impl Bundle {
    /// Opens `NAME.offshoot`, or a folder that holds a `manifest.json` and its
    /// entries.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; [`Error::Bundle`] when the archive
    /// is damaged, holds a name or an offset that cannot be, or other entries than
    /// its manifest says; [`Error::Manifest`] when the manifest is unusable.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
        if metadata.is_dir() {
            return Self::open_folder(path);
        }
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let refuse = |reason| bad(path, reason);
        let places = archive::places(path, &file, "`offshoot import`", &refuse)?;
        let Some(place) = places.get(MANIFEST) else {
            return Err(bad(path, format!("it has no entry `{MANIFEST}`")));
        };
        let bytes = read_place(&file, path, MANIFEST, place, MAX_MANIFEST_BYTES, &refuse)?;
        let bundle = Self::with_manifest(path, Some(file), &bytes, places)?;
        for name in bundle.places.keys() {
            if name != MANIFEST && !bundle.manifest.entries.contains_key(name) {
                return Err(bad(path, format!("its manifest does not list the entry `{name}`")));
            }
        }
        Ok(bundle)
    }

    fn open_folder(folder: &Path) -> Result<Self> {
        let file = folder.join(MANIFEST);
        if !file.exists() {
            return Err(bad(
                folder,
                format!(
                    "the folder has no `{MANIFEST}`; make a bundle of a published model with \
                     `offshoot import`"
                ),
            ));
        }
        let place = folder_place(folder, MANIFEST)?;
        let opened = File::open(&file).map_err(|e| Error::io("open", &file, e))?;
        let refuse = |reason| bad(folder, reason);
        let bytes = read_place(&opened, folder, MANIFEST, &place, MAX_MANIFEST_BYTES, &refuse)?;
        let manifest = Manifest::from_json(&bytes)?;
        let mut places = BTreeMap::from([(MANIFEST.to_owned(), place)]);
        for name in manifest.entries.keys() {
            check_entry_name(name).map_err(|reason| bad(folder, reason))?;
            places.insert(name.clone(), folder_place(folder, name)?);
        }
        Self::with_manifest(folder, None, &bytes, places)
    }

    fn with_manifest(
        path: &Path,
        archive: Option<File>,
        bytes: &[u8],
        places: BTreeMap<String, Place>,
    ) -> Result<Self> {
        let manifest = Manifest::from_json(bytes)?;
        for (name, entry) in &manifest.entries {
            match places.get(name) {
                None => {
                    return Err(bad(
                        path,
                        format!("the entry `{name}` of its manifest is missing"),
                    ));
                }
                Some(place) if place.size != entry.size => {
                    return Err(bad(
                        path,
                        format!(
                            "the entry `{name}` has {} bytes and its manifest says {}",
                            place.size, entry.size
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
        let mut needed = vec![MODEL];
        if manifest.modality == Modality::Text {
            needed.push(TOKENIZER);
        }
        for name in needed {
            if !manifest.entries.contains_key(name) {
                return Err(bad(path, format!("it has no entry `{name}`")));
            }
        }
        let digest = hex(&Sha256::digest(bytes));
        Ok(Self { path: path.to_owned(), archive, manifest, digest, places })
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the encoder is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of `manifest.json`, 64 hexadecimal digits. As the manifest holds
    /// every other entry's digest, it identifies the encoder.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Name, offset in the file and size of every entry, in bytes; offset 0 in a
    /// folder.
    pub fn entries(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.places.iter().map(|(name, place)| (name.as_str(), place.offset, place.size))
    }

    /// Whether there is an entry of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// An entry's bytes, checked against the manifest's digest.
    ///
    /// Meant for the small entries; weights are mapped, not read.
    ///
    /// # Errors
    /// [`Error::Bundle`] when there is no such entry, [`Error::Digest`] when it is
    /// damaged, [`Error::Io`] when it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.copy_to(name, &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Gives an entry's bytes to `sink` in parts, then checks their digest: what
    /// `sink` was given may be used only when this returns `Ok`.
    ///
    /// # Errors
    /// As [`Self::read`], and those of `sink`.
    pub fn copy_to(
        &self,
        name: &str,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<()> {
        let place = self.place(name)?;
        let opened;
        let file = match &self.archive {
            Some(file) => file,
            None => {
                opened = File::open(&place.file).map_err(|e| Error::io("open", &place.file, e))?;
                &opened
            }
        };
        let expected = match self.manifest.entries.get(name) {
            Some(entry) => &entry.sha256,
            None => &self.digest,
        };
        copy_checked(file, &self.path, name, place, expected, sink)
    }

    /// Checks the digest of every entry. `progress` is told the bytes checked so
    /// far.
    ///
    /// # Errors
    /// [`Error::Digest`] naming the first damaged entry, or [`Error::Io`].
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let mut done = 0;
        for name in self.places.keys() {
            self.copy_to(name, &mut |part| {
                done += part.len() as u64;
                progress(done);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Size of all entries together, in bytes.
    pub fn size(&self) -> u64 {
        self.places.values().map(|place| place.size).fold(0, u64::saturating_add)
    }

    pub(crate) fn place(&self, name: &str) -> Result<&Place> {
        self.places.get(name).ok_or_else(|| bad(&self.path, format!("it has no entry `{name}`")))
    }

    /// Whether the path still leads to the file that is open. Another program may
    /// have replaced it since.
    pub(crate) fn is_current(&self) -> bool {
        self.archive.as_ref().is_none_or(|file| is_current(file, &self.path))
    }
}

/// Whether `path` leads to the open file `file`.
pub(crate) fn is_current(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(now)) => same_file(&open, &now),
        _ => false,
    }
}

/// Gives the bytes of the entry `name` of the archive `path` to `sink` in parts, then
/// checks that their SHA-256 is `expected`.
pub(crate) fn copy_checked(
    mut file: &File,
    path: &Path,
    name: &str,
    place: &Place,
    expected: &str,
    sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<()> {
    let failed = |e| Error::io("read", &place.file, e);
    let mut hash = Sha256::new();
    let mut at = place.offset;
    let mut left = place.size;
    let mut buffer = vec![0; 1 << 18];
    while left > 0 {
        let part = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let part = &mut buffer[..part];
        read_at(&mut file, at, part).map_err(failed)?;
        hash.update(&*part);
        sink(part).map_err(failed)?;
        at += part.len() as u64;
        left -= part.len() as u64;
    }
    let found = hex(&hash.finalize());
    if found != expected {
        return Err(Error::Digest {
            path: path.to_owned(),
            entry: name.into(),
            expected: expected.into(),
            found,
        });
    }
    Ok(())
}

#[cfg(unix)]
fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.dev() == b.dev() && a.ino() == b.ino() && a.len() == b.len()
}

#[cfg(not(unix))]
fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    a.len() == b.len() && a.modified().ok() == b.modified().ok()
}

fn bad(path: &Path, reason: String) -> Error {
    Error::Bundle { path: path.to_owned(), reason }
}

fn folder_place(folder: &Path, name: &str) -> Result<Place> {
    let file = folder.join(name);
    let metadata = std::fs::metadata(&file).map_err(|e| Error::io("open", &file, e))?;
    if !metadata.is_file() {
        return Err(bad(folder, format!("`{name}` is not a file")));
    }
    Ok(Place { file, offset: 0, size: metadata.len() })
}

pub(crate) fn read_place(
    mut file: &File,
    path: &Path,
    name: &str,
    place: &Place,
    limit: u64,
    refuse: &dyn Fn(String) -> Error,
) -> Result<Vec<u8>> {
    if place.size > limit {
        return Err(refuse(format!(
            "its entry `{name}` has {} bytes, more than the {limit} allowed",
            place.size
        )));
    }
    let mut bytes = vec![0; usize::try_from(place.size).unwrap_or(0)];
    read_at(&mut file, place.offset, &mut bytes).map_err(|e| Error::io("read", path, e))?;
    Ok(bytes)
}

#[cfg(unix)]
pub(crate) fn read_at(file: &mut &File, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(*file, out, offset)
}

#[cfg(windows)]
pub(crate) fn read_at(file: &mut &File, offset: u64, mut out: &mut [u8]) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt;
    let mut at = offset;
    while !out.is_empty() {
        let n = file.seek_read(out, at)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        at += n as u64;
        out = &mut out[n..];
    }
    Ok(())
}

/// Whether `text` is a SHA-256 as this crate writes it: 64 lower-case hexadecimal digits.
fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
