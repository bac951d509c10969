//! IDX, the format of MNIST: a magic number (two zero bytes, the type, the number of
//! dimensions), the sizes as big-endian 32-bit numbers, the values. Images are unsigned bytes
//! `[n, height, width]`, labels unsigned bytes `[n]`.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::compressed;
use super::records::{Builder, Coding, Records, Unit};
use super::{DataOptions, digest};
use crate::error::{Error, Result};

/// Reads a file of images, and the file of their labels where it lies beside.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when a magic number or a size does not fit.
pub(super) fn open(path: &Path, options: &DataOptions) -> Result<Records> {
    let mut images = Values::open(path, 3)?;
    let [count, height, width] = images.sizes[..] else { return Err(images.bad("")) };
    let pixels = height.checked_mul(width).filter(|&n| n > 0 && n <= offshoot::MAX_PIXELS as usize);
    let Some(pixels) = pixels else {
        return Err(images.bad(format!("images of {width} by {height} pixels cannot be")));
    };
    let mut parts = vec![digest::of_file(path)?];
    let labels = match labels_path(path).filter(|_| options.label.as_deref() != Some("")) {
        Some(labels) => {
            parts.push(digest::of_file(&labels)?);
            Some(read_labels(&labels, count)?)
        }
        None => None,
    };
    let name = path.display().to_string();
    let mut builder = Builder::new(name, Coding::Grey { height, width }, Unit::Number("image"));
    let mut image = vec![0; pixels];
    for number in 0..count {
        images.fill(&mut image)?;
        let label = labels.as_ref().map(|labels| labels[number].to_string());
        builder.push(&image, number as u64 + 1, label.as_deref())?;
    }
    images.end()?;
    builder.finish(digest::of_parts(parts), "IDX")
}

fn read_labels(path: &Path, images: usize) -> Result<Vec<u8>> {
    let mut file = Values::open(path, 1)?;
    let count = file.sizes[0];
    if count != images {
        return Err(file.bad(format!("it has {count} labels for {images} images")));
    }
    let mut labels = vec![0; count];
    file.fill(&mut labels)?;
    file.end()?;
    Ok(labels)
}

/// `train-images-idx3-ubyte.gz` has its labels in `train-labels-idx1-ubyte.gz`; each may be
/// compressed or not.
fn labels_path(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    if !plain.contains("images") {
        return None;
    }
    let plain = plain.replace("images", "labels").replace("idx3", "idx1");
    [format!("{plain}.gz"), plain]
        .into_iter()
        .map(|name| path.with_file_name(name))
        .find(|p| p.is_file())
}

/// The values of one file, and its header.
struct Values {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    sizes: Vec<usize>,
}

impl Values {
    fn open(path: &Path, dimensions: u8) -> Result<Self> {
        let mut values =
            Self { path: path.into(), input: compressed::open(path)?, sizes: Vec::new() };
        let mut magic = [0; 4];
        values.fill(&mut magic)?;
        if magic[..2] != [0, 0] {
            return Err(values.bad("it does not begin with an IDX magic number"));
        }
        if magic[2] != 8 || magic[3] != dimensions {
            return Err(values.bad(format!(
                "its values are of type {} in {} dimensions; expected are unsigned bytes (type 8) \
                 in {dimensions}",
                magic[2], magic[3]
            )));
        }
        for _ in 0..dimensions {
            let mut size = [0; 4];
            values.fill(&mut size)?;
            values.sizes.push(u32::from_be_bytes(size) as usize);
        }
        // A plain file's size shows at once whether the header is right.
        if !compressed::is_compressed(path) {
            let found = path.metadata().map_err(|e| Error::io("read", path, e))?.len();
            let wanted = values.sizes.iter().fold(1u128, |n, &size| n * size as u128)
                + 4
                + 4 * u128::from(dimensions);
            if u128::from(found) != wanted {
                return Err(values.bad(format!(
                    "its header says {wanted} bytes and it has {found}; obtain it again"
                )));
            }
        }
        Ok(values)
    }

    fn bad(&self, reason: impl Into<String>) -> Error {
        Error::Table {
            source_name: self.path.display().to_string(),
            format: "IDX",
            reason: reason.into(),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                self.bad("it is shorter than its header says; obtain it again")
            }
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                self.bad(format!("its compressed bytes are damaged ({e}); obtain it again"))
            }
            _ => Error::io("read", &self.path, e),
        })
    }

    fn end(&mut self) -> Result<()> {
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.bad("it is longer than its header says; obtain it again")),
            Err(e) => Err(self.bad(format!("its compressed bytes are damaged ({e})"))),
        }
    }
}
