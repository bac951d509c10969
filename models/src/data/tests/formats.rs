//! Parquet images, WebDataset and FASTA.

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};

use super::signals::write;
use super::*;

#[test]
fn parquet_images_as_bytes_and_as_structures() {
    let images = [small(2, 3, 1), small(4, 4, 3)].map(|image| png(&image));
    let bytes = BinaryArray::from(vec![Some(&images[0][..]), None, Some(&images[1]), Some(b"x")]);
    let labels = Int64Array::from(vec![3, 4, 5, 6]);
    let path = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap().into_temp_path();
    let structure = StructArray::from(vec![
        (
            Arc::new(Field::new("bytes", DataType::Binary, true)),
            Arc::new(bytes.clone()) as ArrayRef,
        ),
        (
            Arc::new(Field::new("path", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["p"; 4])) as ArrayRef,
        ),
    ]);
    let plain: ArrayRef = Arc::new(bytes);
    for column in [plain, Arc::new(structure)] {
        write(&path, vec![("image", column), ("label", Arc::new(labels.clone()))]);
        let data = opened(&path);
        assert_eq!((data.kind(), data.len(), data.left_out().count), (Kind::Image, 3, 1));
        assert_eq!(data.get(1).unwrap(), Example::Image(small(4, 4, 3)));
        assert_eq!((data.label(1), data.locate(1).ends_with("row 3")), (Some("5"), true));
        let report = check(&*data, 100);
        assert_eq!((report.unreadable, report.left_out.count, report.labeled), (1, 1, 3));
        assert!(report.named[0].contains("row 4"), "{report:?}");
        assert_eq!((report.heights, report.widths), (Some((2, 4)), Some((3, 4))));
        assert!((report.unreadable_share() - 0.5).abs() < 1e-9);
    }
    let wrong = DataOptions { kind: Some(Kind::Signal), ..DataOptions::default() };
    assert!(open(&path, &wrong).unwrap_err().to_string().contains("none of its columns"));
    let mut damaged = fs::read(&path).unwrap();
    for at in (4..damaged.len()).step_by(7) {
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        // An error or other content, never a panic.
        if let Ok(data) = open(&path, &DataOptions::default()) {
            check(&*data, 10);
        }
        damaged[at] ^= 0x55;
    }
}

fn entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = kind;
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(bytes);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

#[test]
fn webdataset_shards() {
    let folder = tempfile::tempdir().unwrap();
    let image = png(&small(3, 5, 3));
    let long = format!("{}/4.png", "d".repeat(120));
    let pax = format!("path={long}\n");
    let pax = format!("{} {pax}", pax.len() + 4);
    let shard = [
        entry("a/", b'5', b""),
        entry("a/1.cls", b'0', b"7\n"),
        entry("a/1.png", b'0', &image),
        entry("a/2.seg.png", b'0', &image),
        entry("a/2.json", b'0', b"{\"label\": \"dog\", \"n\": 1}"),
        entry("a/3.txt", b'0', b"no image"),
        entry("x", b'x', pax.as_bytes()),
        entry("cut", b'0', &image),
        entry("a/5.jpg", b'0', b"broken"),
        vec![0; 1024],
    ]
    .concat();
    fs::write(folder.path().join("1.tar"), &shard).unwrap();
    let data = opened(folder.path());
    assert_eq!((data.kind(), data.len(), data.left_out().count), (Kind::Image, 4, 1));
    let labels: Vec<_> = (0..4).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some("7"), Some("dog"), None, None]);
    for index in 0..3 {
        assert_eq!(data.get(index).unwrap(), Example::Image(small(3, 5, 3)));
    }
    assert!(data.get(3).unwrap_err().to_string().contains("1.tar, record"));
    fs::copy(folder.path().join("1.tar"), folder.path().join("2.tar")).unwrap();
    assert_eq!(opened(folder.path()).len(), 8);
    // Cut short, the examples before the cut are there.
    let path = folder.path().join("cut.tar");
    fs::write(&path, &shard[..512 * 6]).unwrap();
    let data = opened(&path);
    assert_eq!((data.len(), data.left_out().count), (1, 1), "{:?}", data.left_out());
    fs::write(&path, [entry("1.txt", b'0', b" a text "), entry("1.cls", b'0', b"x")].concat())
        .unwrap();
    let data = opened(&path);
    assert_eq!((texts(&*data), data.label(0)), (vec![" a text ".to_owned()], Some("x")));
    for (bytes, expected) in [
        (vec![1u8; 2048], "no archive"),
        (entry("a.bin", b'0', b"x"), "no image"),
        (Vec::new(), "no image"),
    ] {
        fs::write(&path, bytes).unwrap();
        assert!(refused(&path).contains(expected), "{}", refused(&path));
    }
    for at in (0..shard.len()).step_by(13) {
        let mut damaged = shard.clone();
        damaged[at] ^= 0x80;
        fs::write(&path, &damaged).unwrap();
        if let Ok(data) = open(&path, &DataOptions::default()) {
            check(&*data, 10);
        }
    }
}

