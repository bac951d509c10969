//! `offshoot merge`: pooling learners and statistics.

use offshoot_adapters::{Head, HeadFile, StatisticsFile};
use serde_json::Value;

use crate::support::{Workplace, bundle, other_bundle, stderr, stdout};

/// A workplace with `all.learner` of 24 examples and its halves `a.learner` and `b.learner`,
/// made by forgetting, so that the embeddings are the same bit for bit. One example of each half
/// weighs less than the others.
fn halves() -> Workplace {
    let place = Workplace::new();
    place.examples("examples.csv", 7);
    let learn = ["learn", bundle(), "examples.csv", "-o", "all.learner", "--head", "discriminant"];
    place.offshoot(&learn).assert().success();
    for (text, label, weight) in
        [("stale dull", "good", "0.25"), ("once time", "story", "0.5"), ("grey", "bad", "1")]
    {
        let args = ["teach", bundle(), "all.learner", text, label, "--weight", weight];
        place.offshoot(&args).assert().success();
    }
    for (half, gone) in [("a.learner", 0), ("b.learner", 1)] {
        std::fs::copy(place.path("all.learner"), place.path(half)).unwrap();
        let ids: Vec<String> =
            (1..=24).filter(|id| id % 2 == gone).map(|id| id.to_string()).collect();
        let mut args = vec!["forget", half];
        args.extend(ids.iter().map(String::as_str));
        place.offshoot(&args).assert().success();
    }
    place
}

fn merge(place: &Workplace, args: &[&str]) -> String {
    stderr(&place.offshoot(&[&["merge"], args].concat()).assert().success())
}

fn refused(place: &Workplace, args: &[&str], code: i32) -> String {
    let names = place.names();
    let said = stderr(&place.offshoot(&[&["merge"], args].concat()).assert().code(code));
    assert_eq!(place.names(), names);
    said
}

fn bytes(place: &Workplace, name: &str) -> Vec<u8> {
    std::fs::read(place.path(name)).unwrap()
}

