//! `offshoot learn -o NAME.learner`, `teach`, `forget`, `undo`, `examples` and `suggest`, and
//! the commands that take a learner as well as a head.

use serde_json::Value;

use crate::support::{WORDS, Workplace, bundle, other_bundle, stderr, stdout};

/// A workplace with `examples.csv` and `a.learner` learned from it.
pub(crate) fn taught() -> Workplace {
    let place = Workplace::new();
    place.examples("examples.csv", 8);
    let run =
        place.offshoot(&["learn", bundle(), "examples.csv", "-o", "a.learner"]).assert().success();
    let said = stderr(&run);
    assert!(said.contains("3 classes from 24 examples: bad 8, good 8, story 8"), "{said}");
    place
}

fn predicted(place: &Workplace, head: &str, text: &str) -> String {
    let run = place
        .offshoot(&["predict", bundle(), head])
        .write_stdin(text.to_owned())
        .assert()
        .success();
    stdout(&run).lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned()
}

fn listed(place: &Workplace, args: &[&str]) -> Vec<Value> {
    let all = [&["examples", "a.learner", "--output-format", "jsonl"], args].concat();
    let run = place.offshoot(&all).assert().success();
    stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_learner_answers_as_the_head_of_its_examples() {
    let place = taught();
    let learn = ["learn", bundle(), "examples.csv", "-o", "a.head", "--head", "auto"];
    place.offshoot(&learn).assert().success();
    let predict = |head: &str| {
        let run = place
            .offshoot(&["predict", bundle(), head, "examples.csv", "--proba"])
            .assert()
            .success();
        stdout(&run)
    };
    assert_eq!(predict("a.learner"), predict("a.head"));
    let run = place
        .offshoot(&["evaluate", bundle(), "a.learner", "examples.csv", "--json"])
        .assert()
        .success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(value["accuracy"].as_f64(), Some(1.0));
    assert_eq!(place.names(), ["a.head", "a.learner", "examples.csv"]);
}

#[test]
fn a_learner_knows_when_it_does_not() {
    let place = taught();
    // 8 labels a class: what is of a class is in the set, and strangers are told apart.
    let run = place
        .offshoot(&[
            "predict",
            bundle(),
            "a.learner",
            "examples.csv",
            "--coverage",
            "0.8",
            "--false-accepts",
            "0.2",
            "--proba",
            "--output-format",
            "jsonl",
        ])
        .assert()
        .success();
    let rows: Vec<Value> =
        stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 24);
    for row in &rows {
        let set = row["set"].as_array().unwrap();
        assert!(set.contains(&row["label"]) && row["known"].is_boolean(), "{row}");
    }
    let known = rows.iter().filter(|row| row["known"] == Value::Bool(true)).count();
    assert!(known >= 20, "{known} of 24 that it has learned");
    let run = place
        .offshoot(&[
            "predict",
            bundle(),
            "a.learner",
            "--coverage",
            "0.8",
            "--false-accepts",
            "0.2",
        ])
        .write_stdin("grey\n")
        .assert()
        .success();
    assert!(stdout(&run).starts_with("row,label,probability,set,known\n"), "{}", stdout(&run));

    place.offshoot(&["learn", bundle(), "examples.csv", "-o", "a.head"]).assert().success();
    let head = ["predict", bundle(), "a.head", "examples.csv", "--coverage", "0.9"];
    let run = place.offshoot(&head).assert().code(2);
    assert!(stderr(&run).contains("need a learner"), "{}", stderr(&run));
    let wrong = ["predict", bundle(), "a.learner", "examples.csv", "--coverage", "90"];
    place.offshoot(&wrong).assert().code(2);
}

#[test]
fn evaluation_says_how_far_probabilities_can_be_trusted() {
    let place = taught();
    let args =
        ["evaluate", bundle(), "a.learner", "examples.csv", "--json", "--figures", "figures"];
    let run = place.offshoot(&args).assert().success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    let trust = &value["probabilities"];
    assert!(trust["log_loss"].as_f64().unwrap() < 0.7, "{trust}");
    assert!(trust["reliability"]["expected_calibration_error"].as_f64().is_some(), "{trust}");
    for figure in ["figures/confusion.svg", "figures/reliability.svg"] {
        let svg = std::fs::read_to_string(place.path(figure)).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{figure}");
    }
    let run = place.offshoot(&args[..4]).assert().success();
    assert!(stdout(&run).contains("calibration error"), "{}", stdout(&run));
}

