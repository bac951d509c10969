//! Tuned encoders: what an adapter changes, what it leaves as it was, what is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::Array2;
use offshoot::bundle::Bundle;
use offshoot::{Adapter, Encoder, Error as RuntimeError};
use offshoot_export::adapt::{Adapted, EncoderGraph, Method, write_adapter};
use offshoot_export::graph::{Lowering, Tensor};
use offshoot_export::{ImportOptions, import};
use offshoot_models::Error;
use offshoot_models::tune::{TuneOptions, Tuned, TuningExamples, tune};
use offshoot_tests::{options, tiny};

const GOOD: [&str; 6] =
    ["a great film", "the plot is good", "good actor", "great movie .", "not bad", "very good"];
const BAD: [&str; 6] =
    ["a dull film", "the plot is bad", "bad actor", "dull movie .", "not good", "very dull"];
const METHODS: [Method; 3] = [Method::Lora { rank: 4 }, Method::Bias, Method::LayerNorm];

fn texts() -> Vec<String> {
    GOOD.iter().chain(&BAD).map(|&text| text.into()).collect()
}

fn labels() -> Vec<String> {
    ["good", "bad"].iter().flat_map(|&label| vec![label.into(); 6]).collect()
}

/// All twelve texts are in every batch, so that losses of different steps compare.
fn asked(method: Method, steps: usize) -> TuneOptions {
    TuneOptions { method, steps, batch: 12, learning_rate: 0.01, ..TuneOptions::default() }
}

fn tuned(bundle: &Path, options: &TuneOptions) -> Result<Tuned, Error> {
    offshoot_tests::onnx_runtime();
    let (texts, labels) = (texts(), labels());
    let examples = TuningExamples::Labelled { texts: &texts, labels: &labels };
    tune(bundle, &examples, options, &mut |_, _| {})
}

fn adapted(bundle: &Path, adapter: &Path) -> Encoder {
    options().adapter(Adapter::open(adapter).unwrap()).open(bundle).unwrap()
}

fn vectors(encoder: &Encoder) -> Array2<f32> {
    let mut texts = texts();
    texts.extend(["", "z"].map(String::from));
    texts.push("film ".repeat(60));
    encoder.embed(&texts).unwrap().into_vectors()
}

fn farthest(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    a.iter().zip(b).fold(0.0, |most, (a, b)| {
        assert!(a.is_finite() && b.is_finite());
        most.max((a - b).abs())
    })
}

/// An adapter whose tensors are those that training starts from.
fn untouched(bundle: &Path, method: Method, output: &Path) {
    let opened = Bundle::open(bundle).unwrap();
    let source = EncoderGraph::read(&opened).unwrap();
    let adapted = Adapted::new(source.graph.clone(), method, 1).unwrap();
    let graph = &adapted.graph;
    let trained: Vec<(String, Tensor)> = graph
        .initializers()
        .iter()
        .filter(|(value, _)| adapted.parameters.contains(value))
        .map(|(value, tensor)| (graph.value_name(*value).to_owned(), tensor.clone()))
        .collect();
    assert_eq!(trained.len(), adapted.parameters.len());
    write_adapter(&opened, graph, &trained, "nothing", output, false).unwrap();
}

