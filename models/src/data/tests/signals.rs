//! Readers of signals.

use ndarray::array;

use super::*;

fn signal(data: &dyn Dataset, index: usize) -> Array2<f32> {
    match data.get(index).unwrap() {
        Example::Signal(signal) => signal,
        other => panic!("{other:?}"),
    }
}

fn windows(window: usize, stride: Option<usize>) -> DataOptions {
    DataOptions { window: Some(window), stride, ..DataOptions::default() }
}

#[test]
fn ts_cases_of_unequal_length_with_missing_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.ts");
    let header = "#comment \u{e9}\n% other\n@problemName x\n@timeStamps false\n@dimensions 2\n\
                  @equalLength false\n@classLabel true a b\n@data\n";
    let cases = "1,2,?:4,5,6:a\n7:8:b\n\n1,2:3:a\n1:2:3:a\n1,x:2,3:b\nNaN,1e2: -1 ,2:b\n";
    fs::write(&path, format!("{header}{cases}")).unwrap();
    let data = opened(&path);
    assert_eq!((data.kind(), data.len()), (Kind::Signal, 3));
    let first = signal(&*data, 0);
    assert_eq!(first.dim(), (2, 3));
    assert!(first[[0, 2]].is_nan() && first[[0, 1]] == 2.0 && first[[1, 2]] == 6.0);
    assert_eq!(signal(&*data, 1), array![[7.0], [8.0]]);
    let labels: Vec<_> = (0..3).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some("a"), Some("b"), Some("b")]);
    assert!(data.locate(1).ends_with("t.ts, line 10"), "{}", data.locate(1));
    let left_out = data.left_out();
    assert_eq!(left_out.count, 3);
    assert!(left_out.named[0].contains("line 12: channel 2 has 1 values and the first 2"));
    assert!(left_out.named[1].contains("3 channels and the header says 2"));
    assert!(left_out.named[2].contains("`x` is not a number"));

    let report = check(&*data, 10);
    assert_eq!((report.sampled, report.missing, report.with_missing), (3, 2, 2));
    assert_eq!((report.lengths, report.labeled), (Some((1, 2, 3)), 3));
    assert_eq!(report.channels.into_iter().collect::<Vec<_>>(), [(2, 3)]);

    let stamped = "@timeStamps True\n@classLabel true 1 2\n@data\n\
                   (2007-01-01 00:00:00,241.5),(2007-01-01 00:01:00,241.75):1\n";
    fs::write(&path, stamped).unwrap();
    let data = opened(&path);
    assert_eq!((signal(&*data, 0), data.label(0)), (array![[241.5, 241.75]], Some("1")));
    fs::write(&path, "@classLabel false\n@data\n1,2\n").unwrap();
    assert_eq!(opened(&path).label(0), None);
    for (text, expected) in [
        ("1,2,3\n", "do not follow"),
        ("@data\n", "no examples"),
        ("@x y\n", "no line `@data`"),
        ("@data\nx\ny\n", "none of its 2 examples can be read"),
    ] {
        fs::write(&path, text).unwrap();
        assert!(refused(&path).contains(expected), "{}", refused(&path));
    }
}

fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}").into_bytes();
    header.resize(117, b' ');
    header.push(b'\n');
    let mut bytes = b"\x93NUMPY\x01\0\x76\0".to_vec();
    bytes.extend(header);
    bytes.extend(values);
    bytes
}

#[test]
fn numpy_signals_and_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.npy");
    let shorts: Vec<u8> = (0..12i16).flat_map(|i| (i - 3).to_le_bytes()).collect();
    fs::write(&path, npy("<i2", "(2, 2, 3)", &shorts)).unwrap();
    let data = opened(&path);
    assert_eq!(data.len(), 2);
    assert_eq!(signal(&*data, 1), array![[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]);
    fs::write(&path, npy("<i2", "(4, 3)", &shorts)).unwrap();
    assert_eq!(signal(&*opened(&path), 3), array![[6.0, 7.0, 8.0]]);
    // Windows of a recording [channels, length], overlapping; the rest is dropped.
    fs::write(&path, npy("<i2", "(2, 6)", &shorts)).unwrap();
    let data = open(&path, &windows(3, Some(2))).unwrap();
    assert_eq!(data.len(), 2);
    assert_eq!(signal(&*data, 1), array![[-1.0, 0.0, 1.0], [5.0, 6.0, 7.0]]);
    assert!(data.locate(1).ends_with("window 2"));
    assert!(open(&path, &windows(7, None)).is_err() && open(&path, &windows(0, None)).is_err());
    fs::write(&path, npy("<i2", "(12,)", &shorts)).unwrap();
    assert_eq!(open(&path, &windows(5, None)).unwrap().len(), 2);
    for (bytes, expected) in [
        (npy("<i2", "(12,)", &shorts), "with a window"),
        (npy("<i2", "(4, 4)", &shorts), "the file has"),
        (npy(">f4", "(2, 3)", &shorts), "convert them"),
        (npy("<i2", "(4, x)", &shorts), "broken"),
        (npy("<i2", "(0, 3)", &[]), "no examples"),
        (b"\x93NUMPY\x01\0\x76".to_vec(), "cut short"),
        (b"PK\x03\x04 no numpy".to_vec(), "does not begin"),
    ] {
        fs::write(&path, bytes).unwrap();
        assert!(refused(&path).contains(expected), "{}", refused(&path));
    }
}

