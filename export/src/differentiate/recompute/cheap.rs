//! Which operators are cheap, and where computing them again saves memory.

use std::collections::HashSet;

use super::Forward;
use super::copies::Part;
use crate::graph::{Graph, Node, Value};

/// Operators that take time in proportion to the bytes that they read and write.
const CHEAP: &[&str] = &[
    "Abs",
    "Add",
    "BatchNormalization",
    "Cast",
    "Celu",
    "Clip",
    "Concat",
    "Cos",
    "Div",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Gelu",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "Max",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Reciprocal",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Selu",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Operators whose result lies where their input does.
const MOVES_NOTHING: [&str; 5] = ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"];

/// What operators that are not cheap made. A bias is part of its product: engines compute both
/// at once where nothing else reads the product, and round otherwise where they do not.
pub(super) fn expensive(
    graph: &Graph,
    data: &HashSet<Value>,
    is_backward: &dyn Fn(&Node) -> bool,
) -> HashSet<Value> {
    let mut dear: HashSet<Value> = HashSet::new();
    let mut products: HashSet<Value> = HashSet::new();
    for node in graph.nodes().iter().filter(|node| !is_backward(node)) {
        let biased = node.operator == "Add"
            && node.inputs.iter().flatten().any(|input| products.contains(input))
            && node.inputs.iter().flatten().any(|input| !data.contains(input));
        if node.operator == "MatMul" {
            products.extend(node.outputs.iter().flatten());
        }
        if biased || !CHEAP.contains(&node.operator.as_str()) {
            dear.extend(node.outputs.iter().flatten());
        }
    }
    dear
}

/// Whether more bytes are let go than have to be kept in their place.
pub(super) fn saves(forward: &Forward<'_>, part: &Part, first: usize) -> bool {
    let read_anyway: HashSet<Value> = forward
        .graph
        .nodes()
        .iter()
        .filter(|node| node.outputs.iter().flatten().next().is_some_and(|o| o.index() >= first))
        .flat_map(|node| node.inputs.iter().flatten().map(|&value| origin(forward, value)))
        .collect();
    let mut entering = HashSet::new();
    for node in part.nodes.iter().filter_map(|&at| forward.node(at)) {
        for &input in node.inputs.iter().flatten() {
            if forward.again(input).is_none() && forward.data.contains(&input) {
                entering.insert(origin(forward, input));
            }
        }
    }
    let is_input = |value: &Value| forward.graph.inputs().contains(value);
    let kept: f64 = entering
        .iter()
        .filter(|value| !read_anyway.contains(value) && !is_input(value))
        .map(|&value| bytes(forward.graph, value))
        .sum();
    let read: HashSet<Value> = part.read.iter().map(|&value| origin(forward, value)).collect();
    let let_go = read.iter().filter(|value| forward.again(**value).is_some());
    let let_go: f64 = let_go.map(|&value| bytes(forward.graph, value)).sum();
    let_go > kept
}

/// The value in whose memory a value lies.
fn origin(forward: &Forward<'_>, mut value: Value) -> Value {
    while let Some(node) = forward.made.get(&value).and_then(|&at| forward.node(at))
        && MOVES_NOTHING.contains(&node.operator.as_str())
        && let Some(Some(input)) = node.inputs.first()
    {
        value = *input;
    }
    value
}

/// Bytes of a value, where an unknown size stands for 64.
fn bytes(graph: &Graph, value: Value) -> f64 {
    let Ok(kind) = graph.tensor_type(value) else { return 0.0 };
    let elements: f64 = kind.shape.iter().map(|dim| dim.size_if(64)).product();
    elements * kind.element.size().unwrap_or(4) as f64
}
