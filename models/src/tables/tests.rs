//! Every format, good and bad, against the same expectations.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::*;

fn source(bytes: impl Into<Vec<u8>>) -> Source {
    Source::Reader { reader: Box::new(Cursor::new(bytes.into())), name: "input".into() }
}

fn options(format: Format, text: Option<&str>, label: Option<&str>) -> TableOptions {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    TableOptions {
        format: Some(format),
        text: owned(text),
        label: owned(label),
        ..TableOptions::default()
    }
}

fn read(format: Format, bytes: &str) -> Vec<std::result::Result<Row, String>> {
    let rows = open(source(bytes), &options(format, None, None)).unwrap();
    rows.map(|row| row.map_err(|e| e.to_string())).collect()
}

fn row(number: u64, text: &str, label: Option<&str>) -> std::result::Result<Row, String> {
    Ok(Row { number, text: text.into(), label: label.map(str::to_owned) })
}

fn refusal(bytes: impl Into<Vec<u8>>, options: &TableOptions) -> String {
    open(source(bytes), options).unwrap_err().to_string()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn text_lines_keep_empty_ones_and_lose_line_ends() {
    let expected = [row(1, "a", None), row(2, "", None), row(3, " b ", None), row(4, "é", None)];
    assert_eq!(read(Format::Text, "\u{feff}a\r\n\n b \né"), expected);
    assert_eq!(read(Format::Text, "\u{feff}a\r\n\n b \né\r\n"), expected);
    assert_eq!(read(Format::Text, "x"), [row(1, "x", None)]);
    assert_eq!(read(Format::Text, "\u{feff}"), []);
}

#[test]
fn fasta_sequences_and_labels_of_headers() {
    let fasta = ">a OS=Homo sapiens OX=1\nMkv\r\nL*\n>b\nM1\n>c x\nG";
    let bad = Err("input, record 2, line 5: `1` is no residue".to_owned());
    let read = |label| -> Vec<std::result::Result<Row, String>> {
        let rows = open(source(fasta), &options(Format::Fasta, None, label)).unwrap();
        rows.map(|row| row.map_err(|e| e.to_string())).collect()
    };
    assert_eq!(read(None), [row(1, "MKVL", None), bad.clone(), row(3, "G", None)]);
    assert_eq!(read(Some("OS")), [row(1, "MKVL", Some("Homo sapiens")), bad, row(3, "G", None)]);
    assert_eq!(read(Some("header"))[2], row(3, "G", Some("c x")));
    let named = refusal(fasta, &options(Format::Fasta, Some("text"), None));
    assert!(named.contains("FASTA has no columns"), "{named}");
    let mut none = open(source("MKV\n"), &options(Format::Fasta, None, None)).unwrap();
    assert!(none.next().unwrap().unwrap_err().to_string().contains("begin with `>`"));
    assert!(none.next().is_none());
}

#[test]
fn gzip_and_bzip2_are_undone_whatever_the_name() {
    use std::io::Write;
    let csv = "text,label\na,x\nb,y\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(csv.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bzip2.write_all(csv.as_bytes()).unwrap();
    for bytes in [gzip.clone(), bzip2.finish().unwrap()] {
        let rows = open(source(bytes), &options(Format::Csv, None, None)).unwrap();
        let rows: Vec<_> = rows.map(Result::unwrap).collect();
        assert_eq!(rows.iter().map(|row| row.text.as_str()).collect::<String>(), "ab");
    }
    // Cut short, and compressed twice.
    let cut = open(source(&gzip[..gzip.len() - 9]), &options(Format::Csv, None, None));
    assert!(cut.is_err() || cut.unwrap().any(|row| row.is_err()));
    let mut twice = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    twice.write_all(&gzip).unwrap();
    let error = refusal(twice.finish().unwrap(), &options(Format::Csv, None, None));
    assert!(error.contains("compressed"), "{error}");
    assert_eq!(Format::from_path(Path::new("p.FASTA.gz")), Some(Format::Fasta));
    assert_eq!(Format::from_path(Path::new("p.csv.bz2")), Some(Format::Csv));
    assert_eq!(Format::from_path(Path::new("p.gz")), None);
}

#[test]
fn csv_quotes_and_columns() {
    let csv = "\u{feff}id,label,text\r\n1,pos,\"two\r\nlines, \"\"q\"\"\"\r\n2,,plain\r\n";
    let expected = [row(1, "two\r\nlines, \"q\"", Some("pos")), row(2, "plain", None)];
    assert_eq!(read(Format::Csv, csv), expected);
    assert_eq!(read(Format::Tsv, "Sentence\tClass\na,b\tc\n"), [row(1, "a,b", Some("c"))]);
    assert_eq!(read(Format::Csv, "whatever\nx\n"), [row(1, "x", None)]);
    assert_eq!(read(Format::Csv, "anything,label\nx,1\n"), [row(1, "x", Some("1"))]);
    assert_eq!(read(Format::Csv, "text\n"), []);

    let named = options(Format::Csv, Some("id"), Some("text"));
    let rows: Vec<Row> = open(source(csv), &named).unwrap().map(Result::unwrap).collect();
    assert_eq!((rows[1].text.as_str(), rows[1].label.as_deref()), ("2", Some("plain")));
    // The label's usual name is not used twice.
    let named = options(Format::Csv, Some("label"), None);
    let rows: Vec<Row> = open(source(csv), &named).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows[0], row(1, "pos", None).unwrap());
}