#[test]
fn halves_give_what_all_examples_give_in_any_order_and_grouping() {
    let place = halves();
    let said = merge(&place, &["all.learner", "-o", "all.statistics"]);
    assert!(said.contains("3 classes from 24 examples in 1 input: bad 8, good 8"), "{said}");
    merge(&place, &["a.learner", "-o", "a.statistics"]);
    merge(&place, &["b.learner", "-o", "b.statistics"]);
    for (inputs, output) in [
        (["a.learner", "b.learner"], "1.statistics"),
        (["b.learner", "a.statistics"], "2.statistics"),
        (["b.statistics", "a.statistics"], "3.statistics"),
    ] {
        merge(&place, &[inputs[0], inputs[1], "-o", output]);
        assert!(bytes(&place, output) == bytes(&place, "all.statistics"), "{output}");
    }
    assert!(bytes(&place, "a.statistics") != bytes(&place, "b.statistics"));
    for kind in ["discriminant", "ridge", "nearest-mean"] {
        let args = ["--head", kind, "-o"];
        merge(&place, &[&["all.learner"], &args[..], &["all.head"]].concat());
        merge(&place, &[&["b.statistics", "a.learner"], &args[..], &["ab.head"]].concat());
        assert!(bytes(&place, "all.head") == bytes(&place, "ab.head"), "{kind}");
        let file = HeadFile::load(place.path("ab.head")).unwrap();
        assert_eq!((file.head.kind().name(), &file.examples[..]), (kind, &[8, 8, 8][..]));
        let args = ["evaluate", bundle(), "ab.head", "examples.csv", "--json"];
        let run = place.offshoot(&args).assert().success();
        let report: Value = serde_json::from_str(&stdout(&run)).unwrap();
        assert_eq!(report["accuracy"].as_f64(), Some(1.0), "{kind}");
    }
    // What stands at the output is replaced, and the default is the discriminant.
    let said = merge(&place, &["all.learner", "-o", "all.head"]);
    assert!(said.contains("discriminant head of 3 classes"), "{said}");
    // The learner's own head: its weights differ, so that it comes from sums too.
    let predicted = |head: &str| -> Vec<f64> {
        let args = ["predict", bundle(), head, "examples.csv", "--proba"];
        let page = stdout(&place.offshoot(&args).assert().success());
        page.lines().skip(1).flat_map(|line| line.split(',').skip(2)).map(number).collect()
    };
    let (own, merged) = (predicted("all.learner"), predicted("all.head"));
    assert!(own.len() >= 21 * 3 && own.len() == merged.len(), "{}", own.len());
    assert!(own.iter().zip(&merged).all(|(a, b)| (a - b).abs() <= 2e-6), "{own:?} {merged:?}");
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

#[test]
fn the_means_of_a_merged_head_are_those_of_the_weighted_examples() {
    let place = halves();
    merge(&place, &["a.learner", "b.learner", "--head", "nearest-mean", "-o", "m.head"]);
    let args = ["examples", "all.learner", "--embeddings", "--output-format", "jsonl"];
    let run = place.offshoot(&args).assert().success();
    let file = HeadFile::load(place.path("m.head")).unwrap();
    let Head::NearestMean(head) = &file.head else { panic!("{:?}", file.head) };
    for (class, name) in file.head.classes().names().iter().enumerate() {
        let (mut sum, mut total) = (vec![0.0; 16], 0.0);
        for line in stdout(&run).lines() {
            let example: Value = serde_json::from_str(line).unwrap();
            if example["label"] != name.as_str() {
                continue;
            }
            let weight = example["weight"].as_f64().unwrap();
            let values = example["embedding"].as_array().unwrap();
            for (value, sum) in values.iter().zip(&mut sum) {
                *sum += weight * f64::from(value.as_f64().unwrap() as f32);
            }
            total += weight;
        }
        assert!(name == "bad" || total.fract() != 0.0, "the weights of {name} are all 1");
        for (mean, sum) in head.means().row(class).iter().zip(sum) {
            assert!((mean - sum / total).abs() < 1e-9, "{name}");
        }
    }
}

#[test]
fn private_statistics_hide_the_sums_in_the_noise_that_is_told() {
    let place = halves();
    let all = ["all.learner", "--epsilon", "2", "--delta", "1e-5", "-o"];
    let said = merge(&place, &[&all[..], &["p.statistics"]].concat());
    for part in ["epsilon 2, delta 0.00001", "rho ", "about ", "costs again"] {
        assert!(said.contains(part), "{said}");
    }
    let deviation: f64 = said
        .split("standard deviation ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    merge(&place, &[&all[..], &["again.statistics"]].concat());
    assert!(bytes(&place, "p.statistics") != bytes(&place, "again.statistics"));
    merge(&place, &["all.learner", "-o", "true.statistics"]);
    let load = |name: &str| StatisticsFile::load(place.path(name)).unwrap().statistics;
    let (noisy, exact) = (load("p.statistics"), load("true.statistics"));
    assert_eq!(noisy.names().collect::<Vec<_>>(), ["bad", "good", "story"]);
    let mut noise: Vec<f64> = (noisy.sums() - exact.sums()).into_iter().collect();
    let scatter = noisy.scatter() - exact.scatter();
    noise.extend((0..16).flat_map(|i| (0..i).map(move |j| (i, j))).map(|at| scatter[at]));
    let found = (noise.iter().map(|v| v * v).sum::<f64>() / noise.len() as f64).sqrt();
    // 168 draws: five standard errors of their deviation.
    assert!((found / deviation - 1.0).abs() < 0.28, "{found} {deviation}");

    // They merge with each other, and give heads; with little noise, good ones.
    merge(&place, &["p.statistics", "again.statistics", "-o", "both.statistics"]);
    assert!(
        (load("both.statistics").sums() - noisy.sums() - load("again.statistics").sums())
            .iter()
            .all(|difference| difference.abs() < 1e-9)
    );
    for half in ["a", "b"] {
        let (learner, statistics) = (format!("{half}.learner"), format!("{half}.statistics"));
        merge(&place, &[&learner, "--epsilon", "100000", "-o", &statistics]);
    }
    merge(&place, &["a.statistics", "b.statistics", "-o", "c.head"]);
    let run = place
        .offshoot(&["evaluate", bundle(), "c.head", "examples.csv", "--json"])
        .assert()
        .success();
    let report: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(report["accuracy"].as_f64(), Some(1.0));

    let said = refused(&place, &["p.statistics", "true.statistics", "-o", "x.statistics"], 4);
    assert!(said.contains("both made with --epsilon"), "{said}");
    let said = refused(&place, &["true.statistics", "--epsilon", "1", "-o", "x.statistics"], 2);
    assert!(said.contains("has to see the examples"), "{said}");
    for usage in
        [&["--delta", "1e-6"][..], &["--epsilon", "0"], &["--epsilon", "1", "--delta", "1"]]
    {
        refused(&place, &[usage, &["a.learner", "-o", "x.statistics"]].concat(), 2);
    }
    let teach = ["teach", bundle(), "a.learner", "fresh", "good", "--weight", "2"];
    place.offshoot(&teach).assert().success();
    let said = refused(&place, &["a.learner", "--epsilon", "1", "-o", "x.statistics"], 3);
    assert!(said.contains("example 25 of a.learner") && said.contains("at most 1"), "{said}");
    merge(&place, &["a.learner", "-o", "x.statistics"]);
}

#[test]
fn only_what_belongs_together_is_merged() {
    let place = halves();
    merge(&place, &["a.learner", "-o", "a.statistics"]);
    merge(&place, &["a.learner", "-o", "a.head"]);
    let learn = |bundle: &str, output: &str, more: &[&str]| {
        let args = [&["learn", bundle, "examples.csv", "-o", output], more].concat();
        place.offshoot(&args).assert().success();
    };
    learn(other_bundle(), "encoder.learner", &[]);
    learn(bundle(), "prompt.learner", &["--prompt", "query"]);
    learn(bundle(), "dimensions.learner", &["--dimensions", "8"]);
    for what in ["encoder", "prompt", "dimensions"] {
        let other = format!("{what}.learner");
        for input in ["b.learner", "a.statistics"] {
            let said = refused(&place, &[input, &other, "-o", "x.head"], 4);
            assert!(said.contains(&format!("{other} has the {what} ")), "{said}");
        }
    }
    place.write("none.csv", "text,label\ngrey,\n");
    let teach = ["teach", bundle(), "none.learner", "--from", "none.csv", "--create"];
    place.offshoot(&teach).assert().success();
    let said = refused(&place, &["none.learner", "-o", "x.statistics"], 3);
    assert!(said.contains("none.learner has no labelled examples"), "{said}");
    refused(&place, &["a.learner", "none.learner", "-o", "x.statistics"], 3);

    let said = refused(&place, &["a.head", "a.learner", "-o", "x.head"], 4);
    assert!(said.contains("a.head is not a usable statistics file"), "{said}");
    let whole = bytes(&place, "a.statistics");
    place.write("cut.statistics", &whole[..whole.len() - 9]);
    refused(&place, &["cut.statistics", "-o", "x.statistics"], 4);
    refused(&place, &["missing.learner", "-o", "x.statistics"], 5);
    for usage in [
        &["a.learner", "-o", "x.learner"][..],
        &["a.learner", "-o", "x.statistics", "--head", "ridge"],
        &["a.learner", "-o", "x.head", "--head", "logistic"],
        &["a.learner", "./a.learner", "-o", "x.statistics"],
        &["a.statistics", "-o", "a.statistics"],
        &["-o", "x.statistics"],
    ] {
        refused(&place, usage, 2);
    }
    assert!(bytes(&place, "a.statistics") == whole);
}

#[test]
fn one_class_is_shared_and_makes_no_head() {
    let place = Workplace::new();
    let teach = ["teach", bundle(), "one.learner", "fresh", "good", "--create"];
    place.offshoot(&teach).assert().success();
    let said = merge(&place, &["one.learner", "-o", "one.statistics"]);
    assert!(said.contains("1 class from 1 example in 1 input: good 1"), "{said}");
    assert!(said.contains("can be read from the statistics"), "{said}");
    let said = refused(&place, &["one.statistics", "-o", "one.head"], 3);
    assert!(said.contains("every example has the label \"good\""), "{said}");
}
