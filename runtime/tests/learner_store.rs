//! What a store refuses, what two processes see of each other, and what forgetting leaves.
#![cfg(feature = "learner")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offshoot::Error;
use offshoot::adapters::EncoderTag;
use offshoot::learner::{
    Action, ExampleFilter, ExampleId, HISTORY_UPDATES, NewExample, Store, StoreInfo, Undone,
};
use rusqlite::Connection;

fn info(dimensions: usize) -> StoreInfo {
    let encoder = EncoderTag {
        digest: "sha256:3f2a".into(),
        name: "none".into(),
        dimensions,
        prompt: Some("query: ".into()),
    };
    StoreInfo { encoder, head: "logistic".into(), keeps_text: true }
}

struct Place {
    folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.learner");
    Place { folder, path }
}

/// A store of `n` examples with embeddings of width 4, three labels in turn.
fn filled(path: &Path, n: usize) -> Store {
    let examples = (0..n).map(|i| {
        NewExample::new(embedding(i), ["a", "b", "c"][i % 3])
            .with_text(format!("text {i}"))
            .with_source(format!("source {}", i % 2))
    });
    Store::create(path, &info(4), examples).unwrap()
}

fn embedding(i: usize) -> Vec<f32> {
    (0..4).map(|column| ((i + 1) as f32).sin() * (column as f32 + 0.37)).collect()
}

