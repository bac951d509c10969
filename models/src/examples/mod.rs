//! Examples of learners as Parquet or JSONL: to look at them elsewhere, and to move them between
//! learners of one encoder.
//!
//! | column | type | |
//! | --- | --- | --- |
//! | `id` | int64 | number in the learner that was exported; not read |
//! | `label` | string | null for an example without one |
//! | `weight` | float64 | |
//! | `time` | timestamp, milliseconds, UTC | when it was taught |
//! | `source` | string | null if it has none |
//! | `text` | string | null where it is not kept |
//! | `embedding` | fixed-size list of float32 | |
//!
//! The entry `offshoot.encoder` of the file's metadata says as JSON whose embeddings they are. In
//! JSONL the columns are the keys of each line, times are as RFC 3339 has them, and each line has
//! the key `encoder`.

mod columnar;
mod jsonl;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};

pub use jsonl::decimal;
pub use read::ExampleReader;
pub use write::ExampleWriter;

/// The entry of the metadata that holds the encoder.
const ENCODER: &str = "offshoot.encoder";
/// What is said of a file of unknown width.
const UNKNOWN_WIDTH: &str = "it does not say whose embeddings it holds; give a learner that exists";

fn schema(dimensions: usize) -> Result<SchemaRef> {
    let size = i32::try_from(dimensions)
        .map_err(|_| Error::Argument(format!("{dimensions} dimensions are too many")))?;
    let value = Arc::new(Field::new("element", DataType::Float32, false));
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Ok(Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("label", DataType::Utf8, true),
        Field::new("weight", DataType::Float64, false),
        Field::new("time", time, false),
        Field::new("source", DataType::Utf8, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("embedding", DataType::FixedSizeList(value, size), false),
    ])))
}
