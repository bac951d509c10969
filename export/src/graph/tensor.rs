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