/// Starts this test again as another process, in which `STORE` is set.
#[cfg(unix)]
fn again(test: &str, path: &Path, shell: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &format!("{shell} exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(STORE, path);
    command
}

#[cfg(unix)]
const STORE: &str = "OFFSHOOT_TEST_STORE";

fn ids(store: &Store) -> Vec<i64> {
    store.examples(&ExampleFilter::default()).map(|example| example.unwrap().id.0).collect()
}

fn holds(path: &Path, part: &[u8]) -> bool {
    fs::read(path).unwrap().windows(part.len()).any(|window| window == part)
}

fn bytes_of(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn examples_come_back_as_they_were_taught() {
    let place = place();
    let mut store = filled(&place.path, 600);
    let odd = NewExample {
        weight: 0.25,
        text: Some("line\nbreak \0 and é".into()),
        time: std::time::UNIX_EPOCH - Duration::from_millis(1234),
        ..NewExample::unlabelled(vec![f32::MIN_POSITIVE, -0.0, f32::MAX, -1.5])
    };
    let id = store.teach(&odd).unwrap();
    drop(store);
    let store = Store::open(&place.path).unwrap();
    assert_eq!(*store.info(), info(4));
    let found = store.example(id).unwrap();
    assert_eq!(bytes_of(&found.embedding), bytes_of(&odd.embedding));
    assert_eq!((found.label, found.weight, found.time), (None, 0.25, odd.time));
    assert_eq!(found.text, odd.text);
    // More than a page is read at once, in order.
    assert_eq!(ids(&store), (1..=601).collect::<Vec<_>>());
    let labels: Vec<_> =
        store.labels().unwrap().into_iter().map(|(l, n)| (l.unwrap_or_default(), n)).collect();
    let expected = [("", 1), ("a", 200), ("b", 200), ("c", 200)];
    assert_eq!(labels, expected.map(|(label, n)| (label.to_owned(), n)));
    let filter = ExampleFilter { label: Some("b".into()), source: Some("source 1".into()) };
    assert_eq!(store.examples(&filter).count(), 100);
    let labelled = store.labelled().unwrap();
    assert_eq!(labelled.embeddings.dim(), (600, 4));
    assert_eq!(labelled.embeddings.row(7).to_vec(), embedding(7));
    assert_eq!(labelled.labels[7], "b");
    store.check().unwrap();
}

#[test]
fn texts_are_not_kept_where_that_was_said() {
    let place = place();
    let info = StoreInfo { keeps_text: false, ..info(2) };
    let mut store = Store::create(&place.path, &info, []).unwrap();
    let id = store.teach(&NewExample::new(vec![1.0, 2.0], "a").with_text("a secret text")).unwrap();
    assert_eq!(store.example(id).unwrap().text, None);
    assert!(!holds(&place.path, b"a secret text"));
}

#[test]
fn unfit_examples_change_nothing() {
    let place = place();
    let mut store = filled(&place.path, 3);
    let good = NewExample::new(embedding(9), "a");
    let nan = NewExample { embedding: vec![0.0, f32::NAN, 0.0, 0.0], ..good.clone() };
    let wide = NewExample { embedding: vec![0.0; 5], ..good.clone() };
    let line = NewExample { label: Some("two\nlines".into()), ..good.clone() };
    let long = NewExample { label: Some("x".repeat(10_000_000)), ..good.clone() };
    let revision = store.revision().unwrap();
    for bad in [nan, wide, line, long] {
        let error = store.teach_many(&[good.clone(), bad]).unwrap_err();
        assert!(matches!(error, Error::Example { row: 1, .. }), "{error}");
        assert!(error.to_string().len() < 300, "{error}");
    }
    let id = ExampleId(1);
    assert!(matches!(store.relabel(id, Some("a\rb")), Err(Error::Argument(_))));
    assert!(matches!(store.set_weight(id, f64::NAN), Err(Error::Argument(_))));
    for factor in [0.0, -1.0, 1.5, f64::NAN] {
        assert!(matches!(store.age(factor), Err(Error::Argument(_))), "{factor}");
    }
    for result in [
        store.relabel(ExampleId(99), Some("a")),
        store.set_weight(ExampleId(99), 2.0),
        store.forget(&[id, ExampleId(99)]).map(drop),
        store.forget_class("zzz").map(drop),
        store.forget_source("zzz").map(drop),
        store.example(ExampleId(99)).map(drop),
    ] {
        assert!(matches!(result, Err(Error::NoExample { .. })), "{result:?}");
    }
    assert!(matches!(store.undo(false), Err(Error::NothingToUndo { .. })));
    assert_eq!((store.revision().unwrap(), ids(&store)), (revision, vec![1, 2, 3]));
    assert_eq!(store.teach_many(&[]).unwrap(), []);
}

#[test]
fn updates_are_undone_from_the_last_to_the_first() {
    let place = place();
    let mut store = filled(&place.path, 4);
    let before: Vec<_> = store.examples(&ExampleFilter::default()).map(Result::unwrap).collect();
    store.relabel(ExampleId(1), Some("z")).unwrap();
    store.relabel(ExampleId(1), None).unwrap();
    store.set_weight(ExampleId(2), 0.1).unwrap();
    assert_eq!(store.age(0.3).unwrap(), 4);
    store
        .teach_many(&[NewExample::new(embedding(7), "q"), NewExample::new(embedding(8), "q")])
        .unwrap();
    drop(store);
    // The history is in the file.
    let mut store = Store::open(&place.path).unwrap();
    let mut undo = || store.undo(false).unwrap();
    assert_eq!(undo(), Undone { action: Action::Teach, examples: 2 });
    assert_eq!(undo(), Undone { action: Action::Age, examples: 4 });
    assert_eq!(undo(), Undone { action: Action::Weight, examples: 1 });
    assert_eq!(undo(), Undone { action: Action::Relabel, examples: 1 });
    assert_eq!(store.example(ExampleId(1)).unwrap().label.as_deref(), Some("z"));
    store.undo(false).unwrap();
    let after: Vec<_> = store.examples(&ExampleFilter::default()).map(Result::unwrap).collect();
    assert_eq!(after, before);
    assert!(matches!(store.undo(false), Err(Error::NothingToUndo { .. })));
    // A number is never given twice.
    assert_eq!(store.teach(&NewExample::new(embedding(9), "q")).unwrap(), ExampleId(7));
    assert!(!holds(&place.path, &bytes_of(&embedding(8))));
}

#[test]
fn the_history_is_bounded_and_keeps_the_newest() {
    let place = place();
    let mut store = filled(&place.path, 1);
    let raw = Connection::open(&place.path).unwrap();
    raw.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {HISTORY_UPDATES})
         INSERT INTO history SELECT i, 'weight', 1, 0 FROM n;
         INSERT INTO change SELECT revision, 1, NULL, revision FROM history;
         UPDATE learner SET revision = {HISTORY_UPDATES};"
    ))
    .unwrap();
    let bounds = || {
        raw.query_row("SELECT count(*), min(revision), max(revision) FROM history", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap()
    };
    let most = HISTORY_UPDATES as i64;
    assert_eq!(bounds(), (most - 1, 2, most));
    for weight in [5.0, 6.0, 7.0] {
        store.set_weight(ExampleId(1), weight).unwrap();
    }
    assert_eq!(bounds(), (most, 4, most + 3));
    for weight in [6.0, 5.0, 1.0, HISTORY_UPDATES as f64] {
        store.undo(false).unwrap();
        assert_eq!(store.example(ExampleId(1)).unwrap().weight, weight);
    }
    // Many changes at once push out what is older, and stay themselves.
    raw.execute_batch("UPDATE history SET examples = 1000000 WHERE revision > 900").unwrap();
    store.set_weight(ExampleId(1), 2.0).unwrap();
    assert_eq!(bounds().0, 1i64);
    store.undo(false).unwrap();
    assert_eq!(store.example(ExampleId(1)).unwrap().weight, HISTORY_UPDATES as f64);
}

