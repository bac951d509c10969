//! Parquet. Its index is at its end, so each checkpoint closes a numbered file of its own,
//! and completing the work copies their rows into one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float16Array, Float32Array, Int8Array, Int64Array, StringArray,
    UInt8Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::sidecar::Progress;
use super::{Block, Element, Layout, Sink};
use crate::error::{Error, Result};
use crate::packages::sync_folder;

/// Bytes of values in a row group of the complete file.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Rows copied at once.
const COPY_ROWS: usize = 1024;

pub(super) struct ParquetSink {
    folder: PathBuf,
    schema: SchemaRef,
    layout: Layout,
    /// Part files that are closed.
    parts: u64,
    current: Option<ArrowWriter<File>>,
}

/// The complete file, in the folder of part files.
pub(super) fn merged_path(folder: &Path) -> PathBuf {
    folder.join("merged.parquet")
}

fn schema(layout: &Layout) -> Result<SchemaRef> {
    let size = i32::try_from(layout.columns)
        .map_err(|_| Error::Argument(format!("{} columns are too many", layout.columns)))?;
    let value = Arc::new(Field::new("element", value_type(layout.element), false));
    let mut fields = vec![Field::new("id", DataType::Int64, false)];
    if layout.with_text {
        fields.push(Field::new("text", DataType::Utf8, false));
    }
    fields.push(Field::new("embedding", DataType::FixedSizeList(value, size), false));
    Ok(Arc::new(Schema::new(fields)))
}

const fn value_type(element: Element) -> DataType {
    match element {
        Element::F32 => DataType::Float32,
        Element::F16 => DataType::Float16,
        Element::Int8 => DataType::Int8,
        Element::Bits => DataType::UInt8,
    }
}

impl ParquetSink {
    pub(super) fn open(folder: PathBuf, layout: &Layout, progress: &Progress) -> Result<Self> {
        let schema = schema(layout)?;
        fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
        let sink =
            Self { folder, schema, layout: layout.clone(), parts: progress.length, current: None };
        sink.cut(progress)?;
        Ok(sink)
    }

    fn part(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.parquet"))
    }

    /// Removes what came after the last checkpoint, and checks that what came before is all
    /// there.
    fn cut(&self, progress: &Progress) -> Result<()> {
        let entries = fs::read_dir(&self.folder).map_err(|e| Error::io("read", &self.folder, e))?;
        for entry in entries {
            let path = entry.map_err(|e| Error::io("read", &self.folder, e))?.path();
            let number = path.file_stem().and_then(|s| s.to_str()?.parse::<u64>().ok());
            if number.is_none_or(|n| n >= self.parts || path != self.part(n)) {
                fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
        }
        let mut rows = 0_u64;
        for number in 0..self.parts {
            let found = self.reader(number)?.metadata().file_metadata().num_rows();
            rows = rows.saturating_add(u64::try_from(found).unwrap_or(0));
        }
        if rows != progress.rows {
            return Err(Error::Output {
                path: self.folder.clone(),
                reason: format!(
                    "its files have {rows} rows and the interrupted run recorded {}; start without \
                     resuming",
                    progress.rows
                ),
            });
        }
        Ok(())
    }

    fn reader(&self, number: u64) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let path = self.part(number);
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed("read", &path, e))
    }

    fn writer(&self, path: &Path) -> Result<ArrowWriter<File>> {
        let file = File::create(path).map_err(|e| Error::io("create", path, e))?;
        let values = ["embedding", "list", "element"].map(str::to_owned).to_vec();
        let row_group = (ROW_GROUP_BYTES / self.layout.row_bytes()?).clamp(1024, 1 << 16);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // Floats neither repeat nor compress.
            .set_column_dictionary_enabled(ColumnPath::new(values.clone()), false)
            .set_column_compression(ColumnPath::new(values), Compression::UNCOMPRESSED)
            .set_max_row_group_row_count(Some(row_group))
            .build();
        ArrowWriter::try_new(file, self.schema.clone(), Some(properties))
            .map_err(|e| failed("write", path, e))
    }

    fn batch(&self, first: u64, block: &Block<'_>, texts: Option<&[&str]>) -> Result<RecordBatch> {
        let values: ArrayRef = match block {
            Block::F32(a) => Arc::new(Float32Array::from_iter_values(a.iter().copied())),
            Block::F16(a) => Arc::new(Float16Array::from_iter_values(a.iter().copied())),
            Block::Int8(a) => Arc::new(Int8Array::from_iter_values(a.iter().copied())),
            Block::Bits(a) => Arc::new(UInt8Array::from_iter_values(a.iter().copied())),
        };
        let ids = first..first + block.rows() as u64;
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from_iter_values(ids.map(u64::cast_signed)))];
        if let Some(texts) = texts {
            columns.push(Arc::new(StringArray::from_iter_values(texts)));
        }
        let list = match self.schema.field(columns.len()).data_type() {
            DataType::FixedSizeList(field, size) => {
                FixedSizeListArray::try_new(field.clone(), *size, values, None)
            }
            other => return Err(Error::Argument(format!("column `embedding` is {other}"))),
        };
        let batch = list.and_then(|list| {
            columns.push(Arc::new(list));
            RecordBatch::try_new(self.schema.clone(), columns)
        });
        batch.map_err(|e| Error::Argument(format!("the rows make no Arrow batch: {e}")))
    }
}

/// Ends a file: its index is written and all of it is synced.
fn close(mut writer: ArrowWriter<File>, path: &Path) -> Result<()> {
    writer.finish().map_err(|e| failed("write", path, e))?;
    writer.inner().sync_all().map_err(|e| Error::io("sync", path, e))
}

/// An input or output error within a Parquet error keeps its kind, so that a full disk is
/// told as such.
fn failed(action: &'static str, path: &Path, error: parquet::errors::ParquetError) -> Error {
    match error {
        parquet::errors::ParquetError::External(source) => match source.downcast() {
            Ok(io) => Error::io(action, path, *io),
            Err(other) => Error::io(action, path, std::io::Error::other(other)),
        },
        other => Error::io(action, path, std::io::Error::other(other)),
    }
}

impl Sink for ParquetSink {
    fn append(&mut self, first: u64, block: &Block<'_>, texts: Option<&[&str]>) -> Result<()> {
        let batch = self.batch(first, block, texts)?;
        let path = self.part(self.parts);
        let writer = match &mut self.current {
            Some(writer) => writer,
            None => {
                let writer = self.writer(&path)?;
                self.current.insert(writer)
            }
        };
        writer.write(&batch).map_err(|e| failed("write", &path, e))
    }

    fn checkpoint(&mut self) -> Result<u64> {
        if let Some(writer) = self.current.take() {
            close(writer, &self.part(self.parts))?;
            sync_folder(&self.folder)?;
            self.parts += 1;
        }
        Ok(self.parts)
    }

    fn complete(&mut self, _: u64) -> Result<PathBuf> {
        let path = merged_path(&self.folder);
        let mut writer = self.writer(&path)?;
        for number in 0..self.parts {
            let part = self.part(number);
            let reader = self.reader(number)?.with_batch_size(COPY_ROWS).build();
            for batch in reader.map_err(|e| failed("read", &part, e))? {
                let batch =
                    batch.map_err(|e| Error::io("read", &part, std::io::Error::other(e)))?;
                writer.write(&batch).map_err(|e| failed("write", &path, e))?;
            }
        }
        close(writer, &path)?;
        sync_folder(&self.folder)?;
        Ok(path)
    }
}