#[test]
fn a_learner_is_fused_as_its_head_is() {
    let place = taught();
    place.offshoot(&["learn", bundle(), "examples.csv", "-o", "a.head"]).assert().success();
    for (head, file) in [("a.learner", "learner.onnx"), ("a.head", "head.onnx")] {
        let run = place.offshoot(&["fuse", bundle(), head, "-o", file]).assert().success();
        assert!(stderr(&run).contains("3 classes"), "{}", stderr(&run));
    }
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert_eq!(read("learner.onnx"), read("head.onnx"));
    let run = place.offshoot(&["fuse", other_bundle(), "a.head", "-o", "x.onnx"]).assert().code(4);
    assert!(stderr(&run).contains("digest"), "{}", stderr(&run));
    assert!(!place.path("x.onnx").exists());
}

#[test]
fn a_learner_is_fused_with_its_calibration_and_what_it_knows() {
    let place = taught();
    let extra = ["--calibrate", "temperature", "--false-accepts", "0.2"];
    let fuse = |head, file| [&["fuse", bundle(), head, "-o", file][..], &extra].concat();
    let run = place.offshoot(&fuse("a.learner", "a.onnx")).assert().success();
    assert!(stderr(&run).contains("known, known_score"), "{}", stderr(&run));

    let predict = |extra: &[&str]| {
        let args = [&["predict", bundle(), "a.learner", "examples.csv"], extra].concat();
        stdout(&place.offshoot(&args).assert().success())
    };
    let (plain, calibrated) = (predict(&[]), predict(&["--calibrate", "temperature"]));
    let column = |text: &str, i: usize| -> Vec<String> {
        text.lines().map(|line| line.split(',').nth(i).unwrap().to_owned()).collect()
    };
    assert_ne!(column(&plain, 2), column(&calibrated, 2));
    assert_eq!(column(&plain, 1), column(&calibrated, 1), "temperature changes no label");

    place.offshoot(&["learn", bundle(), "examples.csv", "-o", "a.head"]).assert().success();
    let run = place.offshoot(&fuse("a.head", "x.onnx")).assert().code(2);
    assert!(stderr(&run).contains("need a learner"), "{}", stderr(&run));
    let unknown = ["fuse", bundle(), "a.learner", "-o", "x.onnx", "--calibrate", "platt"];
    let run = place.offshoot(&unknown).assert().code(2);
    assert!(stderr(&run).contains("temperature, dirichlet"), "{}", stderr(&run));
    assert!(!place.path("x.onnx").exists());
}

#[test]
fn labels_and_weights_change_and_come_back() {
    let place = taught();
    let of = |id: i64| listed(&place, &[]).into_iter().find(|e| e["id"].as_i64() == Some(id));
    let before = of(3).unwrap();
    place.offshoot(&["relabel", "a.learner", "3", "tale"]).assert().success();
    assert_eq!(of(3).unwrap()["label"], "tale");
    place.offshoot(&["relabel", "a.learner", "3", "--none"]).assert().success();
    assert_eq!(of(3).unwrap()["label"], Value::Null);
    for _ in 0..2 {
        place.offshoot(&["undo", "a.learner"]).assert().success();
    }
    assert_eq!(of(3).unwrap(), before);

    place.offshoot(&["weigh", "a.learner", "3", "0.5"]).assert().success();
    assert_eq!(of(3).unwrap()["weight"].as_f64(), Some(0.5));
    let run = place.offshoot(&["weigh", "a.learner", "--age", "0.5"]).assert().success();
    assert!(stderr(&run).contains("24 examples aged"), "{}", stderr(&run));
    assert_eq!(of(3).unwrap()["weight"].as_f64(), Some(0.25));
    // The head takes the weights into account.
    place.offshoot(&["predict", bundle(), "a.learner", "examples.csv"]).assert().success();

    place.offshoot(&["relabel", "a.learner", "99", "tale"]).assert().code(3);
    place.offshoot(&["relabel", "a.learner", "3"]).assert().code(2);
    place.offshoot(&["relabel", "a.learner", "3", "two\nlines"]).assert().failure();
    place.offshoot(&["weigh", "a.learner", "3", "-1"]).assert().failure();
    place.offshoot(&["weigh", "a.learner", "--age", "2"]).assert().failure();
    assert_eq!(of(3).unwrap()["weight"].as_f64(), Some(0.25));
}

