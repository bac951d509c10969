//! Reading examples back, from either format.

use std::path::Path;

use offshoot::adapters::EncoderTag;
use offshoot::learner::NewExample;

use super::{columnar, jsonl};
use crate::error::Result;
use crate::tables::Format;

/// Examples of a file that [`ExampleWriter`](super::ExampleWriter) or another program wrote, in
/// order; ends after the first error. A name that ends in `.jsonl` or `.ndjson` is read as JSONL,
/// any other as Parquet. `label`, `weight`, `time`, `source` and `text` may be missing;
/// `embedding` may be a list of numbers of any kind.
pub struct ExampleReader {
    encoder: Option<EncoderTag>,
    rows: Rows,
}

enum Rows {
    Parquet(columnar::Rows),
    Jsonl(Box<jsonl::Rows>),
}

impl std::fmt::Debug for ExampleReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExampleReader").field("encoder", &self.encoder).finish_non_exhaustive()
    }
}

impl ExampleReader {
    /// Opens a file whose embeddings have so many dimensions, or as many as the file itself
    /// says.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io); [`Error::Table`](crate::Error::Table) for a file that is
    /// damaged, has no embeddings or does not say how wide they are.
    pub fn open(path: &Path, dimensions: Option<usize>) -> Result<Self> {
        if Format::from_path(path) == Some(Format::Jsonl) {
            let rows = jsonl::Rows::open(path, dimensions)?;
            let encoder = rows.encoder().cloned();
            return Ok(Self { encoder, rows: Rows::Jsonl(Box::new(rows)) });
        }
        let (rows, encoder) = columnar::Rows::open(path, dimensions)?;
        Ok(Self { encoder, rows: Rows::Parquet(rows) })
    }

    /// Whose embeddings these are, if the file says so: of JSONL, its first line.
    #[must_use]
    pub fn encoder(&self) -> Option<&EncoderTag> {
        self.encoder.as_ref()
    }
}

impl Iterator for ExampleReader {
    type Item = Result<NewExample>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.rows {
            Rows::Parquet(rows) => rows.next(),
            Rows::Jsonl(rows) => rows.next(),
        }
    }
}
