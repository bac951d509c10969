//! What runs learn.

use std::sync::Arc;

use ndarray::Array3;
use offshoot::Image;
use offshoot_models::data::{Dataset, Kind};
use offshoot_models::objectives::{NAMES, named};
use offshoot_models::pretrain::{
    Event, METRICS, StepRecord, TokenizerKind, WeightedObjective, pretrain,
};

use super::{data, open, options, run};

#[test]
fn every_kind_of_data_becomes_an_encoder_that_opens_and_the_same_one_again() {
    for file in data::FILES {
        let folder = tempfile::tempdir().unwrap();
        let examples = data::opened(file, folder.path());
        let objective = if file == "idx" || file == "ts" { "simclr" } else { "masked-token" };
        let mut bundles = Vec::new();
        for name in ["a", "b"] {
            let mut options = options(objective, &folder.path().join(name), 4);
            options.name = Some("tiny".into());
            // Whoever makes batches, and however many do, they are the same.
            options.loaders = if name == "a" { 1 } else { 3 };
            let done = run(&examples, &options).unwrap();
            assert_eq!((done.steps, done.unreadable), (4, 0));
            let quality = done.quality.unwrap();
            assert!(quality.effective_rank > 1.0, "{quality:?}");
            bundles.push(std::fs::read(&options.output).unwrap());
        }
        assert!(bundles[0] == bundles[1], "{file}");
        let encoder = open(&folder.path().join("a"));
        let manifest = encoder.manifest().clone();
        let pretraining = manifest.provenance.pretraining.unwrap();
        assert_eq!((pretraining.objective.as_str(), pretraining.steps), (objective, 4));
        assert_eq!((pretraining.examples, pretraining.curve.len()), (160, 4));
        assert_eq!(pretraining.data_digest, examples.digest());
        let found = match examples.kind() {
            Kind::Text => encoder.embed(&["the small dog sleeps", "MKVLATGH"]).unwrap(),
            Kind::Image => {
                let image = |v| Image::new(12, 12, 1, vec![v; 144]).unwrap();
                encoder.embed_images(&[image(0), image(255)]).unwrap()
            }
            Kind::Signal => encoder.embed_signals(Array3::ones((2, 2, 24)).view()).unwrap(),
        };
        assert_eq!(found.vectors().dim(), (2, manifest.embedding_size));
        assert!(found.vectors().iter().all(|v| v.is_finite()));
    }
}

#[test]
fn tokenizers_of_the_same_texts_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let words: Vec<String> =
        (0..40u32).map(|n| format!("w{}x{}", n * n % 17, n * 7 % 23)).collect();
    let line = |n: usize| words[n % 31..n % 31 + 9].join(" ");
    let texts = data::Memory::texts((0..60).map(line));
    for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
        let mut found = Vec::new();
        for n in 0..3 {
            let mut options =
                options("masked-token", &folder.path().join(format!("{kind:?}{n}")), 1);
            options.tokenizer = kind;
            options.vocabulary = 400;
            run(&texts, &options).unwrap();
            found.push(std::fs::read(options.run_folder().join("tokenizer.json")).unwrap());
        }
        assert!(found.iter().all(|json| *json == found[0]), "{kind:?}");
        let json: serde_json::Value = serde_json::from_slice(&found[0]).unwrap();
        let special: Vec<&str> = json["added_tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["content"].as_str().unwrap())
            .collect();
        assert_eq!(special, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "{kind:?}");
    }
}

#[test]
fn another_seed_is_another_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let embedding = |seed: u64| {
        let mut options = options("order", &folder.path().join(format!("{seed}.offshoot")), 2);
        options.seed = seed;
        run(&examples, &options).unwrap();
        let signals = Array3::from_shape_fn((1, 2, 24), |(_, c, t)| (t + c) as f32);
        open(&options.output).embed_signals(signals.view()).unwrap().vectors().to_owned()
    };
    assert_ne!(embedding(0), embedding(1));
}

/// The records of a run that did not collapse.
fn records(examples: &Arc<dyn Dataset>, objective: &str, steps: u64) -> Vec<StepRecord> {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(objective, &folder.path().join("x.offshoot"), steps);
    options.batch = 16;
    options.warm_up = 0.2;
    let mut records = Vec::new();
    pretrain(examples, &options, &mut |event| match event {
        Event::Step { record, .. } => records.push(record),
        Event::Collapse { step, reason } => panic!("{objective}, step {step}: {reason}"),
        Event::Begins { .. } | Event::Stops { .. } => {}
    })
    .unwrap();
    records
}