#[test]
fn it_is_taught_undone_and_forgets() {
    let place = taught();
    let run = place.offshoot(&["teach", bundle(), "a.learner", "upon time", "tale"]).assert();
    let said = stderr(&run.success());
    assert!(said.contains("a.learner: example 25 taught, 25 in all"), "{said}");
    assert!(listed(&place, &["--label", "tale"])[0]["text"] == "upon time");
    let run = place.offshoot(&["undo", "a.learner"]).assert().success();
    assert!(stderr(&run).contains("1 example untaught"), "{}", stderr(&run));
    assert_eq!(listed(&place, &[]).len(), 24);

    // A table is one update, with its name as the source.
    place.write("more.csv", "text,label\nonce a,tale\na time,tale\ngrey,\n");
    let run = place.offshoot(&["teach", bundle(), "a.learner", "--from", "more.csv"]).assert();
    let said = stderr(&run.success());
    assert!(said.contains("examples 26 to 28 taught, 27 in all"), "{said}");
    let more = listed(&place, &["--source", "more.csv"]);
    assert_eq!(more.len(), 3);
    assert_eq!((more[2]["id"].as_i64(), &more[2]["label"]), (Some(28), &Value::Null));

    place.offshoot(&["forget", "a.learner", "26"]).assert().success();
    let run = place.offshoot(&["undo", "a.learner"]).assert().code(1);
    let said = stderr(&run);
    assert!(said.contains("cannot be brought back") && said.contains("--past-forget"), "{said}");
    let run = place.offshoot(&["undo", "a.learner", "--past-forget"]).assert().success();
    assert!(stderr(&run).contains("2 examples untaught"), "{}", stderr(&run));
    place.offshoot(&["undo", "a.learner", "--past-forget"]).assert().code(1);

    let run = place.offshoot(&["forget", "a.learner", "--label", "story"]).assert().success();
    assert!(stderr(&run).contains("8 examples forgotten, 16 left"), "{}", stderr(&run));
    let bytes = std::fs::read(place.path("a.learner")).unwrap();
    for gone in ["once upon", "upon a", "a time", "more.csv"] {
        assert!(!bytes.windows(gone.len()).any(|part| part == gone.as_bytes()), "{gone}");
    }
    assert!(["good", "bad"].contains(&predicted(&place, "a.learner", "once upon\n").as_str()));
    place.offshoot(&["forget", "a.learner", "--source", "examples.csv"]).assert().success();
    let run = place.offshoot(&["predict", bundle(), "a.learner", "examples.csv"]).assert().code(3);
    assert!(stderr(&run).contains("there are no examples"), "{}", stderr(&run));
    assert_eq!(place.names(), ["a.learner", "examples.csv", "more.csv"]);
}

#[test]
fn a_learner_begins_with_nothing() {
    let place = Workplace::new();
    let teach = |text: &str, label: &str, create: &[&str]| {
        let all = [&["teach", bundle(), "a.learner", text, label], create].concat();
        place.offshoot(&all).assert()
    };
    let run = teach("fresh", "good", &[]).code(5);
    assert!(stderr(&run).contains("makes a learner"), "{}", stderr(&run));
    assert!(place.names().is_empty());
    teach("fresh", "good", &["--create"]).success();
    let predict =
        || place.offshoot(&["predict", bundle(), "a.learner"]).write_stdin("x\n").assert();
    let run = predict().code(3);
    assert!(stderr(&run).contains("every example has the label \"good\""), "{}", stderr(&run));
    teach("dull", "bad", &["--create"]).success();
    predict().success();
    assert_eq!(predicted(&place, "a.learner", "dull\n"), "bad");
    assert_eq!(predicted(&place, "a.learner", "fresh\n"), "good");
}

