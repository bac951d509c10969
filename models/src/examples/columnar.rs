//! Examples from a Parquet file, each column checked.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use offshoot::adapters::EncoderTag;
use offshoot::learner::NewExample;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::{ENCODER, UNKNOWN_WIDTH};
use crate::error::{Error, Result};
use crate::tables::parquet::{builder, contained, is_text};

/// Rows decoded at once.
const BATCH: usize = 256;

/// Rows of a Parquet file.
pub(super) struct Rows {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    dimensions: usize,
    held: VecDeque<NewExample>,
    done: u64,
    over: bool,
}

impl Rows {
    /// The rows of a file, and whose embeddings they hold where it says so.
    pub(super) fn open(
        path: &Path,
        dimensions: Option<usize>,
    ) -> Result<(Self, Option<EncoderTag>)> {
        let bad = |reason: String| table(path, reason);
        let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
        let builder = builder(file).map_err(bad)?;
        let entries = builder.metadata().file_metadata().key_value_metadata();
        let json = entries
            .and_then(|entries| entries.iter().find(|entry| entry.key == ENCODER))
            .and_then(|entry| entry.value.clone());
        let encoder: Option<EncoderTag> = json
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|error| bad(format!("its encoder cannot be read ({error})")))?;
        let own = encoder.as_ref().map(|encoder| encoder.dimensions);
        let dimensions = dimensions.or(own).ok_or_else(|| bad(UNKNOWN_WIDTH.into()))?;
        let names: Vec<String> =
            builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        if !names.iter().any(|name| name == "embedding") {
            return Err(bad(format!(
                "it has no column `embedding`, but {}; teach its texts with `offshoot teach --from`",
                names.join(", ")
            )));
        }
        let reader = contained(|| builder.with_batch_size(BATCH).build()).map_err(bad)?;
        let path = path.to_owned();
        let rows = Self { path, reader, dimensions, held: VecDeque::new(), done: 0, over: false };
        Ok((rows, encoder))
    }

    /// Reads some more; false at the end.
    fn fill(&mut self) -> Result<bool> {
        let (path, done) = (&self.path, self.done);
        let next = contained(|| self.reader.next().transpose())
            .map_err(|e| table(path, format!("it is damaged after row {done} ({e})")))?;
        let Some(batch) = next else { return Ok(false) };
        let examples = examples(&batch, self.dimensions, done).map_err(|e| table(path, e))?;
        self.done += batch.num_rows() as u64;
        self.held.extend(examples);
        Ok(true)
    }
}

impl Iterator for Rows {
    type Item = Result<NewExample>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.held.is_empty() && !self.over {
            match self.fill() {
                Ok(more) => self.over = !more,
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        self.held.pop_front().map(Ok)
    }
}

fn table(path: &Path, reason: String) -> Error {
    Error::Table { source_name: path.display().to_string(), format: "Parquet", reason }
}

/// The examples of a batch whose first row is `first`, from 0.
fn examples(
    batch: &RecordBatch,
    dimensions: usize,
    first: u64,
) -> std::result::Result<Vec<NewExample>, String> {
    let column = |name: &str| batch.column_by_name(name);
    let strings = |name: &str| -> std::result::Result<Option<ArrayRef>, String> {
        let Some(array) = column(name) else { return Ok(None) };
        if !(is_text(array.data_type()) || *array.data_type() == DataType::Null) {
            return Err(format!("column `{name}` is {}, not text", array.data_type()));
        }
        converted(name, array, &DataType::Utf8).map(Some)
    };
    let (labels, sources, texts) = (strings("label")?, strings("source")?, strings("text")?);
    let number = |name: &str, to: &DataType| {
        column(name).map(|array| converted(name, array, to)).transpose()
    };
    let weights = number("weight", &DataType::Float64)?;
    let times = number("time", &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))?;
    let embeddings = column("embedding").ok_or("column `embedding` is missing")?;
    let kind = embeddings.data_type();
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        kind
    else {
        return Err(format!("column `embedding` is {kind}, not a list of numbers"));
    };
    if !item.data_type().is_numeric() {
        return Err(format!("column `embedding` is {kind}, not a list of numbers"));
    }
    let item = DataType::new_list(DataType::Float32, true);
    let embeddings = converted("embedding", embeddings, &item)?;
    let lists = embeddings.as_list::<i32>();
    let text = |array: &Option<ArrayRef>, row: usize| {
        let array = array.as_ref()?.as_string::<i32>();
        array.is_valid(row).then(|| array.value(row).to_owned())
    };
    (0..batch.num_rows())
        .map(|row| {
            let at = first + row as u64 + 1;
            if lists.is_null(row) {
                return Err(format!("row {at} has no embedding"));
            }
            let values = lists.value(row);
            if values.null_count() > 0 || values.len() != dimensions {
                return Err(format!(
                    "the embedding of row {at} has {} numbers, and {dimensions} are wanted",
                    values.len() - values.null_count()
                ));
            }
            let mut example =
                NewExample::unlabelled(values.as_primitive::<Float32Type>().values().to_vec());
            example.label = text(&labels, row);
            example.source = text(&sources, row);
            example.text = text(&texts, row);
            if let Some(weights) = &weights {
                let weights = weights.as_primitive::<Float64Type>();
                if weights.is_valid(row) {
                    example.weight = weights.value(row);
                }
            }
            if let Some(times) = &times {
                let times = times.as_primitive::<TimestampMillisecondType>();
                if times.is_valid(row) {
                    let span = Duration::from_millis(times.value(row).unsigned_abs());
                    let time = match times.value(row) < 0 {
                        true => UNIX_EPOCH.checked_sub(span),
                        false => UNIX_EPOCH.checked_add(span),
                    };
                    example.time = time.ok_or(format!("the time of row {at} is out of range"))?;
                }
            }
            Ok(example)
        })
        .collect()
}

fn converted(name: &str, array: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, String> {
    cast(array, to)
        .map_err(|_| format!("column `{name}` is {}, which is not usable", array.data_type()))
}
