//! Head files: what is saved comes back, and everything else is refused with its reason.

use std::fs;
use std::path::Path;

use ndarray::Array2;
use offshoot_adapters::{Classes, EncoderTag, Error, HeadFile, HeadKind};

fn examples() -> (Array2<f32>, Vec<usize>, Classes) {
    let x = Array2::from_shape_fn((12, 5), |(i, j)| ((i * 5 + j * 3) as f32).sin());
    let labels = ["é\n\"", "b", "a"];
    let labels: Vec<&str> = (0..12).map(|i| labels[i % 3]).collect();
    let (classes, y) = Classes::from_labels(&labels).unwrap();
    (x, y, classes)
}

fn head_file(kind: HeadKind) -> HeadFile {
    let (x, y, classes) = examples();
    let encoder = EncoderTag {
        digest: "sha256:0123".into(),
        name: "all-MiniLM-L6-v2".into(),
        dimensions: 5,
        prompt: Some("query: ".into()),
    };
    HeadFile::new(encoder, kind.fit(x.view(), &y, classes).unwrap(), &y)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_kind_comes_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("topics.head");
    let (x, _, _) = examples();
    for kind in HeadKind::ALL {
        let file = head_file(kind);
        assert_eq!(file.examples, [4, 4, 4]);
        file.save(&path).unwrap();
        let loaded = HeadFile::load(&path).unwrap();
        assert_eq!(loaded, file);
        // Those who keep it elsewhere get the same bytes, as well checked.
        let bytes = file.to_bytes().unwrap();
        assert_eq!(bytes, fs::read(&path).unwrap());
        assert_eq!(HeadFile::from_bytes(&bytes).unwrap(), file);
        let error = HeadFile::from_bytes(&bytes[1..]).unwrap_err();
        assert!(error.to_string().starts_with("a head in memory is not a usable"), "{error}");
        assert_eq!(HeadFile::load_for(&path, "sha256:0123", 5).unwrap(), file);
        let (before, after) =
            (file.head.predict_proba(x.view()), loaded.head.predict_proba(x.view()));
        assert_eq!(before.unwrap(), after.unwrap());
        // Five numbers an example and class, and what describes them; more for a mixture.
        let most = if kind == HeadKind::Auto { 30_000 } else { 3_000 };
        assert!(fs::metadata(&path).unwrap().len() < most, "{kind}");
    }
    assert_eq!(names(folder.path()), ["topics.head"]);
}

#[test]
fn another_encoder_or_width_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    head_file(HeadKind::Ridge).save(&path).unwrap();
    let error = HeadFile::load_for(&path, "sha256:4567", 5).unwrap_err();
    assert!(matches!(error, Error::OtherEncoder { .. }));
    let text = error.to_string();
    for part in ["all-MiniLM-L6-v2", "sha256:0123", "sha256:4567", "fit the head again"] {
        assert!(text.contains(part), "{text}");
    }
    let error = HeadFile::load_for(&path, "sha256:0123", 4).unwrap_err();
    assert!(matches!(error, Error::OtherDimensions { found: 5, wanted: 4, .. }), "{error}");
    let mut file = head_file(HeadKind::Ridge);
    file.encoder.dimensions = 6;
    assert!(matches!(file.save(&path), Err(Error::Width { found: 6, expected: 5 })));
    assert_eq!(HeadFile::load(&path).unwrap(), head_file(HeadKind::Ridge));
}

#[test]
fn damage_anywhere_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    head_file(HeadKind::Logistic).save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for position in (0..bytes.len()).step_by(7) {
        fs::write(&path, &bytes[..position]).unwrap();
        assert!(matches!(HeadFile::load(&path), Err(Error::BadFile { .. })), "cut to {position}");
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        fs::write(&path, flipped).unwrap();
        assert!(matches!(HeadFile::load(&path), Err(Error::BadFile { .. })), "flip at {position}");
    }
    for content in ["", "hello", "{\"json\": true}"] {
        fs::write(&path, content).unwrap();
        let error = HeadFile::load(&path).unwrap_err();
        assert!(error.to_string().contains("not a usable head file: it is cut off"), "{error}");
    }
}

#[test]
fn missing_files_and_folders_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = HeadFile::load(&missing).unwrap_err();
    assert!(matches!(error, Error::Io { action: "read", .. }), "{error}");
    assert!(error.to_string().contains("missing"));
    assert!(matches!(HeadFile::load(folder.path()), Err(Error::Io { .. })));
    let error = head_file(HeadKind::Ridge).save(missing.join("h")).unwrap_err();
    assert!(matches!(error, Error::Io { action: "write", .. }), "{error}");
    assert!(names(folder.path()).is_empty());
}

/// Runs `save_where_told` again in a process that may write no file over 1 KiB, the nearest
/// that a test without privileges comes to a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_midway_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    head_file(HeadKind::NearestMean).save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact save_where_told --include-ignored";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("OFFSHOOT_TEST_SAVE", &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names(folder.path()), ["h"]);
}

/// The other process of `a_write_that_fails_midway_leaves_the_old_file`.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test"]
fn save_where_told() {
    let Some(path) = std::env::var_os("OFFSHOOT_TEST_SAVE") else { return };
    let mut file = head_file(HeadKind::Logistic);
    file.encoder.name = "x".repeat(100_000);
    let error = file.save(&path).unwrap_err();
    assert!(matches!(error, Error::Io { action: "write", .. }), "{error}");
}
