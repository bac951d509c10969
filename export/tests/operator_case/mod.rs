//! One operator with what PyTorch gives for it, and how it is run.

pub(crate) mod running;

use std::collections::BTreeMap;
use std::path::Path;

use offshoot_export::graph::{
    ElementType, Graph, Lowering, OPSET, Shape, Tensor, TensorData, Value,
};
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use ort::value::{DynValue, Tensor as OrtTensor};
use protobuf::Message;
use serde::Deserialize;

/// Numbers of a shape.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

/// An input of the operator.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Input {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    pub(crate) array: Array,
    /// Whether it is an initializer.
    #[serde(default)]
    pub(crate) constant: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) operator: String,
    #[serde(default = "current")]
    opset: i64,
    #[serde(default)]
    attributes: BTreeMap<String, serde_json::Value>,
    /// Distinct inputs; `None` for one that is left out.
    pub(crate) inputs: Vec<Option<Input>>,
    /// Which of `inputs` stands where; in order where it is not said.
    #[serde(default)]
    wires: Vec<usize>,
    /// The gradient that flows into each output.
    pub(crate) seeds: Vec<Option<Array>>,
    pub(crate) outputs: Vec<Option<Array>>,
    /// The gradients of inputs, by position.
    pub(crate) gradients: BTreeMap<usize, Array>,
    pub(crate) tolerance: f64,
    /// Whether the slope along a direction is defined.
    #[serde(default = "yes")]
    pub(crate) smooth: bool,
    /// A part of the message when sizes are unknown, where they must be known.
    #[serde(default)]
    pub(crate) needs_sizes: Option<String>,
}

fn current() -> i64 {
    OPSET
}

fn yes() -> bool {
    true
}

/// An attribute of one integer.
pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: value,
        type_: AttributeType::INT.into(),
        ..Default::default()
    }
}

impl Array {
    /// Checks that `found` is this, up to `tolerance` relative to the largest element.
    pub(crate) fn compare(
        &self,
        found: &Self,
        tolerance: f64,
        what: &str,
        at: usize,
    ) -> Result<(), String> {
        if self.shape != found.shape {
            return Err(format!(
                "{what} {at} has the shape {:?}, not {:?}",
                found.shape, self.shape
            ));
        }
        let largest = self.values.iter().fold(1.0f64, |most, v| most.max(v.abs()));
        for (i, (x, y)) in self.values.iter().zip(&found.values).enumerate() {
            if (x - y).abs() > tolerance * largest || y.is_nan() {
                return Err(format!("{what} {at}, element {i} is {y}, not {x}"));
            }
        }
        Ok(())
    }
}

impl Input {
    fn element(&self) -> ElementType {
        match self.kind.as_str() {
            "float64" => ElementType::Float64,
            "float32" => ElementType::Float32,
            "int64" => ElementType::Int64,
            "bool" => ElementType::Bool,
            other => panic!("the type {other}"),
        }
    }

    fn tensor(&self) -> Tensor {
        let Array { shape, values } = &self.array;
        match self.element() {
            ElementType::Int64 => {
                Tensor::from_i64(shape, &values.iter().map(|&v| v as i64).collect::<Vec<_>>())
            }
            element @ ElementType::Bool => {
                let bytes: Vec<u8> = values.iter().map(|&v| u8::from(v != 0.0)).collect();
                Tensor { element, dims: shape.clone(), data: TensorData::Bytes(bytes.into()) }
            }
            element => Tensor::from_f64(element, shape, values).expect("a floating-point constant"),
        }
    }

    fn value(&self) -> DynValue {
        dynamic(self.element(), &self.array)
    }
}

fn dynamic(element: ElementType, array: &Array) -> DynValue {
    let (shape, values) = (array.shape.clone(), &array.values);
    fn made<T: ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static>(
        shape: Vec<usize>,
        values: Vec<T>,
    ) -> DynValue {
        OrtTensor::from_array((shape, values)).expect("a tensor").into_dyn()
    }
    match element {
        ElementType::Float64 => made(shape, values.clone()),
        ElementType::Float32 => made(shape, values.iter().map(|&v| v as f32).collect()),
        ElementType::Int64 => made(shape, values.iter().map(|&v| v as i64).collect()),
        _ => made(shape, values.iter().map(|&v| v != 0.0).collect()),
    }
}

