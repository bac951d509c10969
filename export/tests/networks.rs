//! Whole networks as both exporters of PyTorch write them: gradients of every weight, and
//! training step by step, against PyTorch.
//!
//! Networks and figures come from `reference/training/networks.py`.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array4, ArrayD};
use offshoot::trainer::{Tensor, Trainer, TrainerOptions};
use offshoot_export::differentiate::gradients;
use offshoot_export::graph::read::read;
use offshoot_export::graph::{ElementType, Graph, Value};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_export::shape;
use offshoot_export::training::optimizers::{AdamW, Optimizer, Sgd};
use offshoot_export::training::{LEARNING_RATE, TrainingOptions, TrainingStep, losses};
use safetensors::{Dtype, SafeTensors};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/training").join(name)
}

fn network(name: &str) -> Graph {
    let mut g = read(&file(name)).unwrap().graph;
    g.upgrade().unwrap();
    g.infer_types().unwrap();
    g
}

fn named(g: &Graph, name: &str) -> Value {
    let tensors = g.initializers().iter().map(|(value, _)| value);
    let mut values = tensors.chain(g.outputs()).copied();
    values.find(|&value| g.value_name(value) == name).unwrap_or_else(|| panic!("no `{name}`"))
}

fn trainer(builder: &ProgramBuilder) -> Trainer {
    let options = TrainerOptions::new().engine(common::engine());
    Trainer::new(&builder.build().unwrap(), &options).unwrap()
}

fn whole_network(name: &str) {
    let bytes = std::fs::read(file(&format!("{name}.safetensors"))).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let weights: Vec<&str> = expected.names().into_iter().filter(|name| *name != "input").collect();
    assert!(weights.len() > 5);

    let mut g = network(&format!("{name}.onnx"));
    let output = g.outputs()[0];
    let square = g.mul(output, output).unwrap();
    let square = g.reduce_mean(square, 1).unwrap();
    let loss = g.reduce_mean(square, 0).unwrap();
    let of: Vec<Value> = weights.iter().map(|weight| named(&g, weight)).collect();
    let found = gradients(&mut g, loss, &of).unwrap();
    for (weight, gradient) in weights.iter().zip(found) {
        g.output(&format!("{weight}.grad"), gradient).unwrap();
    }
    let mut builder = ProgramBuilder::new(name);
    builder.procedure(ProcedureGraph::new("step", g)).unwrap();

    let input = expected.tensor("input").unwrap();
    let dims = input.shape().to_vec();
    let given: Tensor<'_> = match input.dtype() {
        Dtype::I64 => {
            let values = input.data().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b));
            ArrayD::from_shape_vec(dims, values.collect()).unwrap().into()
        }
        _ => ArrayD::from_shape_vec(dims, floats(input.data())).unwrap().into(),
    };
    let outputs = trainer(&builder).step(&[("x", given)]).unwrap();
    for weight in weights {
        let expected = expected.tensor(weight).unwrap();
        let found = outputs.get(&format!("{weight}.grad")).unwrap();
        assert_eq!(found.dims(), expected.shape(), "{name}, {weight}");
        let expected = floats(expected.data());
        let largest = expected.iter().fold(1e-3f32, |most, v| most.max(v.abs()));
        for (found, expected) in found.array::<f32>().unwrap().iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= 1e-5 * largest,
                "{name}, {weight}: {found}, not {expected}"
            );
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

#[test]
fn gradients_of_whole_networks_are_those_of_pytorch() {
    for name in ["transformer", "convolutional"] {
        for exporter in ["dynamo", "script"] {
            whole_network(&format!("{name}-{exporter}"));
        }
    }
}

/// SplitMix64 (Steele, Lea & Flood, 2014), as the script draws its data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
}

const BATCH: usize = 16;

fn tokens(random: &mut Random) -> (Tensor<'static>, Vec<i64>) {
    let x = Array2::from_shape_simple_fn((BATCH, 8), || (random.next() % 12) as i64);
    let labels = x.outer_iter().map(|row| if row[0] < 8 { row[0] % 4 } else { row[2] % 4 });
    let labels = labels.collect();
    (x.into(), labels)
}

fn images(random: &mut Random) -> (Tensor<'static>, Vec<i64>) {
    let mut x = Array4::<f32>::zeros((BATCH, 3, 8, 8));
    let mut labels = Vec::new();
    for mut image in x.outer_iter_mut() {
        let label = (random.next() % 4) as usize;
        labels.push(label as i64);
        for ((_, i, j), pixel) in image.indexed_iter_mut() {
            let bright = if label == 2 * (i / 4) + j / 4 { 0.5 } else { 0.0 };
            *pixel = random.unit() - 0.5 + bright;
        }
    }
    (x.into(), labels)
}

/// Trains a network on what `draw` gives and compares the losses of all steps.
fn curve(
    name: &str,
    model: &str,
    optimizer: &dyn Optimizer,
    rate: f32,
    draw: fn(&mut Random) -> (Tensor<'static>, Vec<i64>),
) {
    let curves = std::fs::read_to_string(file("curves.json")).unwrap();
    let mut curves: BTreeMap<String, Vec<f32>> = serde_json::from_str(&curves).unwrap();
    let expected = curves.remove(name).unwrap();
    assert_eq!(expected.len(), 300);

    let mut g = network(model);
    let parameters: Vec<Value> = g
        .initializers()
        .iter()
        .filter(|(_, tensor)| tensor.element == ElementType::Float32)
        .filter(|(_, tensor)| tensor.elements().is_some_and(|count| count >= 4))
        .map(|(value, _)| *value)
        .collect();
    let logits = g.outputs()[0];
    let labels = g.input("labels", ElementType::Int64, shape!["batch"]).unwrap();
    let loss = losses::cross_entropy(&mut g, logits, labels, &Default::default()).unwrap();
    let options = TrainingOptions::default();
    let step = TrainingStep::new(g, loss, &parameters, optimizer, &options).unwrap();
    let mut trainer = trainer(&step.program(name).unwrap());
    let mut random = Random(7);
    let mut found = Vec::new();
    for (at, expected) in expected.iter().enumerate() {
        let (x, labels) = draw(&mut random);
        let labels = Array1::from(labels);
        let given = [("x", x), ("labels", labels.into()), (LEARNING_RATE, rate.into())];
        let loss = trainer.step(&given).unwrap().loss().unwrap();
        // Rounding grows along the way; at the end it is far below the loss itself.
        assert!(
            (loss - expected).abs() <= 0.01 * expected.max(0.1),
            "{name}, step {at}: {loss}, not {expected}"
        );
        found.push(loss);
    }
    let last = |losses: &[f32]| losses[280..].iter().sum::<f32>() / 20.0;
    let (found, expected) = (last(&found), last(&expected));
    assert!((found - expected).abs() <= 0.01 * expected, "{name}: {found}, not {expected}");
}

#[test]
fn a_transformer_trains_as_in_pytorch() {
    let optimizer = AdamW::default();
    curve("transformer", "large.onnx", &optimizer, 2e-3, tokens);
}

#[test]
fn a_convolutional_network_trains_as_in_pytorch() {
    let optimizer = Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 };
    curve("convolutional", "convolutional-dynamo.onnx", &optimizer, 0.05, images);
}