#[test]
fn missing_columns_are_told_with_those_that_exist() {
    let error = refusal("a,b,c\n1,2,3\n", &options(Format::Csv, None, None));
    assert!(error.contains("name it") && error.contains("`a`, `b`, `c`"), "{error}");
    let error = refusal("a,b\n1,2\n", &options(Format::Csv, Some("body"), None));
    assert!(error.contains("no column `body`") && error.contains("`a`, `b`"), "{error}");
    let error = refusal("a,b\n1,2\n", &options(Format::Csv, Some("a"), Some("y")));
    assert!(error.contains("no column `y`"), "{error}");
    let error = refusal("a\n", &options(Format::Text, Some("a"), None));
    assert!(error.contains("no columns"), "{error}");
    let many: Vec<String> = (0..2000).map(|i| format!("column{i}")).collect();
    let error = refusal(format!("{}\n", many.join(",")), &options(Format::Csv, None, None));
    assert!(error.contains("and 1970 more") && error.len() < 1000, "{error}");
}

#[test]
fn broken_csv_rows_are_named_and_reading_goes_on() {
    let csv = b"text,label\ngood,1\n\nonly one\na,b,c\nbad \xff byte,2\n\"two\nlines\",3\nlast,4\n";
    let rows = open(source(&csv[..]), &options(Format::Csv, None, None)).unwrap();
    let rows: Vec<_> = rows.map(|row| row.map_err(|e| e.to_string())).collect();
    assert_eq!(rows[0], row(1, "good", Some("1")));
    let error = |i: usize| rows[i].as_ref().unwrap_err();
    assert!(error(1).contains("input, record 2, line 4: it has 1 fields"), "{}", error(1));
    assert!(error(2).contains("record 3, line 5: it has 3 fields"), "{}", error(2));
    assert!(error(3).contains("record 4, line 6: field 1: it is not UTF-8 from byte 5"));
    assert_eq!(rows[4], row(5, "two\nlines", Some("3")));
    assert_eq!(rows[5], row(6, "last", Some("4")));
    assert_eq!(rows.len(), 6);
}

#[test]
fn jsonl_keys_kinds_and_broken_lines() {
    let jsonl = concat!(
        "{\"text\": \"a\\nb\", \"label\": \"x\", \"other\": [1]}\r\n",
        "\n",
        "{\"label\": 3, \"text\": \"c\"}\n",
        "{\"text\": \"d\", \"label\": null}\n",
        "{\"text\": \"cut\n",
        "[1, 2]\n",
        "{\"txt\": \"e\"}\n",
        "{\"text\": 7}\n",
        "{\"text\": \"f\", \"label\": {}}\n",
        "{\"text\": \"g\"}",
    );
    let rows = read(Format::Jsonl, jsonl);
    assert_eq!(rows[..3], [row(1, "a\nb", Some("x")), row(2, "c", Some("3")), row(3, "d", None)]);
    for (i, expected) in [
        (3, "record 4, line 5: it is not JSON"),
        (4, "record 5, line 6: it is not a JSON object"),
        (5, "has no key `text`; its keys are `txt`"),
        (6, "`text` is a number, not a string"),
        (7, "`label` is an object, not a label"),
    ] {
        let error = rows[i].as_ref().unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(rows[8..], [row(9, "g", None)]);

    let mut rows =
        open(source("{\"a\": 1, \"b\": 2}\n"), &options(Format::Jsonl, None, None)).unwrap();
    let error = rows.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("`a`, `b`"), "{error}");
    assert!(rows.next().is_none());
    // Labels may begin after the first object; a name that none has is an error at the end.
    let sparse = "{\"text\": \"a\"}\n{\"text\": \"b\", \"class\": \"x\"}\n";
    assert_eq!(read(Format::Jsonl, sparse), [row(1, "a", None), row(2, "b", Some("x"))]);
    let wrong = options(Format::Jsonl, None, Some("klass"));
    let rows: Vec<_> = open(source(sparse), &wrong).unwrap().collect();
    assert!(rows.len() == 3 && rows[1].is_ok());
    let error = rows[2].as_ref().unwrap_err().to_string();
    assert!(error.contains("no object has the key `klass`") && error.contains("`text`"), "{error}");
    // A hostile nesting is an error and not an overflow of the stack.
    let deep = read(Format::Jsonl, &format!("{{\"text\": {}\n", "[".repeat(1 << 20)));
    assert!(deep[0].as_ref().unwrap_err().contains("not JSON"));
}

