//! Round trips, and interruptions at every boundary.

use std::fs;
use std::path::{Path, PathBuf};

use half::f16;
use ndarray::{Array2, Axis, Slice};

use super::*;
use crate::random::SplitMix64;

const ROWS: usize = 7;
const COLUMNS: usize = 4;

/// The values of `tests/reference/tables.py`.
struct Values {
    f32: Array2<f32>,
    f16: Array2<f16>,
    int8: Array2<i8>,
    bits: Array2<u8>,
}

impl Values {
    fn new() -> Self {
        let index = |(r, c): (usize, usize)| (r * COLUMNS + c) as i32;
        let shape = (ROWS, COLUMNS);
        Self {
            f32: Array2::from_shape_fn(shape, |at| (index(at) - 5) as f32 / 8.0),
            f16: Array2::from_shape_fn(shape, |at| f16::from_f32((index(at) - 5) as f32 / 8.0)),
            int8: Array2::from_shape_fn(shape, |at| i8::try_from(index(at) * 9 - 128).unwrap()),
            bits: Array2::from_shape_fn(shape, |at| u8::try_from(index(at) * 9).unwrap()),
        }
    }

    fn block(&self, element: Element, rows: std::ops::Range<usize>) -> Block<'_> {
        let rows = Slice::from(rows);
        match element {
            Element::F32 => Block::F32(self.f32.slice_axis(Axis(0), rows)),
            Element::F16 => Block::F16(self.f16.slice_axis(Axis(0), rows)),
            Element::Int8 => Block::Int8(self.int8.slice_axis(Axis(0), rows)),
            Element::Bits => Block::Bits(self.bits.slice_axis(Axis(0), rows)),
        }
    }
}

const ELEMENTS: [(Element, &str); 4] = [
    (Element::F32, "f32"),
    (Element::F16, "f16"),
    (Element::Int8, "int8"),
    (Element::Bits, "bits"),
];

fn texts() -> Vec<String> {
    (0..ROWS).map(|i| format!("text {i}\n“{}”", "é".repeat(i))).collect()
}

fn layout(format: OutputFormat, element: Element) -> Layout {
    Layout { format, element, columns: COLUMNS, with_text: format != OutputFormat::Npy }
}

fn job() -> Job {
    Job { source: "s".into(), encoder: "e".into(), options: "o".into() }
}

fn writer(output: &Path, layout: &Layout, resume: bool) -> EmbeddingWriter {
    match open(output, layout.clone(), job(), resume).unwrap() {
        Opened::Writer(writer) => writer,
        Opened::Complete(rows) => panic!("complete with {rows} rows"),
    }
}

