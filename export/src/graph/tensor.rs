//! Tensors that a graph holds: small constants, and weights that are read only
//! when they are written.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use onnx_protobuf::TensorProto;

use super::types::ElementType;
use crate::error::Result;

/// Somewhere that a tensor's bytes can be had from, when they are needed.
///
/// A checkpoint of several gigabytes is never in memory: each source reads,
/// converts and writes its own tensor and lets go of it.
pub trait TensorSource: Send + Sync {
    /// Writes the elements, little-endian, in row-major order.
    ///
    /// # Errors
    /// When the source cannot be read or holds a value that may not be written,
    /// or when `out` refuses the bytes ([`Error::Io`](crate::Error::Io)).
    fn write_to(&self, out: &mut dyn Write) -> Result<()>;
}

/// A tensor that a graph holds.
#[derive(Clone)]
pub struct Tensor {
    /// Type of the elements.
    pub element: ElementType,
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// Where the elements are.
    pub data: TensorData,
}

/// Where a tensor's elements are.
#[derive(Clone)]
pub enum TensorData {
    /// In memory, little-endian.
    Bytes(Arc<[u8]>),
    /// To be read when the tensor is written.
    Source(Arc<dyn TensorSource>),
    /// In the form in which an ONNX file held them; for types that this crate
    /// carries but does not compute with.
    Proto(Box<TensorProto>),
}

impl Tensor {
    /// A tensor of 32-bit floats in memory. `values` must have as many elements
    /// as `dims` says.
    pub fn from_f32(dims: &[usize], values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self {
            element: ElementType::Float32,
            dims: dims.to_vec(),
            data: TensorData::Bytes(bytes.into()),
        }
    }

    /// A tensor of 64-bit integers in memory. `values` must have as many
    /// elements as `dims` says.
    pub fn from_i64(dims: &[usize], values: &[i64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self {
            element: ElementType::Int64,
            dims: dims.to_vec(),
            data: TensorData::Bytes(bytes.into()),
        }
    }

    /// A tensor that is read when it is written.
    pub fn from_source(
        element: ElementType,
        dims: Vec<usize>,
        source: Arc<dyn TensorSource>,
    ) -> Self {
        Self { element, dims, data: TensorData::Source(source) }
    }

    /// A tensor of one floating-point type in memory, rounded from 64-bit floats.
    /// `None` for types that are not floating-point.
    pub fn from_f64(element: ElementType, dims: &[usize], values: &[f64]) -> Option<Self> {
        let bytes: Vec<u8> = match element {
            ElementType::Float64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ElementType::Float32 => values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
            ElementType::Float16 => {
                values.iter().flat_map(|&v| half::f16::from_f64(v).to_le_bytes()).collect()
            }
            ElementType::Bfloat16 => {
                values.iter().flat_map(|&v| half::bf16::from_f64(v).to_le_bytes()).collect()
            }
            _ => return None,
        };
        Some(Self { element, dims: dims.to_vec(), data: TensorData::Bytes(bytes.into()) })
    }

    /// The elements of a floating-point tensor in memory, as 64-bit floats; `None` for
    /// other types and tensors that are not in memory.
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        let (bytes, floats) = match &self.data {
            TensorData::Bytes(bytes) => (&bytes[..], None),
            TensorData::Proto(proto) => (&proto.raw_data[..], Some(&proto.float_data)),
            TensorData::Source(_) => return None,
        };
        if let Some(floats) = floats.filter(|floats| !floats.is_empty()) {
            return Some(floats.iter().map(|&v| f64::from(v)).collect());
        }
        let eight = |b: &[u8]| b.try_into().map(f64::from_le_bytes).unwrap_or(f64::NAN);
        let four = |b: &[u8]| f64::from(b.try_into().map(f32::from_le_bytes).unwrap_or(f32::NAN));
        let two = |b: &[u8]| b.try_into().map(u16::from_le_bytes).unwrap_or(0);
        Some(match self.element {
            ElementType::Float64 => bytes.chunks_exact(8).map(eight).collect(),
            ElementType::Float32 => bytes.chunks_exact(4).map(four).collect(),
            ElementType::Float16 => {
                bytes.chunks_exact(2).map(|b| half::f16::from_bits(two(b)).to_f64()).collect()
            }
            ElementType::Bfloat16 => {
                bytes.chunks_exact(2).map(|b| half::bf16::from_bits(two(b)).to_f64()).collect()
            }
            _ => return None,
        })
    }

    /// Number of elements; `None` when it overflows.
    pub fn elements(&self) -> Option<usize> {
        self.dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim))
    }

    /// Number of bytes; `None` when it overflows or the type has no size in
    /// whole bytes.
    pub fn bytes(&self) -> Option<usize> {
        self.elements()?.checked_mul(self.element.size()?)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?})", self.element, self.dims)
    }
}
