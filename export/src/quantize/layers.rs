//! Where a graph holds weights that can be quantised.

use std::collections::HashSet;

use crate::graph::{ElementType, Graph, Node, Tensor, TensorData, Value};

/// How a layer uses its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `MatMul` of activations and a weight `[in, out]`.
    Product,
    /// `Gemm` with a weight, and perhaps a bias; `transposed` when the weight is `[out, in]`.
    Gemm {
        /// Whether the weight is `[out, in]`.
        transposed: bool,
    },
    /// ONNX Runtime's `Attention`: a product with `[in, 3·width]` and attention.
    Attention,
    /// `Conv`, or ONNX Runtime's `FusedConv`, with a weight `[out, in / groups, kernel...]`.
    Convolution {
        /// Whether all of the input's channels are read for each of the output's.
        whole: bool,
        /// Whether nothing is added to what it gives and no function but `Relu` applied.
        plain: bool,
    },
    /// Rows of a table `[rows, width]` by `Gather` or `Slice`.
    Table,
}

/// A node whose weight can be quantised.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Index among the graph's nodes.
    pub(super) node: usize,
    /// Name of the weight.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What is multiplied with the weight; for tables, the weight.
    pub(super) input: Value,
    pub(super) weight: Value,
    /// What a convolution gives, whose range must be known where activations are bytes.
    pub(super) output: Option<Value>,
}

impl Layer {
    /// Whether it is a convolution or a matrix product, attention's included.
    pub(super) fn multiplies(&self) -> bool {
        self.kind != Kind::Table
    }
}

/// Tables smaller than this, in elements, stay as they are: their scales and the
/// additional operators would cost more than is saved.
const TABLE_FROM: usize = 1 << 12;

/// Operators that only a quantised graph has.
const QUANTIZED: [&str; 13] = [
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "GatherBlockQuantized",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "QAttention",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
];

/// What in the graph says that it is quantised already.
pub(super) fn quantized_already(graph: &Graph) -> Option<String> {
    let operator = graph.nodes().iter().find(|node| QUANTIZED.contains(&&*node.operator));
    if let Some(node) = operator {
        return Some(format!("it has the operator {}", node.operator));
    }
    let small = |element| {
        matches!(element, ElementType::Float16 | ElementType::Bfloat16 | ElementType::Int8)
    };
    graph
        .initializers()
        .iter()
        .find(|(_, tensor)| small(tensor.element) && tensor.dims.len() >= 2)
        .map(|(value, tensor)| {
            format!("its weight `{}` is {}", graph.value_name(*value), tensor.element)
        })
}

/// Every node whose weight can be quantised, in the order of the graph.
pub(super) fn find(graph: &Graph) -> Vec<Layer> {
    let inputs: HashSet<Value> = graph.inputs().iter().copied().collect();
    let constant = |value: Option<Value>, ranks: std::ops::RangeInclusive<usize>| {
        let value = value.filter(|value| !inputs.contains(value))?;
        let tensor = graph.tensor(value)?;
        let fits = tensor.element == ElementType::Float32
            && ranks.contains(&tensor.dims.len())
            && !tensor.dims.contains(&0)
            && !matches!(tensor.data, TensorData::Proto(_));
        fits.then_some((value, tensor))
    };
    let weight = |value| constant(value, 2..=2);
    let mut layers = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        let at = |i: usize| node.inputs.get(i).copied().flatten();
        let (kind, input, found) = match (&*node.domain, &*node.operator) {
            ("" | "ai.onnx", "MatMul") => (Kind::Product, at(0), weight(at(1))),
            ("" | "ai.onnx", "Gemm") if plain_gemm(node) => {
                (Kind::Gemm { transposed: integer(node, "transB") == 1 }, at(0), weight(at(1)))
            }
            (crate::graph::CONTRIB_DOMAIN, "Attention") if plain_attention(node) => {
                (Kind::Attention, at(0), weight(at(1)))
            }
            ("" | "ai.onnx", "Conv") | (crate::graph::CONTRIB_DOMAIN, "FusedConv") => {
                let whole = integer(node, "group") <= 1;
                // Signals, images and volumes.
                let plain = plain_convolution(node);
                (Kind::Convolution { whole, plain }, at(0), constant(at(1), 3..=5))
            }
            ("" | "ai.onnx", "Gather") if integer(node, "axis") == 0 => {
                (Kind::Table, at(0), weight(at(0)))
            }
            ("" | "ai.onnx", "Slice") if slices_rows(graph, node) => {
                (Kind::Table, at(0), weight(at(0)))
            }
            _ => continue,
        };
        let (Some(input), Some((weight, tensor))) = (input, found) else { continue };
        let small = kind == Kind::Table && tensor.elements().unwrap_or(0) < TABLE_FROM;
        if small || graph.is_captured(weight) {
            continue;
        }
        let name = graph.value_name(weight).to_owned();
        let output = node.outputs.first().copied().flatten();
        let output = output.filter(|_| matches!(kind, Kind::Convolution { .. }));
        layers.push(Layer { node: index, name, kind, input, weight, output });
    }
    layers
}

/// The integer attribute of a node, 0 where it is not there.
pub(super) fn integer(node: &Node, name: &str) -> i64 {
    node.attributes.iter().find(|attribute| attribute.name == name).map_or(0, |a| a.i)
}

fn float_is(node: &Node, name: &str, value: f32) -> bool {
    node.attributes.iter().find(|attribute| attribute.name == name).is_none_or(|a| a.f == value)
}

/// A `Gemm` that is a product and a sum.
fn plain_gemm(node: &Node) -> bool {
    integer(node, "transA") == 0 && float_is(node, "alpha", 1.0) && float_is(node, "beta", 1.0)
}

/// A `Conv`, or a `FusedConv` that can be written as `Conv` and `Relu`.
fn plain_convolution(node: &Node) -> bool {
    let activation = node.attributes.iter().find(|attribute| attribute.name == "activation");
    node.inputs.get(3).copied().flatten().is_none() && activation.is_none_or(|a| a.s == b"Relu")
}

/// An `Attention` that can be written as a product and `MultiHeadAttention`.
fn plain_attention(node: &Node) -> bool {
    let known = ["num_heads", "scale", "mask_filter_value", "unidirectional", "do_rotary"];
    let absent = |i: usize| node.inputs.get(i).copied().flatten().is_none();
    node.attributes.iter().all(|attribute| known.contains(&&*attribute.name))
        && integer(node, "unidirectional") == 0
        && integer(node, "do_rotary") == 0
        && !absent(2)
        && absent(4)
        && (6..node.inputs.len()).all(absent)
        && node.outputs.iter().flatten().count() == 1
}

/// A `Slice` of the first dimension only.
fn slices_rows(graph: &Graph, node: &Node) -> bool {
    let Some(axes) = node.inputs.get(3).copied().flatten() else { return false };
    graph.tensor(axes).and_then(integers).is_some_and(|axes| axes == [0])
}

/// The elements of a constant of int64 or int32 that is in memory.
pub(super) fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    let TensorData::Bytes(bytes) = &tensor.data else { return None };
    match tensor.element {
        ElementType::Int64 => {
            bytes.as_chunks::<8>().0.iter().map(|b| Some(i64::from_le_bytes(*b))).collect()
        }
        ElementType::Int32 => bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| Some(i64::from(i32::from_le_bytes(*b))))
            .collect(),
        _ => None,
    }
}