#[test]
fn examples_are_exported_and_taught_again() {
    let place = taught();
    let args = ["examples", "a.learner", "-o"];
    for (file, copy) in [("out.csv", "b.learner"), ("out.jsonl", "c.learner")] {
        place.offshoot(&[&args[..], &[file]].concat()).assert().success();
        place.offshoot(&["learn", bundle(), file, "-o", copy]).assert().success();
        let text = "bright moving\n";
        assert_eq!(predicted(&place, copy, text), predicted(&place, "a.learner", text));
    }
    let csv = std::fs::read_to_string(place.path("out.csv")).unwrap();
    assert!(csv.starts_with("id,label,weight,time,source,text\n1,good,1,20"), "{csv}");
    let run = place.offshoot(&["embed", bundle(), "--one", "fresh moving"]).assert().success();
    let embedded: Value = serde_json::from_str(&stdout(&run)).unwrap();
    let first = listed(&place, &["--embeddings"]).remove(0);
    assert_eq!(first["text"], "fresh moving");
    let numbers = |value: &Value| -> Vec<f32> {
        let list = value.as_array().or_else(|| value["embedding"].as_array()).unwrap();
        list.iter().map(|v| v.as_f64().unwrap() as f32).collect()
    };
    let pairs = numbers(&first["embedding"]).into_iter().zip(numbers(&embedded));
    assert!(pairs.clone().count() == 16 && pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
    place.offshoot(&["examples", "a.learner", "--embeddings"]).assert().code(2);
}

#[test]
fn texts_stay_out_where_that_is_asked_for() {
    let place = Workplace::new();
    place.examples("examples.csv", 2);
    let learn = ["learn", bundle(), "examples.csv", "-o", "a.learner", "--no-text"];
    place.offshoot(&learn).assert().success();
    let bytes = std::fs::read(place.path("a.learner")).unwrap();
    assert!(!bytes.windows(5).any(|part| part == b"fresh"));
    assert!(listed(&place, &[]).iter().all(|example| example["text"].is_null()));
    let learn = ["learn", bundle(), "examples.csv", "-o", "a.head", "--no-text"];
    place.offshoot(&learn).assert().code(2);
}

#[test]
fn the_most_uncertain_texts_are_suggested_first() {
    let place = taught();
    let mut pool = String::from("text\n");
    for words in &WORDS[..2] {
        pool.push_str(&format!("{} {}\n", words[0], words[1]));
    }
    pool.push_str("bright dull\nmoving lifeless once\n");
    place.write("pool.csv", pool);
    for by in ["margin", "entropy"] {
        let args = ["suggest", bundle(), "a.learner", "pool.csv", "-n", "3", "--by", by];
        let run = place.offshoot(&args).assert().success();
        let page = stdout(&run);
        let lines: Vec<Vec<&str>> = page.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines[0], ["row", "uncertainty", "label", "probability", "text"]);
        assert_eq!(lines.len(), 4);
        let doubts: Vec<f64> = lines[1..].iter().map(|line| line[1].parse().unwrap()).collect();
        assert!(doubts.is_sorted_by(|a, b| a >= b) && doubts[0] <= 1.0, "{doubts:?}");
        // The mixed ones are less certain than the pure ones.
        assert!(["3", "4"].contains(&lines[1][0]), "{page}");
    }
    let args = ["suggest", bundle(), "a.learner", "pool.csv", "-o", "n.jsonl"];
    place.offshoot(&args).assert().success();
    let jsonl = std::fs::read_to_string(place.path("n.jsonl")).unwrap();
    assert_eq!(jsonl.lines().count(), 4);
    let args = ["suggest", bundle(), "a.learner", "pool.csv", "--by", "guess"];
    place.offshoot(&args).assert().code(2);
}

#[test]
fn a_learner_never_runs_on_another_encoder() {
    let place = taught();
    for command in [
        &["predict", other_bundle(), "a.learner", "examples.csv"][..],
        &["evaluate", other_bundle(), "a.learner", "examples.csv"],
        &["suggest", other_bundle(), "a.learner", "examples.csv"],
        &["teach", other_bundle(), "a.learner", "fresh", "good"],
    ] {
        let run = place.offshoot(command).assert().code(4);
        assert!(stderr(&run).contains("was taught on the encoder"), "{}", stderr(&run));
    }
    assert_eq!(listed(&place, &[]).len(), 24);
}

