//! Rows of embeddings in any of the types that the encoder gives.

use half::f16;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// Type of the values of an embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Signed bytes.
    Int8,
    /// Bytes of eight packed bits.
    Bits,
}

impl Element {
    /// Bytes a value.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Int8 | Self::Bits => 1,
        }
    }

    /// Its usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Int8 => "int8",
            Self::Bits => "uint8",
        }
    }
}

/// Rows of embeddings, `[rows, columns]`.
#[derive(Debug, Clone, Copy)]
pub enum Block<'a> {
    /// 32-bit floats.
    F32(ArrayView2<'a, f32>),
    /// 16-bit floats.
    F16(ArrayView2<'a, f16>),
    /// Signed bytes.
    Int8(ArrayView2<'a, i8>),
    /// Packed bits, eight a byte.
    Bits(ArrayView2<'a, u8>),
}

impl Block<'_> {
    /// Type of the values.
    pub const fn element(&self) -> Element {
        match self {
            Self::F32(_) => Element::F32,
            Self::F16(_) => Element::F16,
            Self::Int8(_) => Element::Int8,
            Self::Bits(_) => Element::Bits,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.shape().0
    }

    /// Values a row.
    pub fn columns(&self) -> usize {
        self.shape().1
    }

    fn shape(&self) -> (usize, usize) {
        match self {
            Self::F32(a) => a.dim(),
            Self::F16(a) => a.dim(),
            Self::Int8(a) => a.dim(),
            Self::Bits(a) => a.dim(),
        }
    }

    /// Adds all values to `out`, row by row, little-endian.
    pub(super) fn bytes_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.rows() * self.columns() * self.element().size());
        match self {
            Self::F32(a) => a.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
            Self::F16(a) => a.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
            Self::Int8(a) => out.extend(a.iter().map(|v| v.cast_unsigned())),
            Self::Bits(a) => out.extend(a.iter()),
        }
    }
}
