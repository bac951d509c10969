//! What is computed twice, computed once: the same numbers from ONNX Runtime, of fewer
//! operators.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use offshoot_export::graph::read::read;
use offshoot_export::graph::{Attribute, ElementType, Graph, Lowering, Tensor};
use offshoot_export::shape;
use offshoot_export::training::optimizers::AdamW;
use offshoot_export::training::{TrainingOptions, TrainingStep, losses};
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use ort::session::Session;
use ort::value::TensorRef;
use protobuf::Message;

fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NodeProto {
        op_type: operator.into(),
        name: format!("node of {}", outputs.join(" ")),
        input: names(inputs),
        output: names(outputs),
        ..Default::default()
    }
}

fn with(mut node: NodeProto, attributes: Vec<AttributeProto>) -> NodeProto {
    node.attribute = attributes;
    node
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: values.to_vec(),
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: 7,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

/// Floats of such dimensions; 0 is a dimension of any size.
fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: Some(match size {
            0 => dimension::Value::DimParam("batch".into()),
            size => dimension::Value::DimValue(size),
        }),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect(), ..Default::default() };
    let kind = type_proto::Tensor { elem_type: 1, shape: Some(shape).into(), ..Default::default() };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(kind)), ..Default::default() };
    ValueInfoProto { name: name.into(), type_: Some(kind).into(), ..Default::default() }
}

/// A branch that reads a value around it, `read`, and gives `name`.
fn branch(attribute: &str, operator: &str, read: &str, name: &str) -> AttributeProto {
    let graph = GraphProto {
        name: name.into(),
        node: vec![node(operator, &[read], &[name])],
        output: vec![info(name, &[0, 4])],
        ..Default::default()
    };
    AttributeProto {
        name: attribute.into(),
        type_: AttributeType::GRAPH.into(),
        g: Some(graph).into(),
        ..Default::default()
    }
}

fn model(
    folder: &Path,
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    outputs: &[(&str, &[i64])],
) -> Graph {
    let graph = GraphProto {
        name: "twice".into(),
        node,
        initializer,
        input: vec![info("x", &[0, 4])],
        output: outputs.iter().map(|(name, dims)| info(name, dims)).collect(),
        ..Default::default()
    };
    let opset = OperatorSetIdProto { version: 20, ..Default::default() };
    let model = ModelProto {
        ir_version: 9,
        opset_import: vec![opset],
        graph: Some(graph).into(),
        ..Default::default()
    };
    let path = folder.join("source.onnx");
    std::fs::write(&path, model.write_to_bytes().unwrap()).unwrap();
    read(&path).unwrap().graph
}

/// All outputs, by name, for an `x` of three rows.
fn run(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    common::write(graph, folder.path()).unwrap();
    let mut session = Session::builder(common::engine().environment())
        .unwrap()
        .commit_from_file(folder.path().join("model.onnx"))
        .unwrap();
    let x: Vec<f32> = (0..12).map(|i| (i * 7 % 11) as f32 / 4.0 - 1.25).collect();
    let x = TensorRef::from_array_view(([3usize, 4], &x[..])).unwrap();
    let outputs = session.run(ort::inputs!["x" => x]).unwrap();
    let values = |name: &str| outputs[name].try_extract_tensor::<f32>().unwrap().1.to_vec();
    outputs.keys().map(|name| (name.to_owned(), values(name))).collect()
}

fn count(graph: &Graph, operator: &str) -> usize {
    graph.nodes().iter().filter(|node| node.operator == operator).count()
}

