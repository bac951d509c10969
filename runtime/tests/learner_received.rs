//! What is checked of a learner that came from elsewhere, and how it gets its name.
#![cfg(feature = "learner")]

use std::path::{Path, PathBuf};

use offshoot::adapters::EncoderTag;
use offshoot::learner::{NewExample, Store, StoreInfo};
use rusqlite::Connection;

/// A learner of 14 examples with a history, beside which there is nothing.
fn received() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("received");
    let encoder = EncoderTag {
        digest: "sha256:3f2a".into(),
        name: "none".into(),
        dimensions: 3,
        prompt: None,
    };
    let info = StoreInfo { encoder, head: "ridge".into(), keeps_text: true };
    let example = |i: usize| {
        let vector = vec![i as f32, 0.5, -1.0];
        NewExample::new(vector, ["a", "b"][i % 2]).with_text(format!("text {i}"))
    };
    let mut store = Store::create(&path, &info, (0..10).map(example)).unwrap();
    for i in 10..14 {
        store.teach(&example(i)).unwrap();
    }
    (folder, path)
}

/// What a check says after a change by another program.
fn said(change: &str) -> String {
    let (_folder, path) = received();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(change).unwrap();
    drop(connection);
    // Some is found when the file is opened, before anything is asked of it.
    match Store::open(&path).and_then(|store| store.check()) {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_learner_is_sound_and_what_another_program_added_is_not() {
    assert_eq!(said(""), "");
    for (change, says) in [
        ("CREATE TABLE more (x);", "not those of a learner"),
        ("CREATE INDEX more ON example (weight * 2);", "not those of a learner"),
        ("DROP INDEX example_label;", "not those of a learner"),
        ("ALTER TABLE example ADD COLUMN more TEXT;", "not those of a learner"),
        ("CREATE TRIGGER t AFTER INSERT ON example BEGIN SELECT 1; END;", "triggers"),
        ("UPDATE history SET action = 'guess' WHERE revision = 3;", "\"guess\""),
        ("UPDATE example SET embedding = x'00' WHERE id = 4;", "example 4"),
        ("UPDATE example SET weight = -1 WHERE id = 5;", "example 5"),
        ("UPDATE example SET text = printf('%.*c', 16777217, 'x') WHERE id = 6;", "example 6"),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM example WHERE id = 7;
             INSERT INTO change VALUES (2, 7, 'a', 1.0);",
            "belong to nothing",
        ),
    ] {
        let told = said(change);
        assert!(told.contains(says), "{change}: {told}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_learner_gets_another_name_and_never_one_that_is_taken() {
    let (folder, path) = received();
    let taken = folder.path().join("taken.learner");
    std::fs::write(&taken, "mine").unwrap();
    Store::open(&path).unwrap().move_to(&taken).unwrap_err();
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    assert_eq!(names(folder.path()), ["received", "taken.learner"]);
    let nowhere = folder.path().join("none/a.learner");
    Store::open(&path).unwrap().move_to(nowhere).unwrap_err();

    let free = folder.path().join("free.learner");
    let mut store = Store::open(&path).unwrap().move_to(&free).unwrap();
    assert_eq!((store.len().unwrap(), store.path()), (14, &*free));
    store.undo(false).unwrap();
    assert_eq!(store.len().unwrap(), 13);
    assert_eq!(names(folder.path()), ["free.learner", "taken.learner"]);
}
