//! What is learned besides one class an input: numbers, several labels, class weights, and what
//! is written beside a head.

use serde_json::Value;

use crate::support::{WORDS, Workplace, bundle, other_bundle, stderr, stdout};

fn json(place: &Workplace, args: &[&str]) -> Value {
    serde_json::from_str(&stdout(&place.offshoot(args).assert().success())).unwrap()
}

/// Lines of JSON that `predict` writes.
fn predicted(place: &Workplace, args: &[&str]) -> Vec<Value> {
    let all = [&["predict", bundle()], args, &["--output-format", "jsonl"]].concat();
    let run = place.offshoot(&all).assert().success();
    stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A usage error or another, and what it said.
fn refused(place: &Workplace, args: &[&str], code: i32) -> String {
    stderr(&place.offshoot(args).assert().code(code))
}

/// Texts with a number that grows with the share of words of the first group.
fn prices(place: &Workplace) {
    let mut csv = String::from("text,price\n");
    for i in 0..24 {
        let (good, bad) = (i % 4, (i / 4) % 4);
        let count = i % 3;
        let words = match count {
            0 => format!("{} {}", WORDS[1][bad], WORDS[1][(bad + 1) % 4]),
            1 => format!("{} {}", WORDS[0][good], WORDS[1][bad]),
            _ => format!("{} {}", WORDS[0][good], WORDS[0][(good + 1) % 4]),
        };
        csv.push_str(&format!("{words},{}\n", 10 * count));
    }
    place.write("prices.csv", csv);
}

#[test]
fn numbers_are_learned_predicted_and_measured() {
    let place = Workplace::new();
    prices(&place);
    let learn = ["learn", bundle(), "prices.csv", "--target", "price", "-o", "p.head"];
    let run = place.offshoot(&learn).assert().success();
    assert!(stderr(&run).contains("numbers of 24 examples"), "{}", stderr(&run));
    place.write("new.txt", "fresh bright\ngrey stale\n");
    let rows = predicted(&place, &["p.head", "new.txt", "--coverage", "0.9"]);
    let value = |row: usize, key: &str| rows[row][key].as_f64().unwrap();
    assert!(value(0, "value") > 13.0 && value(1, "value") < 7.0, "{rows:?}");
    for row in 0..2 {
        let (low, middle, high) = (value(row, "low"), value(row, "value"), value(row, "high"));
        assert!((high - middle - (middle - low)).abs() < 1e-9 && high > middle);
    }
    let csv =
        stdout(&place.offshoot(&["predict", bundle(), "p.head", "new.txt"]).assert().success());
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "row,value"));
    assert_eq!(lines[1], format!("1,{}", value(0, "value")));

    let run = place.offshoot(&["fuse", bundle(), "p.head", "-o", "p.onnx"]).assert().success();
    assert!(stderr(&run).contains("outputs embedding, value"), "{}", stderr(&run));

    let evaluate = ["evaluate", bundle(), "p.head", "prices.csv", "--target", "price", "--json"];
    let report = json(&place, &[&evaluate[..], &["--coverage", "0.5"]].concat());
    assert!(report["r2"].as_f64().unwrap() > 0.8, "{report}");
    assert!(report["root_mean_squared_error"].as_f64().unwrap() < 4.0, "{report}");
    assert!(report["intervals"]["held"].as_f64().unwrap() >= 0.5, "{report}");
    let run = place.offshoot(&evaluate[..6]).assert().success();
    assert!(stdout(&run).contains("R²"), "{}", stdout(&run));
}

