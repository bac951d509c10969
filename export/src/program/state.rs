//! First values of the state.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use offshoot::trainer::{Element, Entry, safetensors_header};

use super::StateValue;
use crate::error::{Error, Result};
use crate::graph::external::write_tensor;
use crate::graph::{Tensor, TensorData};

impl StateValue {
    /// Type of the elements, as the runtime calls it.
    pub(super) fn element(&self) -> Result<Element> {
        Element::from_onnx(self.element.code()).ok_or_else(|| {
            Error::Program(format!(
                "the state tensor `{}` is of {}, which is not supported",
                self.name, self.element
            ))
        })
    }
}

/// A tensor's elements, little-endian.
pub(super) fn bytes(name: &str, tensor: &Tensor) -> Result<Arc<[u8]>> {
    let bytes = match &tensor.data {
        TensorData::Bytes(bytes) => bytes.clone(),
        TensorData::Source(source) => {
            let mut bytes = Vec::with_capacity(tensor.bytes().unwrap_or(0));
            source.write_to(&mut bytes)?;
            bytes.into()
        }
        TensorData::Proto(_) => {
            return Err(Error::Program(format!(
                "the state tensor `{name}` is in a form that is carried but not read"
            )));
        }
    };
    match tensor.bytes() == Some(bytes.len()) {
        true => Ok(bytes),
        false => Err(Error::Program(format!(
            "the state tensor `{name}` of the dimensions {:?} has {} bytes",
            tensor.dims,
            bytes.len()
        ))),
    }
}

/// The entry of first values: its header and its tensors.
pub(super) struct Stored<'a> {
    header: Vec<u8>,
    tensors: Vec<(&'a str, &'a Tensor)>,
    size: u64,
}

impl<'a> Stored<'a> {
    /// Of the tensors that are not zero everywhere; `None` when there are none.
    pub(super) fn new(state: &'a [StateValue]) -> Result<Option<Self>> {
        let mut entries = Vec::new();
        let mut tensors = Vec::new();
        let mut size = 0u64;
        for value in state {
            let Some(tensor) = &value.value else { continue };
            let element = value.element()?;
            entries.push(Entry { name: value.name.clone(), element, dims: value.dims.clone() });
            tensors.push((value.name.as_str(), tensor));
            size = size.saturating_add(tensor.bytes().map_or(0, |bytes| bytes as u64));
        }
        if tensors.is_empty() {
            return Ok(None);
        }
        let header = safetensors_header(&entries, &BTreeMap::new()).map_err(Error::Program)?;
        size = size.saturating_add(header.len() as u64);
        Ok(Some(Self { header, tensors, size }))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> Result<()> {
        out.write_all(&self.header).map_err(Error::io("write", offshoot::trainer::STATE))?;
        for (name, tensor) in &self.tensors {
            if matches!(tensor.data, TensorData::Proto(_)) {
                bytes(name, tensor)?;
            }
            write_tensor(tensor, out)?;
        }
        Ok(())
    }
}
