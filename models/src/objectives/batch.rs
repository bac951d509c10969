//! Examples of a batch, loaded and not yet changed.

use ndarray::Array2;
use offshoot::Image;

use crate::data::Kind;

/// The rows of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Token ids, special tokens included.
    Texts(Vec<Vec<u32>>),
    /// Images of any size, with the encoder's channels.
    Images(Vec<Image>),
    /// Signals `[channels, length]` of any length.
    Signals(Vec<Array2<f32>>),
}

/// A batch of examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The examples.
    pub rows: Rows,
    /// The class of each, -1 for one without a label; empty where the data has no labels.
    pub labels: Vec<i64>,
}

/// What a tokenizer's ids mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Number of ids.
    pub vocabulary: usize,
    /// Fills rows.
    pub pad: u32,
    /// Stands for a hidden token.
    pub mask: u32,
    /// Ids that are never hidden.
    pub special: Vec<u32>,
    /// Most tokens of a row.
    pub max_tokens: usize,
}

impl Batch {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Texts(rows) => rows.len(),
            Rows::Images(rows) => rows.len(),
            Rows::Signals(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its examples are.
    pub fn kind(&self) -> Kind {
        match &self.rows {
            Rows::Texts(_) => Kind::Text,
            Rows::Images(_) => Kind::Image,
            Rows::Signals(_) => Kind::Signal,
        }
    }
}
