//! `offshoot import`, `info`, `verify` and `unpack`, and damaged bundles.

use std::fs;

use serde_json::Value;

use crate::support::{Workplace, bundle, stderr, stdout, write_encoder};

#[test]
fn info_shows_the_manifest_and_verify_reads_everything() {
    let place = Workplace::new();
    let run = place.offshoot(&["info", bundle(), "--json"]).assert().success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(value["manifest"]["embedding_size"], 16);
    assert_eq!(value["manifest"]["text"]["prompts"]["query"], "once upon ");
    let digest = value["digest"].as_str().unwrap();
    let page = stdout(&place.offshoot(&["info", bundle()]).assert().success());
    assert!(page.contains(digest) && page.contains("16 dimensions, mean pooling, unit norm"));
    let run = place.offshoot(&["verify", bundle()]).assert().success();
    assert!(stdout(&run).contains("sound") && stdout(&run).contains(digest));
}

#[test]
fn a_bundle_unpacks_and_packs_again() {
    let place = Workplace::new();
    place.offshoot(&["unpack", bundle(), "folder"]).assert().success();
    assert!(place.path("folder/model.onnx").is_file());
    place.offshoot(&["unpack", bundle(), "folder"]).assert().failure();
    place.offshoot(&["import", "folder", "-o", "again.offshoot"]).assert().success();
    let embed = |bundle: &str| {
        stdout(&place.offshoot(&["embed", bundle, "--one", "a moving time"]).assert().success())
    };
    assert_eq!(embed("again.offshoot"), embed(bundle()));
    assert_eq!(embed("folder"), embed(bundle()));
}

#[test]
fn import_refuses_what_it_cannot_use_and_leaves_nothing() {
    let place = Workplace::new();
    write_encoder(&place.path("e"), 3);
    let import = ["import", "e", "-o", "e.offshoot"];
    place.offshoot(&import).assert().success();
    // An existing file is not replaced unasked.
    let run = place.offshoot(&import).assert().failure();
    assert!(stderr(&run).contains("e.offshoot"), "{}", stderr(&run));
    place.offshoot(&[&import[..], &["--force", "--name", "tiny"]].concat()).assert().success();
    let run = place.offshoot(&["info", "e.offshoot"]).assert().success();
    assert!(stdout(&run).starts_with("name         tiny\n"));

    fs::remove_file(place.path("e.offshoot")).unwrap();
    let weights = fs::read(place.path("e/model.safetensors")).unwrap();
    fs::write(place.path("e/model.safetensors"), &weights[..weights.len() - 100]).unwrap();
    let run = place.offshoot(&import).assert().code(3);
    assert!(stderr(&run).contains("model.safetensors"), "{}", stderr(&run));
    place.offshoot(&["import", "nothing", "-o", "e.offshoot"]).assert().failure();
    assert_eq!(place.names(), ["e"]);
}

#[test]
fn a_missing_bundle_says_how_to_make_one() {
    let place = Workplace::new();
    for command in ["info", "verify"] {
        let run = place.offshoot(&[command, "no.offshoot"]).assert().code(5);
        assert!(stderr(&run).contains("`offshoot import` makes a bundle"), "{}", stderr(&run));
    }
    let run = place.offshoot(&["embed", "no.offshoot", "--one", "x"]).assert().code(5);
    assert!(stderr(&run).starts_with("error: cannot open no.offshoot"), "{}", stderr(&run));
}

#[test]
fn truncated_and_flipped_bundles_are_refused() {
    let place = Workplace::new();
    let bytes = fs::read(bundle()).unwrap();
    for length in [0, 3, 100, bytes.len() / 2, bytes.len() - 1] {
        place.write("cut.offshoot", &bytes[..length]);
        let run = place.offshoot(&["embed", "cut.offshoot", "--one", "x"]).assert().code(4);
        assert!(stderr(&run).contains("cut.offshoot"), "{length}: {}", stderr(&run));
    }
    // One bit in the weights: the structure is sound, the digest is not.
    let info = stdout(&place.offshoot(&["info", bundle(), "--json"]).assert().success());
    let info: Value = serde_json::from_str(&info).unwrap();
    let entries = info["entries"].as_array().unwrap();
    let weights = entries.iter().find(|entry| entry["name"] == "weights.bin").unwrap();
    let mut flipped = bytes;
    flipped[weights["offset"].as_u64().unwrap() as usize + 40] ^= 4;
    place.write("flipped.offshoot", &flipped);
    let run = place.offshoot(&["verify", "flipped.offshoot"]).assert().code(4);
    assert!(stderr(&run).contains("entry `weights.bin` is damaged"), "{}", stderr(&run));
    // A cache of the sound bundle must not hide it for ever: without one it is refused.
    let run = place
        .offshoot(&["embed", "flipped.offshoot", "--cache", "new-cache", "--one", "x"])
        .assert()
        .code(4);
    assert!(stderr(&run).contains("weights.bin"), "{}", stderr(&run));
}
