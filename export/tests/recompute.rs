//! Activations that are computed again: the same numbers as when they are kept, and not undone
//! by the engine's optimiser.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array1, Array2, Array4};
use offshoot::trainer::{Tensor as Fed, Trainer, TrainerOptions};
use offshoot_export::graph::read::read;
use offshoot_export::graph::{Attribute, ElementType, Graph, Lowering, Tensor, Value};
use offshoot_export::shape;
use offshoot_export::training::optimizers::AdamW;
use offshoot_export::training::{
    LEARNING_RATE, Recompute, TrainingOptions, TrainingStep, accumulating_program, losses,
};
use onnx_protobuf::{Message, ModelProto};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

/// A graph with its loss and what is trained.
struct Network {
    graph: Graph,
    loss: Value,
    parameters: Vec<Value>,
}

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5).collect()
}

/// A transformer that PyTorch exported, two layers.
fn transformer() -> Network {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/training/large.onnx");
    let mut graph = read(&path).unwrap().graph;
    graph.upgrade().unwrap();
    graph.infer_types().unwrap();
    let trained = graph.initializers().iter().filter(|(_, tensor)| {
        tensor.element == ElementType::Float32 && tensor.elements().is_some_and(|n| n >= 4)
    });
    let parameters = trained.map(|(value, _)| *value).collect();
    let logits = graph.outputs()[0];
    let labels = graph.input("labels", ElementType::Int64, shape!["batch"]).unwrap();
    let loss = losses::cross_entropy(&mut graph, logits, labels, &Default::default()).unwrap();
    Network { graph, loss, parameters }
}

/// Three residual blocks of two convolutions, the first one normalised.
fn residual() -> Network {
    let mut graph = Graph::new("residual", Lowering::Standard);
    let g = &mut graph;
    let mut x = g.input("x", ElementType::Float32, shape!["batch", 16, 8, 8]).unwrap();
    let mut parameters = Vec::new();
    let convolution = |g: &mut Graph, parameters: &mut Vec<Value>, x: Value| {
        let name = format!("{}.weight", parameters.len());
        let start = numbers(16 * 16 * 9, parameters.len());
        let start: Vec<f32> = start.iter().map(|number| number / 6.0).collect();
        let w = g.initializer(&name, Tensor::from_f32(&[16, 16, 3, 3], &start)).unwrap();
        parameters.push(w);
        let pads = vec![Attribute::ints("pads", vec![1, 1, 1, 1])];
        g.op("Conv", &[x, w], pads).unwrap()
    };
    for block in 0..3 {
        let y = convolution(g, &mut parameters, x);
        let scale = Tensor::from_f32(&[16], &[1.0; 16]);
        let scale = g.initializer(&format!("{block}.scale"), scale).unwrap();
        let shift = Tensor::from_f32(&[16], &[0.0; 16]);
        let shift = g.initializer(&format!("{block}.shift"), shift).unwrap();
        parameters.extend([scale, shift]);
        let y = g.op("InstanceNormalization", &[y, scale, shift], vec![]).unwrap();
        let y = g.relu(y).unwrap();
        let y = convolution(g, &mut parameters, y);
        let sum = g.add(x, y).unwrap();
        if block == 1 {
            g.output("block.1", sum).unwrap();
        }
        x = g.relu(sum).unwrap();
    }
    let x = g.op("GlobalAveragePool", &[x], vec![]).unwrap();
    let x = g.reshape(x, shape!["batch", 16]).unwrap();
    let w = g.initializer("head", Tensor::from_f32(&[16, 4], &numbers(64, 9))).unwrap();
    parameters.push(w);
    let logits = g.matmul(x, w).unwrap();
    let labels = g.input("labels", ElementType::Int64, shape!["batch"]).unwrap();
    let loss = losses::cross_entropy(g, logits, labels, &Default::default()).unwrap();
    Network { graph, loss, parameters }
}

fn tokens() -> (Fed<'static>, Fed<'static>) {
    let x = Array2::from_shape_fn((6, 8), |(i, j)| ((i * 5 + j * 3) % 12) as i64);
    (x.into(), Array1::<i64>::from_iter((0..6).map(|i| i % 4)).into())
}

fn images() -> (Fed<'static>, Fed<'static>) {
    let x = Array4::from_shape_vec((6, 16, 8, 8), numbers(6 * 16 * 64, 5)).unwrap();
    (x.into(), Array1::<i64>::from_iter((0..6).map(|i| i % 4)).into())
}

