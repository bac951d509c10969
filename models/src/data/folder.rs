//! A folder of images, its folders included: the first folder below it is the label.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::records::{Labels, decode_image, no_example};
use super::{Dataset, Example, Kind, digest};
use crate::error::{Error, Result};

/// Extensions of image files, in lower case.
pub(super) const EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];

/// Most bytes of an image file: 512 MiB.
const MAX_BYTES: u64 = 512 << 20;

/// Folders below one another that are looked into.
const MOST_DEPTH: usize = 32;

/// Whether a file's name is that of an image.
pub(super) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// The image files of a folder, in the order of their names.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Names below the root, one after another.
    names: String,
    ends: Vec<u64>,
    labels: Labels,
    digest: String,
}

impl Folder {
    /// Lists the folder. Hidden files and folders are passed over.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Table`] when there is no image.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let mut found = Vec::new();
        let mut others = 0usize;
        list(root, "", 0, &mut found, &mut others)?;
        if found.is_empty() {
            return Err(Error::Table {
                source_name: root.display().to_string(),
                format: "a folder of images",
                reason: format!(
                    "it holds no file whose name ends in {} ({others} other files)",
                    EXTENSIONS.map(|e| format!(".{e}")).join(", ")
                ),
            });
        }
        found.sort();
        let parts = found.iter().flat_map(|(name, size)| [name.clone(), size.to_string()]);
        let digest = digest::of_parts(parts);
        let mut folder = Self {
            root: root.into(),
            names: String::new(),
            ends: Vec::with_capacity(found.len()),
            labels: Labels::default(),
            digest,
        };
        for (index, (name, _)) in found.iter().enumerate() {
            folder.names.push_str(name);
            folder.ends.push(folder.names.len() as u64);
            folder.labels.push(index, name.split_once('/').map(|(first, _)| first));
        }
        folder.names.shrink_to_fit();
        Ok(folder)
    }

    fn path(&self, index: usize) -> Option<PathBuf> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(self.root.join(self.names.get(start..end)?))
    }
}

/// Adds the images below `folder`, whose name below the root is `prefix`. A link to a file is
/// followed, one to a folder is not, so that no ring is walked.
fn list(
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<(String, u64)>,
    others: &mut usize,
) -> Result<()> {
    if depth > MOST_DEPTH {
        return Err(Error::Table {
            source_name: folder.display().to_string(),
            format: "a folder of images",
            reason: format!("its folders are nested deeper than {MOST_DEPTH}"),
        });
    }
    let io = |e| Error::io("list", folder, e);
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        // A name that is not UTF-8 could be given back neither in a message nor as a label.
        let Some(name) = name.to_str() else {
            *others += 1;
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| Error::io("read", &path, e))?;
        if kind.is_dir() {
            list(&path, &format!("{prefix}{name}/"), depth + 1, found, others)?;
        } else if is_image(&path)
            && let Ok(meta) = fs::metadata(&path)
            && meta.is_file()
        {
            found.push((format!("{prefix}{name}"), meta.len()));
        } else {
            *others += 1;
        }
    }
    Ok(())
}

/// Reads a file of at most [`MAX_BYTES`].
fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let io = |e| Error::io("read", path, e);
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(io)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::Example {
            place: path.display().to_string(),
            reason: format!("the file has more than {} MiB", MAX_BYTES >> 20),
        });
    }
    Ok(bytes)
}

impl Dataset for Folder {
    fn kind(&self) -> Kind {
        Kind::Image
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, index: usize) -> Result<Example> {
        let path = self.path(index).ok_or_else(|| no_example(index, self.len()))?;
        let bytes = read_bounded(&path)?;
        decode_image(&bytes)
            .map(Example::Image)
            .map_err(|reason| Error::Example { place: path.display().to_string(), reason })
    }

    fn label(&self, index: usize) -> Option<&str> {
        self.labels.get(index)
    }

    fn locate(&self, index: usize) -> String {
        self.path(index).unwrap_or_else(|| self.root.clone()).display().to_string()
    }

    fn digest(&self) -> &str {
        &self.digest
    }
}
