//! `pretrain`: bundles that other commands take, what is refused, runs that were interrupted.

use std::fs;

use assert_cmd::assert::Assert;
use serde_json::Value;

use crate::support::{WORDS, Workplace, bitmap_header, bundle, stderr, stdout};

/// Height and width of the images.
const SIDE: usize = 16;

/// A bitmap file of bright and dark stripes, upright or lying, with noise.
fn bitmap(lying: bool, seed: usize) -> Vec<u8> {
    let mut file = bitmap_header(SIDE, SIDE);
    for at in 0..SIDE * SIDE {
        let across = if lying { at / SIDE } else { at % SIDE };
        let bright = ((across + seed) / 4).is_multiple_of(2);
        let noise = (at * 31 + seed * 17) % 41;
        let value = if bright { 200 + noise as u8 } else { 10 + noise as u8 };
        file.extend([value, value / 2 + 20, 255 - value]);
    }
    file
}

/// A folder `photos` with `each` images of two classes.
fn photos(place: &Workplace, each: usize) {
    for (class, lying) in [("lying", true), ("upright", false)] {
        fs::create_dir_all(place.path("photos").join(class)).unwrap();
        for i in 0..each {
            let path = place.path("photos").join(class).join(format!("{i:03}.bmp"));
            fs::write(path, bitmap(lying, i)).unwrap();
        }
    }
}

/// A file `corpus.txt` of short texts.
fn corpus(place: &Workplace, count: usize) {
    let words: Vec<&str> = WORDS.iter().flatten().copied().collect();
    let line = |i: usize| {
        let words = (0..5 + i % 4).map(|k| words[(i * 7 + k * (1 + i % 5)) % words.len()]);
        format!("{} number {i}\n", words.collect::<Vec<_>>().join(" "))
    };
    place.write("corpus.txt", (0..count).map(line).collect::<String>());
}

fn pretrain(place: &Workplace, args: &[&str]) -> Assert {
    place.offshoot(&[&["pretrain"], args].concat()).assert()
}

