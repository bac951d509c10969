//! Commands on an encoder of signals: `.ts`, `.npy` and CSV.

use std::fs;

use ndarray::Array2;
use offshoot_tests::senses::{self, WIDTH};
use serde_json::Value;

use crate::support::{Workplace, read_npy, stderr, stdout};

const CHANNELS: usize = 3;
const LENGTH: usize = 20;

/// A window `[channels, length]`: `slow` or `fast` waves, apart from each other in phase.
fn wave(fast: bool, seed: usize, length: usize) -> Array2<f32> {
    let rate = if fast { 2.5 } else { 0.4 };
    Array2::from_shape_fn((CHANNELS, length), |(c, t)| {
        let value = (rate * t as f64 + c as f64 + 0.1 * seed as f64).sin() * (1.0 + c as f64);
        // Few digits, so that text holds the number exactly.
        (value * 64.0).round() as f32 / 64.0
    })
}

fn workplace() -> Workplace {
    let place = Workplace::new();
    senses::signal_bundle(&place.path(""), "e");
    place
}

/// A file of the time-series archive: cases of channels, with labels.
fn ts(cases: &[(Array2<f32>, &str)]) -> String {
    let mut text = String::from("@problemName waves\n@classLabel true slow fast\n@data\n");
    for (wave, label) in cases {
        let channels: Vec<String> = wave
            .outer_iter()
            .map(|channel| {
                let values: Vec<String> = channel
                    .iter()
                    .map(|v| if v.is_nan() { "?".to_owned() } else { v.to_string() })
                    .collect();
                values.join(",")
            })
            .collect();
        text.push_str(&format!("{}:{label}\n", channels.join(":")));
    }
    text
}

fn cases(each: usize) -> Vec<(Array2<f32>, &'static str)> {
    (0..each)
        .flat_map(|i| [(wave(false, i, LENGTH), "slow"), (wave(true, i, LENGTH), "fast")])
        .collect()
}

fn check(found: &[f32], wave: &Array2<f32>) {
    let expected = senses::embedding(wave.iter().map(|&v| f64::from(v)));
    assert_eq!(found.len(), WIDTH);
    for (&found, expected) in found.iter().zip(expected) {
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found} against {expected}");
    }
}

#[test]
fn windows_of_an_archive_become_embeddings_and_a_head() {
    let place = workplace();
    let train = cases(8);
    place.write("train.ts", ts(&train));
    let run = place.offshoot(&["embed", "e.offshoot", "train.ts", "-o", "x.npy"]).assert();
    let said = stderr(&run.success());
    assert!(said.contains("16 signals in") && !said.contains("note"), "{said}");
    let (rows, columns, values) = read_npy(&place.path("x.npy"));
    assert_eq!((rows, columns), (16, WIDTH));
    for (found, (wave, _)) in values.chunks_exact(WIDTH).zip(&train) {
        check(found, wave);
    }
    let learn = ["learn", "e.offshoot", "train.ts", "-o", "c.head"];
    let said = stderr(&place.offshoot(&learn).assert().success());
    assert!(said.contains("2 classes from 16 examples: fast 8, slow 8"), "{said}");
    let test: Vec<_> = cases(12).split_off(16);
    place.write("test.ts", ts(&test));
    let evaluate = ["evaluate", "e.offshoot", "c.head", "test.ts", "--json"];
    let value: Value =
        serde_json::from_str(&stdout(&place.offshoot(&evaluate).assert().success())).unwrap();
    assert_eq!((value["accuracy"].as_f64(), value["examples"].as_u64()), (Some(1.0), Some(8)));

    let learn = ["learn", "e.offshoot", "train.ts", "-o", "c.learner"];
    place.offshoot(&learn).assert().success();
    let teach = ["teach", "e.offshoot", "c.learner", "--from", "test.ts"];
    let said = stderr(&place.offshoot(&teach).assert().success());
    assert!(said.contains("examples 17 to 24 taught, 24 in all"), "{said}");
    let run = place.offshoot(&["predict", "e.offshoot", "c.learner", "test.ts"]).assert().success();
    for (line, (_, label)) in stdout(&run).lines().skip(1).zip(&test) {
        assert_eq!(line.split(',').nth(1), Some(*label));
    }
}