#[test]
fn what_was_forgotten_stays_so_and_undo_says_it() {
    let place = place();
    let mut store = filled(&place.path, 6);
    store.relabel(ExampleId(1), Some("z")).unwrap();
    store.age(0.5).unwrap();
    store.forget(&[ExampleId(1), ExampleId(2)]).unwrap();
    let error = store.undo(false).unwrap_err();
    assert!(matches!(error, Error::Forgotten { examples: 2, .. }), "{error}");
    assert!(error.to_string().contains("cannot be brought back"), "{error}");
    // The relabelling was only about a forgotten example, so it went with it.
    assert_eq!(store.undo(true).unwrap(), Undone { action: Action::Age, examples: 4 });
    assert!(matches!(store.undo(true), Err(Error::NothingToUndo { .. })));
    assert_eq!(ids(&store), [3, 4, 5, 6]);
}

/// Forgets some of many examples with texts of every length, and looks for their bytes.
#[test]
fn no_byte_of_a_forgotten_example_is_left() {
    let place = place();
    let text = |i: usize| format!("[{i}:{}]", "abcdefghij".repeat(i * i % 600)).into_bytes();
    let examples = (0..400).map(|i| {
        let text = String::from_utf8(text(i)).unwrap();
        NewExample::new(embedding(i), format!("label {}", i % 7))
            .with_text(text)
            .with_source(format!("source number {i}"))
    });
    let mut store = Store::create(&place.path, &info(4), examples).unwrap();
    // Rows move between pages when others come and go.
    for i in (0..400).step_by(3) {
        store.relabel(ExampleId(i + 1), Some("a label that is much longer than before")).unwrap();
    }
    store.age(0.9).unwrap();
    let revision = store.revision().unwrap();
    let means: Vec<u8> = (0..4000).flat_map(|i| bytes_of(&embedding(i))).collect();
    assert!(store.keep_head(revision, &means).unwrap());
    let gone: Vec<usize> = (0..400).filter(|i| i % 5 < 2).collect();
    let forgotten: Vec<_> = gone.iter().map(|&i| ExampleId(i as i64 + 1)).collect();
    store.forget(&forgotten).unwrap();
    assert_eq!(store.kept_head(store.revision().unwrap()).unwrap(), None);
    store.forget_class("label 6").unwrap();
    store.forget_source("source number 399").unwrap();
    store.check().unwrap();
    let kept: Vec<i64> = ids(&store);
    drop(store);
    let bytes = fs::read(&place.path).unwrap();
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let gone = (0..400).filter(|&i| !kept.contains(&(i as i64 + 1)));
    let mut count = 0;
    for i in gone {
        // The start, the end and a piece of the middle: texts lie in several pages.
        let text = text(i);
        assert!(!holds(&text[..text.len().min(5)]), "the text of {i}");
        let start = format!("[{i}:");
        assert!(!holds(start.as_bytes()), "the text of {i}");
        assert!(!holds(&bytes_of(&embedding(i))), "the embedding of {i}");
        assert!(!holds(format!("source number {i}\"").as_bytes()));
        count += 1;
    }
    assert!(count > 160);
    assert!(!holds(b"label 6"), "the label is mentioned");
    assert!(kept.iter().all(|&id| holds(&bytes_of(&embedding(id as usize - 1)))));
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1, "a journal is left");
}