#[test]
fn fasta_sequences_and_their_organisms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.fasta.gz");
    let text = ">sp|P1|X Protein OS=Homo sapiens (a=b) OX=9606 GN=g\nMKV\r\nlla*\n\n\
                >two OS=Bacillus subtilis\nMX-\n>empty\n>bad\nM1K\n>last NOS=x\nG";
    fs::write(&path, gz(text.as_bytes())).unwrap();
    let data = opened(&path);
    assert_eq!(texts(&*data), ["MKVLLA", "MX-", "G"]);
    assert_eq!(data.label(0), None);
    let left_out = data.left_out();
    assert_eq!(left_out.count, 2);
    assert!(left_out.named[1].ends_with("record 4, line 9: `1` is no residue"), "{left_out:?}");
    let options = DataOptions { label: Some("OS".into()), ..DataOptions::default() };
    let data = open(&path, &options).unwrap();
    let labels: Vec<_> = (0..3).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some("Homo sapiens (a=b)"), Some("Bacillus subtilis"), None]);
    let options = DataOptions { label: Some("header".into()), ..DataOptions::default() };
    assert_eq!(open(&path, &options).unwrap().label(2), Some("last NOS=x"));
    let plain = folder.path().join("t.fa");
    fs::write(&plain, format!(">long\n{}", "MKVL\n".repeat(250_000))).unwrap();
    assert_eq!(texts(&*opened(&plain))[0].len(), 1_000_000);
    for (text, expected) in [("MKV\n", "begin with `>`"), ("", "it is empty")] {
        fs::write(&plain, text).unwrap();
        assert!(refused(&plain).contains(expected));
    }
}

/// Of 16 bits the upper 8 are kept; damaged files are errors or images and never more.
#[test]
fn images_of_16_bits_and_damaged_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let deep: Vec<u8> =
        [0u16, 0x1234, 0xffff, 0x8000].iter().flat_map(|v| v.to_ne_bytes()).collect();
    let format = image::ImageFormat::Png;
    image::save_buffer_with_format(&path, &deep, 2, 2, image::ColorType::L16, format).unwrap();
    let expected = Image::new(2, 2, 1, vec![0, 0x12, 0xff, 0x80]).unwrap();
    assert_eq!(opened(folder.path()).get(0).unwrap(), Example::Image(expected));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let (pixels, format) = (small(40, 30, 3), image::ImageFormat::Jpeg);
    image::write_buffer_with_format(
        &mut jpeg,
        pixels.pixels(),
        30,
        40,
        image::ColorType::Rgb8,
        format,
    )
    .unwrap();
    let jpeg = jpeg.into_inner();
    let path = folder.path().join("a.jpg");
    for at in (2..jpeg.len()).step_by(11) {
        let mut damaged = jpeg.clone();
        damaged[at] ^= 0xff;
        for bytes in [&jpeg[..at], &damaged] {
            fs::write(&path, bytes).unwrap();
            let data = opened(folder.path());
            if let Err(error) = data.get(0) {
                assert!(error.to_string().contains("a.jpg"), "{error}");
            }
        }
    }
}
