//! Readers of unlabeled data: every format is an indexed set of examples that are read one by
//! one, in any order, from where they lie.

use std::fmt;

use ndarray::Array2;
use offshoot::Image;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Example::Text`].
    Text,
    /// [`Example::Image`].
    Image,
    /// [`Example::Signal`].
    Signal,
}

impl Kind {
    /// What several of its examples are called.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Image => "images",
            Self::Signal => "signals",
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
}
