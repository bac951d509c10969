//! Bundles of fewer bits and of fewer operators, compared with their source.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::Bundle;
use offshoot_export::graph::Lowering;
use offshoot_export::optimize::{OptimizeOptions, optimize};
use offshoot_export::parity::{Draw, Input, ParityOptions, Sample};
use offshoot_export::quantize::{Precision, QuantizeOptions, Quantized, Ranges, quantize};
use offshoot_export::{Error, ImportOptions, import};
use offshoot_tests::{minilm, options, tiny};

const TEXTS: [&str; 12] = [
    "the film was good and not dull",
    "a great actor",
    "free money , you win an offer today !",
    "the invoice is due",
    "a bad movie and a dull plot",
    "",
    "not very good .",
    "money due",
    "great great great great film",
    "the plot the plot the plot",
    "is the offer free ?",
    "1 2 3 4 5 6 7 8 9 0",
];

fn samples() -> Vec<Sample> {
    let sample = |(text, row): (&&str, u64)| Sample {
        row,
        input: Input::Text((*text).into()),
        label: Some(if row % 2 == 0 { "even" } else { "odd" }.into()),
    };
    TEXTS.iter().zip(1..).map(sample).collect()
}

fn parity() -> ParityOptions {
    let draw = Draw { train: (0..4).collect(), test: (4..TEXTS.len()).collect() };
    ParityOptions { open: options(), draws: vec![draw], rounds: 1, ..Default::default() }
}

fn asked(precision: Precision, min_cosine: f64) -> QuantizeOptions {
    QuantizeOptions {
        precision,
        block: 32,
        ranges: Ranges::MinMax,
        calibration: TEXTS.iter().rev().map(|&text| Input::Text(text.into())).collect(),
        samples: samples(),
        min_cosine,
        parity: parity(),
        overwrite: false,
    }
}

fn run(bundle: &Path, output: &Path, options: &QuantizeOptions) -> Result<Quantized, Error> {
    quantize(bundle, output, options, &mut |_, _, _| {})
}

fn operators(bundle: &Path) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = folder.path().join("unpacked");
    offshoot_export::archive::unpack(bundle, &unpacked, None, &mut |_| {}).unwrap();
    let graph = offshoot_export::graph::read::read(&unpacked.join("model.onnx")).unwrap().graph;
    graph.nodes().iter().map(|node| node.operator.clone()).collect()
}

fn names(folder: &Path) -> BTreeSet<std::ffi::OsString> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn every_precision_keeps_the_bound_and_says_what_was_done() {
    every_precision(Lowering::Standard);
    every_precision(Lowering::OnnxRuntime);
}

fn every_precision(lowering: Lowering) {
    let place = tempfile::tempdir().unwrap();
    tiny::write(&place.path().join("tiny"), 3);
    let bundle = place.path().join("tiny.offshoot");
    let options = ImportOptions { lowering, ..Default::default() };
    import(&place.path().join("tiny"), &bundle, &options, &mut |_| {}).unwrap();
    let source = Bundle::open(&bundle).unwrap();
    let has = [
        (Precision::Fp16, "Cast"),
        (Precision::Int8, "MatMulInteger"),
        (Precision::Int8Static, "QuantizeLinear"),
        (Precision::Int8Weights, "MatMulNBits"),
        (Precision::Int4Weights, "MatMulNBits"),
    ];
    for (precision, operator) in has {
        let output = place.path().join(format!("{precision}.offshoot"));
        let made = run(&bundle, &output, &asked(precision, 0.9)).unwrap();
        assert!(made.parity.cosine.min >= 0.9 && made.parity.cosine.min < 1.0, "{precision}");
        assert_eq!(made.parity.texts, TEXTS.len());
        assert!(made.parity.few_shot.is_some() && made.parity.speed.is_some());
        assert!(operators(&output).contains(operator), "{precision}");

        let opened = Bundle::open(&output).unwrap();
        opened.verify(&mut |_| {}).unwrap();
        assert_eq!(opened.digest(), made.parity.digest);
        let [change] = &opened.manifest().provenance.changes[..] else { panic!("one change") };
        assert_eq!(change.what, format!("quantize {precision}"));
        assert_eq!(change.source_digest, source.digest());

        // The report is about the file: the same cosines come from opening it again.
        let (x, y) = (offshoot_tests::open(&bundle), offshoot_tests::open(&output));
        let (x, y) = (x.embed(&TEXTS).unwrap(), y.embed(&TEXTS).unwrap());
        let (x, y) = (x.vectors(), y.vectors());
        let dots = x.outer_iter().zip(y.outer_iter()).map(|(x, y)| x.dot(&y));
        let least = f64::from(dots.fold(f32::INFINITY, f32::min));
        assert!((least - made.parity.cosine.min).abs() < 1e-4, "{precision}: {least}");
    }
}

