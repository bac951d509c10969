//! A reference for drift on disk, bound to its encoder.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::container::{Container, DRIFT, Problem, Tensor, VERSION};
use super::{EncoderTag, read, write};
use crate::drift::Reference;
use crate::error::{Error, Result};

/// A [`Reference`] with the encoder whose embeddings it is of: a file like
/// [`HeadFile`](super::HeadFile) of a few kilobytes, to be kept beside a learner.
///
/// ```
/// use ndarray::Array2;
/// use offshoot_adapters::drift::Reference;
/// use offshoot_adapters::{DriftFile, EncoderTag};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let week = Array2::from_shape_fn((300, 2), |(i, j)| ((i * 7 + j * 3) as f32).sin());
/// let encoder = EncoderTag {
///     digest: "sha256:3f2a".into(),
///     name: "my-encoder".into(),
///     dimensions: 2,
///     prompt: None,
/// };
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("january.drift");
/// DriftFile { encoder, reference: Reference::new(week.view())? }.save(&path)?;
///
/// let kept = DriftFile::load_for(&path, "sha256:3f2a", 2)?;
/// assert!(!kept.reference.compare(week.view(), 0.01)?.drifted);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DriftFile {
    /// The encoder that made the embeddings.
    pub encoder: EncoderTag,
    /// The reference.
    pub reference: Reference,
}

/// The JSON beside the numbers.
#[derive(Serialize, Deserialize)]
struct Description {
    rows: usize,
    encoder: EncoderTag,
    created_by: String,
}

impl DriftFile {
    /// Writes the file, replacing an older one at once.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] when the encoder's dimensions are not the reference's, [`Error::Io`].
    /// The old file is kept on every error.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let dimensions = self.reference.dimensions();
        if self.encoder.dimensions != dimensions {
            return Err(Error::Width { found: self.encoder.dimensions, expected: dimensions });
        }
        let bad = |problem| Error::BadReference { path: path.to_owned(), problem };
        let description = Description {
            rows: self.reference.rows(),
            encoder: self.encoder.clone(),
            created_by: concat!("offshoot-adapters ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let head = serde_json::to_string(&description).map_err(|error| bad(error.to_string()))?;
        let (mean, quantiles) = self.reference.parts();
        let tensors = [
            ("mean", vec![mean.len()], mean.to_vec()),
            ("quantiles", quantiles.shape().to_vec(), quantiles.iter().copied().collect()),
        ]
        .map(|(name, shape, values)| (name.to_owned(), Tensor { shape, values }));
        let container = Container { head, tensors: tensors.into(), ..Container::default() };
        write(path, &container.to_bytes(DRIFT).map_err(bad)?)
    }

    /// Reads a file, whatever encoder it belongs to. Prefer [`DriftFile::load_for`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::BadReference`], [`Error::NewerFile`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bad = |problem| Error::BadReference { path: path.to_owned(), problem };
        let container = Container::from_bytes(DRIFT, &read(path)?);
        let mut container = container.map_err(|problem| match problem {
            Problem::Bad(problem) => bad(problem),
            Problem::Newer(found) => {
                Error::NewerFile { path: path.to_owned(), found, supported: VERSION }
            }
        })?;
        let description: Description = serde_json::from_str(&container.head)
            .map_err(|error| bad(format!("its description cannot be read: {error}")))?;
        let mut take = |name: &str| {
            let tensor = container.tensors.remove(name);
            tensor.ok_or_else(|| bad(format!("tensor {name:?} is missing")))
        };
        let (mean, quantiles) = (take("mean")?, take("quantiles")?);
        if mean.values.len() != description.encoder.dimensions {
            return Err(bad("its mean is not as wide as its encoder's embeddings".to_owned()));
        }
        let reference =
            Reference::from_parts(description.rows, mean.values, &quantiles.values).map_err(bad)?;
        Ok(Self { encoder: description.encoder, reference })
    }

    /// Reads a file that must belong to the encoder with this digest, used at this width.
    ///
    /// # Errors
    ///
    /// [`Error::OtherEncoder`], [`Error::OtherDimensions`] and those of [`DriftFile::load`].
    pub fn load_for(path: impl AsRef<Path>, digest: &str, dimensions: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = Self::load(path)?;
        file.encoder.check(path, digest, dimensions)?;
        Ok(file)
    }
}