/// SQLite may leave a copy of a row in its old page when the row moves to another one, and
/// `secure_delete` does not find it. Here rows that have such a copy are forgotten.
#[test]
fn no_copy_of_a_row_that_was_moved_is_left() {
    let mut moved = 0;
    for grow in [300, 600, 900, 1200, 1500, 1800] {
        let place = place();
        let mut store = filled(&place.path, 300);
        // Rows that grow push others to new pages.
        for i in (1..300).step_by(7) {
            store.relabel(ExampleId(i), Some(&format!("{i}{}", "-".repeat(grow / 2)))).unwrap();
        }
        let copies = |id: i64| {
            let embedding = bytes_of(&embedding(id as usize - 1));
            let bytes = fs::read(&place.path).unwrap();
            bytes.windows(embedding.len()).filter(|window| *window == embedding).count()
        };
        for id in (1..=300).filter(|&id| copies(id) > 1).collect::<Vec<_>>() {
            store.forget(&[ExampleId(id)]).unwrap();
            assert_eq!(copies(id), 0, "example {id} after growth by {grow}");
            moved += 1;
        }
    }
    assert!(moved > 0, "no row had a copy, so that nothing was tested");
}

/// A process that died between forgetting and overwriting leaves the second to the next.
#[test]
fn erasing_is_finished_by_the_next_to_open() {
    let place = place();
    drop(filled(&place.path, 200));
    let raw = Connection::open(&place.path).unwrap();
    // What a forget does in its transaction, on a connection that does not overwrite.
    raw.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA secure_delete = OFF;
         BEGIN; DELETE FROM example WHERE id = 150;
         UPDATE learner SET revision = revision + 1, erasing = revision + 1; COMMIT;",
    )
    .unwrap();
    drop(raw);
    let gone = bytes_of(&embedding(149));
    assert!(holds(&place.path, &gone));
    drop(Store::open_read_only(&place.path).unwrap());
    assert!(holds(&place.path, &gone));
    drop(Store::open(&place.path).unwrap());
    assert!(!holds(&place.path, &gone));
}