#[test]
fn files_that_numpy_wrote() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    // tests/reference/tables.py: ([0 … 27] - 5) / 8, of 7 rows.
    for name in ["f32.npy", "f16.npy"] {
        let data = opened(&path.join(name));
        assert_eq!(data.len(), 7);
        assert_eq!(signal(&*data, 2), array![[0.375, 0.5, 0.625, 0.75]]);
    }
    assert_eq!(
        signal(&*opened(&path.join("int8.npy")), 0),
        array![[-128.0, -119.0, -110.0, -101.0]]
    );
}

#[test]
fn a_recording_in_csv_is_cut_into_labeled_windows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let mut text = String::from("\u{feff}timestamp,x,name,y,label\n");
    for t in 0..10 {
        let x = if t == 3 { String::new() } else { t.to_string() };
        text += &format!("2020-01-01 00:00:0{t},{x},n,{},{}\n", 10 * t, ["a", "b"][t / 6]);
    }
    fs::write(&path, &text).unwrap();
    let data = open(&path, &windows(4, Some(2))).unwrap();
    assert_eq!(data.len(), 4);
    let first = signal(&*data, 0);
    assert!(first[[0, 3]].is_nan() && first[[0, 2]] == 2.0);
    assert_eq!(first.row(1), array![0.0, 10.0, 20.0, 30.0]);
    assert_eq!(signal(&*data, 3).row(0), array![6.0, 7.0, 8.0, 9.0]);
    let labels: Vec<_> = (0..4).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some("a"), Some("a"), Some("a"), Some("b")]);
    // Without a window and a header: one example, named columns.
    fs::write(&path, "1,2,3\n4,5,6\n").unwrap();
    let options = DataOptions {
        kind: Some(Kind::Signal),
        column: Some("3,1".into()),
        ..DataOptions::default()
    };
    let data = open(&path, &options).unwrap();
    assert_eq!((data.len(), signal(&*data, 0)), (1, array![[3.0, 6.0], [1.0, 4.0]]));
    for (text, expected) in [
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, not 2"),
        ("a,b\n1,2\nx,2\n", "line 3, column `a`: `x` is not a number"),
        ("a,b\n", "no values"),
        ("", "empty"),
        ("a,b\nx,y\n", "none of its columns"),
        ("a,b\n1,2\n", "no window of 4"),
    ] {
        fs::write(&path, text).unwrap();
        let error = open(&path, &windows(4, None)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn parquet_lists_are_signals() {
    use arrow::array::{FixedSizeListArray, Int32Array, ListArray, StringArray};
    use arrow::datatypes::{Float32Type, Float64Type};

    let x = ListArray::from_iter_primitive::<Float64Type, _, _>([
        Some(vec![Some(1.0), None]),
        Some(vec![Some(3.0)]),
        None,
        Some(vec![]),
    ]);
    let y = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(5.0), Some(6.0)]),
        Some(vec![Some(7.0), Some(8.0)]),
        Some(vec![]),
        Some(vec![]),
    ]);
    let label = StringArray::from(vec![Some("a"), None, Some("b"), Some("b")]);
    let path = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap().into_temp_path();
    write(&path, vec![("x0", Arc::new(x)), ("x1", Arc::new(y)), ("class", Arc::new(label))]);
    let data = opened(&path);
    assert_eq!((data.kind(), data.len(), data.left_out().count), (Kind::Signal, 1, 3));
    let first = signal(&*data, 0);
    assert!(first[[0, 1]].is_nan() && first.row(1) == array![5.0, 6.0]);
    assert_eq!(data.label(0), Some("a"));
    assert!(data.left_out().named[0].contains("row 2: channel 2 has 2 values and the first 1"));
    let one = DataOptions { column: Some("x1".into()), ..DataOptions::default() };
    assert_eq!(signal(&*open(&path, &one).unwrap(), 1), array![[7.0, 8.0]]);

    // Lists of lists: [channels][length].
    let inner = FixedSizeListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(
        (0..4).map(|i| Some([Some(i), Some(i + 1), Some(i + 2)])),
        3,
    );
    let field = Arc::new(arrow::datatypes::Field::new(
        "item",
        arrow::array::Array::data_type(&inner).clone(),
        true,
    ));
    let nested = FixedSizeListArray::new(field, 2, Arc::new(inner), None);
    let label = Int32Array::from(vec![4, 5]);
    write(&path, vec![("signal", Arc::new(nested)), ("label", Arc::new(label))]);
    let data = opened(&path);
    assert_eq!(signal(&*data, 1), array![[2.0, 3.0, 4.0], [3.0, 4.0, 5.0]]);
    assert_eq!(data.label(1), Some("5"));
}

pub(super) fn write(path: &Path, columns: Vec<(&str, arrow::array::ArrayRef)>) {
    let batch = arrow::record_batch::RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
