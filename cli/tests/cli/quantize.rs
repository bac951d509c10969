//! `quantize` and `optimize`: what is written, what is refused, what is said.

use crate::support::{Workplace, bundle, lines, stderr, stdout};
use crate::zoo;

#[test]
fn a_smaller_bundle_comes_with_a_report() {
    let place = Workplace::new();
    place.write("texts.txt", lines(40));
    let args = ["quantize", bundle(), "-o", "small.offshoot", "--to", "int8", "--texts"];
    let rest = ["texts.txt", "--min-cosine", "0.9", "--rounds", "0", "--report", "report.json"];
    let done = place.offshoot(&[&args[..], &rest].concat()).assert().success();
    assert!(stdout(&done).contains("cosine, least"), "{}", stdout(&done));
    let report = std::fs::read_to_string(place.path("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report["parity"]["cosine"]["min"].as_f64().unwrap() >= 0.9);
    assert_eq!(report["precision"], "int8");

    let info = place.offshoot(&["info", "small.offshoot"]).assert().success();
    assert!(stdout(&info).contains("quantize int8 of "), "{}", stdout(&info));
    place.offshoot(&["embed", "small.offshoot", "--one", "fresh"]).assert().success();

    let again = place.offshoot(&[&args[..], &rest].concat()).assert().code(2);
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
}

#[test]
fn too_great_a_loss_and_missing_texts_leave_nothing() {
    let place = Workplace::new();
    place.write("texts.txt", lines(40));
    place.write("empty.txt", "");
    let before = place.names();
    let run = |more: &[&str]| {
        let args = ["quantize", bundle(), "-o", "small.offshoot", "--rounds", "0"];
        place.offshoot(&[&args[..], more].concat()).assert()
    };
    let lost = run(&["--texts", "texts.txt", "--to", "int4-weights", "--min-cosine", "0.99999"]);
    let said = stderr(&lost.code(1));
    assert!(said.contains("of the text of row ") && said.contains("nothing was written"), "{said}");
    let empty = run(&["--texts", "empty.txt"]).code(3);
    assert!(stderr(&empty).contains("empty.txt"), "{}", stderr(&empty));
    let empty = run(&["--texts", "texts.txt", "--calibrate", "empty.txt"]).code(3);
    assert!(stderr(&empty).contains("empty.txt"), "{}", stderr(&empty));
    run(&["--texts", "texts.txt", "--to", "int3"]).code(2);
    assert_eq!(place.names(), before);
}

#[test]
fn a_network_of_convolutions_becomes_smaller_and_tells_motions_apart() {
    let place = Workplace::new();
    for (name, numbers) in [("train.ts", 0..4), ("test.ts", 4..12), ("calibrate.ts", 12..24)] {
        place.write(name, zoo::swings(numbers));
    }
    let whole = std::fs::metadata(zoo::bundle("motions")).unwrap().len();
    for to in ["fp16", "int8", "int8-static", "int8-weights"] {
        let small = format!("{to}.offshoot");
        let args = ["quantize", &zoo::bundle("motions"), "-o", &small, "--to", to];
        let rest = ["--samples", "test.ts", "--calibrate", "calibrate.ts", "--rounds", "0"];
        let report = ["--min-cosine", "0.99", "--report", "report.json", "--force"];
        let done = place.offshoot(&[&args[..], &rest, &report].concat()).assert().success();
        assert!(stderr(&done).contains("9 weights quantised"), "{to}: {}", stderr(&done));
        let report = std::fs::read_to_string(place.path("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert!(report["parity"]["cosine"]["min"].as_f64().unwrap() >= 0.99);
        let share = if to == "fp16" { 0.56 } else { 0.33 };
        let bytes = std::fs::metadata(place.path(&small)).unwrap().len();
        assert!(bytes as f64 <= share * whole as f64, "{to}: {bytes} of {whole}");

        place.offshoot(&["learn", &small, "train.ts", "-o", "head"]).assert().success();
        let evaluate = ["evaluate", &small, "head", "test.ts", "--json"];
        let said = stdout(&place.offshoot(&evaluate).assert().success());
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(said["accuracy"].as_f64().unwrap() >= 0.95, "{to}: {said}");
        std::fs::remove_file(place.path("head")).unwrap();
    }
}
