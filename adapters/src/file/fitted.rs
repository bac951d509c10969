//! Files of what is fitted besides heads of classes.

mod conformal;
mod multi_label;
mod open_set;
mod regression;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::container::{Container, Problem, Tensor, VERSION};
use super::tensors::Tensors;
use super::{EncoderTag, read, write};
use crate::conformal::ConformalPredictor;
use crate::error::{Error, Result};
use crate::multi_label::MultiLabelHead;
use crate::open_set::OpenSet;
use crate::regression::RegressionHead;

/// A [`RegressionHead`] on disk. 8 bytes for each coefficient and each leave-one-out residual.
pub type RegressionFile = FittedFile<RegressionHead>;
/// A [`MultiLabelHead`] on disk. 8 bytes for each coefficient.
pub type MultiLabelFile = FittedFile<MultiLabelHead>;
/// A [`ConformalPredictor`] on disk. Up to [`Conformal::exact_limit`](crate::conformal::Conformal)
/// examples it holds them, and loading inverts their Gram matrix again (n³); of more it holds
/// coefficients and scores.
pub type ConformalFile = FittedFile<ConformalPredictor>;
/// An [`OpenSet`] on disk. It holds the examples.
pub type OpenSetFile = FittedFile<OpenSet>;

/// Something fitted with what is needed to use it again, in a file like
/// [`HeadFile`](super::HeadFile): [`RegressionFile`], [`MultiLabelFile`], [`ConformalFile`],
/// [`OpenSetFile`].
///
/// A safetensors file that ends with a SHA-256 of itself. Loading checks sizes, shapes,
/// finiteness and version, and never trusts a length; saving is atomic. A file of one kind is
/// refused as another.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::{EncoderTag, Regression, RegressionFile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let x = array![[0f32, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]];
/// let targets = array![[0.0], [2.0], [4.0], [6.0]];
/// let encoder = EncoderTag {
///     digest: "sha256:3f2a".into(),
///     name: "my-encoder".into(),
///     dimensions: 2,
///     prompt: None,
/// };
/// let head = Regression::default().fit(x.view(), targets.view())?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("price.regression");
/// RegressionFile::new(encoder, head.clone()).save(&path)?;
///
/// let kept = RegressionFile::load_for(&path, "sha256:3f2a", 2)?;
/// assert_eq!(kept.fitted.predict(x.view())?, head.predict(x.view())?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FittedFile<T> {
    /// The encoder whose embeddings it was fitted on.
    pub encoder: EncoderTag,
    /// What was fitted.
    pub fitted: T,
    /// Program and version that made it.
    pub created_by: String,
}

/// What errors name when there is no file.
const IN_MEMORY: &str = "a fitted head in memory";

/// What has a [`FittedFile`].
///
/// Sealed: only the types of this crate's.
pub trait Fitted: Parts {}

impl<T: Parts> Fitted for T {}

/// How something is taken apart for its file, and put together again.
pub trait Parts: Sized {
    /// Format of its file.
    #[doc(hidden)]
    const FORMAT: &'static str;
    /// What is not a number, as JSON.
    #[doc(hidden)]
    type Description: Serialize + DeserializeOwned;
    /// Width of the embeddings.
    #[doc(hidden)]
    fn dimensions(&self) -> usize;
    /// Its parts.
    #[doc(hidden)]
    fn parts(&self) -> Pieces<Self::Description>;
    /// Puts them together, or says which one is wrong.
    #[doc(hidden)]
    fn from_parts(pieces: Pieces<Self::Description>, width: usize) -> Result<Self, String>;
}

/// A description and tensors.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pieces<D> {
    description: D,
    tensors: BTreeMap<String, Tensor>,
}

impl<D> Pieces<D> {
    fn new<const N: usize>(description: D, tensors: [(&str, Tensor); N]) -> Self {
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into();
        Self { description, tensors }
    }

    /// The description, and the tensors to be taken out and checked.
    fn take(self, classes: usize, dimensions: usize) -> (D, Tensors) {
        (self.description, Tensors { tensors: self.tensors, classes, dimensions })
    }
}

/// The JSON beside the numbers.
#[derive(Serialize, Deserialize)]
struct Head<D> {
    fitted: D,
    encoder: EncoderTag,
    created_by: String,
}

impl<T: Fitted> FittedFile<T> {
    /// Joins what was fitted with its encoder.
    #[must_use]
    pub fn new(encoder: EncoderTag, fitted: T) -> Self {
        let created_by = concat!("offshoot-adapters ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { encoder, fitted, created_by }
    }

    /// Writes the file, replacing an older one at once.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] when the encoder's dimensions are not those it was fitted on,
    /// [`Error::BadFile`] when the file would pass 2 GiB, [`Error::Io`]. The old file is kept on
    /// every error.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        write(path, &self.encode(path)?)
    }

    /// The bytes of the file, for those who keep it inside another one.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::BadFile`] as [`FittedFile::save`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.encode(Path::new(IN_MEMORY))
    }

    fn encode(&self, path: &Path) -> Result<Vec<u8>> {
        let (found, expected) = (self.encoder.dimensions, self.fitted.dimensions());
        if found != expected {
            return Err(Error::Width { found, expected });
        }
        let bad = |problem| Error::BadFile { path: path.to_owned(), problem };
        let Pieces { description, tensors } = self.fitted.parts();
        let head = Head {
            fitted: description,
            encoder: self.encoder.clone(),
            created_by: self.created_by.clone(),
        };
        let head = serde_json::to_string(&head).map_err(|error| bad(error.to_string()))?;
        let container = Container { head, tensors, ..Container::default() };
        container.to_bytes(T::FORMAT).map_err(bad)
    }

    /// Reads a file, whatever encoder it belongs to. Prefer [`FittedFile::load_for`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::BadFile`], [`Error::NewerFile`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::decode(&read(path)?, path)
    }

    /// Reads the bytes of a file, as checked as [`FittedFile::load`] does.
    ///
    /// # Errors
    ///
    /// [`Error::BadFile`], [`Error::NewerFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes, Path::new(IN_MEMORY))
    }

    /// Reads a file that must belong to the encoder with this digest, used at this width.
    ///
    /// # Errors
    ///
    /// [`Error::OtherEncoder`], [`Error::OtherDimensions`] and those of [`FittedFile::load`].
    pub fn load_for(path: impl AsRef<Path>, digest: &str, dimensions: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = Self::load(path)?;
        file.encoder.check(path, digest, dimensions)?;
        Ok(file)
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let bad = |problem| Error::BadFile { path: path.to_owned(), problem };
        let container =
            Container::from_bytes(T::FORMAT, bytes).map_err(|problem| match problem {
                Problem::Bad(problem) => bad(problem),
                Problem::Newer(found) => {
                    Error::NewerFile { path: path.to_owned(), found, supported: VERSION }
                }
            })?;
        let head: Head<T::Description> = serde_json::from_str(&container.head)
            .map_err(|error| bad(format!("its description cannot be read: {error}")))?;
        let pieces = Pieces { description: head.fitted, tensors: container.tensors };
        let fitted = T::from_parts(pieces, head.encoder.dimensions).map_err(bad)?;
        Ok(Self { encoder: head.encoder, fitted, created_by: head.created_by })
    }
}