#[test]
fn parquet_string_types_made_by_pyarrow() {
    let texts = [
        Some("a"),
        Some("two\nlines"),
        None,
        Some(""),
        Some("日本語"),
        Some("🙂"),
        Some("g"),
        Some("h"),
        Some("i"),
        Some("j"),
    ];
    let labels = ["0", "1", "2", "", "1", "0", "2", "1", "0", "1"];
    for column in ["text", "large", "view", "dict"] {
        let rows = open(fixture("strings.parquet"), &options(Format::Parquet, Some(column), None));
        let rows: Vec<_> = rows.unwrap().collect();
        assert_eq!(rows.len(), 10);
        for (i, row) in rows.into_iter().enumerate() {
            match (row, texts[i]) {
                (Ok(row), Some(text)) => {
                    assert_eq!((row.number, row.text.as_str()), (i as u64 + 1, text), "{column}");
                    assert_eq!(row.label.as_deref().unwrap_or(""), labels[i]);
                }
                (Err(error), None) => {
                    assert!(error.to_string().contains("record 3"), "{error}");
                    assert!(error.to_string().contains("null"), "{error}");
                }
                other => panic!("{column}: {other:?}"),
            }
        }
    }
    let flags = options(Format::Parquet, Some("view"), Some("flag"));
    let first = open(fixture("strings.parquet"), &flags).unwrap().next().unwrap().unwrap();
    assert_eq!(first.label.as_deref(), Some("true"));
    let dict = options(Format::Parquet, Some("text"), Some("dict"));
    let second = open(fixture("strings.parquet"), &dict).unwrap().nth(1).unwrap().unwrap();
    assert_eq!(second.label.as_deref(), Some("two\nlines"));
    let refused = |text, label| {
        let options = options(Format::Parquet, Some(text), Some(label));
        open(fixture("strings.parquet"), &options).unwrap_err().to_string()
    };
    assert!(refused("score", "label").contains("not text"));
    assert!(refused("text", "score").contains("not a label"));
}

#[test]
fn parquet_from_a_stream_and_damaged() {
    let bytes = std::fs::read(fixture("strings.parquet")).unwrap();
    let parquet = options(Format::Parquet, None, None);
    let whole: Vec<_> = open(source(bytes.clone()), &parquet).unwrap().flatten().collect();
    assert_eq!(whole.len(), 9);
    assert!(refusal(&bytes[..bytes.len() / 2], &parquet).contains("damaged"));
    assert!(refusal("text,label\n", &parquet).contains("does not begin"));
    // Any flipped byte is an error or other content, never a panic or endless rows.
    for (at, mask) in (4..bytes.len()).map(|at| (at, [0x55, 0x80, 0xff][at % 3])) {
        let mut bad = bytes.clone();
        bad[at] ^= mask;
        if let Ok(rows) = open(source(bad), &parquet) {
            assert!(rows.take(10_000).count() < 10_000);
        }
    }
}

#[test]
fn what_cannot_be_text_is_refused() {
    let csv = options(Format::Csv, None, None);
    for (bytes, expected) in [
        (&b""[..], "empty"),
        (b"PAR1xxxx", "Parquet"),
        (b"PK\x03\x04", "compressed"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"\n\n\n", "no header"),
        (b"te\xffxt,label\n", "header"),
    ] {
        let error = refusal(bytes, &csv);
        assert!(error.contains(expected), "{error}");
    }
    let unknown = open(PathBuf::from("texts.docx"), &TableOptions::default()).unwrap_err();
    assert!(unknown.to_string().contains("jsonl"), "{unknown}");
    let missing = open(PathBuf::from("nowhere.csv"), &TableOptions::default()).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }) && missing.to_string().contains("nowhere.csv"));
    let folder = tempfile::tempdir().unwrap();
    let error = open(folder.path(), &csv).unwrap_err().to_string();
    assert!(error.contains("folder"), "{error}");
}

/// Gives the same byte for ever, and counts.
struct Endless(std::sync::Arc<std::sync::atomic::AtomicU64>, &'static [u8], usize);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = *self.1.get(self.2).unwrap_or(&b'x');
            self.2 += 1;
        }
        self.0.fetch_add(buffer.len() as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(buffer.len())
    }
}