#[test]
fn what_is_no_number_is_named_and_what_numbers_have_not_is_refused() {
    let place = Workplace::new();
    prices(&place);
    let learn = |file: &str, code| {
        refused(&place, &["learn", bundle(), file, "--target", "price", "-o", "p.head"], code)
    };
    for (rows, part) in [
        ("fresh,1\ndull,\"2,5\"\n", "row 2 has \"2,5\" for a number"),
        ("fresh,1\ndull,\n", "row 2 has no number"),
        ("fresh,1\n", "2 examples or more"),
        ("fresh,1\ndull,inf\n", "row 2 has \"inf\""),
    ] {
        place.write("bad.csv", format!("text,price\n{rows}"));
        let told = learn("bad.csv", 3);
        assert!(told.contains(part) && !place.path("p.head").exists(), "{told}");
    }
    place.write("bad.csv", "text,label\nfresh,1\n");
    assert!(learn("bad.csv", 3).contains("no column `price`"));
    let learn = ["learn", bundle(), "prices.csv", "--target", "price", "-o", "p.head"];
    place.offshoot(&learn).assert().success();
    for more in [&["--head", "ridge"][..], &["--label", "price"], &["--conformal", "x"]] {
        refused(&place, &[&learn[..], more].concat(), 2);
    }
    refused(&place, &["learn", bundle(), "prices.csv", "--target", "price", "-o", "p.learner"], 2);
    for more in [&["--proba"][..], &["--calibrate", "temperature"], &["--false-accepts", "0.1"]] {
        let told =
            refused(&place, &[&["predict", bundle(), "p.head", "prices.csv"], more].concat(), 2);
        assert!(told.contains("needs") || told.contains("head of numbers"), "{told}");
    }
    let told = refused(&place, &["evaluate", bundle(), "p.head", "prices.csv"], 2);
    assert!(told.contains("--target"), "{told}");
    let told = refused(&place, &["predict", other_bundle(), "p.head", "prices.csv"], 4);
    assert!(told.contains("was fitted on the encoder"), "{told}");
    let bytes = std::fs::read(place.path("p.head")).unwrap();
    place.write("bad.head", &bytes[..bytes.len() - 3]);
    assert!(
        refused(&place, &["predict", bundle(), "bad.head", "prices.csv"], 4).contains("bad.head")
    );
}

/// Texts of words of one or two groups, labelled by them.
fn tags(place: &Workplace) {
    let mut csv = String::from("text,tags\n");
    for i in 0..32 {
        let [good, bad, story] = WORDS;
        let (j, k) = (i / 4 % 4, (i / 4 + i / 16 + 1) % 4);
        csv.push_str(&match i % 4 {
            0 => format!("{} {},good\n", good[j], good[k]),
            1 => format!("{} {},story; story\n", story[j], story[k]),
            2 => format!("{} {},story;good\n", good[j], story[k]),
            _ => format!("{} {},\n", bad[j], bad[k]),
        });
    }
    place.write("tags.csv", csv);
}

#[test]
fn several_labels_are_learned_predicted_and_measured() {
    let place = Workplace::new();
    tags(&place);
    let several = ["--label", "tags", "--label-separator", ";"];
    let learn = [&["learn", bundle(), "tags.csv", "-o", "t.head"][..], &several].concat();
    let run = place.offshoot(&learn).assert().success();
    assert!(
        stderr(&run).contains("2 labels from 32 examples: good 16, story 16"),
        "{}",
        stderr(&run)
    );
    place.write("new.txt", "fresh bright\ngrey stale\nlively upon\n");
    let rows = predicted(&place, &["t.head", "new.txt", "--proba"]);
    assert_eq!(rows[0]["labels"], serde_json::json!(["good"]));
    assert_eq!(rows[1]["labels"], serde_json::json!([]));
    assert_eq!(rows[2]["labels"], serde_json::json!(["good", "story"]));
    assert!(rows[0]["scores"]["good"].as_f64() > rows[0]["scores"]["story"].as_f64());
    let run = place.offshoot(&["predict", bundle(), "t.head", "new.txt"]).assert().success();
    assert_eq!(stdout(&run), "row,labels\n1,good\n2,\n3,good|story\n");

    let run = place.offshoot(&["fuse", bundle(), "t.head", "-o", "t.onnx"]).assert().success();
    assert!(stderr(&run).contains("2 labels"), "{}", stderr(&run));
    assert!(stderr(&run).contains("outputs embedding, labels, scores"), "{}", stderr(&run));

    let evaluate = [&["evaluate", bundle(), "t.head", "tags.csv"][..], &several].concat();
    let report = json(&place, &[&evaluate[..], &["--json"]].concat());
    assert!(report["micro_average"]["f1"].as_f64().unwrap() > 0.9, "{report}");
    assert!(report["macro_average"]["f1"].as_f64().unwrap() > 0.9, "{report}");
    assert_eq!((&report["labels"][1]["label"], &report["examples"]), (&"story".into(), &32.into()));
    let run = place.offshoot(&evaluate).assert().success();
    assert!(stdout(&run).contains("micro average"), "{}", stdout(&run));

    // As arrays, and with other options as one label.
    let lines = "{\"text\": \"fresh bright\", \"tags\": [\"good\"]}\n\
                 {\"text\": \"lively upon\", \"tags\": [\"good\", \"story\"]}\n\
                 {\"text\": \"grey stale\", \"tags\": []}\n";
    place.write("tags.jsonl", lines);
    let arrays = [&["evaluate", bundle(), "t.head", "tags.jsonl", "--json"][..], &several].concat();
    assert_eq!(json(&place, &arrays)["subset_accuracy"], 1.0);
    place.write("x.jsonl", lines.replace("[\"good\", ", "[\"go;od\", "));
    let broken = [&["evaluate", bundle(), "t.head", "x.jsonl"][..], &several].concat();
    assert!(refused(&place, &broken, 3).contains("holds the separator"));
    let one = ["learn", bundle(), "tags.jsonl", "--label", "tags", "-o", "x.head"];
    assert!(refused(&place, &one, 3).contains("is an array, not a label"));

    place.write("x.csv", "text,tags\nfresh,good;bad\n");
    let told =
        refused(&place, &[&["evaluate", bundle(), "t.head", "x.csv"][..], &several].concat(), 3);
    assert!(told.contains("row 1 has the label \"bad\""), "{told}");
    let told = refused(&place, &["evaluate", bundle(), "t.head", "tags.csv", "--label", "tags"], 2);
    assert!(told.contains("--label-separator"), "{told}");
    let told = refused(&place, &["predict", bundle(), "t.head", "new.txt", "--coverage", "0.9"], 2);
    assert!(told.contains("head of several labels"), "{told}");
    place.write("x.csv", "text,tags\nfresh,\ndull,\n");
    let learn = [&["learn", bundle(), "x.csv", "-o", "x.head"][..], &several].concat();
    assert!(refused(&place, &learn, 3).contains("no row has a label"));
    refused(&place, &[&learn[..6], &["--label-separator", ""]].concat(), 2);
}

