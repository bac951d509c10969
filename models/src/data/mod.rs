//! Readers of unlabeled data: every format is an indexed set of examples that are read one by
//! one, in any order, from where they lie.

mod check;
pub(crate) mod compressed;
mod concat;
mod digest;
mod element;
mod folder;
mod idx;
mod missing;
mod moments;
mod npy;
mod open;
mod order;
mod parquet;
mod pool;
mod recording;
mod records;
mod store;
mod subset;
#[cfg(test)]
mod tests;
mod texts;
mod ts;
mod webdataset;

use std::fmt;

use ndarray::Array2;
use offshoot::Image;

pub use check::{Report, check};
pub use concat::Concat;
pub use missing::fill_missing;
pub use moments::{Moments, moments};
pub use open::{DataOptions, open, open_all};
pub use order::Permutation;
pub use subset::{Subset, split};

use crate::error::Result;

/// One example, as it lies in the data.
#[derive(Debug, Clone, PartialEq)]
pub enum Example {
    /// A text or a sequence of residues.
    Text(String),
    /// An image of any size.
    Image(Image),
    /// A signal `[channels, length]` of any length.
    Signal(Array2<f32>),
}

/// What kind of examples a data set has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// [`Example::Text`].
    Text,
    /// [`Example::Image`].
    Image,
    /// [`Example::Signal`].
    Signal,
}

impl Kind {
    /// What several examples are called.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Image => "images",
            Self::Signal => "signals",
        }
    }

    /// What one example is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Signal => "signal",
        }
    }
}

/// Examples that are read by their number, from several threads at once.
///
/// What is in memory is an index, a few bytes an example, so that a set may be larger than
/// memory and its order a permutation of all of it.
pub trait Dataset: Send + Sync + fmt::Debug {
    /// What its examples are.
    fn kind(&self) -> Kind;

    /// Number of examples.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads example `index`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) when there is no such example; an error that
    /// names the file and the place when it cannot be read or decoded.
    fn get(&self, index: usize) -> Result<Example>;

    /// The label of example `index`, where the data has labels. Labels serve evaluation.
    fn label(&self, index: usize) -> Option<&str>;

    /// Where example `index` lies, for messages: a file, with a record or line in it.
    fn locate(&self, index: usize) -> String;

    /// SHA-256 of what identifies the data, 64 hexadecimal digits: names, sizes and contents
    /// of its files or, of many files, their names and sizes.
    fn digest(&self) -> &str;

    /// Records that were found broken when the data was opened, and are not among the
    /// examples.
    fn left_out(&self) -> LeftOut {
        LeftOut::default()
    }
}

/// Records that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub count: usize,
    /// What is wrong with the first [`LeftOut::MOST_NAMED`] of them, and where they lie.
    pub named: Vec<String>,
}

impl LeftOut {
    /// Most records that are named.
    pub const MOST_NAMED: usize = 10;

    fn add(&mut self, message: String) {
        self.count += 1;
        if self.named.len() < Self::MOST_NAMED {
            self.named.push(message);
        }
    }

    fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.named.extend(other.named);
        self.named.truncate(Self::MOST_NAMED);
    }
}
