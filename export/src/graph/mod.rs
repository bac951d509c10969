//! A typed builder of ONNX graphs.
//!
//! Every value carries its element type and shape, known numbers and named
//! unknowns alike ([`Dim`]), and each operator checks its inputs as it is added:
//! a mistake is an error that names the operator, its place and the shapes,
//! not a failure of the engine later.
//!
//! ```
//! use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor};
//! use offshoot_export::shape;
//!
//! let mut g = Graph::new("example", Lowering::Standard);
//! let x = g.input("x", ElementType::Float32, shape!["batch", 2])?;
//! let w = g.initializer("weight", Tensor::from_f32(&[2, 3], &[1., 2., 3., 4., 5., 6.]))?;
//! let y = g.matmul(x, w)?;
//! assert_eq!(g.tensor_type(y)?.to_string(), "float32 [batch, 3]");
//! g.output("y", y)?;
//!
//! let wrong = g.matmul(w, x).unwrap_err().to_string();
//! assert!(wrong.contains("MatMul") && wrong.contains("[2, 3]"));
//! # Ok::<(), offshoot_export::Error>(())
//! ```

mod append;
mod attribute;
pub mod blocks;
mod common;
pub mod external;
pub(crate) mod infer;
mod inline;
mod model;
pub mod ops;
pub mod read;
mod standard;
mod surgery;
mod tensor;
mod types;
mod upgrade;

use std::collections::{BTreeMap, HashMap, HashSet};

use onnx_protobuf::{AttributeProto, StringStringEntryProto};
use protobuf::SpecialFields;

pub use attribute::Attribute;
pub(crate) use attribute::Attributes;
pub(crate) use common::RANDOM;
pub(crate) use model::type_proto;
pub use model::{IR_VERSION, OPSET, OPSET_CONTRIB};
pub use tensor::{Tensor, TensorData, TensorSource};
pub use types::{Dim, ElementType, Shape, TensorType};
pub(crate) use types::{broadcast, show};

use crate::error::Result;

/// The domain of ONNX Runtime's own operators.
pub const CONTRIB_DOMAIN: &str = "com.microsoft";

/// Which operators the building blocks ([`blocks`]) are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lowering {
    /// Operators of the ONNX specification only: runs in every engine.
    #[default]
    Standard,
    /// ONNX Runtime's fused operators where they are faster, or as fast with less
    /// memory.
    OnnxRuntime,
}

/// A value of a [`Graph`]: an input, an initializer or an operator's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u32);

impl Value {
    /// Values are numbered as they are added to their graph.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Clone)]
struct ValueInfo {
    name: String,
    /// `None` for values of a graph that was read without their type.
    kind: Option<TensorType>,
}

/// An operator with its inputs, outputs and attributes.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name, unique in the graph.
    pub name: String,
    /// Name of the operator, such as `MatMul`.
    pub operator: String,
    /// Domain of the operator; empty for those of the ONNX specification.
    pub domain: String,
    /// Inputs; `None` for an optional one that is left out.
    pub inputs: Vec<Option<Value>>,
    /// Outputs; `None` for an optional one that is left out.
    pub outputs: Vec<Option<Value>>,
    /// Attributes, as ONNX holds them.
    pub attributes: Vec<AttributeProto>,
    pub(crate) extra: NodeExtra,
}

/// Parts of a node that are carried from a file to a file unread.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeExtra {
    pub(crate) overload: String,
    pub(crate) doc: String,
    pub(crate) metadata: Vec<StringStringEntryProto>,
    pub(crate) unknown: SpecialFields,
}