type Case = (&'static str, fn() -> Network, fn() -> (Fed<'static>, Fed<'static>));
const CASES: [Case; 2] = [("transformer", transformer, tokens), ("residual", residual, images)];

fn options(recompute: &Recompute) -> TrainingOptions {
    TrainingOptions {
        recompute: recompute.clone(),
        max_gradient_norm: Some(1.0),
        ..TrainingOptions::default()
    }
}

fn step(network: Network, recompute: &Recompute) -> TrainingStep {
    let Network { graph, loss, parameters } = network;
    TrainingStep::new(graph, loss, &parameters, &AdamW::default(), &options(recompute)).unwrap()
}

/// The graph as ONNX Runtime runs it.
fn optimised(graph: &Graph) -> ModelProto {
    let folder = tempfile::tempdir().unwrap();
    common::write(graph, folder.path()).unwrap();
    let path = folder.path().join("optimised.onnx");
    Session::builder(common::engine().environment())
        .unwrap()
        .with_optimization_level(GraphOptimizationLevel::All)
        .unwrap()
        .with_optimized_model_path(&path)
        .unwrap()
        .commit_from_file(folder.path().join("model.onnx"))
        .unwrap();
    ModelProto::parse_from_bytes(&std::fs::read(path).unwrap()).unwrap()
}

fn count(model: &ModelProto, operators: &[&str]) -> usize {
    let nodes = model.graph.node.iter();
    nodes.filter(|node| operators.contains(&node.op_type.as_str())).count()
}

/// The state after three steps, by name.
fn trained(step: TrainingStep, given: &(Fed<'static>, Fed<'static>)) -> BTreeMap<String, Vec<f32>> {
    let program = step.program("recompute").unwrap().build().unwrap();
    let options = TrainerOptions::new().engine(common::engine());
    let mut trainer = Trainer::new(&program, &options).unwrap();
    for _ in 0..3 {
        let (x, labels) = given.clone();
        trainer.step(&[("x", x), ("labels", labels), (LEARNING_RATE, 0.01f32.into())]).unwrap();
    }
    let values = |value: Fed<'_>| value.array::<f32>().unwrap().iter().copied().collect();
    let parameters = trainer.parameters();
    parameters.map(|(name, value)| (name.to_owned(), values(value.unwrap()))).collect()
}

#[test]
fn what_is_computed_again_trains_to_the_same_numbers() {
    for (name, network, data) in CASES {
        let expected = trained(step(network(), &Recompute::Nothing), &data());
        for recompute in [Recompute::Cheap, Recompute::Blocks] {
            let found = trained(step(network(), &recompute), &data());
            assert_eq!(found, expected, "{name}, {recompute:?}");
        }
    }
}

#[test]
fn the_optimiser_does_not_merge_the_second_computation_with_the_first() {
    let costly = ["Conv", "FusedConv", "MatMul", "FusedMatMul", "Gemm"];
    let cheap = ["Gelu", "LayerNormalization", "InstanceNormalization"];
    for (name, network, _) in CASES {
        let model = |recompute| optimised(&step(network(), &recompute).graph);
        let (all, some, none) =
            (model(Recompute::Nothing), model(Recompute::Cheap), model(Recompute::Blocks));
        assert_eq!(count(&some, &costly), count(&all, &costly), "{name}");
        assert!(count(&some, &cheap) > count(&all, &cheap), "{name}");
        assert!(count(&none, &costly) > count(&all, &costly), "{name}");
    }
}

#[test]
fn the_backward_pass_reads_nothing_between_what_is_kept() {
    let network = residual();
    let kept: Vec<Value> = network.graph.outputs().to_vec();
    let forward: Vec<Value> = network
        .graph
        .nodes()
        .iter()
        .filter(|node| node.operator == "Conv")
        .flat_map(|node| node.outputs.iter().flatten().copied())
        .collect();
    // All convolutions up to the value that is kept.
    let between = &forward[..4];
    let readers = |step: &TrainingStep| {
        let nodes = step.graph.nodes().iter();
        let reads =
            |value: &Value| nodes.clone().filter(|n| n.inputs.contains(&Some(*value))).count();
        between.iter().map(reads).collect::<Vec<_>>()
    };
    let recompute = Recompute::Between(vec!["block.1".into()]);
    let step = step(network, &recompute);
    assert!(step.graph.outputs().contains(&kept[0]));
    // Each is read by the forward pass only, once.
    assert_eq!(readers(&step), [1, 1, 1, 1]);
    let found = trained(step, &images());
    assert_eq!(found, trained(self::step(residual(), &Recompute::Nothing), &images()));
}

#[test]
fn steps_of_several_batches_compute_again_too() {
    let graphs = [Recompute::Nothing, Recompute::Blocks].map(|recompute| {
        let Network { graph, loss, parameters } = residual();
        let (adam, options) = (AdamW::default(), options(&recompute));
        let program = accumulating_program("several", graph, loss, &parameters, &adam, &options);
        let program = program.unwrap().build().unwrap();
        let options = TrainerOptions::new().engine(common::engine());
        let mut trainer = Trainer::new(&program, &options).unwrap();
        for _ in 0..2 {
            let (x, labels) = images();
            trainer.run("accumulate", &[("x", x), ("labels", labels)]).unwrap();
        }
        let outputs = trainer.run("update", &[(LEARNING_RATE, 0.01f32.into())]).unwrap();
        outputs.scalar("gradient_norm").unwrap()
    });
    assert_eq!(graphs[0], graphs[1]);
}

#[test]
fn a_value_that_is_not_there_cannot_be_kept() {
    let Network { graph, loss, parameters } = residual();
    let recompute = Recompute::Between(vec!["block.7".into()]);
    let options = options(&recompute);
    let error = TrainingStep::new(graph, loss, &parameters, &AdamW::default(), &options);
    assert!(error.unwrap_err().to_string().contains("`block.7`"));
}
