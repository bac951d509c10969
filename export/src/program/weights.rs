//! Frozen weights that procedures share.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::ProcedureGraph;
use crate::error::{Error, Result};
use crate::graph::TensorData;
use crate::graph::external::{
    ALIGNMENT, Counted, INLINE_BELOW, LARGE, LARGE_ALIGNMENT, Layout, Place, pad, write_tensor,
};

/// Where the tensors of several graphs lie in one file of weights. Equal tensors in
/// memory, and tensors of one source, lie there once.
pub(super) struct Shared {
    /// For each procedure, the place of each of its graph's tensors.
    places: Vec<Vec<Place>>,
    /// What is written: procedure, tensor, first byte, number of bytes.
    order: Vec<(usize, usize, u64, u64)>,
    size: u64,
}

/// What two equal tensors have in common.
#[derive(PartialEq, Eq, Hash)]
enum Content {
    /// SHA-256 of the bytes.
    Bytes(Vec<u8>),
    /// Address of the source, which the graphs keep alive, and the size.
    Source(usize, u64),
}

impl Shared {
    pub(super) fn new(procedures: &[ProcedureGraph]) -> Result<Self> {
        let mut shared = Self { places: Vec::new(), order: Vec::new(), size: 0 };
        let mut known: HashMap<Content, u64> = HashMap::new();
        for (index, procedure) in procedures.iter().enumerate() {
            let graph = &procedure.graph;
            let mut places = Vec::with_capacity(graph.initializers().len());
            for (number, (value, tensor)) in graph.initializers().iter().enumerate() {
                let name = graph.value_name(*value);
                let too_large = || Error::Program(format!("the weight `{name}` is too large"));
                let content = match &tensor.data {
                    TensorData::Proto(_) => None,
                    _ if tensor.bytes().ok_or_else(too_large)? < INLINE_BELOW => None,
                    TensorData::Bytes(bytes) => {
                        Some(Content::Bytes(Sha256::digest(bytes).to_vec()))
                    }
                    TensorData::Source(source) => Some(Content::Source(
                        Arc::as_ptr(source).cast::<()>().addr(),
                        tensor.bytes().map_or(0, |bytes| bytes as u64),
                    )),
                };
                let Some(content) = content else {
                    places.push(Place::Inline);
                    continue;
                };
                let length = tensor.bytes().ok_or_else(too_large)? as u64;
                if let Some(&offset) = known.get(&content) {
                    places.push(Place::External { offset, length });
                    continue;
                }
                let alignment = if length > LARGE { LARGE_ALIGNMENT } else { ALIGNMENT };
                let offset =
                    shared.size.checked_next_multiple_of(alignment).ok_or_else(too_large)?;
                shared.size = offset.checked_add(length).ok_or_else(too_large)?;
                known.insert(content, offset);
                shared.order.push((index, number, offset, length));
                places.push(Place::External { offset, length });
            }
            shared.places.push(places);
        }
        Ok(shared)
    }

    /// Where the tensors of a procedure's graph lie.
    pub(super) fn layout(&self, procedure: usize) -> Layout {
        Layout::of(self.places.get(procedure).cloned().unwrap_or_default(), self.size)
    }

    /// Size of the file of weights, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Writes the file of weights.
    pub(super) fn write(&self, procedures: &[ProcedureGraph], out: &mut dyn Write) -> Result<()> {
        let mut at = 0;
        for &(procedure, number, offset, length) in &self.order {
            let graph = procedures.get(procedure).map(ProcedureGraph::graph);
            let tensor = graph.and_then(|graph| graph.initializers().get(number));
            let Some((_, tensor)) = tensor else { continue };
            pad(out, offset.saturating_sub(at))?;
            let mut counted = Counted { out: &mut *out, written: 0 };
            write_tensor(tensor, &mut counted)?;
            if counted.written != length {
                return Err(Error::Program(format!(
                    "a weight of the dimensions {:?} has {} bytes, not {length}",
                    tensor.dims, counted.written
                )));
            }
            at = offset + length;
        }
        Ok(())
    }
}
