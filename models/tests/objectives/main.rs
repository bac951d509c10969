//! Every encoder and every objective against PyTorch: figures of `reference/objectives/make.py`.

mod predictors;

use std::collections::BTreeMap;

use ndarray::ArrayD;
use offshoot::Engine;
use offshoot::trainer::{StateKind, Tensor, Trainer, TrainerOptions};
use offshoot_export::graph::{self, Graph, Lowering};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_export::training::optimizers::AdamW;
use offshoot_export::training::{AVERAGE, LEARNING_RATE, TrainingOptions, TrainingStep};
use offshoot_models::encoders::{Architecture, Family, Network, Normalization, Size, Weights};
use offshoot_models::objectives::{self, Batch, Draw, NAMES, Objective, Preparation, Rows, Tokens};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    encoder: Architecture,
    objective: Option<String>,
    inputs: BTreeMap<String, Input>,
    embedding: Option<Vec<f64>>,
    loss: Option<f64>,
    cross_entropy: Option<f64>,
    gradient_norm: Option<f64>,
    weights: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Input {
    element: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Input {
    fn fed(&self) -> Tensor<'static> {
        let array = ArrayD::from_shape_vec(self.shape.clone(), self.values.clone()).unwrap();
        match self.element.as_str() {
            "uint8" => array.mapv(|v| v as u8).into(),
            "int64" => array.mapv(|v| v as i64).into(),
            _ => array.mapv(|v| v as f32).into(),
        }
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../reference/objectives/cases.json")).unwrap()
}

fn trainer(builder: &ProgramBuilder) -> Trainer {
    if std::env::var_os(offshoot::library::LIBRARY_VARIABLE).is_none() {
        offshoot_models::packages::onnx_runtime(&mut |_| {}).expect("ONNX Runtime's package");
    }
    let options = TrainerOptions::new().engine(Engine::load().unwrap());
    Trainer::new(&builder.build().unwrap(), &options).unwrap()
}

/// SplitMix64's mixing of 64 bits.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The value of a weight, as `reference/objectives/networks.py` has it.
fn weight(name: &str, dims: &[usize]) -> Vec<f32> {
    let state = name.bytes().fold(0, |state, byte| mix(state ^ u64::from(byte)));
    let plain = name.strip_suffix(AVERAGE).unwrap_or(name);
    let (offset, scale) = if plain.ends_with("norm.weight") {
        (1.0, 0.2)
    } else if plain.ends_with(".bias") {
        (0.0, 0.1)
    } else {
        (0.0, 0.5)
    };
    (1..=dims.iter().product::<usize>() as u64)
        .map(|at| {
            let bits = mix(state.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 40;
            (offset + scale * (bits as f64 / f64::from(1 << 23) - 1.0)) as f32
        })
        .collect()
}

/// An objective with the small heads of `reference/objectives/losses.py`, all else as usual.
fn small(name: &str) -> Box<dyn Objective> {
    let projector = vec![12, 8];
    match name {
        "denoising" => Box::new(objectives::Denoising { decoder: 24 }),
        "masked-patches" => Box::new(objectives::MaskedPatches {
            decoder_width: 16,
            decoder_layers: 1,
            ..Default::default()
        }),
        "simclr" => Box::new(objectives::SimClr { projector, ..Default::default() }),
        "neighborhood" => Box::new(objectives::Neighborhood { projector, ..Default::default() }),
        "vicreg" => Box::new(objectives::Vicreg { projector, ..Default::default() }),
        "barlow-twins" => Box::new(objectives::BarlowTwins { projector, ..Default::default() }),
        "simsiam" => Box::new(objectives::SimSiam { projector, predictor: 6 }),
        "self-distillation" => Box::new(objectives::SelfDistillation {
            prototypes: 10,
            projector,
            ..Default::default()
        }),
        "sigreg" => Box::new(objectives::SigReg { projector, directions: 6, ..Default::default() }),
        "supervised-contrastive" => {
            Box::new(objectives::SupervisedContrastive { projector, ..Default::default() })
        }
        other => objectives::named(other).unwrap(),
    }
}

fn close(found: f64, expected: f64, tolerance: f64) -> Result<(), String> {
    let off = (found - expected).abs() / expected.abs();
    if off <= tolerance { Ok(()) } else { Err(format!("{found}, not {expected} ({off:.1e} off)")) }
}

/// Loss, norm of the gradients and number of weights of a case.
fn one_step(case: &Case, name: &str) -> (f64, f64, usize) {
    let objective = small(name);
    objective.check(&case.encoder).unwrap();
    let mut graph = Graph::new("step", Lowering::Standard);
    let mut weights = Weights::random(0);
    let mut net = Network { graph: &mut graph, weights: &mut weights };
    let loss = objective.loss(&mut net, &case.encoder).unwrap();
    let parameters = weights.without_suffix(AVERAGE);
    let options =
        TrainingOptions { average_decay: objective.teacher_decay(), ..Default::default() };
    let step = TrainingStep::new(graph, loss, &parameters, &AdamW::default(), &options).unwrap();
    let mut trainer = trainer(&step.program("case").unwrap());
    let described: Vec<(String, StateKind, Vec<usize>)> =
        trainer.describe().map(|(name, kind, _, dims)| (name.into(), kind, dims.into())).collect();
    let mut count = 0;
    for (name, kind, dims) in described {
        if !matches!(kind, StateKind::Parameter | StateKind::Average) {
            continue;
        }
        if kind == StateKind::Parameter {
            count += dims.iter().product::<usize>();
        }
        let values = ArrayD::from_shape_vec(dims.clone(), weight(&name, &dims)).unwrap();
        trainer.set_state(&name, Tensor::from(values)).unwrap();
    }
    let names: Vec<String> = case.inputs.keys().map(|input| format!("{name}.{input}")).collect();
    let mut inputs: Vec<(&str, Tensor<'_>)> =
        names.iter().map(String::as_str).zip(case.inputs.values().map(Input::fed)).collect();
    inputs.push((LEARNING_RATE, 0.0f32.into()));
    let outputs = trainer.step(&inputs).unwrap();
    let norm = outputs.scalar("gradient_norm").unwrap();
    (outputs.loss().unwrap().into(), norm.into(), count)
}

#[test]
fn losses_and_gradients_are_pytorchs() {
    let mut failed = Vec::new();
    let mut seen = Vec::new();
    for case in cases() {
        let Some(name) = &case.objective else { continue };
        seen.push(name.clone());
        let (loss, norm, weights) = one_step(&case, name);
        assert_eq!(Some(weights), case.weights, "{}", case.name);
        for (what, found, expected, tolerance) in [
            ("loss", loss, case.loss.unwrap(), 1e-5),
            ("gradient norm", norm, case.gradient_norm.unwrap(), 1e-4),
        ] {
            if let Err(reason) = close(found, expected, tolerance) {
                failed.push(format!("{}: the {what} is {reason}", case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    seen.dedup();
    assert_eq!(seen, NAMES);
}

/// What `build` makes, with the weights of the cases.
fn with_weights(build: impl Fn(&mut Weights) -> Graph) -> Graph {
    let mut random = Weights::random(0);
    let graph = build(&mut random);
    let given = random.made().iter().map(|(name, value)| {
        let shape = &graph.tensor_type(*value).unwrap().shape;
        let dims: Vec<usize> = shape.iter().map(|dim| dim.fixed().unwrap()).collect();
        (name.clone(), graph::Tensor::from_f32(&dims, &weight(name, &dims)))
    });
    build(&mut Weights::trained(given.collect()))
}

/// The encoder alone, with the weights of the cases.
fn encoder_graph(encoder: &Architecture, name: &str, lowering: Lowering) -> Graph {
    with_weights(|weights| {
        let mut graph = Graph::new(name, lowering);
        let mut net = Network { graph: &mut graph, weights };
        let input = encoder.input(&mut net, "", "batch").unwrap();
        let features = encoder.encode(&mut net, input).unwrap();
        assert_eq!(features.width, encoder.width());
        graph.output("embedding", features.pooled).unwrap();
        graph
    })
}

#[test]
fn embeddings_are_pytorchs_with_either_lowering() {
    let mut failed = Vec::new();
    for case in cases() {
        let Some(expected) = &case.embedding else { continue };
        case.encoder.check().unwrap();
        let mut builder = ProgramBuilder::new("encoder");
        let lowerings = [("standard", Lowering::Standard), ("fused", Lowering::OnnxRuntime)];
        for (name, lowering) in lowerings {
            let graph = encoder_graph(&case.encoder, name, lowering);
            builder.procedure(ProcedureGraph::new(name, graph)).unwrap();
        }
        let mut trainer = trainer(&builder);
        let inputs: Vec<(&str, Tensor<'_>)> =
            case.inputs.iter().map(|(name, input)| (name.as_str(), input.fed())).collect();
        let largest = expected.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        for (name, _) in lowerings {
            let outputs = trainer.run(name, &inputs).unwrap();
            let found = outputs.get("embedding").unwrap().array::<f32>().unwrap().to_owned();
            assert_eq!(found.shape()[1], case.encoder.width());
            assert_eq!(found.len(), expected.len());
            let off = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
            let most = off.fold(0.0, f64::max) / largest;
            if most.is_nan() || most > 1e-5 {
                failed.push(format!("{}, {name}: {most:.1e} off", case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

const SPECIAL: [u32; 5] = [0, 1, 2, 3, 4];

/// Texts with special tokens at both ends, and what an objective feeds its graph for them.
fn fed(name: &str, causal: bool, texts: &[Vec<u32>]) -> BTreeMap<String, Vec<i64>> {
    let encoder = Size::Tiny.tokens(60, 32, causal, 1);
    let tokens =
        Tokens { vocabulary: 60, pad: 0, mask: 4, special: SPECIAL.to_vec(), max_tokens: 32 };
    let preparation = Preparation::new(encoder, Some(tokens));
    let batch = Batch { rows: Rows::Texts(texts.to_vec()), labels: vec![7, -1, 7, -1] };
    let draw = Draw { seed: 1, step: 2, purpose: name };
    let feed = small(name).feed(&batch, &preparation, &draw).unwrap();
    let integers = feed.into_iter().filter_map(|(input, value)| {
        let values = value.array::<i64>().ok()?.iter().copied().collect();
        Some((input.strip_prefix(&format!("{name}.")).unwrap().to_owned(), values))
    });
    integers.collect()
}

fn texts() -> Vec<Vec<u32>> {
    let text = |length: u32| [vec![2], (0..length).map(|n| 10 + n).collect(), vec![3]].concat();
    vec![text(20), text(9), text(30), text(1)]
}

/// Rows of ids under their mask.
fn rows(fed: &BTreeMap<String, Vec<i64>>, count: usize) -> Vec<Vec<u32>> {
    let (ids, mask) = (&fed["input_ids"], &fed["attention_mask"]);
    let width = ids.len() / count;
    let real = |(ids, mask): (&[i64], &[i64])| {
        let length = mask.iter().sum::<i64>() as usize;
        assert!(mask[..length].iter().all(|&m| m == 1) && ids[length..].iter().all(|&id| id == 0));
        ids[..length].iter().map(|&id| id as u32).collect()
    };
    ids.chunks(width).zip(mask.chunks(width)).map(real).collect()
}

#[test]
fn hidden_tokens_are_ordinary_ones_and_their_labels_bring_them_back() {
    for (name, all_masked) in [("masked-token", false), ("replaced-token", true)] {
        let fed = fed(name, false, &texts());
        let mut ids = fed["input_ids"].clone();
        for (&at, &label) in fed["positions"].iter().zip(&fed["labels"]) {
            assert!(label >= 10);
            assert!(!all_masked || ids[at as usize] == 4);
            ids[at as usize] = label;
        }
        // 15 % of 20, 9, 30 and 1 ordinary tokens, and at least one.
        assert_eq!(fed["positions"].len(), 3 + 1 + 5 + 1);
        let mut whole = fed.clone();
        whole.insert("input_ids".into(), ids);
        assert_eq!(rows(&whole, 4), texts());
    }
}

#[test]
fn each_token_is_to_be_told_from_the_place_before_it() {
    let fed = fed("autoregressive", true, &texts());
    assert_eq!(rows(&fed, 4), texts());
    let pairs: Vec<(i64, i64)> =
        fed["positions"].iter().copied().zip(fed["labels"].iter().copied()).collect();
    let mut expected = Vec::new();
    for (row, text) in texts().iter().enumerate() {
        let places = (row as i64 * 32)..;
        expected.extend(places.zip(text[1..].iter().map(|&next| i64::from(next))));
    }
    assert_eq!(pairs, expected);
}

#[test]
fn halves_of_a_text_make_it_up() {
    let fed = rows(&fed("multiple-negatives", false, &texts()), 8);
    for (row, text) in texts().iter().enumerate().take(3) {
        let (first, second) = (&fed[row], &fed[row + 4]);
        assert!(first.len() > 2 && second.len() > 2);
        let joined = [&first[..first.len() - 1], &second[1..]].concat();
        assert_eq!(joined, *text);
        assert_eq!((first.last(), second.first()), (Some(&3), Some(&2)));
    }
}

#[test]
fn of_long_texts_parts_that_begin_anywhere_are_learned_from() {
    let long: Vec<u32> = [vec![2], (10..58).collect(), vec![3]].concat();
    let texts = vec![long; 40];
    for (name, count) in [
        ("masked-token", 40),
        ("replaced-token", 40),
        ("autoregressive", 40),
        ("simcse", 80),
        ("multiple-negatives", 80),
        ("simclr", 80),
    ] {
        let fed = rows(&fed(name, name == "autoregressive", &texts), count);
        let mut starts = std::collections::BTreeSet::new();
        for row in &fed {
            assert!((3..=32).contains(&row.len()), "{name}: {row:?}");
            assert_eq!((row[0], row[row.len() - 1]), (2, 3), "{name}");
            starts.insert(row[1]);
            if name == "simcse" {
                assert_eq!(row.len(), 32);
                assert!(row[1..30].windows(2).all(|pair| pair[0] + 1 == pair[1]));
            }
        }
        assert!(starts.len() > 5, "{name}: {starts:?}");
    }
}

#[test]
fn an_example_without_a_label_is_a_class_of_its_own() {
    let fed = fed("supervised-contrastive", false, &texts());
    let labels = &fed["labels"];
    assert_eq!((labels[0], labels[2]), (7, 7));
    assert_eq!(labels[..4], labels[4..]);
    assert!(labels[1] != labels[3] && labels[1] != 7 && labels[3] != 7);
}

#[test]
fn hidden_patches_and_seen_ones_are_all_and_their_order_brings_them_back() {
    let normalization = Normalization { mean: vec![0.0], deviation: vec![1.0] };
    let encoder = Size::Tiny.signal(Family::SignalTransformer, [1, 80], normalization);
    let preparation = Preparation::new(encoder, None);
    let signals = vec![ndarray::Array2::ones((1, 80)); 3];
    let batch = Batch { rows: Rows::Signals(signals), labels: Vec::new() };
    let draw = Draw { seed: 1, step: 2, purpose: "masked-patches" };
    let feed = small("masked-patches").feed(&batch, &preparation, &draw).unwrap();
    let part = |name: &str| -> Vec<i64> {
        let (_, value) = feed.iter().find(|(input, _)| input.ends_with(name)).unwrap();
        value.array::<i64>().unwrap().iter().copied().collect()
    };
    let (seen, hidden, order) = (part("seen"), part("hidden"), part("order"));
    assert_eq!((seen.len(), hidden.len()), (3 * 2, 3 * 6));
    for row in 0..3 {
        let joined = [&seen[2 * row..2 * row + 2], &hidden[6 * row..6 * row + 6]].concat();
        let first = 8 * row as i64;
        for (at, &place) in order[8 * row..8 * row + 8].iter().enumerate() {
            assert_eq!(joined[(place - first) as usize], first + at as i64);
        }
    }
}
