//! Types of stored numbers.

use half::f16;

/// A number type, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
}

impl Element {
    /// The type that NumPy writes as this, such as `<f4`.
    pub(super) fn from_numpy(name: &str) -> Option<Self> {
        Some(match name {
            "<f2" => Self::F16,
            "<f4" => Self::F32,
            "<f8" => Self::F64,
            "|i1" => Self::I8,
            "<i2" => Self::I16,
            "<i4" => Self::I32,
            "<i8" => Self::I64,
            "|u1" | "|b1" => Self::U8,
            "<u2" => Self::U16,
            "<u4" => Self::U32,
            _ => return None,
        })
    }

    /// Bytes of a number.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::F16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// The numbers as `f32`.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::I8 => each(bytes, |b: [u8; 1]| f32::from(b[0] as i8)),
            Self::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::U8 => each(bytes, |b: [u8; 1]| f32::from(b[0])),
            Self::U16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
            Self::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
