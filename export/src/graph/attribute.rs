//! Attributes of operators.

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{AttributeProto, TensorProto};

use super::{Tensor, TensorData};

/// Builds attributes, each kind under its ONNX name.
#[derive(Debug)]
pub struct Attribute;

impl Attribute {
    fn named(name: &str, kind: AttributeType) -> AttributeProto {
        AttributeProto { name: name.into(), type_: kind.into(), ..Default::default() }
    }

    /// An integer.
    pub fn int(name: &str, value: i64) -> AttributeProto {
        AttributeProto { i: value, ..Self::named(name, AttributeType::INT) }
    }

    /// A 32-bit float.
    pub fn float(name: &str, value: f32) -> AttributeProto {
        AttributeProto { f: value, ..Self::named(name, AttributeType::FLOAT) }
    }

    /// A string.
    pub fn string(name: &str, value: &str) -> AttributeProto {
        AttributeProto { s: value.into(), ..Self::named(name, AttributeType::STRING) }
    }

    /// A list of integers.
    pub fn ints(name: &str, values: Vec<i64>) -> AttributeProto {
        AttributeProto { ints: values, ..Self::named(name, AttributeType::INTS) }
    }

    /// A small tensor that is in memory.
    pub fn tensor(name: &str, tensor: &Tensor) -> AttributeProto {
        let mut proto = TensorProto {
            dims: tensor.dims.iter().map(|&dim| dim as i64).collect(),
            data_type: tensor.element.code(),
            ..Default::default()
        };
        if let TensorData::Bytes(bytes) = &tensor.data {
            proto.raw_data = bytes.to_vec();
        }
        AttributeProto { t: Some(proto).into(), ..Self::named(name, AttributeType::TENSOR) }
    }
}

/// Reads the attributes of an operator.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [AttributeProto]);

impl<'a> Attributes<'a> {
    pub(crate) fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.find(name).map_or(default, |attribute| attribute.i)
    }

    pub(crate) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.find(name).map(|attribute| attribute.ints.clone())
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> f32 {
        self.find(name).map_or(default, |attribute| attribute.f)
    }

    /// A text; empty when it is not there.
    pub(crate) fn string(&self, name: &str) -> String {
        self.find(name)
            .map(|attribute| String::from_utf8_lossy(&attribute.s).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.find(name).and_then(|attribute| attribute.t.as_ref())
    }
}