/// An ONNX graph under construction.
#[derive(Debug, Clone)]
pub struct Graph {
    name: String,
    lowering: Lowering,
    values: Vec<ValueInfo>,
    nodes: Vec<Node>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    initializers: Vec<(Value, Tensor)>,
    scope: Vec<String>,
    names: HashMap<String, usize>,
    constants: HashMap<(i32, Vec<usize>, Vec<u8>), Value>,
    /// Small integer tensors by content, as far as it is known.
    contents: HashMap<Value, infer::Contents>,
    /// Values through which no gradient passes.
    stopped: HashSet<Value>,
    /// Whether a graph that was read is a part of it.
    inlined: bool,
    symbols: usize,
    opsets: BTreeMap<String, i64>,
    frame: model::Frame,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str, lowering: Lowering) -> Self {
        Self {
            name: name.into(),
            lowering,
            values: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            initializers: Vec::new(),
            scope: Vec::new(),
            names: HashMap::new(),
            constants: HashMap::new(),
            contents: HashMap::new(),
            stopped: HashSet::new(),
            inlined: false,
            symbols: 0,
            opsets: BTreeMap::from([(String::new(), OPSET)]),
            frame: model::Frame::default(),
        }
    }

    /// Whether the graph, or a part of it, was read from a file, whose unknown dimensions may be the same
    /// under different names.
    pub(crate) fn is_read(&self) -> bool {
        self.inlined || self.frame.model.is_some()
    }

    /// The lowering that the building blocks use.
    pub fn lowering(&self) -> Lowering {
        self.lowering
    }

    /// The graph's operators, in an order in which they can be run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The graph's inputs, in order.
    pub fn inputs(&self) -> &[Value] {
        &self.inputs
    }

    /// The graph's outputs, in order.
    pub fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    /// The graph's tensors: weights and constants.
    pub fn initializers(&self) -> &[(Value, Tensor)] {
        &self.initializers
    }

    /// Number of scalar weights: elements of the floating-point or 8-bit
    /// tensors, constants of the graph's own arithmetic left out.
    pub fn parameters(&self) -> u64 {
        self.initializers
            .iter()
            .filter(|(_, t)| {
                t.element.is_float() || matches!(t.element, ElementType::Int8 | ElementType::Uint8)
            })
            .filter(|(v, t)| {
                !t.dims.is_empty() && !self.value_name(*v).starts_with(CONSTANT_PREFIX)
            })
            .filter_map(|(_, t)| t.elements())
            .map(|n| n as u64)
            .sum()
    }

    /// The name of a value.
    pub fn value_name(&self, value: Value) -> &str {
        self.values.get(value.index()).map_or("", |info| &info.name)
    }

    /// Element type and shape of a value.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) for a value of a graph that was read from a file which
    /// does not say its type.
    pub fn tensor_type(&self, value: Value) -> Result<&TensorType> {
        self.values.get(value.index()).and_then(|info| info.kind.as_ref()).ok_or_else(|| {
            self.error(
                "Value",
                format!("the type of `{}` is not known; the file must declare it", {
                    self.value_name(value)
                }),
            )
        })
    }

    /// Shape of a value, cloned.
    pub(crate) fn shape(&self, value: Value) -> Result<Shape> {
        Ok(self.tensor_type(value)?.shape.clone())
    }

    /// States the type of a value of a graph that was read, where the file does
    /// not, or says less.
    pub fn declare_type(&mut self, value: Value, kind: TensorType) {
        if let Some(info) = self.values.get_mut(value.index()) {
            info.kind = Some(kind);
        }
    }

    /// Adds an input. Dimensions that differ from run to run are named.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the name is taken.
    pub fn input(&mut self, name: &str, element: ElementType, shape: Shape) -> Result<Value> {
        let value = self.named_value(name, Some(TensorType::new(element, shape)))?;
        self.inputs.push(value);
        Ok(value)
    }

    /// Makes a value an output, under `name`.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the name is taken.
    pub fn output(&mut self, name: &str, value: Value) -> Result<()> {
        let kind = self.tensor_type(value)?.clone();
        let computed = self.nodes.iter().any(|node| node.outputs.contains(&Some(value)));
        if computed && !self.outputs.contains(&value) && !self.is_captured(value) {
            // Rename the value rather than copy it.
            if self.names.contains_key(name) {
                return Err(self.error("Output", format!("the name `{name}` is taken")));
            }
            self.names.insert(name.into(), 0);
            if let Some(info) = self.values.get_mut(value.index()) {
                info.name = name.into();
            }
            self.outputs.push(value);
            return Ok(());
        }
        let output = self.named_value(name, Some(kind))?;
        let node_name = self.unique(&self.scoped("Identity"));
        self.nodes.push(Node {
            name: node_name,
            operator: "Identity".into(),
            domain: String::new(),
            inputs: vec![Some(value)],
            outputs: vec![Some(output)],
            attributes: Vec::new(),
            extra: NodeExtra::default(),
        });
        self.outputs.push(output);
        Ok(())
    }

    /// Removes all outputs, so that others can be stated.
    pub(crate) fn clear_outputs(&mut self) {
        self.outputs.clear();
    }

    /// Adds a weight. Its name is `name` within the current scope.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the tensor's size overflows or its bytes do not
    /// match its shape.
    pub fn initializer(&mut self, name: &str, tensor: Tensor) -> Result<Value> {
        let carried = matches!(tensor.data, TensorData::Proto(_));
        let bytes = match tensor.bytes() {
            Some(bytes) => bytes,
            None if carried => 0,
            None => {
                return Err(self.error(
                    "Initializer",
                    format!("`{name}` of shape {:?} is too large", tensor.dims),
                ));
            }
        };
        if let TensorData::Bytes(data) = &tensor.data
            && data.len() != bytes
        {
            return Err(self.error(
                "Initializer",
                format!("`{name}` of shape {:?} needs {bytes} bytes, not {}", tensor.dims, {
                    data.len()
                }),
            ));
        }
        let path = self.scoped(name);
        let name = self.unique(path.strip_prefix('/').unwrap_or(&path));
        let shape = tensor.dims.iter().map(|&dim| Dim::from(dim)).collect();
        let value = self.push_value(name, Some(TensorType::new(tensor.element, shape)));
        self.initializers.push((value, tensor));
        Ok(value)
    }

    /// Adds a weight under exactly this name, whatever the scope.
    ///
    /// # Errors
    /// As [`Self::initializer`]; when the name is taken.
    pub fn root_initializer(&mut self, name: &str, tensor: Tensor) -> Result<Value> {
        if self.names.contains_key(name) {
            return Err(self.error("Initializer", format!("the name `{name}` is taken")));
        }
        let scope = std::mem::take(&mut self.scope);
        let value = self.initializer(name, tensor);
        self.scope = scope;
        value
    }

    /// A small tensor of the graph's own arithmetic; equal ones are stored once.
    ///
    /// # Errors
    /// As [`Self::initializer`].
    pub fn constant(&mut self, tensor: Tensor) -> Result<Value> {
        let TensorData::Bytes(bytes) = &tensor.data else {
            return self.initializer("constant", tensor);
        };
        let key = (tensor.element.code(), tensor.dims.clone(), bytes.to_vec());
        if let Some(&value) = self.constants.get(&key) {
            return Ok(value);
        }
        let scope = std::mem::take(&mut self.scope);
        let name = format!("{CONSTANT_PREFIX}{}", self.constants.len());
        let value = self.initializer(&name, tensor);
        self.scope = scope;
        let value = value?;
        self.constants.insert(key, value);
        Ok(value)
    }

    /// A 32-bit float as a constant of no dimensions.
    ///
    /// # Errors
    /// As [`Self::initializer`].
    pub fn scalar(&mut self, value: f32) -> Result<Value> {
        self.constant(Tensor::from_f32(&[], &[value]))
    }

    /// A number of a floating-point type as a constant of no dimensions.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) for types that are not floating-point.
    pub fn scalar_of(&mut self, element: ElementType, value: f64) -> Result<Value> {
        match Tensor::from_f64(element, &[], &[value]) {
            Some(tensor) => self.constant(tensor),
            None => Err(self.error("Constant", format!("{element} is not floating-point"))),
        }
    }

    /// Integers as a constant of one dimension.
    ///
    /// # Errors
    /// As [`Self::initializer`].
    pub fn integers(&mut self, values: &[i64]) -> Result<Value> {
        self.constant(Tensor::from_i64(&[values.len()], values))
    }

    /// Version of the ONNX operator set that the graph's operators are of. Graphs
    /// that were read may be older than [`OPSET`].
    pub fn opset(&self) -> i64 {
        let version = |domain: &str| self.opsets.get(domain).copied();
        version("").or_else(|| version("ai.onnx")).unwrap_or(OPSET)
    }
}

/// Names of constants begin with this.
const CONSTANT_PREFIX: &str = "constant.";