#[test]
fn files_that_are_no_learners_are_refused() {
    let place = place();
    let open = |path: &Path| Store::open(path).map(drop).unwrap_err();
    assert!(matches!(open(&place.path), Error::Io { .. }));
    assert!(matches!(open(place.folder.path()), Error::Io { .. }));
    for content in [&b""[..], b"text", &[0; 5000], &[0xff; 100_000]] {
        fs::write(&place.path, content).unwrap();
        let error = open(&place.path);
        assert!(matches!(error, Error::Store { .. }), "{error}");
        assert_eq!(fs::read(&place.path).unwrap(), content, "it was changed");
    }
    fs::remove_file(&place.path).unwrap();
    let other = Connection::open(&place.path).unwrap();
    other.execute_batch("CREATE TABLE learner (x); PRAGMA user_version = 1;").unwrap();
    drop(other);
    let error = open(&place.path).to_string();
    assert!(error.contains("something else") && error.contains("offshoot learn"), "{error}");
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_not_changed() {
    let place = place();
    drop(filled(&place.path, 3));
    let raw = Connection::open(&place.path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let before = fs::read(&place.path).unwrap();
    for error in [Store::open(&place.path), Store::open_read_only(&place.path)] {
        let error = error.map(drop).unwrap_err();
        assert!(matches!(error, Error::NewerStore { found: 99, supported: 2, .. }), "{error}");
        assert!(error.to_string().contains("update offshoot"), "{error}");
    }
    assert_eq!(fs::read(&place.path).unwrap(), before);
}

/// A file of version 0 is one whose making stopped before the first table.
#[test]
fn a_store_of_an_older_version_is_brought_to_the_newest() {
    let place = place();
    let raw = Connection::open(&place.path).unwrap();
    raw.pragma_update(None, "application_id", 0x4f66_734c).unwrap();
    raw.execute_batch("VACUUM").unwrap();
    drop(raw);
    let error = Store::open_read_only(&place.path).map(drop).unwrap_err();
    assert!(error.to_string().contains("version 0"), "{error}");
    // It has its tables now, and still says of no encoder.
    let error = Store::open(&place.path).map(drop).unwrap_err().to_string();
    assert!(error.contains("which encoder"), "{error}");
    let raw = Connection::open(&place.path).unwrap();
    raw.execute_batch("INSERT INTO learner VALUES (1, 'd', 'n', 4, NULL, 'ridge', 1, 0, NULL, 0)")
        .unwrap();
    drop(raw);
    let mut store = Store::open(&place.path).unwrap();
    store.teach(&NewExample::new(embedding(0), "a")).unwrap();
}

/// Every truncation is an error or a store whose examples are all right; none is a panic.
#[test]
fn truncated_stores_are_noticed() {
    let place = place();
    drop(filled(&place.path, 300));
    let whole = fs::read(&place.path).unwrap();
    for length in (0..whole.len()).step_by(997).chain([whole.len() - 1, 99, 4096]) {
        fs::write(&place.path, &whole[..length]).unwrap();
        let opened = Store::open(&place.path).and_then(|store| store.check());
        let error = opened.expect_err(&format!("cut to {length} bytes"));
        assert!(matches!(error, Error::Store { .. }), "cut to {length}: {error}");
    }
}

#[test]
fn values_that_do_not_fit_are_damage() {
    for change in [
        "UPDATE example SET embedding = x'00' WHERE id = 2",
        "UPDATE example SET embedding = x'0000c07f000000000000000000000000' WHERE id = 2",
        "UPDATE example SET label = 'two' || char(10) || 'lines' WHERE id = 2",
        "UPDATE example SET label = printf('%.2000c', 'x') WHERE id = 2",
        "UPDATE example SET weight = -1 WHERE id = 2",
        "UPDATE example SET weight = 9e999 WHERE id = 2",
        "UPDATE example SET label = CAST(x'ff' AS TEXT) WHERE id = 2",
    ] {
        let place = place();
        let store = filled(&place.path, 3);
        Connection::open(&place.path).unwrap().execute_batch(change).unwrap();
        for result in [
            store.example(ExampleId(2)).map(drop),
            store.labelled().map(drop),
            store.check(),
            store.examples(&ExampleFilter::default()).try_for_each(|example| example.map(drop)),
        ] {
            let error = result.expect_err(change).to_string();
            assert!(error.contains("example 2 is damaged"), "{change}: {error}");
        }
    }
    for change in [
        "DELETE FROM learner",
        "UPDATE learner SET dimensions = 1 << 40",
        "CREATE TRIGGER t AFTER INSERT ON example BEGIN DELETE FROM example; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE learner",
        "PRAGMA journal_mode = WAL",
    ] {
        let place = place();
        drop(filled(&place.path, 3));
        Connection::open(&place.path).unwrap().execute_batch(change).unwrap();
        let error = Store::open(&place.path).map(drop).expect_err(change);
        assert!(matches!(error, Error::Store { .. }), "{change}: {error}");
    }
}

#[test]
fn an_existing_file_is_never_replaced() {
    let place = place();
    fs::write(&place.path, "something").unwrap();
    let error = Store::create(&place.path, &info(4), []).map(drop).unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");
    assert_eq!(fs::read(&place.path).unwrap(), b"something");
    // A bad example half-way leaves nothing.
    let path = place.folder.path().join("b.learner");
    let examples = (0..3000)
        .map(|i| NewExample::new(if i == 2500 { vec![f32::NAN; 4] } else { embedding(i) }, "a"));
    let error = Store::create(&path, &info(4), examples).map(drop).unwrap_err();
    assert!(matches!(error, Error::Example { row: 2500, .. }), "{error}");
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
    assert!(matches!(Store::create(&path, &info(0), []), Err(Error::Argument(_))));
}

#[test]
fn of_two_writers_the_second_waits_and_sees_the_first() {
    let place = place();
    let mut second = filled(&place.path, 3);
    let revision = second.revision().unwrap();
    let first = Connection::open(&place.path).unwrap();
    first.execute_batch("BEGIN IMMEDIATE; UPDATE learner SET revision = revision + 1;").unwrap();
    second.set_wait(Duration::from_millis(50)).unwrap();
    let start = Instant::now();
    let error = second.teach(&NewExample::new(embedding(3), "a")).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(error.to_string().contains("another process"), "{error}");
    second.set_wait(Duration::from_secs(60)).unwrap();
    let waiting = std::thread::spawn(move || {
        second.teach(&NewExample::new(embedding(3), "a")).unwrap();
        second
    });
    std::thread::sleep(Duration::from_millis(100));
    first.execute_batch("COMMIT").unwrap();
    let second = waiting.join().unwrap();
    assert_eq!(second.revision().unwrap(), revision + 2);
}

#[test]
fn many_writers_lose_nothing() {
    let place = place();
    drop(filled(&place.path, 1));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &place.path;
            scope.spawn(move || {
                let mut store = Store::open(path).unwrap();
                store.set_wait(Duration::from_secs(120)).unwrap();
                for i in 0..25 {
                    let id =
                        store.teach(&NewExample::new(embedding(i), format!("{writer}"))).unwrap();
                    if i % 5 == 0 {
                        store.forget(&[id]).unwrap();
                    }
                }
            });
        }
    });
    let store = Store::open(&place.path).unwrap();
    store.check().unwrap();
    assert_eq!(store.len().unwrap(), 1 + 4 * 20);
    assert_eq!(store.revision().unwrap(), 4 * 30 + 1);
}

