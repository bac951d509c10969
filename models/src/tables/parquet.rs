//! Apache Parquet: only the columns in use are read, a few hundred rows at a time.

use std::fs::File;
use std::panic::AssertUnwindSafe;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;

use super::columns::choose;
use super::lines::too_long;
use super::source::Opened;
use super::{Blame, MAX_RECORD, Reader, Record, Step, TableOptions};
use crate::error::{Error, Result};

/// Rows decoded at once. Small, so that long texts stay within bounds.
const BATCH: usize = 256;

pub(super) struct ParquetReader {
    /// Until the first row is wanted.
    builder: Option<ParquetRecordBatchReaderBuilder<File>>,
    offset: u64,
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<Columns>,
    at: usize,
    text: String,
    label: Option<String>,
    rows: u64,
    done: u64,
    blame: Blame,
}

impl ParquetReader {
    pub(super) fn new(mut opened: Opened, options: &TableOptions) -> Result<Self> {
        let blame = opened.blame;
        let file = match &opened.path {
            Some(path) => File::open(path).map_err(|e| Error::io("open", path, e))?,
            None => {
                // The index of a Parquet file is at its end, so a stream is kept on disk.
                let folder = std::env::temp_dir();
                let mut file = tempfile::tempfile_in(&folder)
                    .map_err(|e| Error::io("create a file in", &folder, e))?;
                std::io::copy(&mut opened.input, &mut file).map_err(|e| blame.read(e))?;
                file
            }
        };
        let builder = builder(file).map_err(|reason| blame.table(reason))?;
        let schema = builder.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let (text, label) = choose(&names, options, &blame)?;
        let kind = schema.field(text).data_type();
        if !is_text(kind) {
            return Err(blame.table(format!("column `{}` is {kind}, not text", names[text])));
        }
        if let Some(label) = label {
            let kind = schema.field(label).data_type();
            if !(is_text(kind) || kind.is_integer() || *kind == DataType::Boolean) {
                return Err(
                    blame.table(format!("column `{}` is {kind}, not a label", names[label]))
                );
            }
        }
        let (text_name, label_name) = (names[text].to_owned(), label.map(|l| names[l].to_owned()));
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows())
            .map_err(|_| blame.table("its number of rows is negative"))?;
        let roots = std::iter::once(text).chain(label);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let builder = builder.with_projection(mask).with_batch_size(BATCH);
        Ok(Self {
            builder: Some(builder),
            offset: 0,
            reader: None,
            batch: None,
            at: 0,
            text: text_name,
            label: label_name,
            rows,
            done: 0,
            blame,
        })
    }

    /// Makes the next batch the current one; false at the end.
    fn advance(&mut self) -> Result<bool> {
        if let Some(builder) = self.builder.take() {
            let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
            let reader = contained(|| builder.with_offset(offset).build());
            self.reader = Some(reader.map_err(|e| self.blame.table(e))?);
        }
        let Some(reader) = &mut self.reader else { return Ok(false) };
        let batch = contained(|| reader.next().transpose()).map_err(|e| {
            self.blame.table(format!("it is damaged after row {} ({e})", self.done))
        })?;
        let Some(batch) = batch else { return Ok(false) };
        self.batch = Some(Columns::new(&batch, &self.text, self.label.as_deref(), &self.blame)?);
        self.at = 0;
        Ok(true)
    }
}

/// Reads the index of a file and checks its numbers.
pub(crate) fn builder(
    file: File,
) -> std::result::Result<ParquetRecordBatchReaderBuilder<File>, String> {
    let len = file.metadata().map_err(|e| e.to_string())?.len();
    let builder = contained(|| ParquetRecordBatchReaderBuilder::try_new(file))
        .map_err(|e| format!("its index is damaged or incomplete ({e})"))?;
    check(builder.metadata(), len).map_err(|e| format!("its index is damaged ({e})"))?;
    Ok(builder)
}

/// Runs a call into the `parquet` crate, which panics on some damaged files. What the call
/// worked on is not used after an error.
pub(crate) fn contained<T, E: std::fmt::Display>(
    call: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, String> {
    match std::panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("its pages or its index contradict themselves".into()),
    }
}

