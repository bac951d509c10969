//! Readers on files made here and on files of published formats.

mod formats;
mod signals;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;

fn opened(path: &Path) -> Box<dyn Dataset> {
    open(path, &DataOptions::default()).unwrap()
}

fn refused(path: &Path) -> String {
    open(path, &DataOptions::default()).unwrap_err().to_string()
}

fn texts(data: &dyn Dataset) -> Vec<String> {
    (0..data.len())
        .map(|index| match data.get(index).unwrap() {
            Example::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn png(image: &Image) -> Vec<u8> {
    let color = [image::ColorType::L8, image::ColorType::La8, image::ColorType::Rgb8];
    let color = color.get(image.channels() - 1).copied().unwrap_or(image::ColorType::Rgba8);
    let mut bytes = std::io::Cursor::new(Vec::new());
    let (w, h) = (image.width() as u32, image.height() as u32);
    image::write_buffer_with_format(
        &mut bytes,
        image.pixels(),
        w,
        h,
        color,
        image::ImageFormat::Png,
    )
    .unwrap();
    bytes.into_inner()
}

fn small(height: usize, width: usize, channels: usize) -> Image {
    let pixels = (0..height * width * channels).map(|i| (i * 7) as u8).collect();
    Image::new(height, width, channels, pixels).unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn text_lines_are_read_where_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.txt");
    let bytes = b"\xef\xbb\xbfa b\r\n\n  \nsecond\nbad \xff\nlast \xc3\xa9";
    fs::write(&path, bytes).unwrap();
    let data = opened(&path);
    assert_eq!(texts(&*data), ["a b", "second", "last é"]);
    assert_eq!(data.kind(), Kind::Text);
    assert!(data.locate(1).ends_with("t.txt, line 4"), "{}", data.locate(1));
    let left_out = data.left_out();
    assert_eq!(left_out.count, 1);
    assert!(left_out.named[0].ends_with("line 5: it is not UTF-8 from byte 5 on"));
    assert!(data.get(3).unwrap_err().to_string().contains("the data has 3"));
    assert_eq!(data.label(0), None);

    let zipped = folder.path().join("t.txt.gz");
    fs::write(&zipped, gz(bytes)).unwrap();
    assert_eq!(texts(&*opened(&zipped)), texts(&*data));
    // A line of a million letters is a text, a longer one than the limit is not.
    let long = ["x".repeat(1_000_000), "y".repeat(crate::tables::MAX_RECORD + 1), "z".into()];
    fs::write(&path, long.join("\n")).unwrap();
    let data = opened(&path);
    assert_eq!((data.len(), texts(&*data)[0].len(), data.left_out().count), (2, 1_000_000, 1));
    assert_eq!(texts(&*data)[1], "z");
    // A file that was cut short since is an error.
    fs::write(&path, "x").unwrap();
    assert!(data.get(1).is_err());
    let unknown = folder.path().join("t.log");
    fs::write(&unknown, "a\nb").unwrap();
    let options = DataOptions { kind: Some(Kind::Text), ..DataOptions::default() };
    assert_eq!(texts(&*open(&unknown, &options).unwrap()), ["a", "b"]);
    assert!(open(&unknown, &DataOptions::default()).is_err());
    fs::write(&path, "\n \n").unwrap();
    assert!(refused(&path).contains("no examples"), "{}", refused(&path));
    fs::write(&path, b"\xff\xfea\0").unwrap();
    assert!(refused(&path).contains("UTF-16"));
}

#[test]
fn tables_give_texts_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv.gz");
    fs::write(&path, gz(b"text,label\na,x\n,y\n\"b\nc\",\nd,x\n")).unwrap();
    let data = opened(&path);
    assert_eq!(texts(&*data), ["a", "b\nc", "d"]);
    let labels: Vec<_> = (0..3).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some("x"), None, Some("x")]);
    assert!(data.locate(1).ends_with("record 3") && data.left_out().count == 1);
    let path = folder.path().join("t.jsonl");
    fs::write(&path, "{\"body\": \"a\", \"k\": 3}\nbroken\n").unwrap();
    let options = DataOptions {
        column: Some("body".into()),
        label: Some("k".into()),
        ..DataOptions::default()
    };
    let data = open(&path, &options).unwrap();
    assert_eq!(
        (texts(&*data), data.label(0), data.left_out().count),
        (vec!["a".into()], Some("3"), 1)
    );
    let parquet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/strings.parquet");
    let data = opened(&parquet);
    assert_eq!(data.len() + data.left_out().count, 10);
    assert_eq!(texts(&*data)[1], "two\nlines");
}

