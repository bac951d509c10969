//! A fitted head on disk, bound to its encoder.

mod atomic;
mod container;
mod drift;
mod fitted;
mod kind;
mod statistics;
mod tensors;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::classes::Classes;
use crate::error::{Error, Result};
use crate::head::{Head, HeadKind};

pub use drift::DriftFile;
pub use fitted::{ConformalFile, Fitted, FittedFile, MultiLabelFile, OpenSetFile, RegressionFile};
pub use kind::FileKind;
pub use statistics::StatisticsFile;

use container::{Container, HEAD, MAX_BYTES, Problem, VERSION};

/// The encoder whose embeddings a head understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderTag {
    /// Digest of the encoder, as its bundle states it.
    pub digest: String,
    /// Name of the encoder, for people.
    pub name: String,
    /// Width of the embeddings used, after a Matryoshka cut.
    pub dimensions: usize,
    /// Prompt put before each text, if any.
    pub prompt: Option<String>,
}

impl EncoderTag {
    /// Refuses a file that belongs to another encoder or width.
    fn check(&self, path: &Path, digest: &str, dimensions: usize) -> Result<()> {
        if self.digest != digest {
            return Err(Error::OtherEncoder {
                path: path.to_owned(),
                encoder: self.name.clone(),
                found: self.digest.clone(),
                wanted: digest.to_owned(),
            });
        }
        if self.dimensions != dimensions {
            return Err(Error::OtherDimensions {
                path: path.to_owned(),
                found: self.dimensions,
                wanted: dimensions,
            });
        }
        Ok(())
    }
}

/// A head with what is needed to use it again.
///
/// One file of a few KB to a few hundred KB (8 bytes a coefficient): a safetensors file, so
/// that any language can read the coefficients, that ends with a SHA-256 of itself, so that
/// damage is noticed. Loading checks sizes, shapes, finiteness and version, and never trusts a
/// length. Saving is atomic: a full disk or a power cut leaves the old file.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadFile {
    /// The encoder the head was fitted on.
    pub encoder: EncoderTag,
    /// The head.
    pub head: Head,
    /// Program and version that made it.
    pub created_by: String,
    /// Examples of each class it was fitted on, in class order.
    pub examples: Vec<usize>,
}

/// What errors name when there is no file.
const IN_MEMORY: &str = "a head in memory";

/// The JSON beside the numbers.
#[derive(Serialize, Deserialize)]
struct Description {
    kind: String,
    classes: Vec<String>,
    examples: Vec<usize>,
    encoder: EncoderTag,
    created_by: String,
}

impl HeadFile {
    /// Joins a head with its encoder and the classes `y` of the examples it was fitted on.
    #[must_use]
    pub fn new(encoder: EncoderTag, head: Head, y: &[usize]) -> Self {
        let mut examples = vec![0; head.classes().len()];
        for &class in y {
            if let Some(count) = examples.get_mut(class) {
                *count += 1;
            }
        }
        let created_by = concat!("offshoot-adapters ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { encoder, head, created_by, examples }
    }

    /// Writes the file, replacing an older one at once.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] when the encoder's dimensions are not the head's, [`Error::BadFile`]
    /// when the file would pass 2 GiB or the example counts are not one a class,
    /// [`Error::Io`]. The old file is kept on every error.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.encode(path)?;
        write(path, &bytes)
    }

    /// The bytes of the file, for those who keep it inside another one.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::BadFile`] as [`HeadFile::save`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.encode(Path::new(IN_MEMORY))
    }

    fn encode(&self, path: &Path) -> Result<Vec<u8>> {
        if self.encoder.dimensions != self.head.dimensions() {
            return Err(Error::Width {
                found: self.encoder.dimensions,
                expected: self.head.dimensions(),
            });
        }
        let bad = |problem| Error::BadFile { path: path.to_owned(), problem };
        if self.examples.len() != self.head.classes().len() {
            return Err(bad("it needs one count of examples for each class".to_owned()));
        }
        let description = Description {
            kind: self.head.kind().to_string(),
            classes: self.head.classes().names().to_vec(),
            examples: self.examples.clone(),
            encoder: self.encoder.clone(),
            created_by: self.created_by.clone(),
        };
        let head = serde_json::to_string(&description).map_err(|error| bad(error.to_string()))?;
        let container =
            Container { head, tensors: tensors::of(&self.head), ..Container::default() };
        container.to_bytes(HEAD).map_err(bad)
    }

    /// Reads a file, whatever encoder it belongs to. Prefer [`HeadFile::load_for`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::BadFile`], [`Error::NewerFile`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::decode(&read(path)?, path)
    }

    /// Reads the bytes of a file, as checked as [`HeadFile::load`] does.
    ///
    /// # Errors
    ///
    /// [`Error::BadFile`], [`Error::NewerFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes, Path::new(IN_MEMORY))
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        Self::parse(bytes).map_err(|problem| match problem {
            Problem::Bad(problem) => Error::BadFile { path: path.to_owned(), problem },
            Problem::Newer(found) => {
                Error::NewerFile { path: path.to_owned(), found, supported: VERSION }
            }
        })
    }

    /// Reads a file that must belong to the encoder with this digest, used at this width.
    ///
    /// # Errors
    ///
    /// [`Error::OtherEncoder`], [`Error::OtherDimensions`] and those of [`HeadFile::load`].
    pub fn load_for(path: impl AsRef<Path>, digest: &str, dimensions: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = Self::load(path)?;
        file.encoder.check(path, digest, dimensions)?;
        Ok(file)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let bad = |problem: String| Problem::Bad(problem);
        let Container { head, tensors, .. } = Container::from_bytes(HEAD, bytes)?;
        let description: Description = serde_json::from_str(&head)
            .map_err(|error| bad(format!("its description cannot be read: {error}")))?;
        let kind: HeadKind =
            description.kind.parse().map_err(|error: Error| bad(error.to_string()))?;
        let classes = Classes::new(description.classes).map_err(|error| bad(error.to_string()))?;
        if classes.len() < 2 {
            return Err(bad("it has fewer than 2 classes".to_owned()));
        }
        if description.examples.len() != classes.len() {
            return Err(bad("its counts of examples are not one for each class".to_owned()));
        }
        let dimensions = description.encoder.dimensions;
        let head = tensors::head(kind, classes, dimensions, tensors).map_err(bad)?;
        Ok(Self {
            encoder: description.encoder,
            head,
            created_by: description.created_by,
            examples: description.examples,
        })
    }
}

/// Replaces a file at once.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::replace(path, |file| file.write_all(bytes)).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// Reads a file of this crate's.
fn read(path: &Path) -> Result<Vec<u8>> {
    read_bounded(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

/// Reads a regular file of at most the allowed size.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let too_large =
        || io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any head file");
    if metadata.len() > MAX_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES { Err(too_large()) } else { Ok(bytes) }
}