impl Case {
    pub(crate) fn read(path: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether graphs are built with the operator's version.
    pub(crate) fn is_current(&self) -> bool {
        self.opset == OPSET
    }

    /// Whether the first input has a first dimension that nothing else states.
    pub(crate) fn has_batch(&self) -> bool {
        let stated = self.operator == "Resize" && self.inputs.len() == 4;
        let first = self.inputs.first().and_then(Option::as_ref);
        first.is_some_and(|input| !input.constant && !input.array.shape.is_empty()) && !stated
    }

    pub(crate) fn is_double(&self) -> bool {
        self.inputs.iter().flatten().any(|input| input.kind == "float64")
    }

    pub(crate) fn attributes(&self) -> Vec<AttributeProto> {
        self.attributes.iter().map(|(name, value)| attribute(name, value)).collect()
    }

    /// `inputs` in the places where the operator reads them.
    pub(crate) fn wired(&self, inputs: &[Option<Value>]) -> Vec<Option<Value>> {
        match self.wires[..] {
            [] => inputs.to_vec(),
            _ => self.wires.iter().map(|&at| inputs[at]).collect(),
        }
    }

    /// A graph with the inputs, in known sizes; with `batch`, the first dimension of the
    /// first input, and of labels, is an unknown.
    pub(crate) fn graph(&self, batch: bool) -> (Graph, Vec<Option<Value>>) {
        let mut g = Graph::new("case", Lowering::Standard);
        let mut values = Vec::new();
        for (at, input) in self.inputs.iter().enumerate() {
            values.push(input.as_ref().map(|input| {
                let name = format!("input.{at}");
                if input.constant {
                    return g.initializer(&name, input.tensor()).unwrap();
                }
                let mut shape: Shape = input.array.shape.iter().map(|&size| size.into()).collect();
                let first = &self.inputs.first().and_then(Option::as_ref).expect("an input").array;
                let paired = self.operator == "PRelu" && first.shape == input.array.shape;
                let labels = at == 1 && self.operator.ends_with("Loss");
                if batch && (at == 0 || paired || labels) {
                    shape[0] = "batch".into();
                }
                g.input(&name, input.element(), shape).unwrap()
            }));
        }
        (g, values)
    }

    /// The inputs of the graph that was read.
    pub(crate) fn values_of(&self, g: &Graph) -> Vec<Option<Value>> {
        let named = |name: String| {
            let tensors = g.initializers().iter().map(|(value, _)| value);
            g.inputs().iter().chain(tensors).copied().find(|&v| g.value_name(v) == name)
        };
        (0..self.inputs.len()).map(|at| named(format!("input.{at}"))).collect()
    }

    /// The operator in a file that says no size: every dimension is an unknown of its own.
    pub(crate) fn model(&self) -> Vec<u8> {
        let mut graph = GraphProto { name: "case".into(), ..Default::default() };
        let mut names = Vec::new();
        for (at, input) in self.inputs.iter().enumerate() {
            let Some(input) = input else {
                names.push(String::new());
                continue;
            };
            let name = format!("input.{at}");
            names.push(name.clone());
            let code = input.element().code();
            if input.constant {
                let tensor = input.tensor();
                let TensorData::Bytes(bytes) = &tensor.data else {
                    unreachable!("a tensor in memory")
                };
                graph.initializer.push(TensorProto {
                    name,
                    data_type: code,
                    dims: tensor.dims.iter().map(|&size| size as i64).collect(),
                    raw_data: bytes.to_vec(),
                    ..Default::default()
                });
                continue;
            }
            let rank = input.array.shape.len();
            let symbols = (0..rank).map(|i| format!("input_{at}_{i}")).collect::<Vec<_>>();
            graph.input.push(declared(name, code, Some(&symbols)));
        }
        let inputs = match self.wires[..] {
            [] => names,
            _ => self.wires.iter().map(|&at| names[at].clone()).collect(),
        };
        let outputs: Vec<String> = (0..self.outputs.len()).map(|at| format!("out.{at}")).collect();
        graph.output.extend(outputs.iter().map(|name| declared(name.clone(), 0, None)));
        graph.node.push(NodeProto {
            name: "subject".into(),
            op_type: self.operator.clone(),
            input: inputs,
            output: outputs,
            attribute: self.attributes(),
            ..Default::default()
        });
        let model = ModelProto {
            ir_version: 9,
            opset_import: vec![OperatorSetIdProto { version: self.opset, ..Default::default() }],
            graph: Some(graph).into(),
            ..Default::default()
        };
        model.write_to_bytes().unwrap()
    }
}

pub(crate) fn attribute(name: &str, value: &serde_json::Value) -> AttributeProto {
    use serde_json::Value as Json;
    let mut made = int(name, 0);
    let mut kind = AttributeType::INT;
    match value {
        Json::Number(number) if number.is_i64() => made.i = number.as_i64().unwrap(),
        Json::Number(number) => {
            made.f = number.as_f64().unwrap() as f32;
            kind = AttributeType::FLOAT;
        }
        Json::String(text) => {
            made.s = text.as_bytes().to_vec();
            kind = AttributeType::STRING;
        }
        Json::Array(list) => {
            made.ints = list.iter().map(|v| v.as_i64().expect("an integer")).collect();
            kind = AttributeType::INTS;
        }
        other => panic!("the attribute {other}"),
    }
    made.type_ = kind.into();
    made
}

fn declared(name: String, element: i32, symbols: Option<&Vec<String>>) -> ValueInfoProto {
    let mut tensor = type_proto::Tensor { elem_type: element, ..Default::default() };
    if let Some(symbols) = symbols {
        let dim = symbols.iter().map(|symbol| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimParam(symbol.clone())),
            ..Default::default()
        });
        tensor.shape = Some(TensorShapeProto { dim: dim.collect(), ..Default::default() }).into();
    }
    let kind =
        TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto {
        name,
        type_: if element == 0 { None } else { Some(kind) }.into(),
        ..Default::default()
    }
}