#[test]
fn an_adapter_and_the_merged_bundle_give_the_same_embeddings() {
    for lowering in [Lowering::OnnxRuntime, Lowering::Standard] {
        let place = tempfile::tempdir().unwrap();
        tiny::write(&place.path().join("tiny"), 5);
        let bundle = place.path().join("tiny.offshoot");
        let asked_for = ImportOptions { lowering, ..Default::default() };
        import(&place.path().join("tiny"), &bundle, &asked_for, &mut |_| {}).unwrap();
        let plain = offshoot_tests::open(&bundle);
        for method in METHODS {
            let what = format!("{method:?}, {lowering:?}");
            let made = tuned(&bundle, &asked(method, 12)).unwrap();
            assert_eq!(made.losses.len(), 12);
            assert!(made.losses[11] < made.losses[0], "{what}: {:?}", made.losses);
            let (adapter, merged) = (place.path().join("a"), place.path().join("m.offshoot"));
            let manifest = made.write_adapter(&adapter, true).unwrap();
            assert_eq!(manifest.encoder_digest, plain.digest());
            assert_eq!(manifest.parameters, made.parameters);
            made.write_bundle(&merged, true).unwrap();
            let (adapted, merged) = (adapted(&bundle, &adapter), offshoot_tests::open(&merged));
            let (tuned, whole) = (vectors(&adapted), vectors(&merged));
            assert!(farthest(&tuned, &whole) <= 1e-5, "{what}: {}", farthest(&tuned, &whole));
            assert!(farthest(&tuned, &vectors(&plain)) > 1e-3, "{what} changed nothing");
            // Heads know encoders by their digests.
            assert_ne!(adapted.digest(), plain.digest());
            let with = options().adapter(Adapter::open(&adapter).unwrap());
            assert_eq!(with.digest_of(plain.bundle()).unwrap(), adapted.digest());
            assert_ne!(merged.digest(), plain.digest());
            assert_eq!(adapted.manifest(), plain.manifest());
            let [change] = &merged.manifest().provenance.changes[..] else { panic!("{what}") };
            assert!(change.what.starts_with("tune "), "{}", change.what);
            assert_eq!(change.source_digest, plain.digest());
            merged.bundle().verify(&mut |_| {}).unwrap();
        }
    }
}

#[test]
fn untouched_tensors_in_standard_operators_give_the_source_embeddings() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 5);
    let plain = vectors(&offshoot_tests::open(&bundle));
    for (method, name) in METHODS.into_iter().zip(["lora", "bias", "norm"]) {
        let path = place.path().join(name);
        untouched(&bundle, method, &path);
        let found = vectors(&adapted(&bundle, &path));
        assert!(farthest(&plain, &found) <= 1e-5, "{name}: {}", farthest(&plain, &found));
    }
}

#[test]
fn the_same_seed_gives_the_same_adapter_and_another_one_another() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 5);
    let write = |name: &str, seed: u64| {
        let path = place.path().join(name);
        let mut asked = asked(Method::Lora { rank: 2 }, 4);
        asked.seed = seed;
        asked.trainer = asked.trainer.deterministic(true);
        tuned(&bundle, &asked).unwrap().write_adapter(&path, false).unwrap();
        std::fs::read(path).unwrap()
    };
    let first = write("a", 1);
    assert_eq!(first, write("b", 1));
    assert_ne!(first, write("c", 2));
    // The encoder's own weights are not inside.
    assert!((first.len() as u64) < std::fs::metadata(&bundle).unwrap().len() / 2);
}

#[test]
fn pairs_bring_partners_together() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 5);
    let (anchors, positives) = (GOOD.map(String::from), BAD.map(String::from));
    let examples = TuningExamples::Pairs { anchors: &anchors, positives: &positives };
    let made =
        tune(&bundle, &examples, &asked(Method::Lora { rank: 4 }, 40), &mut |_, _| {}).unwrap();
    let path = place.path().join("pairs.adapter");
    made.write_adapter(&path, false).unwrap();
    let found = |encoder: &Encoder| {
        let x = encoder.embed(&anchors).unwrap().into_vectors();
        let y = encoder.embed(&positives).unwrap().into_vectors();
        // By how much the partner's cosine is above the mean of the others'.
        let scores = x.dot(&y.t());
        let n = scores.nrows() as f32;
        scores.diag().sum() / n - (scores.sum() - scores.diag().sum()) / (n * (n - 1.0))
    };
    let (before, after) = (found(&offshoot_tests::open(&bundle)), found(&adapted(&bundle, &path)));
    assert!(after > before, "{before} before, {after} after");
}