#[test]
fn folders_of_images_mixed_and_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("b/deep")).unwrap();
    fs::create_dir_all(root.join("a")).unwrap();
    fs::write(root.join("b/deep/2.PNG"), png(&small(5, 4, 3))).unwrap();
    fs::write(root.join("b/1.png"), png(&small(2, 9, 4))).unwrap();
    fs::write(root.join("a/7.png"), png(&small(3, 3, 1))).unwrap();
    fs::write(root.join("a/broken.jpg"), b"\xff\xd8\xff\xe0 no more").unwrap();
    fs::write(root.join("notes.md"), "x").unwrap();
    fs::write(root.join("top.png"), png(&small(1, 1, 2))).unwrap();
    fs::write(root.join(".hidden.png"), "x").unwrap();
    let data = opened(root);
    let labels: Vec<_> = (0..data.len()).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some("a"), Some("a"), Some("b"), Some("b"), None]);
    let size = |index| match data.get(index).unwrap() {
        Example::Image(image) => (image.height(), image.width(), image.channels()),
        other => panic!("{other:?}"),
    };
    assert_eq!([size(0), size(2), size(3), size(4)], [(3, 3, 1), (2, 9, 4), (5, 4, 3), (1, 1, 2)]);
    let error = data.get(1).unwrap_err().to_string();
    assert!(error.contains("broken.jpg") && error.contains("decoded"), "{error}");
    assert_eq!(data.digest().len(), 64);
    let before = data.digest().to_owned();
    fs::write(root.join("z.png"), png(&small(1, 1, 1))).unwrap();
    assert_ne!(opened(root).digest(), before);

    let empty = tempfile::tempdir().unwrap();
    assert!(refused(empty.path()).contains("no file whose name ends in"));
    fs::write(empty.path().join("x.docx"), "x").unwrap();
    assert!(refused(empty.path()).contains("1 other"));
    assert!(refused(&empty.path().join("x.docx")).contains("jsonl"));
    assert!(refused(&empty.path().join("nowhere")).contains("nowhere"));
}

#[test]
fn idx_with_labels_and_broken_headers() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("t-images-idx3-ubyte");
    let labels = folder.path().join("t-labels-idx1-ubyte.gz");
    let pixels: Vec<u8> = (0..24).collect();
    fs::write(&images, idx(&[4, 2, 3], &pixels)).unwrap();
    assert_eq!(opened(&images).label(0), None);
    fs::write(&labels, gz(&idx(&[4], &[9, 0, 9, 3]))).unwrap();
    let data = opened(&images);
    let expected = Image::new(2, 3, 1, pixels[12..18].to_vec()).unwrap();
    assert_eq!(data.get(2).unwrap(), Example::Image(expected));
    assert_eq!((data.label(2), data.label(3)), (Some("9"), Some("3")));
    // The folder is the same set.
    assert_eq!(opened(folder.path()).len(), 4);
    fs::write(&labels, gz(&idx(&[3], &[9, 0, 9]))).unwrap();
    assert!(refused(&images).contains("3 labels for 4 images"));
    fs::remove_file(&labels).unwrap();
    for (bytes, expected) in [
        (idx(&[4, 2, 3], &pixels[..20]), "says 40 bytes and it has 36"),
        (idx(&[4, 2, 0], &[]), "cannot be"),
        (idx(&[0, 2, 3], &[]), "no examples"),
        (idx(&[u32::MAX, u32::MAX, u32::MAX], &pixels), "header says"),
        (idx(&[24], &pixels), "1 dimensions"),
        (b"PK\x03\x04".to_vec(), "magic"),
        (Vec::new(), "shorter"),
    ] {
        fs::write(&images, &bytes).unwrap();
        assert!(refused(&images).contains(expected), "{}", refused(&images));
        let zipped = folder.path().join("u-images-idx3-ubyte.gz");
        fs::write(&zipped, gz(&bytes)).unwrap();
        refused(&zipped);
    }
    let zipped = folder.path().join("u-images-idx3-ubyte.gz");
    let mut bytes = gz(&idx(&[4, 2, 3], &pixels));
    let last = bytes.len() - 6;
    bytes[last] ^= 1;
    fs::write(&zipped, bytes).unwrap();
    assert!(refused(&zipped).contains("damaged"), "{}", refused(&zipped));
}

#[test]
fn parts_of_sets_and_sets_of_parts() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |range: std::ops::Range<usize>| range.map(|i| format!("{i}\n")).collect::<String>();
    fs::write(folder.path().join("1.txt"), lines(0..60)).unwrap();
    fs::write(folder.path().join("2.txt"), lines(60..100)).unwrap();
    let data = opened(folder.path());
    let all: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    assert_eq!(texts(&*data), all);
    assert!(data.locate(61).ends_with("2.txt, line 2") && data.get(100).is_err());
    let data: Arc<dyn Dataset> = data.into();
    let (rest, held) = split(&data, 0.2, 7).unwrap();
    assert_eq!((rest.len(), held.len()), (80, 20));
    let mut both = [texts(&rest), texts(&held)].concat();
    both.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(both, all);
    assert_ne!(texts(&split(&data, 0.2, 8).unwrap().1), texts(&held));
    assert_eq!(split(&data, 1e-6, 7).unwrap().1.len(), 1);
    assert!(split(&data, 1.0, 7).is_err() && Subset::new(data.clone(), vec![100]).is_err());
    assert_ne!(rest.digest(), held.digest());
    fs::write(folder.path().join("i-ubyte"), "").unwrap();
    assert!(refused(folder.path()).contains("several formats"));
}
