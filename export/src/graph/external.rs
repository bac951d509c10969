//! Weights beside the graph: where each tensor lies in `weights.bin`, and the
//! one pass that writes them.

use std::io::Write;

use super::{Graph, Tensor, TensorData};
use crate::error::{Error, Result};

/// Name of the file, or of the bundle's entry, that holds the weights.
pub const WEIGHTS_FILE: &str = "weights.bin";

/// Tensors smaller than this stay inside the graph, in bytes.
pub const INLINE_BELOW: usize = 1 << 10;

/// Alignment of a tensor in the file: a page of memory.
pub const ALIGNMENT: u64 = 4096;

/// Alignment of a tensor larger than [`LARGE`]: what Windows asks of a mapping.
pub const LARGE_ALIGNMENT: u64 = 1 << 16;

/// Size from which [`LARGE_ALIGNMENT`] is used, in bytes.
pub const LARGE: u64 = 1 << 20;

/// Where one tensor lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Inside the graph.
    Inline,
    /// In the file of weights.
    External {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
}

/// Where every tensor of a graph lies.
#[derive(Debug, Clone)]
pub struct Layout {
    places: Vec<Place>,
    size: u64,
}

impl Layout {
    /// Chooses a place for every tensor of `graph`. Reads none of them.
    ///
    /// # Errors
    /// [`Error::Operator`] when sizes overflow.
    pub fn new(graph: &Graph) -> Result<Self> {
        let mut end = 0u64;
        let mut places = Vec::with_capacity(graph.initializers().len());
        for (value, tensor) in graph.initializers() {
            let too_large = || {
                graph.error("Initializer", format!("`{}` is too large", graph.value_name(*value)))
            };
            if matches!(tensor.data, TensorData::Proto(_)) {
                places.push(Place::Inline);
                continue;
            }
            let bytes = tensor.bytes().ok_or_else(too_large)?;
            if bytes < INLINE_BELOW {
                places.push(Place::Inline);
                continue;
            }
            let length = bytes as u64;
            let alignment = if length > LARGE { LARGE_ALIGNMENT } else { ALIGNMENT };
            let offset = end.checked_next_multiple_of(alignment).ok_or_else(too_large)?;
            end = offset.checked_add(length).ok_or_else(too_large)?;
            places.push(Place::External { offset, length });
        }
        Ok(Self { places, size: end })
    }

    /// The places of a graph's tensors in a file of weights of `size` bytes that other
    /// graphs use too.
    pub(crate) fn of(places: Vec<Place>, size: u64) -> Self {
        Self { places, size }
    }

    /// Puts every tensor inside the graph, for one ONNX file without others.
    ///
    /// # Errors
    /// [`Error::Operator`] when the tensors together have more than 2 GiB, which one file
    /// cannot hold.
    pub fn inside(graph: &Graph) -> Result<Self> {
        let mut total = 0u64;
        for (value, tensor) in graph.initializers() {
            total = total.saturating_add(tensor.bytes().map_or(0, |bytes| bytes as u64));
            if total > i32::MAX as u64 {
                return Err(graph.error(
                    "Initializer",
                    format!(
                        "with `{}` the weights pass 2 GiB, which one ONNX file cannot hold",
                        graph.value_name(*value)
                    ),
                ));
            }
        }
        Ok(Self { places: vec![Place::Inline; graph.initializers().len()], size: 0 })
    }

    /// The places, in the order of [`Graph::initializers`].
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Size of the file of weights, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes the file of weights. `progress` is told the bytes written so far.
    ///
    /// Tensors are read one after another, each let go before the next.
    ///
    /// # Errors
    /// Those of the tensors' sources; [`Error::Io`] from `out`; [`Error::Operator`]
    /// when a source gives another number of bytes than its shape says.
    pub fn write(
        &self,
        graph: &Graph,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let mut at = 0u64;
        for ((value, tensor), place) in graph.initializers().iter().zip(&self.places) {
            let Place::External { offset, length } = place else { continue };
            pad(out, offset.saturating_sub(at))?;
            let mut counted = Counted { out: &mut *out, written: 0 };
            write_tensor(tensor, &mut counted)?;
            if counted.written != *length {
                return Err(graph.error(
                    "Initializer",
                    format!(
                        "`{}` gave {} bytes where its shape {:?} needs {length}",
                        graph.value_name(*value),
                        counted.written,
                        tensor.dims
                    ),
                ));
            }
            at = offset + length;
            progress(at);
        }
        Ok(())
    }
}

/// Writes a tensor's elements.
pub(crate) fn write_tensor(tensor: &Tensor, out: &mut dyn Write) -> Result<()> {
    match &tensor.data {
        TensorData::Bytes(bytes) => out.write_all(bytes).map_err(Error::io("write", WEIGHTS_FILE)),
        TensorData::Source(source) => source.write_to(out),
        TensorData::Proto(_) => Ok(()),
    }
}

/// Writes zeros.
pub(crate) fn pad(out: &mut dyn Write, mut bytes: u64) -> Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    while bytes > 0 {
        let now = bytes.min(ZEROS.len() as u64);
        out.write_all(&ZEROS[..now as usize]).map_err(Error::io("write", WEIGHTS_FILE))?;
        bytes -= now;
    }
    Ok(())
}

/// Counts what is written.
pub(crate) struct Counted<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Lowering;

    #[test]
    fn tensors_are_aligned_and_small_ones_stay_inside() {
        let mut g = Graph::new("g", Lowering::Standard);
        for (name, n) in [("small", 10), ("page", 300), ("large", 300_000), ("next", 400)] {
            g.initializer(name, Tensor::from_f32(&[n], &vec![1.5; n])).unwrap();
        }
        let layout = Layout::new(&g).unwrap();
        assert_eq!(
            layout.places(),
            [
                Place::Inline,
                Place::External { offset: 0, length: 1200 },
                Place::External { offset: 65536, length: 1_200_000 },
                Place::External { offset: 1_265_664, length: 1600 },
            ]
        );
        let mut bytes = Vec::new();
        layout.write(&g, &mut bytes, &mut |_| {}).unwrap();
        assert_eq!(bytes.len() as u64, layout.size());
        assert_eq!(bytes[1_265_664..][..4], 1.5f32.to_le_bytes());
        assert!(bytes[1200..65536].iter().all(|&b| b == 0));
    }
}
