//! What cannot be differentiated is refused by name.

use std::path::Path;

use offshoot_export::Error;
use offshoot_export::differentiate::gradients;
use offshoot_export::graph::read::read;
use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor, Value};
use offshoot_export::shape;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use protobuf::Message;

/// A graph with an input `[2, 3]` and a weight `[3, 3]`, and their product.
fn graph() -> (Graph, Value, Value) {
    let mut g = Graph::new("g", Lowering::Standard);
    let x = g.input("x", ElementType::Float32, shape![2, 3]).unwrap();
    let w = g.initializer("weight", Tensor::from_f32(&[3, 3], &[0.5; 9])).unwrap();
    let y = g.matmul(x, w).unwrap();
    (g, w, y)
}

fn sum(g: &mut Graph, x: Value) -> Value {
    let total = g.op("ReduceSum", &[x], vec![]).unwrap();
    g.reshape(total, shape![]).unwrap()
}

/// The message of a refusal, all of whose parts must be there.
#[track_caller]
fn refused(outcome: Result<Vec<Value>, Error>, parts: &[&str]) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Gradient(_) | Error::Operator { .. }), "{error:?}");
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn an_operator_without_a_rule_is_named() {
    let (mut g, w, y) = graph();
    let odd = g.in_scope("layer", |g| g.op("Hardmax", &[y], vec![])).unwrap();
    let loss = sum(&mut g, odd);
    refused(gradients(&mut g, loss, &[w]), &["Hardmax `/layer/Hardmax`", "has no gradient rule"]);
}

#[test]
fn an_operator_without_a_rule_off_the_path_does_no_harm() {
    let (mut g, w, y) = graph();
    let x = g.inputs()[0];
    let odd = g.op("Hardmax", &[x], vec![]).unwrap();
    let product = g.op("Mul", &[y, odd], vec![]).unwrap();
    let loss = sum(&mut g, product);
    assert_eq!(gradients(&mut g, loss, &[w]).unwrap().len(), 1);
}

#[test]
fn a_loss_is_one_floating_point_number() {
    let (mut g, w, y) = graph();
    refused(gradients(&mut g, y, &[w]), &["the loss `", "float32 [2, 3]", "one floating-point"]);
    let count = g.op("Size", &[y], vec![]).unwrap();
    refused(gradients(&mut g, count, &[w]), &["int64 []", "one floating-point number"]);
    let batch = g.input("rows", ElementType::Float32, shape!["batch"]).unwrap();
    refused(gradients(&mut g, batch, &[w]), &["`rows`", "[batch]"]);
}

#[test]
fn only_floating_point_tensors_are_trained() {
    let (mut g, w, y) = graph();
    let table = g.initializer("table", Tensor::from_i64(&[2], &[0, 1])).unwrap();
    let loss = sum(&mut g, y);
    refused(gradients(&mut g, loss, &[w, table]), &["`table` is int64 [2]", "floating-point"]);
}

#[test]
fn a_value_that_the_loss_does_not_depend_on_is_named() {
    let (mut g, w, y) = graph();
    let other = g.initializer("other", Tensor::from_f32(&[1], &[1.0])).unwrap();
    let loss = sum(&mut g, y);
    refused(gradients(&mut g, loss, &[w, other]), &["no path", "`other`", "leave it out"]);

    // Constant almost everywhere.
    let (mut g, w, y) = graph();
    let steps = g.op("Floor", &[y], vec![]).unwrap();
    let loss = sum(&mut g, steps);
    refused(gradients(&mut g, loss, &[w]), &["no path", "`weight`"]);

    // Through integers.
    let (mut g, w, y) = graph();
    let best = g.op("ArgMax", &[y], vec![]).unwrap();
    let best = g.cast(best, ElementType::Float32).unwrap();
    let loss = sum(&mut g, best);
    refused(gradients(&mut g, loss, &[w]), &["no path", "`weight`"]);
}

#[test]
fn forms_without_a_rule_are_named() {
    let (mut g, w, y) = graph();
    let mut mode = AttributeProto { name: "mode".into(), s: "reflect".into(), ..text() };
    let pads = g.constant(Tensor::from_i64(&[4], &[0, 1, 0, 1])).unwrap();
    let padded = g.op("Pad", &[y, pads], vec![mode.clone()]).unwrap();
    let loss = sum(&mut g, padded);
    refused(gradients(&mut g, loss, &[w]), &["Pad `", "`reflect`"]);

    let (mut g, w, y) = graph();
    mode.name = "equation".into();
    mode.s = "ii->".into();
    let square = g.op("MatMul", &[w, w], vec![]).unwrap();
    let _ = y;
    let trace = g.op("Einsum", &[square], vec![mode]).unwrap();
    refused(gradients(&mut g, trace, &[w]), &["Einsum `", "`ii->`", "repeated letters"]);
}

fn text() -> AttributeProto {
    AttributeProto { type_: AttributeType::STRING.into(), ..Default::default() }
}

fn node(operator: &str, domain: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        name: format!("{}_node", outputs[0]),
        op_type: operator.into(),
        domain: domain.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: outputs.iter().map(|&name| name.into()).collect(),
        ..Default::default()
    }
}

fn value(name: &str, element: i32, sizes: &[i64]) -> ValueInfoProto {
    let dim = sizes.iter().map(|&size| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(size)),
        ..Default::default()
    });
    let shape = TensorShapeProto { dim: dim.collect(), ..Default::default() };
    let kind =
        type_proto::Tensor { elem_type: element, shape: Some(shape).into(), ..Default::default() };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(kind)), ..Default::default() };
    ValueInfoProto { name: name.into(), type_: Some(kind).into(), ..Default::default() }
}

