//! Attributes of operators.

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{AttributeProto, TensorProto};

use super::{Tensor, TensorData};

/// Builds attributes, each kind under its ONNX name.
pub(crate) struct Attribute;

impl Attribute {
    fn named(name: &str, kind: AttributeType) -> AttributeProto {
        AttributeProto { name: name.into(), type_: kind.into(), ..Default::default() }
    }

    pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
        AttributeProto { i: value, ..Self::named(name, AttributeType::INT) }
    }

    pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
        AttributeProto { f: value, ..Self::named(name, AttributeType::FLOAT) }
    }

    pub(crate) fn string(name: &str, value: &str) -> AttributeProto {
        AttributeProto { s: value.into(), ..Self::named(name, AttributeType::STRING) }
    }

    pub(crate) fn ints(name: &str, values: Vec<i64>) -> AttributeProto {
        AttributeProto { ints: values, ..Self::named(name, AttributeType::INTS) }
    }

    /// A small tensor that is in memory.
    pub(crate) fn tensor(name: &str, tensor: &Tensor) -> AttributeProto {
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
