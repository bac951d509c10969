//! Tensors of weights: read, and made of what they become.

use super::numbers;
use crate::error::{Error, Result};
use crate::graph::{ElementType, Tensor, TensorData};

/// The elements of a tensor of float32, read now.
pub(super) fn floats_of(tensor: &Tensor) -> Result<Vec<f32>> {
    let mut read = Vec::new();
    let bytes = match &tensor.data {
        TensorData::Bytes(bytes) => &bytes[..],
        TensorData::Source(source) => {
            source.write_to(&mut read)?;
            &read[..]
        }
        TensorData::Proto(_) => {
            return Err(Error::Quantize("a weight is stored in an unknown form".into()));
        }
    };
    Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

pub(super) fn floats(values: &[f32], dims: &[usize]) -> Tensor {
    Tensor::from_f32(dims, values)
}

pub(super) fn bytes(values: &[i8], dims: &[usize]) -> Tensor {
    let data: Vec<u8> = values.iter().map(|v| v.cast_unsigned()).collect();
    Tensor { element: ElementType::Int8, ..unsigned(data, dims) }
}

pub(super) fn unsigned(values: Vec<u8>, dims: &[usize]) -> Tensor {
    let data = TensorData::Bytes(values.into());
    Tensor { element: ElementType::Uint8, dims: dims.to_vec(), data }
}

pub(super) fn half(values: &[f32], dims: &[usize]) -> Tensor {
    let data = TensorData::Bytes(numbers::to_half(values).into());
    Tensor { element: ElementType::Float16, dims: dims.to_vec(), data }
}
