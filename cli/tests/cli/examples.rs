//! `offshoot examples`: what a learner was taught, as a file, and back.

use serde_json::Value;

use crate::learners::taught;
use crate::support::{bundle, other_bundle, stderr, stdout};

#[test]
fn examples_leave_as_parquet_and_come_back_as_they_were() {
    let place = taught();
    place.offshoot(&["weigh", "a.learner", "3", "0.5"]).assert().success();
    place.offshoot(&["relabel", "a.learner", "5", "--none"]).assert().success();
    let export = ["examples", "a.learner", "-o", "a.parquet"];
    place.offshoot(&export).assert().success();
    let import = |learner| ["examples", learner, "--import", "a.parquet"];
    let run = place.offshoot(&import("b.learner")).assert().success();
    assert!(stderr(&run).contains("24 examples taught, 24 in all"), "{}", stderr(&run));
    let all = |learner| {
        let args = ["examples", learner, "--embeddings", "--output-format", "jsonl"];
        stdout(&place.offshoot(&args).assert().success())
    };
    assert_eq!(all("a.learner"), all("b.learner"));
    // Once more, as one update.
    let run = place.offshoot(&import("b.learner")).assert().success();
    assert!(stderr(&run).contains("24 examples taught, 48 in all"), "{}", stderr(&run));
    place.offshoot(&["undo", "b.learner"]).assert().success();
    assert_eq!(all("a.learner"), all("b.learner"));
    // Texts and labels are read as of any table.
    let learn = ["learn", bundle(), "a.parquet", "-o", "c.learner"];
    let run = place.offshoot(&learn).assert();
    assert!(stderr(&run).contains("label"), "a row without one is named: {}", stderr(&run));

    let learn = ["learn", other_bundle(), "examples.csv", "-o", "d.learner"];
    place.offshoot(&learn).assert().success();
    let run = place.offshoot(&import("d.learner")).assert().code(4);
    assert!(stderr(&run).contains("digest"), "{}", stderr(&run));
    let stdout_only = ["examples", "a.learner", "--output-format", "parquet"];
    place.offshoot(&stdout_only).assert().code(2);
    std::fs::write(place.path("x.parquet"), b"PAR1 and no more").unwrap();
    place.offshoot(&["examples", "a.learner", "--import", "x.parquet"]).assert().code(3);
}

#[test]
fn examples_leave_as_jsonl_and_come_back_as_they_were() {
    let place = taught();
    place.offshoot(&["weigh", "a.learner", "3", "0.5"]).assert().success();
    place.offshoot(&["relabel", "a.learner", "5", "--none"]).assert().success();
    place.offshoot(&["examples", "a.learner", "--embeddings", "-o", "a.jsonl"]).assert().success();
    let import = |learner, file| ["examples", learner, "--import", file];
    let run = place.offshoot(&import("b.learner", "a.jsonl")).assert().success();
    assert!(stderr(&run).contains("24 examples taught, 24 in all"), "{}", stderr(&run));
    // The embeddings, to the last bit: Parquet has them as 32-bit floats.
    for learner in ["a", "b"] {
        let (learner, file) = (format!("{learner}.learner"), format!("{learner}.parquet"));
        place.offshoot(&["examples", &learner, "-o", &file]).assert().success();
    }
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert_eq!(read("a.parquet"), read("b.parquet"));

    let learn = ["learn", other_bundle(), "examples.csv", "-o", "d.learner"];
    place.offshoot(&learn).assert().success();
    let run = place.offshoot(&import("d.learner", "a.jsonl")).assert().code(4);
    assert!(stderr(&run).contains("digest"), "{}", stderr(&run));

    let lines = std::fs::read_to_string(place.path("a.jsonl")).unwrap();
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut line = line.clone();
        change(&mut line);
        place.write("x.jsonl", format!("{line}\n"));
        let run = place.offshoot(&import("b.learner", "x.jsonl")).assert().code(3);
        stderr(&run)
    };
    let wide = changed(&|line| line["embedding"].as_array_mut().unwrap().push(0.into()));
    assert!(wide.contains("has 17 numbers, and 16 are wanted"), "{wide}");
    let bare = changed(&|line| drop(line.as_object_mut().unwrap().remove("embedding")));
    assert!(bare.contains("has no `embedding`"), "{bare}");
    let nan = lines.replacen("\"embedding\":[", "\"embedding\":[NaN,", 1);
    place.write("x.jsonl", nan);
    let run = place.offshoot(&import("b.learner", "x.jsonl")).assert().code(3);
    assert!(stderr(&run).contains("x.jsonl, record 1, line 1"), "{}", stderr(&run));
    // Nothing of a file that is refused is taught.
    place.offshoot(&["examples", "b.learner", "-o", "b.parquet"]).assert().success();
    assert_eq!(read("a.parquet"), read("b.parquet"));
}