#[test]
fn a_recording_is_cut_to_windows_of_the_encoder_s_length() {
    let place = workplace();
    let recording = wave(false, 0, 3 * LENGTH + 5);
    let mut csv = String::from("time,a,b,c\n");
    for (t, row) in recording.columns().into_iter().enumerate() {
        csv.push_str(&format!("{t},{},{},{}\n", row[0], row[1], row[2]));
    }
    place.write("recording.csv", csv);
    let embed = |more: &[&str]| {
        let args = [&["embed", "e.offshoot", "recording.csv", "-o", "x.npy"], more].concat();
        let said = stderr(&place.offshoot(&args).assert().success());
        (read_npy(&place.path("x.npy")), said)
    };
    let ((rows, _, values), said) = embed(&[]);
    assert_eq!(rows, 3);
    assert!(!said.contains("note"), "{said}");
    let cut = |start: usize, length: usize| {
        recording.slice(ndarray::s![.., start..start + length]).to_owned()
    };
    for (i, found) in values.chunks_exact(WIDTH).enumerate() {
        check(found, &cut(i * LENGTH, LENGTH));
    }
    let ((rows, _, values), _) = embed(&["--window", "20", "--stride", "15"]);
    assert_eq!(rows, 4);
    check(&values[WIDTH..2 * WIDTH], &cut(15, LENGTH));
    // A window of another length is resampled, and that is said once.
    let ((rows, _, values), said) = embed(&["--window", "39"]);
    assert_eq!(rows, 1);
    assert!(said.contains("1 signal had another length than the 20 samples"), "{said}");
    let expected = Array2::from_shape_fn((CHANNELS, LENGTH), |(c, t)| recording[[c, 2 * t]]);
    check(&values, &expected);
}

#[test]
fn a_numpy_file_of_windows_is_embedded() {
    let place = workplace();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 20), }";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{header:<117}\n");
    bytes.extend((padded.len() as u16).to_le_bytes());
    bytes.extend(padded.bytes());
    let waves = [wave(false, 1, LENGTH), wave(true, 2, LENGTH)];
    for wave in &waves {
        bytes.extend(wave.iter().flat_map(|v| v.to_le_bytes()));
    }
    place.write("windows.npy", bytes);
    let embed = ["embed", "e.offshoot", "windows.npy", "-o", "x.npy"];
    place.offshoot(&embed).assert().success();
    let (rows, _, values) = read_npy(&place.path("x.npy"));
    assert_eq!(rows, 2);
    for (found, wave) in values.chunks_exact(WIDTH).zip(&waves) {
        check(found, wave);
    }
}

#[test]
fn gaps_are_filled_and_other_lengths_resampled_and_both_are_said() {
    let place = workplace();
    let line = |length: usize| Array2::from_shape_fn((CHANNELS, length), |(c, t)| (c + t) as f32);
    let mut gap = line(LENGTH);
    gap[[1, 7]] = f32::NAN;
    gap[[1, 8]] = f32::NAN;
    let long = Array2::from_shape_fn((CHANNELS, 39), |(c, t)| c as f32 + t as f32 / 2.0);
    place.write("odd.ts", ts(&[(gap, "slow"), (long, "fast")]));
    let run = ["embed", "e.offshoot", "odd.ts", "-o", "x.npy"];
    let said = stderr(&place.offshoot(&run).assert().success());
    assert!(said.contains("note: 1 signal had missing values"), "{said}");
    assert!(said.contains("note: 1 signal had another length than the 20 samples"), "{said}");
    for found in read_npy(&place.path("x.npy")).2.chunks_exact(WIDTH) {
        check(found, &line(LENGTH));
    }
}

#[test]
fn what_the_encoder_does_not_read_is_refused() {
    let place = workplace();
    let two = wave(true, 0, LENGTH).slice(ndarray::s![..2, ..]).to_owned();
    place.write("two.ts", ts(&[(wave(true, 0, LENGTH), "fast"), (two, "slow")]));
    let run = place.offshoot(&["embed", "e.offshoot", "two.ts"]).assert().code(3);
    let said = stderr(&run);
    assert!(said.contains("the signal of row 2 (") && said.contains("two.ts"), "{said}");
    assert!(said.contains("has 2 channels and the encoder reads 3 (x, y, z)"), "{said}");
    let run = place.offshoot(&["embed", "e.offshoot"]).write_stdin("1,2,3\n").assert().code(2);
    assert!(stderr(&run).contains("not from standard input"), "{}", stderr(&run));
    fs::create_dir(place.path("empty")).unwrap();
    place.offshoot(&["embed", "e.offshoot", "empty"]).assert().failure();
    let run = place.offshoot(&["embed", "e.offshoot", "--one", "two.ts"]).assert().code(2);
    assert!(stderr(&run).contains("holds several signals"), "{}", stderr(&run));
}

#[test]
fn an_encoder_of_signals_is_quantised() {
    let place = workplace();
    place.write("train.ts", ts(&cases(4)));
    let run = ["quantize", "e.offshoot", "-o", "s.offshoot", "--samples", "train.ts"];
    let more = ["--to", "int8-weights", "--block", "16", "--rounds", "0", "--min-cosine", "0.99"];
    let page = stdout(&place.offshoot(&[&run[..], &more].concat()).assert().success());
    assert!(page.contains("on 8 signals"), "{page}");
    place.offshoot(&["embed", "s.offshoot", "train.ts"]).assert().success();
}

#[test]
fn info_shows_the_windows() {
    let place = workplace();
    let page = stdout(&place.offshoot(&["info", "e.offshoot"]).assert().success());
    assert!(page.contains("reads        signal\n"), "{page}");
    assert!(
        page.contains("signals      3 channels (x, y, z) of 20 samples at 10 Hz, 2.000 s\n"),
        "{page}"
    );
}