/// A head of an earlier revision is not kept: it may know what was forgotten since.
#[test]
fn a_head_is_kept_for_its_revision_only() {
    let place = place();
    let mut store = filled(&place.path, 3);
    let revision = store.revision().unwrap();
    assert!(store.keep_head(revision, b"head").unwrap());
    assert_eq!(store.kept_head(revision).unwrap().as_deref(), Some(&b"head"[..]));
    store.relabel(ExampleId(1), Some("z")).unwrap();
    assert!(!store.keep_head(revision, b"late").unwrap());
    assert_eq!(store.kept_head(store.revision().unwrap()).unwrap(), None);
    let mut reader = Store::open_read_only(&place.path).unwrap();
    assert!(!reader.keep_head(store.revision().unwrap(), b"no").unwrap());
}

#[test]
fn a_read_only_store_is_read_and_not_changed() {
    let place = place();
    drop(filled(&place.path, 3));
    let mut store = Store::open_read_only(&place.path).unwrap();
    assert!(store.is_read_only());
    assert_eq!(store.labelled().unwrap().labels, ["a", "b", "c"]);
    for result in [
        store.teach(&NewExample::new(embedding(1), "a")).map(drop),
        store.forget(&[ExampleId(1)]).map(drop),
        store.undo(false).map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Io { action: "write", .. }), "{error}");
        assert!(error.to_string().contains("may not be written"), "{error}");
    }
}