#[test]
fn one_record_is_bounded() {
    // An open quote in an endless file ends after the limit.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let reader = Box::new(Endless(count.clone(), b"text,label\na,b\n\"open", 0));
    let endless = Source::Reader { reader, name: "endless".into() };
    let mut rows = open(endless, &options(Format::Csv, None, None)).unwrap();
    assert!(rows.next().unwrap().is_ok());
    let error = rows.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("record 2") && error.contains("quote left open"), "{error}");
    assert!(rows.next().is_none());
    let read = count.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read < MAX_RECORD as u64 + (1 << 18), "{read}");

    // A long line is passed over and the next one is read.
    for (length, ok) in [(MAX_RECORD, true), (MAX_RECORD + 1, false), (MAX_RECORD + 9, false)] {
        let text = format!("a\n{}\r\nb\n", "x".repeat(length));
        let rows: Vec<_> =
            open(source(text), &options(Format::Text, None, None)).unwrap().collect();
        assert_eq!(rows[1].is_ok(), ok, "{length}");
        assert_eq!(rows[2].as_ref().unwrap().text, "b");
    }
}

#[test]
fn skipping_gives_the_same_rows_as_reading() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("t.csv");
    std::fs::write(&csv, "text,label\na,1\nbroken\nb,2\nc,3\n").unwrap();
    let jsonl = folder.path().join("t.jsonl");
    std::fs::write(&jsonl, "{\"text\":\"a\"}\n\nbroken\n{\"text\":\"b\"}\n").unwrap();
    for path in [csv, jsonl, fixture("strings.parquet")] {
        let open = || open(path.as_path(), &TableOptions::default()).unwrap();
        let shown = |rows: Rows| rows.map(|r| format!("{r:?}")).collect::<Vec<_>>();
        let all = shown(open());
        for first in 0..all.len() {
            let mut rows = open();
            assert_eq!(rows.skip_rows(first as u64).unwrap(), first as u64);
            assert_eq!(shown(rows), all[first..], "{} from {first}", path.display());
            let mut rows = open();
            let _ = rows.next();
            assert_eq!(rows.skip_rows(1000).unwrap(), all.len() as u64 - 1);
            assert!(rows.next().is_none());
        }
        let mut rows = open();
        assert_eq!(rows.skip_rows(1000).unwrap(), all.len() as u64);
        assert!(rows.next().is_none());
    }
}

#[test]
fn position_ends_at_the_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.txt");
    std::fs::write(&path, "line\n".repeat(100_000)).unwrap();
    for (path, before) in [(path, 200_000), (fixture("strings.parquet"), 10_000)] {
        let mut rows = open(path.as_path(), &TableOptions::default()).unwrap();
        let len = rows.len_hint().unwrap();
        assert_eq!(len, std::fs::metadata(&path).unwrap().len());
        let _ = rows.next();
        assert!(rows.position() < before.min(len), "{}", rows.position());
        assert!(rows.by_ref().count() > 0);
        assert_eq!(rows.position(), len);
    }
    assert_eq!(open(source("a\n"), &TableOptions::default()).unwrap().len_hint(), None);
}

#[test]
fn fingerprints_tell_files_apart() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let of = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).unwrap();
        fingerprint(file.path()).unwrap()
    };
    let base = vec![7_u8; 3 << 20];
    let first = of(&base);
    assert_eq!(of(&base), first);
    let mut seen = std::collections::HashSet::from([first]);
    for at in [0, (1 << 20) - 1, (2 << 20) + 1, (3 << 20) - 1] {
        let mut other = base.clone();
        other[at] = 8;
        assert!(seen.insert(of(&other)), "byte {at}");
    }
    assert!(seen.insert(of(&base[1..])));
    assert!(seen.insert(of(b"")));
}

#[test]
fn csv_lines_are_counted_whatever_their_end() {
    for eol in ["\n", "\r\n"] {
        let csv = format!("text,label{eol}a{eol}{eol}c{eol}\"d{eol}e\"{eol}x,y{eol}{eol}{eol}f");
        let rows = open(source(csv), &options(Format::Csv, None, None)).unwrap();
        let lines: Vec<u64> = rows
            .filter_map(|row| match row {
                Err(Error::Record { line, .. }) => Some(line),
                _ => None,
            })
            .collect();
        assert_eq!(lines, [2, 4, 5, 10], "{eol:?}");
    }
    // Far from the first buffer too.
    let csv = format!("text,label\n{}bad\n", "some text,1\n".repeat(50_000));
    let last = open(source(csv), &options(Format::Csv, None, None)).unwrap().last().unwrap();
    assert!(matches!(last, Err(Error::Record { record: 50_001, line: 50_002, .. })), "{last:?}");
}
