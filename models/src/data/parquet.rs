//! Apache Parquet: images as the bytes of their files, signals as lists of numbers. The
//! columns in use are copied to a spool once. Texts are read as tables.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;

use super::records::{Builder, Coding, Records, Unit};
use super::{DataOptions, Kind, digest, texts};
use crate::error::{Error, Result};
use crate::tables::Format;
use crate::tables::columns::{LABEL, list};
use crate::tables::parquet::{Strings, builder, contained, is_text};

const FORMAT: &str = "Parquet";

/// Usual names of the column of images and of that of signals.
const IMAGE: [&str; 6] = ["image", "img", "png", "jpg", "jpeg", "bytes"];
const SIGNAL: [&str; 6] = ["signal", "series", "values", "window", "data", "x"];

/// Rows decoded at once: images may have megabytes.
const BATCH: usize = 64;

/// Opens a file; its columns decide what its examples are where the options do not.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when the file is damaged or no column fits.
pub(super) fn open(path: &Path, options: &DataOptions) -> Result<Records> {
    let name = path.display().to_string();
    let bad = |reason: String| Error::Table { source_name: name.clone(), format: FORMAT, reason };
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let reader = builder(file).map_err(bad)?;
    let Some((kind, columns)) = choose(reader.schema(), options).map_err(bad)? else {
        return texts::open_table(path, Format::Parquet, options);
    };
    let label = label(reader.schema(), options, &columns).map_err(bad)?;
    let roots = columns.iter().copied().chain(label);
    let mask = ProjectionMask::roots(reader.parquet_schema(), roots);
    let names: Vec<String> =
        columns.iter().map(|&column| reader.schema().field(column).name().clone()).collect();
    let label = label.map(|label| reader.schema().field(label).name().clone());
    let mut batches =
        contained(|| reader.with_projection(mask).with_batch_size(BATCH).build()).map_err(bad)?;
    let coding = if kind == Kind::Image { Coding::Image } else { Coding::Signal };
    let mut found = Builder::new(name.clone(), coding, Unit::Row);
    let mut row = 0;
    while let Some(batch) = contained(|| batches.next().transpose())
        .map_err(|e| bad(format!("it is damaged after row {row} ({e})")))?
    {
        let labels = match &label {
            Some(label) => Some(
                column(&batch, label)
                    .and_then(|c| Strings::new(&c).map_err(|e| e.to_string()))
                    .map_err(bad)?,
            ),
            None => None,
        };
        let data: Vec<ArrayRef> =
            names.iter().map(|name| column(&batch, name)).collect::<Result<_, _>>().map_err(bad)?;
        for at in 0..batch.num_rows() {
            row += 1;
            let label = labels.as_ref().and_then(|labels| labels.get(at));
            let label = label.filter(|label| !label.is_empty());
            match kind {
                Kind::Image => match data.first().and_then(|column| bytes(column, at)) {
                    Some(bytes) => found.push(bytes, row, label)?,
                    None => found.leave_out(row, "its image is null"),
                },
                _ => match signal(&data, at) {
                    Ok((channels, values)) => {
                        found.push_signal(channels, values.into_iter(), row, label)?;
                    }
                    Err(reason) => found.leave_out(row, &reason),
                },
            }
        }
    }
    found.finish(digest::of_file(path)?, FORMAT)
}

fn column(batch: &RecordBatch, name: &str) -> std::result::Result<ArrayRef, String> {
    batch.column_by_name(name).cloned().ok_or_else(|| format!("column `{name}` is gone"))
}

/// Whether a column holds the bytes of files: binary, or a structure with the field `bytes`.
fn is_bytes(kind: &DataType) -> bool {
    match kind {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Struct(fields) => {
            fields.iter().any(|field| field.name() == "bytes" && is_bytes(field.data_type()))
        }
        _ => false,
    }
}

