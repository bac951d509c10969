//! `offshoot learn`, `predict` and `evaluate`.

use serde_json::Value;

use crate::support::{Workplace, bundle, other_bundle, stderr, stdout};

/// A workplace with `examples.csv` and `a.head` learned from it.
fn taught() -> Workplace {
    let place = Workplace::new();
    place.examples("examples.csv", 8);
    let run =
        place.offshoot(&["learn", bundle(), "examples.csv", "-o", "a.head"]).assert().success();
    let said = stderr(&run);
    assert!(said.contains("3 classes from 24 examples: bad 8, good 8, story 8"), "{said}");
    place
}

#[test]
fn every_kind_of_head_learns_predicts_and_is_measured() {
    let place = Workplace::new();
    place.examples("examples.csv", 8);
    for kind in ["logistic", "ridge", "nearest-mean"] {
        place
            .offshoot(&["learn", bundle(), "examples.csv", "-o", "a.head", "--head", kind])
            .assert()
            .success();
        let run = place
            .offshoot(&["predict", bundle(), "a.head"])
            .write_stdin("lively bright\nlifeless grey\nupon a\n")
            .assert()
            .success();
        let labels: Vec<String> =
            stdout(&run).lines().map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
        assert_eq!(labels, ["label", "good", "bad", "story"], "{kind}");
        let run = place
            .offshoot(&["evaluate", bundle(), "a.head", "examples.csv", "--json"])
            .assert()
            .success();
        let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
        assert_eq!((value["accuracy"].as_f64(), value["examples"].as_u64()), (Some(1.0), Some(24)));
        assert_eq!(value["confusion_matrix"], serde_json::json!([[8, 0, 0], [0, 8, 0], [0, 0, 8]]));
        assert_eq!(value["classes"][2]["label"], "story");
    }
    assert_eq!(place.names(), ["a.head", "examples.csv"]);
}

#[test]
fn predictions_have_row_label_and_probabilities_that_sum_to_1() {
    let place = taught();
    place.write("in.jsonl", "{\"body\": \"lively bright\"}\n\n{\"body\": \"dull lifeless\"}\n");
    let args = ["predict", bundle(), "a.head", "in.jsonl", "--text", "body", "--proba"];
    for out in ["out.jsonl", "out.csv"] {
        place.offshoot(&[&args[..], &["-o", out]].concat()).assert().success();
    }
    let jsonl = std::fs::read_to_string(place.path("out.jsonl")).unwrap();
    for (line, (row, label)) in jsonl.lines().zip([(1, "good"), (2, "bad")]) {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!((value["row"].as_u64(), value["label"].as_str()), (Some(row), Some(label)));
        let all = value["probabilities"].as_object().unwrap();
        let sum: f64 = all.values().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-12 && all[label] == value["probability"]);
    }
    let csv = std::fs::read_to_string(place.path("out.csv")).unwrap();
    assert!(csv.starts_with("row,label,probability,p:bad,p:good,p:story\n1,good,0."), "{csv}");
    assert_eq!(csv.lines().count(), 3);
}

#[test]
fn a_head_remembers_its_prompt_and_dimensions() {
    let place = Workplace::new();
    place.examples("examples.csv", 4);
    let learn = ["learn", bundle(), "examples.csv", "-o", "a.head"];
    let options = ["--prompt", "query", "--dimensions", "8"];
    place.offshoot(&[&learn[..], &options].concat()).assert().success();
    let run = place
        .offshoot(&["evaluate", bundle(), "a.head", "examples.csv", "--json"])
        .assert()
        .success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert!(value["accuracy"].as_f64().unwrap() > 0.5);
}

#[test]
fn a_head_never_runs_on_another_encoder() {
    let place = taught();
    for command in [
        &["predict", other_bundle(), "a.head", "examples.csv"][..],
        &["evaluate", other_bundle(), "a.head", "examples.csv"],
    ] {
        let run = place.offshoot(command).assert().code(4);
        assert!(stderr(&run).contains("was fitted on the encoder"), "{}", stderr(&run));
        assert!(stdout(&run).is_empty());
    }
}

#[test]
fn a_damaged_head_is_refused() {
    let place = taught();
    let bytes = std::fs::read(place.path("a.head")).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for damaged in [&bytes[..bytes.len() - 5], &flipped, b"", b"not a head"] {
        place.write("bad.head", damaged);
        let run =
            place.offshoot(&["predict", bundle(), "bad.head", "examples.csv"]).assert().code(4);
        assert!(stderr(&run).contains("bad.head is not a usable head file"), "{}", stderr(&run));
    }
    let run = place.offshoot(&["predict", bundle(), "no.head", "examples.csv"]).assert().code(5);
    assert!(stderr(&run).contains("cannot read no.head"), "{}", stderr(&run));
}

#[test]
fn unfit_examples_are_refused_and_nothing_is_written() {
    let place = Workplace::new();
    let learn = |csv: &str| {
        place.write("e.csv", csv);
        let run = place.offshoot(&["learn", bundle(), "e.csv", "-o", "a.head"]).assert().code(3);
        assert_eq!(place.names(), ["e.csv"]);
        stderr(&run)
    };
    assert!(learn("").contains("e.csv cannot be read as CSV: it is empty"));
    assert!(learn("text,label\n").contains("there are no examples"));
    assert!(learn("text,label\nx,a\ny,a\n").contains("every example has the label \"a\""));
    assert!(learn("text,label\nx,a\ny,\n").contains("row 2 has no label"));
    assert!(learn("text\nx\n").contains("row 1 has no label"));
    let broken = learn("text,label\nx,a\ny,b,c\nz,b\n");
    assert!(broken.contains("e.csv, record 2, line 3: it has 3 fields and the header has 2"));
    let many: String = (0..70_000).map(|i| format!("x,{i}\n")).collect();
    assert!(learn(&format!("text,label\n{many}")).contains("65537 or more different labels"));
    place.write("e.csv", "words,label\nx,a\n");
    let run = place
        .offshoot(&["learn", bundle(), "e.csv", "-o", "a.head", "--text", "text"])
        .assert()
        .code(3);
    assert!(stderr(&run).contains("it has no column `text`"), "{}", stderr(&run));
    place
        .offshoot(&["learn", bundle(), "e.csv", "-o", "a.head", "--head", "forest"])
        .assert()
        .code(2);
}

#[test]
fn a_label_that_appears_once_is_learned_and_said() {
    let place = Workplace::new();
    place.write("e.csv", "text,label\nfresh,good\nmoving,good\ndull,bad\n");
    let run = place.offshoot(&["learn", bundle(), "e.csv", "-o", "a.head"]).assert().success();
    assert!(stderr(&run).contains("1 class has a single example"), "{}", stderr(&run));
}

#[test]
fn evaluation_refuses_labels_that_the_head_does_not_know() {
    let place = taught();
    place.write("t.csv", "text,label\nfresh,good\ndull,awful\n");
    let run = place.offshoot(&["evaluate", bundle(), "a.head", "t.csv"]).assert().code(3);
    let said = stderr(&run);
    assert!(said.contains("row 2 has the label \"awful\", which the head does not know"), "{said}");
    let run = place.offshoot(&["evaluate", bundle(), "a.head", "examples.csv"]).assert().success();
    let page = stdout(&run);
    assert!(page.contains("accuracy 100.00 % on 24 examples"), "{page}");
    assert!(page.contains("precision") && page.contains("story"), "{page}");
}