/// Runs each objective that suits a kind, and sees its loss fall.
fn learns(examples: &Arc<dyn Dataset>, of_kind: &[&str]) {
    const STEPS: u64 = 30;
    for objective in of_kind {
        let losses: Vec<f32> =
            records(examples, objective, STEPS).iter().map(|record| record.loss).collect();
        assert_eq!(losses.len() as u64, STEPS);
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        let (first, last) = (mean(&losses[..6]), mean(&losses[24..]));
        assert!(last < first, "{objective} of {:?}: {first} to {last}", examples.kind());
    }
}

/// Objectives of every kind of data.
pub(crate) const VIEWS: [&str; 9] = [
    "simclr",
    "vicreg",
    "barlow-twins",
    "simsiam",
    "self-distillation",
    "sigreg",
    "triplet",
    "supervised-contrastive",
    "multiple-negatives",
];
const OF_TEXTS: [&str; 4] = ["masked-token", "autoregressive", "replaced-token", "simcse"];
const OF_IMAGES: [&str; 3] = ["denoising", "masked-patches", "rotation"];
const OF_SIGNALS: [&str; 4] = ["denoising", "masked-patches", "order", "neighborhood"];

#[test]
fn every_objective_is_tried() {
    let all = [&VIEWS[..], &OF_TEXTS, &OF_IMAGES, &OF_SIGNALS].concat();
    assert!(NAMES.iter().all(|name| all.contains(name)));
}

#[test]
fn every_objective_of_images_learns() {
    let folder = tempfile::tempdir().unwrap();
    learns(&data::opened("idx", folder.path()), &[&VIEWS[..], &OF_IMAGES].concat());
}

#[test]
fn every_objective_of_signals_learns() {
    let folder = tempfile::tempdir().unwrap();
    learns(&data::opened("ts", folder.path()), &[&VIEWS[..], &OF_SIGNALS].concat());
}

#[test]
fn every_objective_of_texts_learns() {
    let folder = tempfile::tempdir().unwrap();
    learns(&data::labeled_texts(folder.path()), &[&VIEWS[..], &OF_TEXTS].concat());
}

#[test]
fn a_step_of_several_batches_is_of_all_their_examples() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let steps = |accumulate: u64, steps: u64, learning_rate: f32| {
        let output = folder.path().join(format!("{accumulate}-{learning_rate}.offshoot"));
        let mut options = options("simclr", &output, steps);
        (options.accumulate, options.learning_rate) = (accumulate, learning_rate);
        let mut records = Vec::new();
        pretrain(&examples, &options, &mut |event| {
            if let Event::Step { record, .. } = event {
                records.push(record);
            }
        })
        .unwrap();
        records
    };
    // Without learning, the losses of the single batches.
    let single = steps(1, 4, 1e-30);
    let pairs = steps(2, 2, 1e-30);
    for (pair, of) in pairs.iter().zip(single.chunks(2)) {
        let mean = (of[0].loss + of[1].loss) / 2.0;
        assert!((pair.loss - mean).abs() < 1e-4 * mean, "{} {mean}", pair.loss);
        assert_eq!(pair.epoch, of[1].epoch);
        assert!(pair.gradient_norm > 0.0);
    }
    // With it, the second step has other weights.
    let learned = steps(2, 2, 1e-2);
    assert!((learned[0].loss - pairs[0].loss).abs() < 1e-4 * pairs[0].loss);
    assert!((learned[1].loss - pairs[1].loss).abs() > 1e-3 * pairs[1].loss);
}

#[test]
fn a_sum_of_objectives_is_the_sum_of_their_losses_and_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("txt", folder.path());
    let mut options = options("masked-token", &folder.path().join("sum.offshoot"), 3);
    options.average_decay = Some(0.9);
    options
        .objectives
        .push(WeightedObjective { objective: named("simcse").unwrap().into(), weight: 0.5 });
    let mut records = Vec::new();
    pretrain(&examples, &options, &mut |event| {
        if let Event::Step { record, .. } = event {
            records.push(record);
        }
    })
    .unwrap();
    for record in &records {
        let sum: f32 = record.losses.values().sum();
        assert!((sum - record.loss).abs() < 1e-5 * sum, "{record:?}");
        assert!(record.losses.contains_key("masked-token"));
    }
    let metrics = std::fs::read_to_string(options.run_folder().join(METRICS)).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["step"], 3);
    assert!(lines[2]["quality"]["effective_rank"].as_f64().unwrap() > 1.0);
    let pretraining = open(&options.output).manifest().provenance.pretraining.clone().unwrap();
    assert_eq!(pretraining.objective, "masked-token + 0.5 simcse");
}