#[test]
fn layers_are_spared_until_the_bound_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 3);
    let free = place.path().join("free.offshoot");
    let free = run(&bundle, &free, &asked(Precision::Int8, -1.0)).unwrap();
    assert!(free.spared.is_empty());
    let bound = (1.0 + free.parity.cosine.min) / 2.0;
    let kept = place.path().join("kept.offshoot");
    let kept = run(&bundle, &kept, &asked(Precision::Int8, bound)).unwrap();
    assert!(kept.parity.cosine.min >= bound);
    assert!(!kept.spared.is_empty() && kept.spared.len() < free.quantized.len());
    assert_eq!(kept.spared.len() + kept.quantized.len(), free.quantized.len());
}

#[test]
fn what_loses_too_much_is_refused_with_its_worst_text_and_nothing_is_left() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 3);
    let before = names(place.path());
    let output = place.path().join("out.offshoot");
    let mut options = asked(Precision::Int4Weights, 0.99999);
    options.calibration.clear();
    let error = run(&bundle, &output, &options).unwrap_err();
    let Error::Parity { found, row, .. } = &error else { panic!("{error}") };
    assert!(*found < 0.99999 && (1..=TEXTS.len() as u64).contains(row));
    assert!(error.to_string().contains(&format!("row {row}")), "{error}");

    options.parity.stop = Some(Arc::new(AtomicBool::new(true)));
    assert!(matches!(run(&bundle, &output, &options), Err(Error::Interrupted)));
    assert_eq!(names(place.path()), before);
}

#[test]
fn unfit_input_is_refused_before_any_work() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 3);
    let small = place.path().join("small.offshoot");
    run(&bundle, &small, &asked(Precision::Int8, -1.0)).unwrap();
    let before = names(place.path());
    let output = place.path().join("out.offshoot");
    let refused = |bundle: &Path, output: &Path, options: &QuantizeOptions, says: &str| {
        let message = run(bundle, output, options).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    };
    refused(&small, &output, &asked(Precision::Fp16, 0.9), "quantised already");
    refused(&bundle, &small, &asked(Precision::Fp16, 0.9), "exists already");
    let mut options = asked(Precision::Int8Static, 0.9);
    options.calibration.clear();
    refused(&bundle, &output, &options, "calibrate");
    let mut options = asked(Precision::Int8, 0.9);
    options.samples.clear();
    refused(&bundle, &output, &options, "no samples");
    refused(
        &offshoot_tests::senses::image_bundle(&place.path().join("tiny"), "images"),
        &output,
        &asked(Precision::Int8, 0.9),
        "reads images and cannot be compared on texts",
    );
    let options = QuantizeOptions { block: 48, ..asked(Precision::Int8Weights, 0.9) };
    refused(&bundle, &output, &options, "48");
    refused(&bundle, &output, &asked(Precision::Int8, f64::NAN), "smallest cosine");
    refused(&place.path().join("none"), &output, &asked(Precision::Int8, 0.9), "none");
    assert_eq!(names(place.path()), before);
}

#[test]
fn attention_of_plain_operators_is_found() {
    let place = tempfile::tempdir().unwrap();
    let published = place.path().join("tiny");
    tiny::write(&published, 5);
    let bundle = place.path().join("plain.offshoot");
    // The default lowering is that of plain operators.
    import(&published, &bundle, &ImportOptions::default(), &mut |_| {}).unwrap();
    assert!(operators(&bundle).contains("Softmax"));
    let output = place.path().join("fast.offshoot");
    let options = OptimizeOptions {
        samples: samples(),
        min_cosine: 0.9999,
        parity: parity(),
        overwrite: false,
    };
    let made = optimize(&bundle, &output, &options, &mut |_, _, _| {}).unwrap();
    assert_eq!(made.after.get("MultiHeadAttention"), Some(&2));
    assert_eq!(made.after.get("Softmax"), None);
    assert!(made.after.values().sum::<usize>() < made.before.values().sum::<usize>());
    assert!(made.only_onnx_runtime.contains(&"MultiHeadAttention".to_owned()));
    assert_eq!(made.made.iter().filter(|m| m.operator == "MultiHeadAttention").count(), 2);
    let changes = &Bundle::open(&output).unwrap().manifest().provenance.changes.clone();
    assert_eq!(changes.len(), 1);
    // What was optimised can be quantised.
    let small = place.path().join("small.offshoot");
    run(&output, &small, &asked(Precision::Int8, 0.9)).unwrap();
    assert_eq!(Bundle::open(&small).unwrap().manifest().provenance.changes.len(), 2);
}

#[test]
fn minilm_of_bytes_is_a_quarter_of_the_size() {
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("small.offshoot");
    let mut options = asked(Precision::Int8, 0.97);
    options.calibration.clear();
    options.parity = ParityOptions { rounds: 0, ..parity() };
    let made = run(minilm(), &output, &options).unwrap();
    assert!(made.parity.bytes.ratio() < 0.27, "{}", made.parity.bytes.ratio());
    assert!(made.spared.is_empty());
}