#[test]
fn unfit_input_is_refused_with_its_code_and_changes_nothing() {
    let place = taught();
    let long = "x".repeat(100_000);
    for label in ["two\nlines", "", &long] {
        let run = place.offshoot(&["teach", bundle(), "a.learner", "fresh", label]).assert();
        let said = stderr(&run.code(3));
        assert!(said.contains("cannot be taught") && said.len() < 400, "{said}");
    }
    place.write("t.csv", "text,label\nfresh,good\ndull,\"two\nlines\"\n");
    let run = place.offshoot(&["teach", bundle(), "a.learner", "--from", "t.csv"]).assert().code(3);
    assert!(stderr(&run).contains("row 2 cannot be taught"), "{}", stderr(&run));
    place.write("b.csv", "text,label\nfresh,good\ndull,\"two\nlines\"\n");
    place.offshoot(&["learn", bundle(), "b.csv", "-o", "b.learner"]).assert().code(3);
    let run = place.offshoot(&["forget", "a.learner", "99"]).assert().code(3);
    assert!(stderr(&run).contains("there is no example 99"), "{}", stderr(&run));
    place.offshoot(&["undo", "a.learner"]).assert().code(1);
    for usage in [
        &["forget", "a.learner"][..],
        &["forget", "a.learner", "1", "--label", "good"],
        &["teach", bundle(), "a.learner", "fresh"],
        &["teach", bundle(), "a.learner"],
        &["teach", bundle(), "a.learner", "fresh", "good", "--from", "t.csv"],
        &["learn", bundle(), "examples.csv", "-o", "a.learner"],
    ] {
        place.offshoot(usage).assert().code(2);
    }
    place
        .offshoot(&["teach", bundle(), "a.learner", "a", "b", "--weight", "-1"])
        .assert()
        .failure();
    assert_eq!(listed(&place, &[]).len(), 24);
}

#[test]
fn damaged_and_newer_learners_are_refused() {
    let place = taught();
    let bytes = std::fs::read(place.path("a.learner")).unwrap();
    let mut newer = bytes.clone();
    // `user_version` in SQLite's header.
    newer[60..64].copy_from_slice(&9u32.to_be_bytes());
    place.write("newer.learner", &newer);
    let run = place.offshoot(&["examples", "newer.learner"]).assert().code(4);
    assert!(stderr(&run).contains("update offshoot"), "{}", stderr(&run));
    assert_eq!(std::fs::read(place.path("newer.learner")).unwrap(), newer);
    for damaged in [&bytes[..bytes.len() / 2], b"", b"no learner"] {
        place.write("bad.learner", damaged);
        for command in [
            &["undo", "bad.learner"][..],
            &["teach", bundle(), "bad.learner", "fresh", "good"],
            &["predict", bundle(), "bad.learner", "examples.csv"],
        ] {
            let run = place.offshoot(command).assert().code(4);
            assert!(stderr(&run).contains("bad.learner is not a usable"), "{}", stderr(&run));
        }
    }
    place.offshoot(&["undo", "none.learner"]).assert().code(5);
}

#[test]
fn inputs_without_labels_are_kept_and_help_to_predict() {
    let place = taught();
    let words: Vec<&str> = WORDS.iter().flatten().copied().collect();
    let pair = |i: usize| format!("{} {}\n", words[i % 12], words[(7 * i + 2) % 12]);
    let pool: String = (0..30).map(pair).collect();
    std::fs::write(place.path("pool.txt"), pool).unwrap();
    let run = place
        .offshoot(&[
            "learn",
            bundle(),
            "examples.csv",
            "--unlabeled",
            "pool.txt",
            "-o",
            "b.learner",
        ])
        .assert()
        .success();
    assert!(stderr(&run).contains("30 inputs without a label"), "{}", stderr(&run));
    let predict = |learner: &str| {
        let args = ["predict", bundle(), learner, "pool.txt", "--proba"];
        stdout(&place.offshoot(&args).assert().success())
    };
    let (alone, helped) = (predict("a.learner"), predict("b.learner"));
    assert_ne!(alone, helped);
    // The same as if they came later, and gone when they are forgotten.
    let teach = ["teach", bundle(), "a.learner", "--from", "pool.txt", "--unlabeled"];
    place.offshoot(&teach).assert().success();
    assert_eq!(predict("a.learner"), helped);
    place.offshoot(&["forget", "a.learner", "--source", "pool.txt"]).assert().success();
    assert_eq!(predict("a.learner"), alone);
    let run = place.offshoot(&["fuse", bundle(), "b.learner", "-o", "b.onnx"]).assert().success();
    assert!(stderr(&run).contains("the head's own answers"), "{}", stderr(&run));
    let head = ["learn", bundle(), "examples.csv", "--unlabeled", "pool.txt", "-o", "a.head"];
    place.offshoot(&head).assert().code(2);
}
