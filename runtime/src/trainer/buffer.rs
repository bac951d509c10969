//! Memory of the device that holds a state tensor.

use std::borrow::Cow;
use std::ffi::c_void;

use ort::memory::{AllocationDevice, Allocator};
use ort::value::{DynTensor, DynValue};

use super::element::Element;
use crate::error::{Error, Result, engine};

/// A tensor in the memory of a device, allocated by ONNX Runtime.
#[derive(Debug)]
pub(super) struct Buffer {
    tensor: DynTensor,
    element: Element,
    bytes: usize,
}

impl Buffer {
    /// Allocates a buffer, zero everywhere where the processor reaches it.
    pub(super) fn new(allocator: &Allocator, element: Element, dims: &[usize]) -> Result<Self> {
        let bytes = element
            .bytes(dims)
            .filter(|&bytes| bytes <= isize::MAX as usize)
            .ok_or_else(|| too_large(element, dims))?;
        let tensor = DynTensor::new(allocator, element.ort(), dims.to_vec())
            .map_err(|_| too_large(element, dims))?;
        Ok(Self { tensor, element, bytes })
    }

    pub(super) fn tensor(&self) -> &DynTensor {
        &self.tensor
    }

    pub(super) fn tensor_mut(&mut self) -> &mut DynTensor {
        &mut self.tensor
    }

    /// Address in the device's memory.
    pub(super) fn address(&self) -> *const c_void {
        self.tensor.data_ptr()
    }

    pub(super) fn is_on_host(&self) -> bool {
        self.tensor.memory_info().is_cpu_accessible()
    }

    /// The elements, little-endian: borrowed where the processor reaches them.
    pub(super) fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        if !self.is_on_host() {
            let copy = self
                .tensor
                .to(AllocationDevice::CPU, 0)
                .map_err(engine("copy a tensor from the device"))?;
            let copy = Self { tensor: copy, element: self.element, bytes: self.bytes };
            return Ok(Cow::Owned(copy.bytes()?.into_owned()));
        }
        let bytes = host_bytes(&self.tensor, self.bytes);
        Ok(match cfg!(target_endian = "little") {
            true => Cow::Borrowed(bytes),
            false => Cow::Owned(swapped(bytes, self.element.size())),
        })
    }

    /// Replaces the elements by what `fill` writes: little-endian, row by row.
    pub(super) fn fill(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<()> {
        if self.is_on_host() && cfg!(target_endian = "little") {
            return match self.bytes {
                0 => fill(&mut []),
                // SAFETY: the buffer is `bytes` long, on the host, allocated by ONNX
                // Runtime for this tensor and initialised by `ort`; no session runs
                // while it is borrowed mutably, since both belong to one trainer.
                _ => fill(unsafe {
                    std::slice::from_raw_parts_mut(
                        self.tensor.data_ptr_mut().cast::<u8>(),
                        self.bytes,
                    )
                }),
            };
        }
        let dims: Vec<usize> =
            self.tensor.shape().iter().map(|&d| d.unsigned_abs() as usize).collect();
        let mut bytes = vec![0; self.bytes];
        fill(&mut bytes)?;
        let host = super::tensor::Tensor::from_bytes(self.element, &dims, &bytes)?;
        super::feed::with_value(&host, &mut |value| {
            value
                .view()
                .downcast::<ort::value::DynTensorValueType>()
                .and_then(|value| value.copy_into(&mut self.tensor))
                .map_err(engine("copy a tensor to the device"))
        })
    }

    /// Copies another tensor of the same type and shape in.
    pub(super) fn copy_from(&mut self, value: &DynValue) -> Result<()> {
        value
            .view()
            .downcast::<ort::value::DynTensorValueType>()
            .and_then(|value| value.copy_into(&mut self.tensor))
            .map_err(engine("copy data to the device"))
    }
}

/// The elements of a tensor that an engine returned in the host's memory, as
/// little-endian bytes.
pub(super) fn value_bytes(value: &DynTensor, element: Element) -> Result<Cow<'_, [u8]>> {
    let dims: Vec<usize> = value.shape().iter().map(|&d| d.unsigned_abs() as usize).collect();
    let bytes = element.bytes(&dims).ok_or_else(|| too_large(element, &dims))?;
    if !value.memory_info().is_cpu_accessible() || *value.data_type() != element.ort() {
        return Err(Error::Engine {
            action: "return a tensor",
            message: format!("it is not {element} in the host's memory"),
        });
    }
    let bytes = host_bytes(value, bytes);
    Ok(match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytes),
        false => Cow::Owned(swapped(bytes, element.size())),
    })
}

/// The `bytes` bytes of a tensor in the host's memory.
fn host_bytes(tensor: &DynTensor, bytes: usize) -> &[u8] {
    let address = tensor.data_ptr().cast::<u8>();
    if bytes == 0 || address.is_null() {
        return &[];
    }
    // SAFETY: the callers checked that the memory is the host's and computed its
    // length from the tensor's own type and shape; `ort` or the engine initialised it,
    // and nothing writes to it while the tensor is borrowed.
    unsafe { std::slice::from_raw_parts(address, bytes) }
}

/// The bytes with each element's order turned around.
fn swapped(bytes: &[u8], size: usize) -> Vec<u8> {
    bytes.chunks_exact(size.max(1)).flat_map(|element| element.iter().rev().copied()).collect()
}

fn too_large(element: Element, dims: &[usize]) -> Error {
    let size = element.bytes(dims).map_or("too many".into(), |bytes| bytes.to_string());
    Error::OutOfMemory {
        what: format!("a state tensor {element} {dims:?} ({size} bytes)"),
        message: "the allocator refused".into(),
    }
}
