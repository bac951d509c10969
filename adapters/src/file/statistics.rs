//! Statistics on disk, bound to their encoder.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::container::{Container, Problem, STATISTICS, Tensor, VERSION};
use super::{EncoderTag, read, write};
use crate::error::{Error, Result};
use crate::statistics::{Parts, Statistics};

/// Stands for the path of bytes that are in no file.
const IN_MEMORY: &str = "statistics in memory";

/// [`Statistics`] with the encoder whose embeddings they are of: what one device sends to
/// another to merge, and what a learner keeps beside its head.
///
/// A file like [`HeadFile`](super::HeadFile), with integers: 8 bytes for each of d (d + 1) / 2
/// entries of the scatter and d entries a class (0.9 MB for 384 dimensions and 100
/// classes). It holds sums, never an example; but the sum of a class with one example *is* that
/// example, so treat it as you treat the examples.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::statistics::Statistics;
/// use offshoot_adapters::{EncoderTag, StatisticsFile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut statistics = Statistics::new(2)?;
/// statistics.add(array![0.6f32, 0.8].view(), "weather", 1.0)?;
/// let encoder = EncoderTag {
///     digest: "sha256:3f2a".into(),
///     name: "my-encoder".into(),
///     dimensions: 2,
///     prompt: None,
/// };
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("device-7.statistics");
/// StatisticsFile { encoder, statistics }.save(&path)?;
///
/// let mut pooled = StatisticsFile::load_for(&path, "sha256:3f2a", 2)?.statistics;
/// pooled.add(array![1f32, 0.0].view(), "sport", 1.0)?;
/// assert_eq!(pooled.counts(), [1, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsFile {
    /// The encoder that made the embeddings.
    pub encoder: EncoderTag,
    /// The statistics.
    pub statistics: Statistics,
}

/// The JSON beside the numbers.
#[derive(Serialize, Deserialize)]
struct Description {
    classes: Vec<String>,
    encoder: EncoderTag,
    /// Exponent of the unit.
    exponent: i32,
    /// Bits of the clipping length: every digit counts when statistics are merged.
    clip_bits: Option<u64>,
    created_by: String,
}

impl StatisticsFile {
    /// Writes the file, replacing an older one at once.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] when the encoder's dimensions are not those of the statistics,
    /// [`Error::BadStatistics`] when the file would pass 2 GiB, [`Error::Io`]. The old file is
    /// kept on every error.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.encode(path)?;
        write(path, &bytes)
    }

    /// The bytes of the file, for those who send it.
    ///
    /// # Errors
    ///
    /// [`Error::Width`] and [`Error::BadStatistics`] as [`StatisticsFile::save`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.encode(Path::new(IN_MEMORY))
    }

    fn encode(&self, path: &Path) -> Result<Vec<u8>> {
        let dimensions = self.statistics.dimensions();
        if self.encoder.dimensions != dimensions {
            return Err(Error::Width { found: self.encoder.dimensions, expected: dimensions });
        }
        let bad = |problem| Error::BadStatistics { path: path.to_owned(), problem };
        let parts = self.statistics.parts();
        let description = Description {
            exponent: parts.exponent,
            clip_bits: parts.clip.map(f64::to_bits),
            encoder: self.encoder.clone(),
            created_by: concat!("offshoot-adapters ", env!("CARGO_PKG_VERSION")).to_owned(),
            classes: parts.names,
        };
        let head = serde_json::to_string(&description).map_err(|error| bad(error.to_string()))?;
        let classes = description.classes.len();
        let integers = [
            ("counts", vec![classes], parts.counts),
            ("weights", vec![classes], parts.weights),
            ("sums", vec![classes, dimensions], parts.sums),
            ("scatter", vec![parts.scatter.len()], parts.scatter),
            ("limits", vec![2], vec![parts.bound, parts.slack]),
        ]
        .map(|(name, shape, values)| (name.to_owned(), Tensor { shape, values }));
        let container = Container { head, integers: integers.into(), ..Container::default() };
        container.to_bytes(STATISTICS).map_err(bad)
    }

    /// Reads a file, whatever encoder it belongs to. Prefer [`StatisticsFile::load_for`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::BadStatistics`], [`Error::NewerFile`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::decode(&read(path)?, path)
    }

    /// Reads the bytes of a file, as checked as [`StatisticsFile::load`] does.
    ///
    /// # Errors
    ///
    /// [`Error::BadStatistics`], [`Error::NewerFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes, Path::new(IN_MEMORY))
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        Self::parse(bytes).map_err(|problem| match problem {
            Problem::Bad(problem) => Error::BadStatistics { path: path.to_owned(), problem },
            Problem::Newer(found) => {
                Error::NewerFile { path: path.to_owned(), found, supported: VERSION }
            }
        })
    }

    /// Reads a file that must belong to the encoder with this digest, used at this width.
    ///
    /// # Errors
    ///
    /// [`Error::OtherEncoder`], [`Error::OtherDimensions`] and those of
    /// [`StatisticsFile::load`].
    pub fn load_for(path: impl AsRef<Path>, digest: &str, dimensions: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = Self::load(path)?;
        file.encoder.check(path, digest, dimensions)?;
        Ok(file)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let container = Container::from_bytes(STATISTICS, bytes)?;
        Self::from_container(container).map_err(Problem::Bad)
    }

    fn from_container(mut container: Container) -> Result<Self, String> {
        let description: Description = serde_json::from_str(&container.head)
            .map_err(|error| format!("its description cannot be read: {error}"))?;
        let (classes, dimensions) = (description.classes.len(), description.encoder.dimensions);
        let mut take = |name: &str, shape: Option<&[usize]>| {
            let tensor =
                container.integers.remove(name).ok_or(format!("tensor {name:?} is missing"))?;
            if shape.is_some_and(|shape| tensor.shape != shape) {
                return Err(format!("tensor {name:?} has shape {:?}, not {shape:?}", tensor.shape));
            }
            Ok(tensor.values)
        };
        let limits = take("limits", Some(&[2]))?;
        let statistics = Statistics::from_parts(Parts {
            dimensions,
            exponent: description.exponent,
            clip: description.clip_bits.map(f64::from_bits),
            names: description.classes,
            counts: take("counts", Some(&[classes]))?,
            weights: take("weights", Some(&[classes]))?,
            sums: take("sums", Some(&[classes, dimensions]))?,
            scatter: take("scatter", None)?,
            bound: limits[0],
            slack: limits[1],
        })?;
        Ok(Self { encoder: description.encoder, statistics })
    }
}
