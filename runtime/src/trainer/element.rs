//! Types of the elements of a tensor.

use std::fmt;

use ort::value::TensorElementType;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

/// Type of the elements of a tensor that a training program takes, keeps or returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// 32-bit floating point.
    Float32,
    /// 64-bit floating point.
    Float64,
    /// IEEE half precision.
    Float16,
    /// The upper half of a 32-bit float.
    Bfloat16,
    /// 64-bit integer.
    Int64,
    /// 32-bit integer.
    Int32,
    /// Signed byte.
    Int8,
    /// Unsigned byte.
    Uint8,
    /// Truth value, one byte, 0 or 1.
    Bool,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Float64 | Self::Int64 => 8,
            Self::Float32 | Self::Int32 => 4,
            Self::Float16 | Self::Bfloat16 => 2,
            Self::Int8 | Self::Uint8 | Self::Bool => 1,
        }
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64 | Self::Float16 | Self::Bfloat16)
    }

    /// The type that ONNX gives this number (`TensorProto.DataType`).
    pub fn from_onnx(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Float32,
            2 => Self::Uint8,
            3 => Self::Int8,
            6 => Self::Int32,
            7 => Self::Int64,
            9 => Self::Bool,
            10 => Self::Float16,
            11 => Self::Float64,
            16 => Self::Bfloat16,
            _ => return None,
        })
    }

    /// Bytes of a tensor of these dimensions; `None` when the number overflows.
    pub fn bytes(self, dims: &[usize]) -> Option<usize> {
        dims.iter().try_fold(self.size(), |n, &dim| n.checked_mul(dim))
    }

    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Self::Float32 => Dtype::F32,
            Self::Float64 => Dtype::F64,
            Self::Float16 => Dtype::F16,
            Self::Bfloat16 => Dtype::BF16,
            Self::Int64 => Dtype::I64,
            Self::Int32 => Dtype::I32,
            Self::Int8 => Dtype::I8,
            Self::Uint8 => Dtype::U8,
            Self::Bool => Dtype::BOOL,
        }
    }

    pub(crate) fn ort(self) -> TensorElementType {
        match self {
            Self::Float32 => TensorElementType::Float32,
            Self::Float64 => TensorElementType::Float64,
            Self::Float16 => TensorElementType::Float16,
            Self::Bfloat16 => TensorElementType::Bfloat16,
            Self::Int64 => TensorElementType::Int64,
            Self::Int32 => TensorElementType::Int32,
            Self::Int8 => TensorElementType::Int8,
            Self::Uint8 => TensorElementType::Uint8,
            Self::Bool => TensorElementType::Bool,
        }
    }

    pub(crate) fn from_ort(element: TensorElementType) -> Option<Self> {
        Some(match element {
            TensorElementType::Float32 => Self::Float32,
            TensorElementType::Float64 => Self::Float64,
            TensorElementType::Float16 => Self::Float16,
            TensorElementType::Bfloat16 => Self::Bfloat16,
            TensorElementType::Int64 => Self::Int64,
            TensorElementType::Int32 => Self::Int32,
            TensorElementType::Int8 => Self::Int8,
            TensorElementType::Uint8 => Self::Uint8,
            TensorElementType::Bool => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Int64 => "int64",
            Self::Int32 => "int32",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Bool => "bool",
        })
    }
}
