//! `offshoot suspects`, and diverse suggestions.

use serde_json::Value;

use crate::support::{WORDS, Workplace, bundle, stderr, stdout};

/// A workplace with `a.learner`: 24 examples of three classes, of which numbers 5 and 13 have
/// the label of another class.
fn mislabelled() -> Workplace {
    let place = Workplace::new();
    let csv = std::fs::read_to_string(place.examples("examples.csv", 8)).unwrap();
    let mut lines: Vec<String> = csv.lines().map(str::to_owned).collect();
    assert!(lines[5].ends_with(",bad") && lines[13].ends_with(",good"));
    lines[5] = lines[5].replace(",bad", ",story");
    lines[13] = lines[13].replace(",good", ",bad");
    place.write("examples.csv", lines.join("\n"));
    place.offshoot(&["learn", bundle(), "examples.csv", "-o", "a.learner"]).assert().success();
    place
}

#[test]
fn planted_labels_are_listed_with_what_they_should_be() {
    let place = mislabelled();
    let run = place.offshoot(&["suspects", "a.learner"]).assert().success();
    let said = stderr(&run);
    assert!(said.contains("a.learner: 2 of 24 labels look wrong"), "{said}");
    let page = stdout(&run);
    let lines: Vec<Vec<&str>> = page.lines().map(|line| line.split(',').collect()).collect();
    let header = ["id", "label", "probability", "suggested", "suggested_probability", "text"];
    assert_eq!(lines[0], header);
    let mut found: Vec<[&str; 4]> =
        lines[1..].iter().map(|line| [line[0], line[1], line[3], line[5]]).collect();
    found.sort_unstable();
    assert_eq!(found, [["13", "bad", "good", "fresh moving"], ["5", "story", "bad", "dull grey"]]);
    let number = |text: &str| text.parse::<f64>().unwrap();
    assert!(lines[1..].iter().all(|line| number(line[2]) < number(line[4])), "{page}");
    let margin = |line: &[&str]| number(line[2]) - number(line[4]);
    assert!(margin(&lines[1]) <= margin(&lines[2]), "{page}");

    let args = ["suspects", "a.learner", "-n", "1", "-o", "s.jsonl"];
    place.offshoot(&args).assert().success();
    let jsonl = std::fs::read_to_string(place.path("s.jsonl")).unwrap();
    let values: Vec<Value> =
        jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(values.len(), 1);
    assert_eq!(values[0]["id"].to_string(), lines[1][0]);
    assert!((values[0]["probability"].as_f64().unwrap() - number(lines[1][2])).abs() < 1e-6);

    place.offshoot(&["forget", "a.learner", "5", "13"]).assert().success();
    let run = place.offshoot(&["suspects", "a.learner"]).assert().success();
    assert_eq!(stdout(&run).lines().count(), 1, "{}", stdout(&run));
    assert!(stderr(&run).contains("0 of 22 labels look wrong"), "{}", stderr(&run));
}

#[test]
fn what_cannot_be_judged_is_said() {
    let place = mislabelled();
    place.offshoot(&["teach", bundle(), "a.learner", "once", "tale"]).assert().success();
    let run = place.offshoot(&["suspects", "a.learner"]).assert().success();
    assert!(stderr(&run).contains("1 is alone in its class"), "{}", stderr(&run));
    let teach = ["teach", bundle(), "one.learner", "fresh", "good", "--create"];
    place.offshoot(&teach).assert().success();
    let run = place.offshoot(&["suspects", "one.learner"]).assert().code(3);
    assert!(stderr(&run).contains("every example has the label"), "{}", stderr(&run));
    place.offshoot(&["suspects", "none.learner"]).assert().code(5);
    place.offshoot(&["suspects", "a.learner", "-o", "a.learner"]).assert().code(2);
    place.offshoot(&["suspects", "a.learner", "-o", "s.parquet"]).assert().code(2);
}

#[test]
fn a_diverse_batch_takes_no_copy_while_others_are_left() {
    let place = mislabelled();
    // Twenty copies of one text, the most uncertain of all or not, among three others.
    let mut pool = "moving lifeless once\n".repeat(20);
    for words in WORDS {
        pool.push_str(&format!("{} {}\n", words[0], words[3]));
    }
    place.write("pool.txt", pool);
    let suggest = |more: &[&str]| {
        let args = ["suggest", bundle(), "a.learner", "pool.txt", "--by", "diverse"];
        let run = place.offshoot(&[&args[..], more].concat()).assert().success();
        let page = stdout(&run);
        page.lines()
            .skip(1)
            .map(|line| line.split(',').next().unwrap().parse::<u64>().unwrap())
            .collect::<Vec<u64>>()
    };
    for seed in ["0", "1", "2", "3"] {
        let batch = suggest(&["-n", "4", "--seed", seed]);
        assert_eq!(batch.len(), 4);
        assert!(batch.iter().filter(|row| **row <= 20).count() == 1, "{batch:?}");
        assert_eq!(batch, suggest(&["-n", "4", "--seed", seed]));
        let mut all = suggest(&["-n", "100", "--seed", seed]);
        assert_eq!(all[..4], batch);
        all.sort_unstable();
        assert_eq!(all, (1..=23).collect::<Vec<u64>>());
    }
    assert!(suggest(&["-n", "0"]).is_empty());
    place.write("empty.txt", "");
    let args = ["suggest", bundle(), "a.learner", "empty.txt", "--by", "diverse"];
    let empty = place.offshoot(&args).assert();
    let margin =
        place.offshoot(&["suggest", bundle(), "a.learner", "empty.txt", "--by", "margin"]).assert();
    assert_eq!(empty.get_output().status.code(), margin.get_output().status.code());
}
