//! Writing examples, a few hundred at a time.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use offshoot::adapters::EncoderTag;
use offshoot::learner::Example;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{ENCODER, schema};
use crate::error::{Error, Result};

/// Examples held before they are written.
const BATCH: usize = 512;

/// Writes examples of one encoder as Parquet.
pub struct ExampleWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    held: Vec<Example>,
    dimensions: usize,
    path: PathBuf,
}

impl<W: Write + Send> std::fmt::Debug for ExampleWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExampleWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<W: Write + Send> ExampleWriter<W> {
    /// Begins a file on `out`; `path` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Argument`] for dimensions that no table has.
    pub fn new(out: W, path: &Path, encoder: &EncoderTag) -> Result<Self> {
        let schema = schema(encoder.dimensions)?;
        let json = serde_json::to_string(encoder)
            .map_err(|error| Error::Argument(format!("the encoder cannot be named: {error}")))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(vec![KeyValue::new(ENCODER.to_owned(), json)]))
            .build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))
            .map_err(|error| failed(path, error))?;
        let (held, dimensions) = (Vec::with_capacity(BATCH), encoder.dimensions);
        Ok(Self { writer, schema, held, dimensions, path: path.to_owned() })
    }

    /// Adds an example.
    ///
    /// # Errors
    /// [`Error::Argument`] for an embedding of another width; [`Error::Io`].
    pub fn push(&mut self, example: Example) -> Result<()> {
        let width = example.embedding.len();
        if width != self.dimensions {
            return Err(Error::Argument(format!(
                "example {} has {width} dimensions and the others have {}",
                example.id, self.dimensions
            )));
        }
        self.held.push(example);
        if self.held.len() < BATCH { Ok(()) } else { self.write() }
    }

    /// Ends the file, and gives back what it was written to.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<W> {
        self.write()?;
        let Self { writer, path, .. } = self;
        writer.into_inner().map_err(|error| failed(&path, error))
    }

    fn write(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let batch = self
            .batch()
            .map_err(|e| Error::Argument(format!("the examples make no Arrow batch: {e}")))?;
        self.held.clear();
        self.writer.write(&batch).map_err(|error| failed(&self.path, error))
    }

    fn batch(&self) -> arrow::error::Result<RecordBatch> {
        let held = &self.held;
        let values = held.iter().flat_map(|example| example.embedding.iter().copied());
        let values: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        let DataType::FixedSizeList(field, size) = self.schema.field(6).data_type() else {
            return Err(arrow::error::ArrowError::SchemaError("`embedding` is no list".into()));
        };
        let list = FixedSizeListArray::try_new(field.clone(), *size, values, None)?;
        let text = |of: fn(&Example) -> Option<&str>| -> ArrayRef {
            Arc::new(held.iter().map(of).collect::<StringArray>())
        };
        let times = TimestampMillisecondArray::from_iter_values(held.iter().map(milliseconds));
        let weights = Float64Array::from_iter_values(held.iter().map(|example| example.weight));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(held.iter().map(|example| example.id.0))),
            text(|example| example.label.as_deref()),
            Arc::new(weights),
            Arc::new(times.with_timezone("UTC")),
            text(|example| example.source.as_deref()),
            text(|example| example.text.as_deref()),
            Arc::new(list),
        ];
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

fn milliseconds(example: &Example) -> i64 {
    let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match example.time.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

/// An input or output error within a Parquet error keeps its kind.
fn failed(path: &Path, error: parquet::errors::ParquetError) -> Error {
    let io = match error {
        parquet::errors::ParquetError::External(source) => match source.downcast() {
            Ok(io) => *io,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    Error::io("write", path, io)
}
