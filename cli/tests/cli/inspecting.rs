//! `offshoot inspect`: reports of images with labels, encoders side by side, drift.

mod browser;

use std::fs;

use offshoot_tests::senses::{self, IMAGE};
use serde_json::Value;

use crate::support::{Workplace, bitmap_header, stderr, stdout};

/// A portable bitmap near a colour.
fn bitmap(colour: [u8; 3], seed: usize) -> Vec<u8> {
    let row = (3 * IMAGE.width).next_multiple_of(4);
    let mut file = bitmap_header(IMAGE.height, IMAGE.width);
    for line in 0..IMAGE.height {
        for i in 0..row {
            let noise = ((line * 31 + i * 17 + seed * 101) * 7919 / 13) % 40;
            file.push(colour[i % 3].saturating_add(noise as u8));
        }
    }
    file
}

/// A workplace with `e.offshoot`, and `each` images of each of 3 classes in `photos`.
fn place(each: usize) -> Workplace {
    let place = Workplace::new();
    senses::image_bundle(&place.path(""), "e");
    for (class, colour) in [("a", [40, 200, 30]), ("b", [10, 10, 40]), ("c", [90, 150, 210])] {
        fs::create_dir_all(place.path("photos").join(class)).unwrap();
        for i in 0..each {
            let path = place.path("photos").join(class).join(format!("{i}.bmp"));
            fs::write(path, bitmap(colour, i)).unwrap();
        }
    }
    place
}

#[test]
fn a_report_is_a_table_json_and_one_page_that_needs_nothing_else() {
    let place = place(20);
    fs::copy(place.path("e.offshoot"), place.path("same.offshoot")).unwrap();
    let run = ["inspect", "e.offshoot", "photos", "--against", "same.offshoot"];
    let files = ["-o", "r.html", "--json", "r.json", "--sample", "45"];
    let run = place.offshoot(&[&run[..], &files[..]].concat()).assert().success();
    let said = stdout(&run);
    for part in ["effective rank", "random sample of 45 of 60", "ridge", "ranked without labels"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json: Value = serde_json::from_slice(&fs::read(place.path("r.json")).unwrap()).unwrap();
    let reports = json["reports"].as_array().unwrap();
    assert_eq!((reports.len(), &reports[0]["rows"]), (2, &Value::from(45)));
    // The same encoder on the same sample has the same figures.
    assert_eq!(reports[0]["figures"], reports[1]["figures"]);
    assert!(reports[0]["sensitivity"][0]["responses"].as_array().unwrap().len() == 4);
    let page = fs::read_to_string(place.path("r.html")).unwrap();
    assert!(page.matches("<svg").count() >= 8 && page.matches("<details>").count() > 20);
    // Each of 8 examples, and 3 others of each, of both encoders.
    assert_eq!(page.matches("<img alt=\"\" ").count(), 64);
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for outside in ["http://", "https://", "<script", "url(", "NaN"] {
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_same_network_untrained_and_from_scratch_stands_beside_the_encoder() {
    let place = place(20);
    let learn = ["pretrain", "photos", "-o", "own.offshoot", "--steps", "2", "--batch", "8"];
    // A rate that changes no weight: the encoder is the untrained network.
    place.offshoot(&[&learn[..], &["--learning-rate", "1e-30"]].concat()).assert().success();
    let run = ["inspect", "own.offshoot", "photos", "--from-scratch", "--json", "r.json"];
    let run = place.offshoot(&[&run[..], &["-o", "r.html"]].concat()).assert().success();
    let said = stdout(&run);
    assert!(said.contains("the same network untrained, ridge"), "{said}");
    assert!(said.contains("the same network, from scratch"), "{said}");
    let json: Value = serde_json::from_slice(&fs::read(place.path("r.json")).unwrap()).unwrap();
    let report = &json["reports"][0];
    let last = |curve: &Value| curve["points"].as_array().unwrap().last().unwrap().clone();
    // The classes are colours, so that even a network that begins at random tells them apart.
    assert!(last(&report["from_scratch"])["accuracy"].as_f64().unwrap() > 0.8, "{report}");
    assert_eq!(report["untrained_curves"], report["curves"]);
    // The default encoder has two stages of two blocks of two residual branches.
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 6);
    assert!(layers.iter().all(|l| l["input"].is_f64() && l["label"].as_f64() < Some(1.001)));
    let labels = |curve: &Value| last(curve)["labels"].clone();
    assert_eq!(labels(&report["from_scratch"]), labels(&report["curves"][2]));
    let page = fs::read_to_string(place.path("r.html")).unwrap();
    assert!(page.contains("the same network untrained, ridge"));
    // What does not say how it was built is told of.
    let other = place.offshoot(&["inspect", "e.offshoot", "photos"]).assert().success();
    assert!(stdout(&other).contains("does not say how to build its network"));
}

#[test]
fn drift_is_seen_and_no_drift_is_not() {
    let place = place(40);
    let keep = ["inspect", "e.offshoot", "photos", "--save-reference", "r.drift"];
    place.offshoot(&keep).assert().success();
    let compare = |data: &str| {
        let run = place.offshoot(&["inspect", "e.offshoot", data, "--drift", "r.drift"]);
        let mut run = run;
        stdout(&run.assert().success())
    };
    assert!(compare("photos").starts_with("no drift"));
    assert!(compare("photos/a").starts_with("drifted"));
}

#[test]
fn too_little_and_unfit_data_are_said() {
    let place = place(1);
    let one = place.offshoot(&["inspect", "e.offshoot", "photos/a/0.bmp"]).assert().code(3);
    assert!(stderr(&one).contains("at least 2 inputs and there is 1"), "{}", stderr(&one));
    let few = ["inspect", "e.offshoot", "photos", "--save-reference", "r.drift"];
    let few = place.offshoot(&few).assert().failure();
    assert!(stderr(&few).contains("at least 100"), "{}", stderr(&few));
    let lost = place.offshoot(&["inspect", "e.offshoot", "photos", "--drift", "no"]).assert();
    assert!(stderr(&lost.code(5)).contains("no"));
}
