//! The graph as an ONNX model: the one place where versions are chosen.

use std::collections::HashMap;

use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

use super::external::{Layout, Place};
use super::{Dim, Graph, Node, TensorData, TensorType, Value};
use crate::error::Result;

/// Version of the ONNX operator set that built graphs use. 20 has `Gelu` and
/// `LayerNormalization` and is read by every current engine.
pub const OPSET: i64 = 20;

/// Version of the ONNX file format of built graphs, the one that came with
/// [`OPSET`].
pub const IR_VERSION: i64 = 9;

/// Version of ONNX Runtime's own operators.
pub const OPSET_CONTRIB: i64 = 1;

/// The parts of a model around its operators. A graph that was read from a file
/// keeps those that this crate does not interpret.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    /// The model without its graph; `None` for built graphs.
    pub(crate) model: Option<Box<ModelProto>>,
    /// The graph without its nodes, tensors, inputs and outputs.
    pub(crate) graph: GraphProto,
    /// Declarations of inputs, outputs and values, as the file had them.
    pub(crate) declared: HashMap<Value, ValueInfoProto>,
    /// Properties of external tensors and descriptions, by value.
    pub(crate) tensors: HashMap<Value, (String, Vec<StringStringEntryProto>)>,
}

impl Graph {
    /// The ONNX model of this graph, whose large tensors lie where `layout`
    /// says.
    ///
    /// # Errors
    /// Those of the sources of small tensors, which are read and put inside.
    pub fn to_model(&self, layout: &Layout) -> Result<ModelProto> {
        let mut graph = self.frame.graph.clone();
        if self.frame.model.is_none() {
            graph.name.clone_from(&self.name);
        }
        graph.node = self.nodes.iter().map(|node| self.node_proto(node)).collect();
        graph.input = self.inputs.iter().map(|&v| self.value_proto(v)).collect();
        graph.output = self.outputs.iter().map(|&v| self.value_proto(v)).collect();
        for ((value, tensor), place) in self.initializers.iter().zip(layout.places()) {
            graph.initializer.push(self.tensor_proto(*value, tensor, place)?);
        }

        let mut model = self.frame.model.as_deref().cloned().unwrap_or_else(|| ModelProto {
            ir_version: IR_VERSION,
            producer_name: "offshoot".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        });
        model.opset_import = self
            .opsets
            .iter()
            .map(|(domain, &version)| OperatorSetIdProto {
                domain: domain.clone(),
                version,
                ..Default::default()
            })
            .collect();
        model.graph = Some(graph).into();
        Ok(model)
    }

    fn node_proto(&self, node: &Node) -> NodeProto {
        let names = |values: &[Option<Value>]| {
            values
                .iter()
                .map(|value| value.map_or(String::new(), |v| self.value_name(v).to_owned()))
                .collect()
        };
        NodeProto {
            input: names(&node.inputs),
            output: names(&node.outputs),
            name: node.name.clone(),
            op_type: node.operator.clone(),
            domain: node.domain.clone(),
            overload: node.extra.overload.clone(),
            attribute: node.attributes.clone(),
            doc_string: node.extra.doc.clone(),
            metadata_props: node.extra.metadata.clone(),
            special_fields: node.extra.unknown.clone(),
        }
    }

    fn value_proto(&self, value: Value) -> ValueInfoProto {
        if let Some(declared) = self.frame.declared.get(&value) {
            return declared.clone();
        }
        ValueInfoProto {
            name: self.value_name(value).into(),
            type_: self.tensor_type(value).ok().map(type_proto).into(),
            ..Default::default()
        }
    }

    fn tensor_proto(
        &self,
        value: Value,
        tensor: &super::Tensor,
        place: &Place,
    ) -> Result<TensorProto> {
        let (doc_string, metadata_props) =
            self.frame.tensors.get(&value).cloned().unwrap_or_default();
        let mut proto = TensorProto {
            name: self.value_name(value).into(),
            dims: tensor.dims.iter().map(|&dim| dim as i64).collect(),
            data_type: tensor.element.code(),
            doc_string,
            metadata_props,
            ..Default::default()
        };
        match place {
            Place::External { offset, length } => {
                let entry = |key: &str, value: String| StringStringEntryProto {
                    key: key.into(),
                    value,
                    ..Default::default()
                };
                proto.data_location = DataLocation::EXTERNAL.into();
                proto.external_data = vec![
                    entry("location", super::external::WEIGHTS_FILE.into()),
                    entry("offset", offset.to_string()),
                    entry("length", length.to_string()),
                ];
            }
            Place::Inline => match &tensor.data {
                TensorData::Bytes(bytes) => proto.raw_data = bytes.to_vec(),
                TensorData::Source(source) => source.write_to(&mut proto.raw_data)?,
                TensorData::Proto(verbatim) => {
                    proto = (**verbatim).clone();
                    proto.name = self.value_name(value).into();
                }
            },
        }
        Ok(proto)
    }
}

/// A tensor type in ONNX's form.
pub(crate) fn type_proto(kind: &TensorType) -> TypeProto {
    let dim = |dim: &Dim| tensor_shape_proto::Dimension {
        value: Some(match dim.fixed() {
            Some(size) => tensor_shape_proto::dimension::Value::DimValue(size as i64),
            None => tensor_shape_proto::dimension::Value::DimParam(dim.to_string()),
        }),
        ..Default::default()
    };
    let shape =
        TensorShapeProto { dim: kind.shape.iter().map(dim).collect(), ..Default::default() };
    TypeProto {
        value: Some(type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: kind.element.code(),
            shape: Some(shape).into(),
            ..Default::default()
        })),
        ..Default::default()
    }
}
