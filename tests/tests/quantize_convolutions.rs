//! Convolutional encoders of fewer bits, compared with their source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use offshoot::Image;
use offshoot::bundle::Bundle;
use offshoot_export::Error;
use offshoot_export::optimize::{OptimizeOptions, optimize};
use offshoot_export::parity::{Draw, Input, ParityOptions, Sample};
use offshoot_export::quantize::{Precision, QuantizeOptions, Quantized, Ranges, quantize};
use offshoot_tests::senses::{PICTURE, residual_bundle};
use offshoot_tests::{open, options};

/// Inputs of three classes, by turns; the first eight of each class calibrate, three are
/// learned from, the others judge.
const CLASSES: [&str; 3] = ["a", "b", "c"];
const CALIBRATE: usize = 24;
const LEARN: usize = 9;
const ALL: usize = 66;

fn motions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo/motions/motions.offshoot")
}

/// Six channels of 100 samples: slow swings, fast swings, hardly any.
fn window(number: usize) -> Input {
    let (swings, height) = [(2.0, 4.0), (9.0, 4.0), (2.0, 0.1)][number % 3];
    let further = (number / 3) as f64;
    let value = |(channel, t): (usize, usize)| {
        let angle = std::f64::consts::TAU * (swings + 0.05 * further) * t as f64 / 100.0;
        (height * (angle + 0.9 * further + channel as f64).sin()) as f32
    };
    Input::Signal(Array2::from_shape_fn((6, 100), value))
}

/// Stripes that lie, stripes that stand, and squares, in other colours and places each.
fn picture(number: usize) -> Input {
    let (class, further) = (number % 3, number / 3);
    let sample = |at: usize| {
        let (channel, x, y) = (at % 3, at / 3 % PICTURE.width, at / 3 / PICTURE.width);
        let lies = (y + further) / 2 % 2 == 0;
        let stands = (x + further) / 2 % 2 == 0;
        let bright = [lies, stands, lies != stands][class];
        let noise = ((at * 31 + number * 17) % 23) as u8;
        if bright { 140 + 30 * ((channel + further) % 3) as u8 + noise } else { 20 + noise }
    };
    let samples = PICTURE.height * PICTURE.width * PICTURE.channels;
    let pixels = (0..samples).map(sample).collect();
    Input::Image(Image::new(PICTURE.height, PICTURE.width, PICTURE.channels, pixels).unwrap())
}

fn asked(input: fn(usize) -> Input, precision: Precision, min_cosine: f64) -> QuantizeOptions {
    let sample = |number: usize| Sample {
        row: number as u64 + 1,
        input: input(number),
        label: Some(CLASSES[number % 3].into()),
    };
    let judge = ALL - CALIBRATE;
    let draw = Draw { train: (0..LEARN).collect(), test: (LEARN..judge).collect() };
    QuantizeOptions {
        precision,
        block: 32,
        ranges: Ranges::MinMax,
        calibration: (0..CALIBRATE).map(input).collect(),
        samples: (CALIBRATE..ALL).map(sample).collect(),
        min_cosine,
        parity: ParityOptions {
            open: options(),
            draws: vec![draw],
            rounds: 1,
            ..Default::default()
        },
        overwrite: false,
    }
}

fn run(bundle: &Path, output: &Path, options: &QuantizeOptions) -> Result<Quantized, Error> {
    quantize(bundle, output, options, &mut |_, _, _| {})
}

fn operators(bundle: &Path) -> BTreeMap<String, usize> {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = folder.path().join("unpacked");
    offshoot_export::archive::unpack(bundle, &unpacked, None, &mut |_| {}).unwrap();
    let graph = offshoot_export::graph::read::read(&unpacked.join("model.onnx")).unwrap().graph;
    let mut found = BTreeMap::new();
    for node in graph.nodes() {
        *found.entry(node.operator.clone()).or_default() += 1;
    }
    found
}

/// Embeddings of the samples that judge, from the file as a user opens it.
fn embedded(bundle: &Path, input: fn(usize) -> Input) -> Array2<f32> {
    let encoder = open(bundle);
    let inputs: Vec<Input> = (CALIBRATE..ALL).map(input).collect();
    let rows = inputs.iter().map(|input| match input {
        Input::Image(image) => encoder.embed_images(std::slice::from_ref(image)).unwrap(),
        Input::Signal(signal) => {
            let signal = signal.view().insert_axis(ndarray::Axis(0));
            encoder.embed_signals(signal).unwrap()
        }
        Input::Text(text) => encoder.embed(&[text]).unwrap(),
    });
    let rows: Vec<Vec<f32>> = rows.map(|row| row.vectors().iter().copied().collect()).collect();
    let width = rows[0].len();
    Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap()
}