#[test]
fn class_weights_move_the_head_to_the_rare_class() {
    let place = Workplace::new();
    // Texts that could be either, 9 times of one class and once of the other.
    let mut csv = String::from("text,label\n");
    for i in 0..20 {
        csv.push_str(&format!("fresh dull,{}\n", if i % 10 == 0 { "rare" } else { "usual" }));
    }
    place.write("e.csv", csv);
    let mut rare = Vec::new();
    for weights in [None, Some("balanced"), Some("rare=9"), Some("usual=9,rare=1")] {
        let mut learn = vec!["learn", bundle(), "e.csv", "-o", "a.head", "--head", "logistic"];
        learn.extend(weights.iter().flat_map(|&weights| ["--class-weights", weights]));
        place.offshoot(&learn).assert().success();
        let rows = predicted(&place, &["a.head", "e.csv", "--proba"]);
        rare.push(rows[0]["probabilities"]["rare"].as_f64().unwrap());
    }
    // All texts are the same: the intercepts are the log-odds of the weighted counts.
    for (found, expected) in rare.iter().zip([0.1, 0.5, 0.5, 1.0 / 82.0]) {
        assert!((found - expected).abs() < 1e-3, "{found}, not {expected}");
    }
    let learn = ["learn", bundle(), "e.csv", "-o", "a.head", "--class-weights"];
    let logistic = |weights| [&learn[..], &[weights, "--head", "logistic"]].concat();
    assert!(refused(&place, &[&learn[..], &["balanced"]].concat(), 2).contains("--head logistic"));
    assert!(refused(&place, &logistic("rare=0"), 2).contains("must be positive"));
    assert!(refused(&place, &logistic("common=2"), 3).contains("\"common\""));
    let mut learner = logistic("balanced");
    learner[4] = "a.learner";
    assert!(refused(&place, &learner, 2).contains("are about heads"));
}