/// The gradient of the output `loss` of a file by its initializer `w`.
fn of_file(nodes: Vec<NodeProto>, folder: &Path) -> Result<Vec<Value>, Error> {
    let weight = TensorProto {
        name: "w".into(),
        data_type: 1,
        dims: vec![2],
        float_data: vec![1.0, 2.0],
        ..Default::default()
    };
    let graph = GraphProto {
        name: "g".into(),
        node: nodes,
        input: vec![value("x", 1, &[2]), value("choice", 9, &[])],
        output: vec![ValueInfoProto { name: "loss".into(), ..Default::default() }],
        initializer: vec![weight],
        ..Default::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto {
        domain: domain.into(),
        version,
        ..Default::default()
    };
    let model = ModelProto {
        ir_version: 9,
        opset_import: vec![opset("", 20), opset("com.example", 1)],
        graph: Some(graph).into(),
        ..Default::default()
    };
    let file = folder.join("model.onnx");
    std::fs::write(&file, model.write_to_bytes().unwrap()).unwrap();
    let mut g = read(&file)?.graph;
    g.upgrade()?;
    g.infer_types()?;
    let (loss, w) = (g.output_named("loss").unwrap(), g.initializers()[0].0);
    gradients(&mut g, loss, &[w])
}

/// `loss = if choice { Σ w·w } else { Σ w }`.
fn conditional() -> NodeProto {
    let branch = |name: &str, first: NodeProto| {
        let result = first.output[0].clone();
        let mut total = node("ReduceSum", "", &[&result], &[&format!("{name}_sum")]);
        total.attribute.push(AttributeProto {
            name: "keepdims".into(),
            type_: AttributeType::INT.into(),
            ..Default::default()
        });
        let graph = GraphProto {
            name: name.into(),
            output: vec![value(&format!("{name}_sum"), 1, &[])],
            node: vec![first, total],
            ..Default::default()
        };
        AttributeProto {
            name: name.into(),
            type_: AttributeType::GRAPH.into(),
            g: Some(graph).into(),
            ..Default::default()
        }
    };
    let mut choose = node("If", "", &["choice"], &["chosen"]);
    choose.attribute = vec![
        branch("then_branch", node("Mul", "", &["w", "w"], &["square"])),
        branch("else_branch", node("Identity", "", &["w"], &["same"])),
    ];
    choose
}

#[test]
fn inner_graphs_that_read_a_parameter_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut total = node("ReduceSum", "", &["chosen"], &["loss"]);
    total.attribute.push(AttributeProto {
        name: "keepdims".into(),
        type_: AttributeType::INT.into(),
        ..Default::default()
    });
    let mut nodes = vec![conditional(), total];
    refused(of_file(nodes.clone(), folder.path()), &["type of `loss`", "not known"]);

    // With a type, the operator itself is refused.
    nodes[1] = node("Reshape", "", &["chosen", "shape"], &["loss"]);
    let mut shape = node("Constant", "", &[], &["shape"]);
    shape.attribute.push(AttributeProto {
        name: "value_ints".into(),
        type_: AttributeType::INTS.into(),
        ints: vec![1],
        ..Default::default()
    });
    nodes.insert(0, shape);
    let mut g = file_graph(nodes, folder.path());
    let chosen = g.nodes()[1].outputs[0].unwrap();
    let kind = offshoot_export::graph::TensorType::new(ElementType::Float32, shape![]);
    g.declare_type(chosen, kind);
    g.infer_types().unwrap();
    let (loss, w) = (g.output_named("loss").unwrap(), g.initializers()[0].0);
    refused(gradients(&mut g, loss, &[w]), &["If `chosen_node`", "`w`", "inner graph"]);
}

fn file_graph(nodes: Vec<NodeProto>, folder: &Path) -> Graph {
    let _ = of_file(nodes, folder);
    read(&folder.join("model.onnx")).unwrap().graph
}

#[test]
fn values_without_a_type_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = vec![
        node("Twice", "com.example", &["x"], &["odd"]),
        node("Mul", "", &["odd", "w"], &["product"]),
        node("ReduceSum", "", &["product"], &["loss"]),
    ];
    refused(of_file(nodes, folder.path()), &["the type of `loss` is not known", "declare"]);
}

#[test]
fn operators_of_other_domains_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = vec![
        node("Twice", "com.example", &["w"], &["odd"]),
        node("ReduceSum", "", &["odd"], &["loss"]),
    ];
    let mut g = file_graph(nodes, folder.path());
    let odd = g.nodes()[0].outputs[0].unwrap();
    let kind = offshoot_export::graph::TensorType::new(ElementType::Float32, shape![2]);
    g.declare_type(odd, kind);
    g.infer_types().unwrap();
    let (loss, w) = (g.output_named("loss").unwrap(), g.initializers()[0].0);
    refused(gradients(&mut g, loss, &[w]), &["com.example.Twice `odd_node`", "no gradient rule"]);
}

#[test]
fn a_bound_that_takes_only_its_type_from_a_parameter_is_no_obstacle() {
    let mut g = Graph::new("g", Lowering::Standard);
    let x = g.initializer("x", Tensor::from_f32(&[2], &[0.5, 3.0])).unwrap();
    let least = g.scalar(1.0).unwrap();
    let least = g.op("CastLike", &[least, x], vec![]).unwrap();
    let y = g.op("Clip", &[x, least], vec![]).unwrap();
    let loss = g.reduce_sum(y, 0).unwrap();
    gradients(&mut g, loss, &[x]).unwrap();
}