fn append(writer: &mut EmbeddingWriter, values: &Values, rows: std::ops::Range<usize>) {
    let texts = texts();
    let texts: Vec<&str> = texts[rows.clone()].iter().map(String::as_str).collect();
    let block = values.block(writer.layout.element, rows);
    writer.append(&block, Some(&texts)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Files to be read by `tables.py check` go to `OFFSHOOT_KEEP`, where it is set.
fn folder() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("OFFSHOOT_KEEP") {
        Some(keep) => (keep.into(), None),
        None => {
            let dir = tempfile::tempdir().unwrap();
            (dir.path().into(), Some(dir))
        }
    }
}

#[test]
fn npy_is_what_numpy_writes_byte_for_byte() {
    let values = Values::new();
    let dir = tempfile::tempdir().unwrap();
    for (element, name) in ELEMENTS {
        let output = dir.path().join("out.npy");
        let mut writer = writer(&output, &layout(OutputFormat::Npy, element), false);
        append(&mut writer, &values, 0..3);
        append(&mut writer, &values, 3..ROWS);
        assert_eq!(writer.finish().unwrap(), ROWS as u64);
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let expected = fs::read(fixture.join(format!("{name}.npy"))).unwrap();
        assert!(fs::read(&output).unwrap() == expected, "{name}");
    }
    assert_eq!(names(dir.path()), ["out.npy"]);
}

#[test]
fn round_trip_of_every_format_and_type() {
    let values = Values::new();
    let (folder, _guard) = folder();
    for (element, name) in ELEMENTS {
        for (format, extension) in [
            (OutputFormat::Npy, "npy"),
            (OutputFormat::Jsonl, "jsonl"),
            (OutputFormat::Parquet, "parquet"),
        ] {
            let output = folder.join(format!("{name}.{extension}"));
            assert_eq!(OutputFormat::from_path(&output), Some(format));
            let mut writer = writer(&output, &layout(format, element), false);
            append(&mut writer, &values, 0..2);
            assert_eq!(writer.checkpoint().unwrap(), 2);
            append(&mut writer, &values, 2..ROWS);
            writer.finish().unwrap();
        }
        let expected = format!("{:?}", values.block(element, 0..ROWS));
        let jsonl = read_jsonl(&folder.join(format!("{name}.jsonl")), element);
        let parquet = read_parquet(&folder.join(format!("{name}.parquet")), element);
        assert_eq!(jsonl, (texts(), expected.clone()));
        assert_eq!(parquet, (texts(), expected));
    }
}

/// Texts, and the values as the debug form of a block.
type Content = (Vec<String>, String);

fn shown(element: Element, flat: &[f64]) -> String {
    let shape = (flat.len() / COLUMNS, COLUMNS);
    let at = |(r, c): (usize, usize)| flat[r * COLUMNS + c];
    match element {
        Element::F32 => {
            let a = Array2::from_shape_fn(shape, |i| at(i) as f32);
            format!("{:?}", Block::F32(a.view()))
        }
        Element::F16 => {
            let a = Array2::from_shape_fn(shape, |i| f16::from_f64(at(i)));
            format!("{:?}", Block::F16(a.view()))
        }
        Element::Int8 => {
            let a = Array2::from_shape_fn(shape, |i| at(i) as i8);
            format!("{:?}", Block::Int8(a.view()))
        }
        Element::Bits => {
            let a = Array2::from_shape_fn(shape, |i| at(i) as u8);
            format!("{:?}", Block::Bits(a.view()))
        }
    }
}

fn read_jsonl(path: &Path, element: Element) -> Content {
    let (mut texts, mut flat) = (Vec::new(), Vec::new());
    for line in fs::read_to_string(path).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        texts.push(line["text"].as_str().unwrap().to_owned());
        flat.extend(line["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()));
    }
    (texts, shown(element, &flat))
}

fn read_parquet(path: &Path, element: Element) -> Content {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use arrow::array::{Array, AsArray};
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, Float64Type, Int64Type};
    let (mut texts, mut flat, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    for batch in builder.build().unwrap() {
        let batch = batch.unwrap();
        ids.extend_from_slice(batch["id"].as_primitive::<Int64Type>().values());
        texts.extend(batch["text"].as_string::<i32>().iter().map(|t| t.unwrap().to_owned()));
        let list = batch["embedding"].as_fixed_size_list();
        assert_eq!(list.value_length(), COLUMNS as i32);
        assert_eq!(list.null_count(), 0);
        let values = cast(list.values(), &DataType::Float64).unwrap();
        flat.extend_from_slice(values.as_primitive::<Float64Type>().values());
    }
    assert_eq!(ids, (0..texts.len() as i64).collect::<Vec<_>>());
    (texts, shown(element, &flat))
}

/// The content of a finished file, in a form that can be compared.
fn content(path: &Path, layout: &Layout) -> String {
    match layout.format {
        OutputFormat::Parquet => format!("{:?}", read_parquet(path, layout.element)),
        _ => format!("{:?}", fs::read(path).unwrap()),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a kill leaves: the work file with all, part, or more than what was written since the
/// last checkpoint.
fn damage_tail(part: &Path, durable: u64, random: &mut SplitMix64) {
    if part.is_dir() {
        let number = durable;
        let file = part.join(format!("{number:08}.parquet"));
        let noise: Vec<u8> = (0..random.below(300)).map(|i| i as u8).collect();
        fs::write(file, noise).unwrap();
        if random.below(2) == 0 {
            fs::write(part.join("merged.parquet"), b"PAR1 half").unwrap();
        }
        return;
    }
    let length = fs::metadata(part).unwrap().len();
    let file = fs::File::options().write(true).open(part).unwrap();
    file.set_len(durable + random.below((length - durable + 50) as usize) as u64).unwrap();
}

#[test]
fn a_kill_at_any_moment_loses_no_durable_row_and_doubles_none() {
    let values = Values::new();
    let mut random = SplitMix64::new(5);
    for format in [OutputFormat::Npy, OutputFormat::Jsonl, OutputFormat::Parquet] {
        let layout = layout(format, Element::F32);
        let dir = tempfile::tempdir().unwrap();
        let reference = dir.path().join("reference");
        let mut whole = writer(&reference, &layout, false);
        append(&mut whole, &values, 0..ROWS);
        whole.finish().unwrap();
        let expected = content(&reference, &layout);

        // Killed after the last checkpoint at every number of rows, with nothing and with
        // everything else written.
        for durable in 0..=ROWS {
            for written in if durable < ROWS { vec![durable, ROWS] } else { vec![ROWS] } {
                let folder = dir.path().join(format!("{written}-{durable}"));
                fs::create_dir(&folder).unwrap();
                let output = folder.join("out");
                let mut first = writer(&output, &layout, false);
                append(&mut first, &values, 0..durable);
                assert_eq!(first.checkpoint().unwrap(), durable as u64);
                append(&mut first, &values, durable..written);
                let mark = Sidecar::read(&output).unwrap().unwrap().progress.length;
                drop(first);
                damage_tail(&part_path(&output), mark, &mut random);
                assert_eq!(pending(&output).unwrap(), Some(durable as u64));
                assert!(!output.exists(), "nothing unfinished bears the name");

                let mut second = writer(&output, &layout, true);
                assert_eq!(second.rows(), durable as u64);
                append(&mut second, &values, durable..ROWS);
                assert_eq!(second.finish().unwrap(), ROWS as u64);
                assert_eq!(content(&output, &layout), expected, "{format:?} {written} {durable}");
                assert_eq!(names(&folder), ["out"]);
            }
        }
    }
}

#[test]
fn a_kill_while_finishing_is_completed_without_any_row() {
    let values = Values::new();
    for format in [OutputFormat::Npy, OutputFormat::Jsonl, OutputFormat::Parquet] {
        let layout = layout(format, Element::Int8);
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        fs::create_dir(&work).unwrap();
        let output = work.join("out");
        let mut writer = writer(&output, &layout, false);
        append(&mut writer, &values, 0..ROWS);
        // The steps of `finish`, with a copy of the folder after each.
        writer.checkpoint().unwrap();
        let complete = writer.sink.complete(ROWS as u64).unwrap();
        copy(&work, &dir.path().join("completed"));
        let length = fs::metadata(&complete).unwrap().len();
        writer.record(Progress { rows: ROWS as u64, length, complete: true }).unwrap();
        copy(&work, &dir.path().join("recorded"));
        fs::rename(&complete, &output).unwrap();
        copy(&work, &dir.path().join("renamed"));
        drop(writer);
        let expected = content(&output, &layout);

        for (state, complete) in [("completed", false), ("recorded", true), ("renamed", true)] {
            let output = dir.path().join(state).join("out");
            match open(&output, layout.clone(), job(), true).unwrap() {
                Opened::Complete(rows) => assert!(complete && rows == ROWS as u64, "{state}"),
                Opened::Writer(writer) => {
                    assert!(!complete, "{state}");
                    assert_eq!(writer.finish().unwrap(), ROWS as u64);
                }
            }
            assert_eq!(content(&output, &layout), expected, "{format:?} {state}");
            assert_eq!(names(output.parent().unwrap()), ["out"], "{format:?} {state}");
        }
        // A completed output that was then changed is not taken for the finished one.
        let output = dir.path().join("changed").join("out");
        copy(&work, output.parent().unwrap());
        fs::write(&output, b"other").unwrap();
        let error = open(&output, layout, job(), true).unwrap_err().to_string();
        assert!(error.contains("was changed"), "{error}");
    }
}

#[test]
fn other_work_is_never_resumed() {
    let values = Values::new();
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.npy");
    let npy = layout(OutputFormat::Npy, Element::F32);
    let mut first = writer(&output, &npy, false);
    append(&mut first, &values, 0..2);
    first.checkpoint().unwrap();
    drop(first);
    let other = |change: fn(&mut Job, &mut Layout)| {
        let (mut job, mut layout) = (job(), npy.clone());
        change(&mut job, &mut layout);
        open(&output, layout, job, true).unwrap_err().to_string()
    };
    assert!(other(|job, _| job.source = "t".into()).contains("another source;"));
    assert!(other(|job, _| job.encoder = "f".into()).contains("another encoder;"));
    assert!(other(|job, _| job.options = "p".into()).contains("another options;"));
    assert!(other(|_, layout| layout.columns = 5).contains("another output layout;"));

    // The file is shorter than its record, or the record is damaged.
    let part = part_path(&output);
    fs::File::options().write(true).open(&part).unwrap().set_len(130).unwrap();
    let error = open(&output, npy.clone(), job(), true).unwrap_err().to_string();
    assert!(error.contains("130 bytes") && error.contains("without resuming"), "{error}");
    let sidecar = with_suffix(&output, ".part.json");
    fs::write(&sidecar, b"{\"version\": 1}").unwrap();
    let error = open(&output, npy.clone(), job(), true).unwrap_err().to_string();
    assert!(error.contains("without resuming"), "{error}");

    // Without resuming it starts anew, and an earlier output stays until the end.
    fs::write(&output, b"earlier").unwrap();
    let mut fresh = writer(&output, &npy, false);
    append(&mut fresh, &values, 0..1);
    assert_eq!(fs::read(&output).unwrap(), b"earlier");
    fresh.finish().unwrap();
    assert_eq!(fs::read(&output).unwrap().len(), 128 + 16);
    assert_eq!(names(dir.path()), ["out.npy"]);
}

#[test]
fn two_writers_cannot_share_an_output() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.jsonl");
    let jsonl = layout(OutputFormat::Jsonl, Element::F32);
    let first = writer(&output, &jsonl, false);
    let error = open(&output, jsonl.clone(), job(), true).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    drop(first);
    writer(&output, &jsonl, false);
}

#[test]
fn rows_that_do_not_fit_are_refused_and_harm_nothing() {
    let values = Values::new();
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.jsonl");
    let jsonl = layout(OutputFormat::Jsonl, Element::F32);
    let mut writer = writer(&output, &jsonl, false);
    let wide = Array2::<f32>::zeros((1, COLUMNS + 1));
    assert!(writer.append(&Block::F32(wide.view()), Some(&["a"])).is_err());
    assert!(writer.append(&values.block(Element::Int8, 0..1), Some(&["a"])).is_err());
    assert!(writer.append(&values.block(Element::F32, 0..2), Some(&["a"])).is_err());
    assert!(writer.append(&values.block(Element::F32, 0..2), None).is_err());
    assert_eq!(writer.finish().unwrap(), 0);
    assert_eq!(fs::read(&output).unwrap(), b"");

    let mut bad = layout(OutputFormat::Npy, Element::F32);
    bad.with_text = true;
    assert!(open(&output, bad.clone(), job(), false).is_err());
    (bad.with_text, bad.columns) = (false, 0);
    assert!(open(&output, bad.clone(), job(), false).is_err());
    bad.columns = usize::MAX;
    assert!(open(&output, bad, job(), false).is_err());
    assert!(open(dir.path(), jsonl, job(), false).is_err());
}

#[test]
fn columns_in_another_order_of_memory_are_written_by_rows() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.npy");
    let array = Array2::from_shape_fn((COLUMNS, 2), |(r, c)| (r * 2 + c) as u8);
    let mut writer = writer(&output, &layout(OutputFormat::Npy, Element::Bits), false);
    writer.append(&Block::Bits(array.t()), None).unwrap();
    writer.finish().unwrap();
    assert_eq!(fs::read(&output).unwrap()[128..], [0, 2, 4, 6, 1, 3, 5, 7]);
}

/// `/dev/full` takes no byte. The first part file's name leads there.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_leaves_no_output() {
    let values = Values::new();
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.parquet");
    let mut writer = writer(&output, &layout(OutputFormat::Parquet, Element::F32), false);
    let part = part_path(&output).join("00000000.parquet");
    std::os::unix::fs::symlink("/dev/full", part).unwrap();
    let block = values.block(Element::F32, 0..ROWS);
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let result = writer.append(&block, Some(&texts)).and_then(|()| writer.finish());
    let error = result.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(!output.exists());
}