#[test]
fn what_is_written_beside_a_head_is_what_a_learner_says() {
    let place = Workplace::new();
    place.examples("examples.csv", 8);
    place.write("new.txt", "fresh dull\nonce upon\ngrey\n");
    let files = ["--conformal", "a.sets", "--open-set", "a.known"];
    let learn = [&["learn", bundle(), "examples.csv", "-o", "a.head"][..], &files].concat();
    let run = place.offshoot(&learn).assert().success();
    assert!(stderr(&run).contains("a.head, a.sets, a.known"), "{}", stderr(&run));
    place.offshoot(&["learn", bundle(), "examples.csv", "-o", "a.learner"]).assert().success();
    let wanted = ["--coverage", "0.8", "--false-accepts", "0.2"];
    let by_files = [&["a.head", "new.txt"][..], &wanted, &files].concat();
    let by_learner = [&["a.learner", "new.txt"][..], &wanted].concat();
    assert_eq!(predicted(&place, &by_files), predicted(&place, &by_learner));

    let evaluate = |head: &str, more: &[&str]| {
        let args = ["evaluate", bundle(), head, "examples.csv", "--json", "--coverage", "0.8"];
        json(&place, &[&args[..], more].concat())["sets"].clone()
    };
    let sets = evaluate("a.head", &files[..2]);
    assert_eq!(sets, evaluate("a.learner", &[]));
    assert!(sets["held"].as_f64().unwrap() >= 0.8 && sets["mean_size"].as_f64().unwrap() >= 0.8);

    let known = ["--false-accepts", "0.2", "--open-set", "a.known"];
    for (head, more, file) in
        [("a.head", &known[..], "h.onnx"), ("a.learner", &known[..2], "l.onnx")]
    {
        let fuse = [&["fuse", bundle(), head, "-o", file][..], more].concat();
        place.offshoot(&fuse).assert().success();
    }
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("h.onnx") == read("l.onnx"));

    // Neither passes for the other, for a head, or for one of something else.
    fn predict<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["predict", bundle(), "a.head", "new.txt"][..], more].concat()
    }
    refused(&place, &predict(&["--coverage", "0.8", "--conformal", "a.known"]), 4);
    refused(&place, &predict(&["--false-accepts", "0.2", "--open-set", "a.sets"]), 4);
    refused(&place, &["predict", bundle(), "a.sets", "new.txt"], 4);
    refused(&place, &predict(&["--conformal", "a.sets"]), 2);
    refused(&place, &predict(&["--open-set", "a.known"]), 2);
    let prompted =
        [&learn[..4], &["p.head", "--conformal", "p.sets", "--prompt", "query"]].concat();
    place.offshoot(&prompted).assert().success();
    let told = refused(&place, &predict(&["--coverage", "0.8", "--conformal", "p.sets"]), 4);
    assert!(told.contains("another prompt"), "{told}");
    place.write("two.csv", "text,label\nfresh,good\ndull,bad\nmoving,good\ngrey,bad\n");
    let two = ["learn", bundle(), "two.csv", "-o", "b.head", "--conformal", "b.sets"];
    place.offshoot(&two).assert().success();
    let told = refused(&place, &predict(&["--coverage", "0.8", "--conformal", "b.sets"]), 4);
    assert!(told.contains("other classes"), "{told}");
    let same = ["learn", bundle(), "two.csv", "-o", "c.head", "--conformal", "c.head"];
    assert!(refused(&place, &same, 2).contains("the same name") && !place.path("c.head").exists());
}

#[test]
fn examples_without_labels_help_until_they_are_told_not_to() {
    let place = Workplace::new();
    place.examples("examples.csv", 2);
    let pool: String =
        WORDS.iter().flatten().map(|word| format!("{word} {word}\n{word}\n")).collect();
    place.write("pool.txt", pool);
    let learn = ["learn", bundle(), "examples.csv", "-o"];
    place.offshoot(&[&learn[..], &["plain.learner"]].concat()).assert().success();
    let pooled = [&learn[..], &["a.learner", "--unlabeled", "pool.txt"]].concat();
    place.offshoot(&pooled).assert().success();
    place.write("new.txt", "bright lifeless\n");
    let says = |learner: &str| predicted(&place, &[learner, "new.txt", "--proba"]);
    let helped = says("a.learner");
    assert_ne!(helped, says("plain.learner"));
    let turn = |how| place.offshoot(&["weigh", "a.learner", "--unlabeled", how]).assert();
    let run = turn("off").success();
    assert!(stderr(&run).contains("do not help"), "{}", stderr(&run));
    assert_eq!(says("a.learner"), says("plain.learner"));
    turn("on").success();
    assert_eq!(says("a.learner"), helped);
    turn("maybe").code(2);
    place.offshoot(&["weigh", "a.learner", "--unlabeled", "on", "--age", "0.5"]).assert().code(2);
}