/// Root may write everywhere, so this is done as somebody who may not.
#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_written_is_read() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    if let Some(path) = std::env::var_os(STORE) {
        let mut store = Store::open(&path).unwrap();
        assert!(store.is_read_only());
        assert_eq!(store.labelled().unwrap().labels.len(), 3);
        assert!(!store.keep_head(store.revision().unwrap(), b"head").unwrap());
        let error = store.teach(&NewExample::new(embedding(1), "a")).unwrap_err();
        assert!(error.to_string().contains("may not be written"), "{error}");
        return;
    }
    let place = place();
    drop(filled(&place.path, 3));
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&place.path, 0o444);
    allow(place.folder.path(), 0o555);
    let mut child = again("a_file_that_may_not_be_written_is_read", &place.path, "");
    if fs::metadata(&place.path).unwrap().uid() == 0 {
        child.uid(65_534);
    }
    let ended = child.output().unwrap();
    allow(place.folder.path(), 0o755);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// A limit on the size of files stands for a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing_that_was_taught() {
    let teach = |store: &mut Store| {
        store.teach(&NewExample::new(embedding(1), "a").with_text("x".repeat(10_000)))
    };
    if let Some(path) = std::env::var_os(STORE) {
        let mut store = Store::open(&path).unwrap();
        let mut count = 0;
        let error = loop {
            match teach(&mut store) {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
            assert!(count < 1000, "the limit was not met");
        };
        assert!(matches!(error, Error::Io { action: "write", .. }), "{error}");
        assert!(error.to_string().contains("full"), "{error}");
        // It goes on working with what there is.
        assert_eq!(store.len().unwrap(), 3 + count);
        store.check().unwrap();
        println!("\ntaught {count}");
        return;
    }
    let place = place();
    drop(filled(&place.path, 3));
    let limit = "trap '' XFSZ; ulimit -f 1000;";
    let ended =
        again("a_full_disk_loses_nothing_that_was_taught", &place.path, limit).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let said = String::from_utf8(ended.stdout).unwrap();
    let count = said.lines().find_map(|line| line.strip_prefix("taught ")).unwrap();
    let count: u64 = count.parse().unwrap();
    assert!(count > 10, "{count}");
    let mut store = Store::open(&place.path).unwrap();
    store.check().unwrap();
    assert_eq!(store.len().unwrap(), 3 + count);
    teach(&mut store).unwrap();
}

#[test]
fn examples_after_one_are_those_that_follow_it() {
    let place = place();
    let mut store = filled(&place.path, 600);
    store.forget(&[ExampleId(300)]).unwrap();
    let filter = ExampleFilter { label: Some("b".into()), source: None };
    for filter in [ExampleFilter::default(), filter] {
        let all: Vec<i64> = store.examples(&filter).map(|e| e.unwrap().id.0).collect();
        for after in [i64::MIN, 0, 1, 255, 256, 300, 599, 600, i64::MAX] {
            let rest: Vec<i64> = all.iter().copied().filter(|&id| id > after).collect();
            let seek = |read: usize| -> Vec<i64> {
                let mut examples = store.examples(&filter);
                examples.by_ref().take(read).for_each(drop);
                examples.after(ExampleId(after)).map(|e| e.unwrap().id.0).collect()
            };
            assert_eq!(seek(0), rest, "after {after}");
            // What was read already does not come again.
            let later: Vec<i64> = all[10..].iter().copied().filter(|&id| id > after).collect();
            assert_eq!(seek(10), later, "after {after}");
        }
    }
}

#[test]
fn a_copy_is_the_learner_at_one_moment() {
    let place = place();
    let mut store = filled(&place.path, 600);
    store.forget(&[ExampleId(7)]).unwrap();
    store.relabel(ExampleId(8), Some("c")).unwrap();
    let path = place.folder.path().join("copy.learner");
    store.copy_to(&path).unwrap();
    store.teach(&NewExample::new(embedding(9), "later")).unwrap();
    let mut copy = Store::open(&path).unwrap();
    copy.check().unwrap();
    assert_eq!((copy.len().unwrap(), copy.info()), (599, store.info()));
    assert!(!holds(&path, &bytes_of(&embedding(6))));
    // The history is a part of it.
    copy.undo(false).unwrap();
    assert_eq!(copy.example(ExampleId(8)).unwrap().label.as_deref(), Some("b"));
    // Neither a file nor an empty one is replaced.
    let empty = place.folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    for there in [&path, &empty, &place.path] {
        assert!(matches!(store.copy_to(there), Err(Error::Io { .. })));
    }
    assert_eq!(fs::read(&empty).unwrap(), b"");
}