/// Precision, least cosine, largest share of the bytes, an operator and how many of it there
/// must be.
type Case = (Precision, f64, f64, &'static str, usize);

fn check(bundle: &Path, input: fn(usize) -> Input, cases: &[Case], weights: usize) {
    let place = tempfile::tempdir().unwrap();
    let before = embedded(bundle, input);
    for &(precision, bound, share, operator, count) in cases {
        let output = place.path().join(format!("{precision}.offshoot"));
        let made = run(bundle, &output, &asked(input, precision, bound)).unwrap();
        assert_eq!(made.quantized.len(), weights, "{precision}: {:?} spared", made.spared);
        let found = operators(&output);
        assert_eq!(found.get(operator), Some(&count), "{precision}: {found:?}");
        assert!(made.parity.bytes.ratio() <= share, "{precision}: {}", made.parity.bytes.ratio());
        let few = made.parity.few_shot.as_ref().unwrap();
        assert!(few.accuracy.before >= 0.95, "{precision}: {few:?}");
        assert!(few.accuracy.after >= few.accuracy.before - 0.01, "{precision}: {few:?}");
        let opened = Bundle::open(&output).unwrap();
        opened.verify(&mut |_| {}).unwrap();
        let change = opened.manifest().provenance.changes.last().unwrap().what.clone();
        assert_eq!(change, format!("quantize {precision}"));

        // The file itself, one input at a time, is as near to its source.
        let after = embedded(&output, input);
        for (x, y) in before.rows().into_iter().zip(after.rows()) {
            let cosine = x.dot(&y) / (x.dot(&x) * y.dot(&y)).sqrt();
            assert!(f64::from(cosine) >= bound, "{precision}: {cosine}");
        }
    }
}

#[test]
fn a_network_of_signals_keeps_its_embeddings_and_what_it_tells_apart() {
    let cases = [
        (Precision::Fp16, 0.99999, 0.56, "Cast", 9),
        (Precision::Int8, 0.99, 0.33, "ConvInteger", 9),
        (Precision::Int8Static, 0.99, 0.33, "DequantizeLinear", 9 + 9 + 7),
        (Precision::Int8Weights, 0.999, 0.33, "Cast", 9),
        (Precision::Int4Weights, 0.999, 0.33, "Cast", 9),
    ];
    check(&motions(), window, &cases, 9);
}

#[test]
fn a_residual_network_of_images_keeps_its_embeddings_and_what_it_tells_apart() {
    let place = tempfile::tempdir().unwrap();
    let bundle = residual_bundle(place.path(), "residual");
    let cases = [
        // One cast is that of the pixels.
        (Precision::Fp16, 0.99999, 0.6, "Cast", 1 + 6),
        // Channels in groups are computed in float32.
        (Precision::Int8, 0.99, 0.4, "ConvInteger", 5),
        (Precision::Int8Static, 0.99, 0.4, "Conv", 6),
        (Precision::Int8Weights, 0.999, 0.4, "Cast", 1 + 6),
    ];
    check(&bundle, picture, &cases, 6);
}

#[test]
fn what_was_optimised_can_be_quantised() {
    let place = tempfile::tempdir().unwrap();
    let bundle = residual_bundle(place.path(), "residual");
    let fast = place.path().join("fast.offshoot");
    let QuantizeOptions { samples, parity, .. } = asked(picture, Precision::Fp16, 0.9);
    let options = OptimizeOptions { samples, min_cosine: 0.9999, parity, overwrite: false };
    let made = optimize(&bundle, &fast, &options, &mut |_, _, _| {}).unwrap();
    assert_eq!(made.merged, 1);
    assert_eq!(made.before.get("Relu"), Some(&6));
    assert!(made.only_onnx_runtime.contains(&"FusedConv".to_owned()));
    let cases = [
        (Precision::Fp16, 0.99999, 0.6, "Cast", 1 + 6),
        (Precision::Int8, 0.99, 0.4, "ConvInteger", 5),
        (Precision::Int8Static, 0.99, 0.4, "QuantizeLinear", 11),
    ];
    check(&fast, picture, &cases, 6);
}

#[test]
fn too_great_a_loss_is_refused_and_what_is_quantised_is_not_again() {
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("out.offshoot");
    let mut options = asked(window, Precision::Int8Weights, 1.0 - 1e-9);
    options.calibration.clear();
    let error = run(&motions(), &output, &options).unwrap_err();
    assert!(matches!(error, Error::Parity { .. }), "{error}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    for precision in [Precision::Fp16, Precision::Int8, Precision::Int8Static] {
        let small = place.path().join(format!("{precision}.offshoot"));
        run(&motions(), &small, &asked(window, precision, 0.9)).unwrap();
        let error = run(&small, &output, &asked(window, Precision::Fp16, 0.9)).unwrap_err();
        assert!(error.to_string().contains("quantised already"), "{error}");
    }
}
