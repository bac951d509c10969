//! What is written comes back, and Parquet files of others are read or refused by name.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::{Float64Type, Int32Type};
use arrow::record_batch::RecordBatch;
use offshoot::adapters::EncoderTag;
use offshoot::learner::{Example, ExampleId, NewExample};
use parquet::arrow::ArrowWriter;

use super::*;

fn encoder(dimensions: usize) -> EncoderTag {
    let (digest, name) = ("sha256:3f2a".to_owned(), "né".to_owned());
    EncoderTag { digest, name, dimensions, prompt: Some("query: ".into()) }
}

fn example(i: usize) -> Example {
    let some = |text: String, when: bool| when.then_some(text);
    Example {
        id: ExampleId(3 * i as i64 + 1),
        embedding: (0..3).map(|j| ((7 * i + j) as f32).sin()).collect(),
        label: some(format!("a\n{}", i % 4), !i.is_multiple_of(5)),
        weight: 0.1 + i as f64,
        time: match i {
            1 => UNIX_EPOCH - Duration::from_millis(12_345),
            _ => UNIX_EPOCH + Duration::from_millis(1_700_000_000_123 + i as u64),
        },
        source: some(format!("s{i}"), i.is_multiple_of(3)),
        text: some(format!("text \0 é {i}"), i.is_multiple_of(2)),
    }
}

fn same(new: &NewExample, old: &Example) {
    assert_eq!(new.embedding, old.embedding);
    assert_eq!((&new.label, &new.source, &new.text), (&old.label, &old.source, &old.text));
    assert_eq!((new.weight, new.time), (old.weight, old.time));
}

#[test]
fn examples_come_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("examples.parquet");
    for count in [0, 1, 1_300] {
        let file = File::create(&path).unwrap();
        let mut writer = ExampleWriter::new(file, &path, &encoder(3)).unwrap();
        (0..count).for_each(|i| writer.push(example(i)).unwrap());
        writer.finish().unwrap();
        let reader = ExampleReader::open(&path, None).unwrap();
        assert_eq!(reader.encoder(), Some(&encoder(3)));
        let read: Vec<NewExample> = reader.map(Result::unwrap).collect();
        assert_eq!(read.len(), count);
        read.iter().enumerate().for_each(|(i, new)| same(new, &example(i)));
    }
    let mut writer = ExampleWriter::new(Vec::new(), &path, &encoder(4)).unwrap();
    let error = writer.push(example(0)).unwrap_err();
    assert!(error.to_string().contains("3 dimensions"), "{error}");
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn lists(rows: Vec<Option<Vec<Option<f64>>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

#[test]
fn files_of_other_programs_are_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.parquet");
    let embeddings = || lists(vec![Some(vec![Some(0.5), Some(-1.0)]), Some(vec![Some(0.0); 2])]);
    let labels = || -> ArrayRef { Arc::new(StringArray::from(vec![Some("a"), None])) };
    write(&path, vec![("embedding", embeddings()), ("label", labels())]);
    let error = ExampleReader::open(&path, None).unwrap_err();
    assert!(error.to_string().contains("does not say whose"), "{error}");
    let reader = ExampleReader::open(&path, Some(2)).unwrap();
    assert_eq!(reader.encoder(), None);
    let read: Vec<NewExample> = reader.map(Result::unwrap).collect();
    assert_eq!(read[0].embedding, [0.5, -1.0]);
    assert_eq!((read[0].label.as_deref(), read[1].label.as_deref()), (Some("a"), None));
    assert_eq!((read[0].weight, &read[0].text), (1.0, &None));

    let refused = |columns: Vec<(&str, ArrayRef)>, dimensions: usize, said: &str| {
        write(&path, columns);
        let read = ExampleReader::open(&path, Some(dimensions))
            .and_then(|reader| reader.collect::<Result<Vec<_>>>());
        let error = read.unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("other.parquet"), "{error}");
    };
    refused(vec![("label", labels())], 2, "no column `embedding`");
    refused(vec![("embedding", embeddings())], 3, "row 1 has 2 numbers, and 3");
    refused(vec![("embedding", lists(vec![Some(vec![Some(1.0)]), None]))], 1, "row 2 has no");
    refused(vec![("embedding", lists(vec![Some(vec![Some(1.0), None])]))], 2, "has 1 numbers");
    refused(vec![("embedding", labels())], 2, "column `embedding` is");
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    refused(vec![("embedding", embeddings()), ("label", numbers)], 2, "`label` is Int64, not text");
    let whole = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)])]);
    let weights: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.5)]));
    write(&path, vec![("embedding", Arc::new(whole)), ("weight", weights)]);
    let read: Vec<NewExample> =
        ExampleReader::open(&path, Some(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!((read[0].embedding.as_slice(), read[0].weight), (&[1.0][..], 2.5));
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("examples.parquet");
    let mut writer = ExampleWriter::new(Vec::new(), &path, &encoder(3)).unwrap();
    (0..600).for_each(|i| writer.push(example(i)).unwrap());
    let bytes = writer.finish().unwrap();
    for cut in [0, 4, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(matches!(ExampleReader::open(&path, None), Err(Error::Table { .. })), "{cut}");
    }
    // A page that is not what the index says: an error or other numbers, and no panic.
    for at in (8..bytes.len() / 2).step_by(997) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        std::fs::write(&path, flipped).unwrap();
        if let Ok(reader) = ExampleReader::open(&path, None) {
            let _ = reader.collect::<Result<Vec<_>>>();
        }
    }
    assert!(matches!(
        ExampleReader::open(&folder.path().join("none"), None),
        Err(Error::Io { .. })
    ));
}
