//! Examples of a batch, loaded and not yet changed.

use ndarray::Array2;
use offshoot::Image;

use crate::data::Kind;

/// The rows of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Token ids, special tokens included. A text may be longer than the encoder takes: the
    /// objectives then learn from a part of it that begins anywhere.
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

    /// The batch in parts of at most `size` examples.
    pub fn parts(&self, size: usize) -> Vec<Self> {
        let size = size.max(1);
        let rows: Vec<Rows> = match &self.rows {
            Rows::Texts(rows) => rows.chunks(size).map(|p| Rows::Texts(p.to_vec())).collect(),
            Rows::Images(rows) => rows.chunks(size).map(|p| Rows::Images(p.to_vec())).collect(),
            Rows::Signals(rows) => rows.chunks(size).map(|p| Rows::Signals(p.to_vec())).collect(),
        };
        let mut labels = self.labels.chunks(size);
        let part = |rows| Self { rows, labels: labels.next().unwrap_or_default().to_vec() };
        rows.into_iter().map(part).collect()
    }
}