#[test]
fn the_same_is_computed_once_and_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let axis = |axis| vec![Attribute::int("axis", axis)];
    let documented = |mut attributes: Vec<AttributeProto>| {
        attributes[0].doc_string = "why".into();
        attributes
    };
    let nodes = vec![
        node("Relu", &["x"], &["a"]),
        node("Relu", &["x"], &["b"]),
        // Equal once their inputs are, with constants that are equal and not the same.
        node("Mul", &["a", "two"], &["c"]),
        node("Mul", &["b", "also two"], &["d"]),
        node("Reshape", &["c", "shape"], &["e"]),
        node("Reshape", &["d", "same shape"], &["f"]),
        // The order of inputs, an attribute and a weight make a difference.
        node("Sub", &["x", "e"], &["g"]),
        node("Sub", &["f", "x"], &["h"]),
        with(node("Softmax", &["g"], &["i"]), axis(0)),
        with(node("Softmax", &["g"], &["j"]), axis(1)),
        with(node("Softmax", &["g"], &["k"]), documented(axis(1))),
        node("Mul", &["j", "weight"], &["l"]),
        node("Mul", &["k", "equal weight"], &["m"]),
        with(
            node("Split", &["l", ""], &["n", "o"]),
            vec![axis(1)[0].clone(), Attribute::int("num_outputs", 2)],
        ),
        with(
            node("Split", &["l"], &["p", "q"]),
            vec![Attribute::int("num_outputs", 2), axis(1)[0].clone()],
        ),
        node("Sum", &["h", "i", "m"], &["r"]),
        with(node("Concat", &["n", "o", "p", "q", "r"], &["y"]), axis(1)),
    ];
    let initializers = vec![
        floats("two", &[], &[2.0]),
        floats("also two", &[], &[2.0]),
        integers("shape", &[-1, 4]),
        integers("same shape", &[-1, 4]),
        floats("weight", &[4], &[1.0, 2.0, 3.0, 4.0]),
        floats("equal weight", &[4], &[1.0, 2.0, 3.0, 4.0]),
    ];
    let mut graph = model(folder.path(), nodes, initializers, &[("y", &[0, 12])]);
    let before = run(&graph);
    // Relu, Mul, Reshape, Softmax and Split.
    assert_eq!(graph.merge_common(), 5);
    assert_eq!(
        ["Relu", "Mul", "Reshape", "Softmax", "Split", "Sub"].map(|o| count(&graph, o)),
        [1, 3, 1, 2, 1, 2]
    );
    assert_eq!(run(&graph), before);
    assert_eq!(graph.merge_common(), 0);
}

#[test]
fn outputs_random_numbers_and_inner_graphs_stay() {
    let folder = tempfile::tempdir().unwrap();
    let branches = || {
        vec![
            branch("then_branch", "Neg", "read within", "then"),
            branch("else_branch", "Abs", "read within", "else"),
        ]
    };
    let seed = || vec![Attribute::float("seed", 3.0)];
    let nodes = vec![
        node("Exp", &["x"], &["first"]),
        node("Exp", &["x"], &["second"]),
        node("Exp", &["x"], &["third"]),
        node("Exp", &["x"], &["read within"]),
        node("Abs", &["third"], &["fourth"]),
        with(node("RandomUniformLike", &["x"], &["r"]), seed()),
        with(node("RandomUniformLike", &["x"], &["s"]), seed()),
        node("ReduceMax", &["x", "axes"], &["largest"]),
        with(node("Cast", &["x sum"], &["yes"]), vec![Attribute::int("to", 9)]),
        with(node("If", &["yes"], &["t"]), branches()),
        with(node("If", &["yes"], &["u"]), branches()),
    ];
    let mut nodes = nodes;
    let sum = with(node("ReduceSum", &["x"], &["x sum"]), vec![Attribute::int("keepdims", 0)]);
    nodes.insert(0, sum);
    let outputs: [(&str, &[i64]); 8] = [
        ("first", &[0, 4]),
        ("second", &[0, 4]),
        ("fourth", &[0, 4]),
        ("r", &[0, 4]),
        ("s", &[0, 4]),
        ("t", &[0, 4]),
        ("u", &[0, 4]),
        ("largest", &[0, 1]),
    ];
    let mut graph = model(folder.path(), nodes, vec![integers("axes", &[1])], &outputs);
    let mut before = run(&graph);
    // Only the third of `Exp` is neither an output nor read within a branch.
    assert_eq!(graph.merge_common(), 1);
    assert_eq!(["Exp", "RandomUniformLike", "If"].map(|o| count(&graph, o)), [3, 2, 2]);
    let mut after = run(&graph);
    let drawn = ["r", "s"].map(|name| (before.remove(name), after.remove(name)));
    assert!(drawn.iter().all(|(before, after)| before.is_some() && after.is_some()));
    assert_eq!(after, before);
    assert_eq!(graph.merge_common(), 0);
}

#[test]
fn a_training_step_computes_nothing_twice() {
    let mut g = Graph::new("model", Lowering::Standard);
    let x = g.input("x", ElementType::Float32, shape!["batch", 4]).unwrap();
    let w = g.initializer("w", Tensor::from_f32(&[4, 3], &[0.25; 12])).unwrap();
    let b = g.initializer("b", Tensor::from_f32(&[3], &[0.5; 3])).unwrap();
    // Twice the same layer, as two views of one encoder are before they differ.
    let mut layer = || {
        let y = g.matmul(x, w)?;
        let y = g.add(y, b)?;
        g.tanh(y)
    };
    let (first, second) = (layer().unwrap(), layer().unwrap());
    let loss = losses::mean_squared_error(&mut g, first, second).unwrap();
    let (optimizer, options) = (AdamW::default(), TrainingOptions::default());
    let step = TrainingStep::new(g, loss, &[w, b], &optimizer, &options).unwrap();
    assert_eq!(count(&step.graph, "Tanh"), 1);
    assert_eq!(step.graph.clone().merge_common(), 0);
}