fn fails<T: std::fmt::Debug>(result: Result<T, Error>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn what_cannot_be_tuned_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 5);
    offshoot_tests::onnx_runtime();
    let lora = asked(Method::Lora { rank: 2 }, 2);
    let texts = texts();
    let labelled = |labels: &[String]| {
        let examples = TuningExamples::Labelled { texts: &texts, labels };
        tune(&bundle, &examples, &lora, &mut |_, _| {})
    };
    fails(labelled(&vec!["one".into(); 12]), &["1 class;", "two or more"]);
    let each: Vec<String> = (0..12).map(|i| i.to_string()).collect();
    fails(labelled(&each), &["no class has two examples"]);
    fails(labelled(&each[..3]), &["12 texts and 3 labels"]);
    let pairs = TuningExamples::Pairs { anchors: &texts[..1], positives: &texts[..1] };
    fails(tune(&bundle, &pairs, &lora, &mut |_, _| {}), &["one pair"]);

    for rate in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
        let asked = TuneOptions { learning_rate: rate, ..lora.clone() };
        fails(tuned(&bundle, &asked), &["learning rate is", "above 0"]);
        let asked = TuneOptions { temperature: rate, ..lora.clone() };
        fails(tuned(&bundle, &asked), &["temperature is", "above 0"]);
    }

    fails(tuned(&bundle, &asked(Method::Lora { rank: 0 }, 1)), &["the rank is 0"]);
    fails(tuned(&bundle, &asked(Method::Lora { rank: tiny::WIDTH }, 1)), &["[32, ", "smaller"]);

    let made = tuned(&bundle, &lora).unwrap();
    let there = place.path().join("there.offshoot");
    std::fs::write(&there, "mine").unwrap();
    fails(made.write_adapter(&there, false), &["there.offshoot"]);
    fails(made.write_bundle(&there, false), &["there.offshoot"]);
    assert_eq!(std::fs::read(&there).unwrap(), b"mine");

    let asked = TuneOptions { stop: Some(Arc::new(AtomicBool::new(true))), ..lora };
    assert!(matches!(tuned(&bundle, &asked), Err(Error::Interrupted)));
    // The bundle was not touched.
    Bundle::open(&bundle).unwrap().verify(&mut |_| {}).unwrap();
}

#[test]
fn adapters_of_other_bundles_and_damaged_ones_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(place.path(), "tiny", 5);
    let other = tiny::bundle(place.path(), "other", 6);
    let path = place.path().join("a.adapter");
    untouched(&bundle, Method::Bias, &path);
    let adapter = Adapter::open(&path).unwrap();
    let error = options().adapter(adapter).open(&other).unwrap_err();
    assert!(matches!(error, RuntimeError::Adapter { .. }), "{error}");
    for part in ["a.adapter", "belongs to the encoder", "tiny"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let bytes = std::fs::read(&path).unwrap();
    let refuse = |bytes: &[u8], part: &str| {
        let path: PathBuf = place.path().join("bad.adapter");
        std::fs::write(&path, bytes).unwrap();
        let error = Adapter::open(&path).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    refuse(&bytes[..bytes.len() / 2], "damaged");
    refuse(&std::fs::read(&bundle).unwrap(), "not an adapter");
    refuse(b"", "not an adapter");
    refuse(b"offshoot adapter 2\n", "another version");
    // A sound file whose graph is none.
    let manifest = Adapter::open(&path).unwrap().manifest().clone();
    std::fs::write(&path, Adapter::to_bytes(&manifest, b"no graph").unwrap()).unwrap();
    let error = options().adapter(Adapter::open(&path).unwrap()).open(&bundle).unwrap_err();
    assert!(!error.to_string().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn weights_stay_in_the_pages_of_files_with_an_adapter() {
    use offshoot_tests::process::{Part, memory, role, say};
    if role().is_some() {
        let variable = |name: &str| PathBuf::from(std::env::var(name).unwrap());
        let encoder = adapted(&variable("BUNDLE"), &variable("ADAPTER"));
        assert_eq!(*encoder.cache_state(), offshoot::CacheState::Found);
        encoder.embed(&["a first text of a few words"]).unwrap();
        say(&memory(std::process::id()).anonymous.to_string());
        return;
    }
    let bundle = offshoot_tests::minilm();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.adapter");
    untouched(bundle, Method::Lora { rank: 4 }, &path);
    adapted(bundle, &path).close();
    let name = "weights_stay_in_the_pages_of_files_with_an_adapter";
    let variables = [("BUNDLE", bundle.to_str().unwrap()), ("ADAPTER", path.to_str().unwrap())];
    let mut part = Part::start(name, "one", &variables);
    let anonymous: u64 = part.hear().parse().unwrap();
    part.finish();
    // 20 MB as without an adapter, and the factors: 0.5 MB, held twice.
    assert!(anonymous <= 22_000_000, "{anonymous} bytes of anonymous memory");
}