fn refused(place: &Workplace, args: &[&str], code: i32, parts: &[&str]) {
    let before = place.names();
    let said = stderr(&pretrain(place, args).code(code));
    for part in parts {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(place.names(), before, "{said}");
}

fn manifest(place: &Workplace, name: &str) -> Value {
    let info = place.offshoot(&["info", name, "--json"]).assert().success();
    let all: Value = serde_json::from_str(&stdout(&info)).unwrap();
    all["manifest"].clone()
}

#[test]
fn an_encoder_of_a_folder_of_images_learns_and_predicts() {
    let place = Workplace::new();
    photos(&place, 16);
    let args = ["photos", "-o", "e.offshoot", "--steps", "6", "--batch", "8"];
    let said = stderr(&pretrain(&place, &args).success());
    assert!(said.contains("shift-mixer of") && said.contains("6 steps"), "{said}");
    assert!(said.contains("e.offshoot: ") && said.contains("effective rank"), "{said}");
    assert_eq!(place.names(), ["e.offshoot", "e.run", "photos"]);
    let metrics = fs::read_to_string(place.path("e.run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 6);
    let picture = fs::read_to_string(place.path("e.run/curve.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("simclr"));
    place.offshoot(&["verify", "e.offshoot"]).assert().success();
    place.offshoot(&["learn", "e.offshoot", "photos", "-o", "a.head"]).assert().success();
    let run = place.offshoot(&["predict", "e.offshoot", "a.head", "photos"]).assert().success();
    assert_eq!(stdout(&run).lines().count(), 1 + 32);

    // Nothing is replaced unasked; --force begins anew and ends in the same bytes.
    let first = fs::read(place.path("e.offshoot")).unwrap();
    refused(&place, &args, 2, &["e.offshoot exists already", "--force"]);
    pretrain(&place, &[&args[..], &["--force"]].concat()).success();
    assert!(fs::read(place.path("e.offshoot")).unwrap() == first, "another bundle");
}

#[test]
fn parts_of_an_encoder_have_sizes_of_their_own() {
    let place = Workplace::new();
    photos(&place, 16);
    let args = ["photos", "-o", "e.offshoot", "--steps", "2", "--batch", "8"];
    let sizes = ["--configure", "stages=[32,48]", "--configure", "blocks=[1,1]"];
    pretrain(&place, &[&args[..], &sizes].concat()).success();
    assert_eq!(manifest(&place, "e.offshoot")["embedding_size"], 48);

    let args = ["photos", "-o", "f.offshoot", "--steps", "2"];
    let unknown = [&args[..], &["--configure", "layers.width=64"]].concat();
    refused(&place, &unknown, 3, &["layers.width", "stages", "blocks"]);
    let text = [&args[..], &["--configure", "stages=wide"]].concat();
    refused(&place, &text, 2, &["wide", "neither a number nor a list"]);
}

#[test]
fn a_run_takes_an_optimizer_and_computes_activations_again() {
    let place = Workplace::new();
    corpus(&place, 40);
    let args = ["corpus.txt", "-o", "e.offshoot", "--steps", "2", "--batch", "8"];
    let how = ["--optimizer", "lamb", "--recompute", "blocks"];
    pretrain(&place, &[&args[..], &how].concat()).success();
    let settings = manifest(&place, "e.offshoot").to_string();
    assert!(settings.contains(r#""optimizer":"lamb""#), "{settings}");
    assert!(settings.contains(r#""learning_rate":"0.003""#), "{settings}");

    let args = ["corpus.txt", "-o", "f.offshoot", "--optimizer", "newton"];
    refused(&place, &args, 2, &["no such optimizer", "adamw, sgd, lars, lamb"]);
}

#[test]
fn an_encoder_of_texts_learns_predicts_and_is_continued_from() {
    let place = Workplace::new();
    corpus(&place, 80);
    place.examples("train.csv", 4);
    let short = ["--steps", "4", "--batch", "8"];
    let args = [&["corpus.txt", "-o", "e.offshoot", "--vocabulary", "200"], &short[..]].concat();
    let said = stderr(&pretrain(&place, &args).success());
    assert!(said.contains("transformer of"), "{said}");
    place.offshoot(&["learn", "e.offshoot", "train.csv", "-o", "a.head"]).assert().success();
    let run = place.offshoot(&["predict", "e.offshoot", "a.head", "train.csv"]).assert().success();
    assert_eq!(stdout(&run).lines().count(), 1 + 12);

    let init = ["corpus.txt", "--init", "e.offshoot", "--objective", "simclr"];
    pretrain(&place, &[&init[..], &["-o", "f.offshoot"], &short].concat()).success();
    let (first, second) = (manifest(&place, "e.offshoot"), manifest(&place, "f.offshoot"));
    let change = &second["provenance"]["changes"][0];
    assert_eq!(change["what"], "pretrain simclr", "{second}");
    assert_eq!(second["text"], first["text"]);
    assert_eq!(second["parameters"], first["parameters"]);
    place.offshoot(&["embed", "f.offshoot", "--one", "fresh grey"]).assert().success();
    let still = ["--learning-rate", "1e-30", "-o", "s.offshoot"];
    pretrain(&place, &[&init[..], &still, &short].concat()).success();
    let weights = |name: &str| manifest(&place, name)["entries"]["weights.bin"].clone();
    assert_eq!(weights("s.offshoot"), weights("e.offshoot"));
    // Objectives whose rows are of different lengths share a step.
    let both = ["corpus.txt", "--init", "e.offshoot", "--objective"];
    let both = [&both[..], &["masked-token+0.1*simclr+replaced-token+vicreg"]].concat();
    pretrain(&place, &[&both[..], &["-o", "h.offshoot"], &short].concat()).success();
    // The encoder that is read is not replaced, and another kind of data is refused.
    let over = [&init[..], &["-o", "e.offshoot", "--force"], &short].concat();
    refused(&place, &over, 2, &["would be replaced while it is read"]);
    photos(&place, 4);
    let other = ["photos", "--init", "e.offshoot", "-o", "g.offshoot"];
    let said = stderr(&pretrain(&place, &other).code(3));
    assert!(said.contains("it reads texts and the data has images"), "{said}");
}

#[test]
fn an_imported_encoder_is_continued_from() {
    let place = Workplace::new();
    corpus(&place, 80);
    let short = ["--steps", "4", "--batch", "8", "-o", "e.offshoot"];
    let args = [&["corpus.txt", "--init", bundle()], &short[..]].concat();
    pretrain(&place, &args).success();
    let made = manifest(&place, "e.offshoot");
    assert_eq!(made["provenance"]["changes"][0]["what"], "pretrain multiple-negatives");
    assert_eq!(made["provenance"]["pretraining"]["steps"], 4);
    assert_eq!(made["text"]["prompts"]["query"], "once upon ");
    place.offshoot(&["verify", "e.offshoot"]).assert().success();
    let embed = |bundle: &str| {
        let args = ["embed", bundle, "--one", "fresh grey"];
        stdout(&place.offshoot(&args).assert().success())
    };
    assert!(embed("e.offshoot") != embed(bundle()), "nothing was trained");
    // At a rate of nothing every weight stays, so that each came from its place and went back.
    let still = ["corpus.txt", "--init", bundle(), "--learning-rate", "1e-30", "--steps", "1"];
    for objective in ["multiple-negatives", "masked-token", "vicreg+self-distillation"] {
        let args =
            [&still[..], &["--objective", objective, "-o", "s.offshoot", "--force"]].concat();
        pretrain(&place, &args).success();
        let weights = |name: &str| manifest(&place, name)["entries"]["weights.bin"].clone();
        assert_eq!(weights("s.offshoot"), weights(bundle()), "{objective}");
        assert_eq!(embed("s.offshoot"), embed(bundle()));
    }
    let args = ["quantize", bundle(), "-o", "q.offshoot", "--to", "int8", "--texts", "corpus.txt"];
    let rest = ["--min-cosine", "0.5", "--rounds", "0"];
    place.offshoot(&[&args[..], &rest].concat()).assert().success();
    let args = ["corpus.txt", "--init", "q.offshoot", "-o", "x.offshoot"];
    let said = stderr(&pretrain(&place, &args).code(3));
    assert!(said.contains("q.offshoot cannot be trained: its weight"), "{said}");
    for (objective, part) in [
        ("simcse", "simcse cannot train an imported encoder: its graph has no dropout"),
        ("replaced-token", "replaced-token cannot train an imported encoder"),
        ("autoregressive", "it needs a causal-transformer"),
    ] {
        let args = ["corpus.txt", "--init", bundle(), "--objective", objective, "-o", "x.offshoot"];
        let said = stderr(&pretrain(&place, &args).code(3));
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let place = Workplace::new();
    corpus(&place, 40);
    let out = ["-o", "e.offshoot"];
    let with = |args: &[&'static str]| [args, &out[..]].concat();
    let args = with(&["corpus.txt", "--objective", "magic"]);
    refused(&place, &args, 2, &["there is no objective `magic`", "masked-token", "vicreg"]);
    let args = with(&["corpus.txt", "--objective", "much*simclr"]);
    refused(&place, &args, 2, &["`much` in --objective is no number"]);
    refused(&place, &with(&["nowhere.txt"]), 5, &["nowhere.txt", "check the path"]);
    refused(&place, &with(&["corpus.txt", "--encoder", "brain"]), 2, &["no such encoder"]);
    refused(&place, &["corpus.txt"], 2, &["--output"]);
    let args = ["corpus.txt", "-o", "no/where/e.offshoot"];
    refused(&place, &args, 5, &["no/where/e.offshoot"]);
    let args = with(&["corpus.txt", "--init", "corpus.txt"]);
    refused(&place, &args, 4, &["corpus.txt"]);
    let args = with(&["corpus.txt", "--init", "a.offshoot", "--size", "base"]);
    refused(&place, &args, 2, &["cannot be used with"]);
}

#[test]
fn help_names_every_objective_and_has_examples() {
    let place = Workplace::new();
    let help = stdout(&pretrain(&place, &["--help"]).success());
    assert!(help.contains("Examples:") && help.contains("offshoot pretrain photos/"), "{help}");
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for name in offshoot_models::objectives::NAMES {
        assert!(flat.contains(name), "{name} is not in {help}");
    }
}

#[test]
fn a_preview_shows_what_a_run_is_fed_and_trains_nothing() {
    let place = Workplace::new();
    photos(&place, 16);
    corpus(&place, 40);
    let said = stderr(&pretrain(&place, &["photos", "--preview", "views.png"]).success());
    assert!(said.contains("views.png: "), "{said}");
    assert_eq!(place.names(), ["corpus.txt", "photos", "views.png"]);
    let bytes = fs::read(place.path("views.png")).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    // 8 examples and 6 views of each, every one shown as 96 by 96 pixels with 4 between.
    let size = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (8 + 7 * 100, 4 + 8 * 100));
    refused(&place, &["photos", "--preview", "views.png"], 2, &["views.png exists already"]);
    refused(&place, &["photos", "--preview", "views.jpg"], 2, &["ends in .png"]);
    refused(&place, &["photos", "--preview"], 2, &["name its file"]);
    refused(&place, &["photos", "--rows", "3", "-o", "e.offshoot"], 2, &["--preview"]);

    let masked = ["corpus.txt", "--preview", "--rows", "3", "--views", "2"];
    let masked = [&masked[..], &["--objective", "masked-token"]].concat();
    let table = stdout(&pretrain(&place, &masked).success());
    assert_eq!(table.lines().count(), 3 * 3, "{table}");
    assert!(table.contains("[MASK]") && table.starts_with("  1  [CLS] "), "{table}");
    assert_eq!(stdout(&pretrain(&place, &masked).success()), table, "another draw");
    assert_eq!(place.names(), ["corpus.txt", "photos", "views.png"]);
}

#[test]
fn a_collapse_is_told_once() {
    let place = Workplace::new();
    // All texts are the same, and so are their embeddings.
    place.write("corpus.txt", "the same text\n".repeat(120));
    let args = ["corpus.txt", "-o", "e.offshoot", "--steps", "4", "--batch", "8"];
    let args = [&args[..], &["--objective", "masked-token", "--vocabulary", "100"]].concat();
    let said = stderr(&pretrain(&place, &args).success());
    assert_eq!(said.matches("the embeddings have collapsed").count(), 1, "{said}");
    assert!(said.contains("try a lower learning rate, a larger batch"), "{said}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_to_the_same_weights() {
    let place = Workplace::new();
    photos(&place, 16);
    goes_on(&place, &["photos"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_from_an_imported_encoder_goes_on_to_the_same_weights() {
    let place = Workplace::new();
    corpus(&place, 80);
    let average = ["--average", "0.9"];
    goes_on(&place, &[&["corpus.txt", "--init", bundle()], &average[..]].concat());
}

/// Interrupts a run, goes on with it, and compares with one that was never interrupted.
#[cfg(unix)]
fn goes_on(place: &Workplace, data: &[&str]) {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let args = [&["pretrain"], data, &["--steps", "60", "--batch", "8", "-o"]].concat();
    let whole = [&args[..], &["whole.offshoot"]].concat();
    let cut = [&args[..], &["cut.offshoot"]].concat();
    let mut child = place.process(&cut).stderr(Stdio::piped()).spawn().unwrap();
    let metrics = place.path("cut.run/metrics.jsonl");
    let steps = || fs::read_to_string(&metrics).unwrap_or_default().lines().count();
    let start = Instant::now();
    while steps() < 2 {
        assert!(start.elapsed() < Duration::from_secs(120), "{} steps", steps());
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted: the run is kept in cut.run"), "{said}");
    assert!(said.contains("the same command goes on with it"), "{said}");
    assert!(!place.path("cut.offshoot").exists());
    // Another command does not go on with it.
    let other = [&args[..], &["cut.offshoot", "--seed", "1"]].concat();
    let said = stderr(&place.offshoot(&other).assert().code(3));
    assert!(said.contains("cut.run holds a run with other options"), "{said}");

    let said = stderr(&place.offshoot(&cut).assert().success());
    assert!(said.contains("going on after"), "{said}");
    place.offshoot(&whole).assert().success();
    let made = |name: &str| {
        let made = manifest(place, name);
        let curve = made["provenance"]["pretraining"]["curve"].clone();
        (curve, made["entries"]["weights.bin"].clone())
    };
    assert!(made("whole.offshoot").1["sha256"].is_string());
    assert_eq!(made("cut.offshoot"), made("whole.offshoot"));
    let lines = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert!(lines("cut.run/metrics.jsonl") == lines("whole.run/metrics.jsonl"));
}

#[test]
fn sequences_are_learned_from_until_patience_ends() {
    let place = Workplace::new();
    let residue =
        |i: usize, k: usize| "ACDEFGHIKLMNPQRSTVWY".as_bytes()[(i * 7 + k * k) % 20] as char;
    let record = |i: usize| {
        let sequence: String = (0..20).map(|k| residue(i, k)).collect();
        format!(">s{i} OS={}\n{sequence}\n", i % 4)
    };
    place.write("p.fasta", (0..80).map(record).collect::<String>());
    // With this rate nothing changes.
    let args = ["p.fasta", "-o", "p.offshoot", "--steps", "30", "--batch", "8", "--patience", "2"];
    let more = ["--figures-every", "1", "--learning-rate", "1e-30", "--max-tokens", "24"];
    let said = stderr(&pretrain(&place, &[&args[..], &more].concat()).success());
    assert!(said.contains("lowest after 1 steps") && said.contains("ends after 3,"), "{said}");
    assert!(said.contains("held out"), "{said}");
    let pretraining = &manifest(&place, "p.offshoot")["provenance"]["pretraining"];
    assert_eq!((&pretraining["objective"], &pretraining["steps"]), (&"simclr".into(), &1.into()));
    let page = stdout(&place.offshoot(&["info", "p.offshoot"]).assert().success());
    for part in ["held_out_loss: ", "effective_rank: ", "patience: 2", "steps_taken: 3"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let picture = fs::read_to_string(place.path("p.run/curve.svg")).unwrap();
    assert!(picture.contains("loss, held out"));
    let none = ["p.fasta", "-o", "q.offshoot", "--patience", "0"];
    refused(&place, &none, 2, &["--patience"]);
}

#[test]
fn how_well_tokens_are_predicted_is_told_beside_counting() {
    let place = Workplace::new();
    corpus(&place, 80);
    let args = ["corpus.txt", "-o", "e.offshoot", "--steps", "4", "--batch", "8"];
    let masked = ["--objective", "masked-token", "--vocabulary", "200"];
    let said = stderr(&pretrain(&place, &[&args[..], &masked].concat()).success());
    assert!(said.contains("perplexity ") && said.contains("(of unigrams "), "{said}");
    let page = stdout(&place.offshoot(&["info", "e.offshoot"]).assert().success());
    assert!(page.contains("perplexity: ") && page.contains("perplexity_of_trigrams: "), "{page}");
    assert!(fs::read_to_string(place.path("e.run/curve.svg")).unwrap().contains("perplexity"));
}