fn inner(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

/// Whether a column holds lists of numbers, or lists of these.
fn is_signal(kind: &DataType) -> bool {
    inner(kind).is_some_and(|kind| inner(kind).unwrap_or(kind).is_numeric())
}

/// The columns of the examples; none when they are texts.
#[allow(clippy::type_complexity)]
fn choose(
    schema: &Schema,
    options: &DataOptions,
) -> std::result::Result<Option<(Kind, Vec<usize>)>, String> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let kind = |column: usize| schema.field(column).data_type();
    if let Some(wanted) = &options.column {
        let columns = wanted
            .split(',')
            .map(|name| {
                let name = name.trim();
                names.iter().position(|known| known.eq_ignore_ascii_case(name)).ok_or_else(|| {
                    format!("it has no column `{name}`; its columns are {}", list(&names))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        return match columns[..] {
            [column] if is_text(kind(column)) => Ok(None),
            [column] if is_bytes(kind(column)) => Ok(Some((Kind::Image, columns))),
            _ if columns.iter().all(|&column| is_signal(kind(column))) => {
                Ok(Some((Kind::Signal, columns)))
            }
            _ => Err(format!(
                "column `{wanted}` is {}; expected is text, bytes of images or lists of numbers",
                kind(columns[0])
            )),
        };
    }
    if options.kind == Some(Kind::Text) {
        return Ok(None);
    }
    let fitting = |fits: fn(&DataType) -> bool, usual: &[&str]| -> Vec<usize> {
        let all: Vec<usize> = (0..names.len()).filter(|&column| fits(kind(column))).collect();
        let usual = usual.iter().find_map(|name| {
            all.iter().copied().find(|&column| names[column].eq_ignore_ascii_case(name))
        });
        usual.map_or(all, |column| vec![column])
    };
    let images = fitting(is_bytes, &IMAGE);
    let signals = fitting(is_signal, &SIGNAL);
    let image = images.first().filter(|_| options.kind != Some(Kind::Signal));
    match (image, signals.is_empty()) {
        (Some(&image), _) => Ok(Some((Kind::Image, vec![image]))),
        // Lists beside a text are its tokens or embeddings.
        (None, false)
            if options.kind == Some(Kind::Signal)
                || !(0..names.len()).any(|c| is_text(kind(c)) && !is_label(names[c], options)) =>
        {
            Ok(Some((Kind::Signal, signals)))
        }
        _ if options.kind.is_some() => {
            Err(format!("none of its columns fits; they are {}", list(&names)))
        }
        _ => Ok(None),
    }
}

fn is_label(name: &str, options: &DataOptions) -> bool {
    match &options.label {
        Some(label) => label.eq_ignore_ascii_case(name),
        None => LABEL.iter().any(|label| label.eq_ignore_ascii_case(name)),
    }
}

fn label(
    schema: &Schema,
    options: &DataOptions,
    columns: &[usize],
) -> std::result::Result<Option<usize>, String> {
    let fields = schema.fields();
    let found = (0..fields.len())
        .find(|&at| !columns.contains(&at) && is_label(fields[at].name(), options));
    let fits = |kind: &DataType| is_text(kind) || kind.is_integer() || *kind == DataType::Boolean;
    match (found, &options.label) {
        (Some(at), _) if fits(fields[at].data_type()) => Ok(Some(at)),
        (Some(at), Some(name)) => {
            Err(format!("column `{name}` is {}, not a label", fields[at].data_type()))
        }
        (None, Some(name)) => Err(format!("it has no column `{name}`")),
        (_, None) => Ok(None),
    }
}

/// The bytes of a row; none for null.
fn bytes(column: &ArrayRef, row: usize) -> Option<&[u8]> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Binary => column.as_binary_opt::<i32>()?.value(row),
        DataType::LargeBinary => column.as_binary_opt::<i64>()?.value(row),
        DataType::BinaryView => column.as_binary_view_opt()?.value(row),
        _ => return bytes(column.as_struct_opt()?.column_by_name("bytes")?, row),
    })
}

/// Channels and values `[channels, length]` of a row.
fn signal(columns: &[ArrayRef], row: usize) -> std::result::Result<(usize, Vec<f32>), String> {
    let mut values = Vec::new();
    let mut channels = Vec::new();
    for column in columns {
        let list = element(column, row).ok_or("it is null")?;
        if inner(list.data_type()).is_some() {
            for at in 0..list.len() {
                channels.push(element(&list, at).ok_or("one of its channels is null")?);
            }
        } else {
            channels.push(list);
        }
    }
    let length = channels.first().map_or(0, |channel| channel.len());
    for (number, channel) in channels.iter().enumerate() {
        if channel.len() != length {
            return Err(format!(
                "channel {} has {} values and the first {length}",
                number + 1,
                channel.len()
            ));
        }
        let floats = cast(channel, &DataType::Float32).map_err(|e| e.to_string())?;
        let floats = floats.as_primitive_opt::<Float32Type>().ok_or("it is no list of numbers")?;
        values.extend(floats.iter().map(|value| value.unwrap_or(f32::NAN)));
    }
    Ok((channels.len(), values))
}

/// A row of a column of lists.
fn element(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::List(_) => column.as_list_opt::<i32>()?.value(row),
        DataType::LargeList(_) => column.as_list_opt::<i64>()?.value(row),
        _ => column.as_fixed_size_list_opt()?.value(row),
    })
}
