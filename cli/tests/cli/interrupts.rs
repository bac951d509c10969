//! Signals and kills at the moments that matter.
#![cfg(unix)]

use std::io::Write;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Workplace, bundle, lines};

/// Rows that are fed before the kill: three whole chunks, and one that waits for more.
const FED: usize = 2000;
const CHUNK: u64 = 512;

/// Starts `embed -o OUT` on standard input, feeds it some rows, and waits until all that can
/// be durable are.
fn started(place: &Workplace, out: &str, text: &str) -> Child {
    let mut child = place
        .process(&["embed", bundle(), "-o", out])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let fed: String = text.split_inclusive('\n').take(FED).collect();
    child.stdin.as_mut().unwrap().write_all(fed.as_bytes()).unwrap();
    let start = Instant::now();
    while durable(place, out) < FED as u64 / CHUNK * CHUNK {
        assert!(start.elapsed() < Duration::from_secs(60), "{} rows", durable(place, out));
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn durable(place: &Workplace, out: &str) -> u64 {
    let record = std::fs::read(place.path(&format!("{out}.part.json"))).unwrap_or_default();
    let record: Value = serde_json::from_slice(&record).unwrap_or_default();
    record["progress"]["rows"].as_u64().unwrap_or(0)
}

fn signal(child: &Child, name: &str) {
    let status =
        std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn ended(mut child: Child) -> Output {
    // Its input stays open until it has ended.
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(input);
    output
}

/// Resumes, and compares with a run that was never interrupted.
fn resume_and_compare(place: &Workplace, out: &str, text: &str) {
    let whole = format!("whole-{out}");
    let embed = |args: &[&str]| {
        let all = [&["embed", bundle(), "-o"], args].concat();
        place.offshoot(&all).write_stdin(text).assert()
    };
    // Nothing is overwritten unasked.
    embed(&[out]).code(2);
    assert!(!place.path(out).exists());
    embed(&[out, "--resume"]).success();
    embed(&[&whole]).success();
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read(out) == read(&whole), "{out} differs");
    assert_eq!(place.names(), [out, &whole]);
}

#[test]
fn a_killed_run_is_resumed_to_the_same_bytes() {
    for out in ["t.npy", "t.jsonl", "t.parquet"] {
        let place = Workplace::new();
        let text = lines(5000);
        let child = started(&place, out, &text);
        signal(&child, "-KILL");
        assert_eq!(ended(child).status.code(), None);
        assert!(!place.path(out).exists());
        resume_and_compare(&place, out, &text);
    }
}

#[test]
fn ctrl_c_ends_with_130_and_says_how_to_resume() {
    for name in ["-INT", "-TERM"] {
        let place = Workplace::new();
        let text = lines(5000);
        let child = started(&place, "t.npy", &text);
        signal(&child, name);
        let output = ended(child);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("interrupted: 1,536 rows are kept"), "{said}");
        assert!(said.contains("--resume"), "{said}");
        resume_and_compare(&place, "t.npy", &text);
    }
}

/// The input is a file here, so that the signal finds the program computing.
#[test]
fn ctrl_c_while_computing_keeps_whole_chunks() {
    let place = Workplace::new();
    let text = lines(400_000);
    place.write("t.txt", &text);
    let child = place
        .process(&["embed", bundle(), "t.txt", "-o", "t.npy"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while durable(&place, "t.npy") == 0 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "-INT");
    let output = ended(child);
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = durable(&place, "t.npy");
    assert!(rows > 0 && rows.is_multiple_of(CHUNK) && rows < 400_000, "{rows}");
    assert!(!place.path("t.npy").exists());
}

#[test]
fn another_input_is_not_resumed_and_restart_begins_anew() {
    let place = Workplace::new();
    let text = lines(5000);
    let child = started(&place, "t.npy", &text);
    signal(&child, "-KILL");
    ended(child);
    let resume = |args: &[&str], input: &str| {
        let all = [&["embed", bundle(), "-o", "t.npy"], args].concat();
        place.offshoot(&all).write_stdin(input.to_owned()).assert()
    };
    // Fewer rows than were embedded, other options, another input.
    resume(&["--resume"], &lines(100)).code(3);
    resume(&["--resume", "--dimensions", "8"], &text).failure();
    place.write("u.txt", &text);
    let other = resume(&["--resume", "u.txt"], "");
    assert!(!other.get_output().status.success());
    assert_eq!(durable(&place, "t.npy"), 1536, "what was durable still is");
    resume(&["--restart"], "fresh\n").success();
    assert_eq!(crate::support::read_npy(&place.path("t.npy")).0, 1);
}

#[test]
fn an_interrupted_prediction_leaves_nothing() {
    let place = Workplace::new();
    place.examples("e.csv", 4);
    place.offshoot(&["learn", bundle(), "e.csv", "-o", "a.head"]).assert().success();
    let mut child = place
        .process(&["predict", bundle(), "a.head", "-", "-o", "p.csv"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(lines(100).as_bytes()).unwrap();
    let start = Instant::now();
    while !place.names().iter().any(|name| name.contains("partial")) {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    assert_eq!(ended(child).status.code(), Some(130));
    assert_eq!(place.names(), ["a.head", "e.csv"]);
}