/// Refuses an index whose numbers cannot be: negative, beyond the file, or not adding up.
fn check(metadata: &ParquetMetaData, len: u64) -> std::result::Result<(), String> {
    let mut rows = 0_i64;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let impossible = |what: &str| format!("row group {number}: {what}");
        let more = Some(group.num_rows()).filter(|n| *n >= 0).and_then(|n| rows.checked_add(n));
        rows = more.ok_or_else(|| impossible("its number of rows cannot be"))?;
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let range = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
            let end = range.and_then(|(start, size)| start.checked_add(size));
            if end.is_none_or(|end| end > len) || column.num_values() < 0 {
                return Err(impossible("a column lies outside the file"));
            }
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err("its row groups do not add up to its rows".into());
    }
    Ok(())
}

/// Whether a column holds strings.
pub(crate) fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// The columns in use of one batch.
struct Columns {
    rows: usize,
    text: Strings,
    label: Option<Strings>,
}

/// A column of strings, with a dictionary's keys where there is one.
pub(crate) struct Strings {
    keys: Option<(ArrayRef, Vec<usize>)>,
    values: ArrayRef,
}

impl Strings {
    /// The column as strings.
    pub(crate) fn new(column: &ArrayRef) -> arrow::error::Result<Self> {
        if let Some(dictionary) = column.as_any_dictionary_opt() {
            let values = dictionary.values().clone();
            let keys = if values.is_empty() {
                vec![0; column.len()]
            } else {
                dictionary.normalized_keys()
            };
            return Ok(Self { keys: Some((column.clone(), keys)), values });
        }
        let values = if is_text(column.data_type()) {
            column.clone()
        } else {
            cast(column, &DataType::Utf8)?
        };
        Ok(Self { keys: None, values })
    }

    /// None for null.
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        let row = match &self.keys {
            Some((column, _)) if column.is_null(row) => return None,
            Some((_, keys)) => keys[row],
            None => row,
        };
        if row >= self.values.len() || self.values.is_null(row) {
            return None;
        }
        Some(match self.values.data_type() {
            DataType::LargeUtf8 => self.values.as_string::<i64>().value(row),
            DataType::Utf8View => self.values.as_string_view().value(row),
            _ => self.values.as_string_opt::<i32>()?.value(row),
        })
    }
}

impl Columns {
    fn new(batch: &RecordBatch, text: &str, label: Option<&str>, blame: &Blame) -> Result<Self> {
        let strings = |name: &str| {
            let column = batch.column_by_name(name);
            let column = column.ok_or_else(|| blame.table(format!("column `{name}` is gone")))?;
            Strings::new(column).map_err(|e| blame.table(format!("column `{name}`: {e}")))
        };
        Ok(Self {
            rows: batch.num_rows(),
            text: strings(text)?,
            label: label.map(strings).transpose()?,
        })
    }

    fn record(&self, row: usize, name: &str) -> std::result::Result<Record, String> {
        let text = self.text.get(row).ok_or_else(|| format!("`{name}` is null"))?;
        if text.len() > MAX_RECORD {
            return Err(too_long());
        }
        let label = self.label.as_ref().and_then(|label| label.get(row));
        Ok((text.to_owned(), label.filter(|l| !l.is_empty()).map(str::to_owned)))
    }
}

impl Reader for ParquetReader {
    fn next(&mut self, number: u64) -> Step {
        loop {
            if let Some(batch) = &self.batch
                && self.at < batch.rows
            {
                let record = batch.record(self.at, &self.text);
                self.at += 1;
                self.done = number;
                return match record {
                    Ok(record) => Step::Record(record),
                    Err(reason) => Step::Broken(self.blame.record(number, number, reason)),
                };
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return Step::End,
                Err(error) => return Step::Fatal(error),
            }
        }
    }

    /// Before the first row this costs nothing: whole pages and row groups are passed over.
    fn skip(&mut self, first: u64, n: u64) -> Result<u64> {
        if self.builder.is_some() {
            let skipped = n.min(self.rows.saturating_sub(self.offset));
            self.offset += skipped;
            self.done = self.offset;
            return Ok(skipped);
        }
        for i in 0..n {
            match self.next(first + i) {
                Step::Record(_) | Step::Broken(_) => {}
                Step::Fatal(error) => return Err(error),
                Step::End => return Ok(i),
            }
        }
        Ok(n)
    }

    fn share(&self) -> Option<f64> {
        Some(if self.rows == 0 { 1.0 } else { self.done as f64 / self.rows as f64 })
    }
}
