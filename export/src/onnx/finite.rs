//! Refuses weights that are not numbers, while they pass.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::graph::{ElementType, Graph, Tensor, TensorData, TensorSource};

/// Makes every floating-point tensor of `graph`, which came from `path`, an error
/// that names it when it is written and holds NaN. Infinities stay: graphs use
/// them as masks.
pub(crate) fn refuse_nan(graph: &mut Graph, path: &Path) -> Result<()> {
    graph.map_tensors(|name, tensor| {
        let Some(is_nan) = test_of(tensor.element) else { return Ok(()) };
        let named = || Error::tensor(path, name, "holds NaN; weights must be numbers");
        match &tensor.data {
            TensorData::Bytes(bytes) => match has_nan(bytes, tensor, is_nan) {
                true => Err(named()),
                false => Ok(()),
            },
            TensorData::Source(source) => {
                tensor.data = TensorData::Source(Arc::new(Checked {
                    source: source.clone(),
                    path: path.into(),
                    name: name.into(),
                    size: tensor.element.size().unwrap_or(1),
                    is_nan,
                }));
                Ok(())
            }
            TensorData::Proto(_) => Ok(()),
        }
    })
}

type Test = fn(&[u8]) -> bool;

/// How to tell NaN among little-endian elements of a type.
fn test_of(element: ElementType) -> Option<Test> {
    fn lower<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().unwrap_or([0; N])
    }
    Some(match element {
        ElementType::Float32 => |b| f32::from_le_bytes(lower(b)).is_nan(),
        ElementType::Float64 => |b| f64::from_le_bytes(lower(b)).is_nan(),
        ElementType::Float16 => |b| half::f16::from_le_bytes(lower(b)).is_nan(),
        ElementType::Bfloat16 => |b| half::bf16::from_le_bytes(lower(b)).is_nan(),
        _ => return None,
    })
}

fn has_nan(bytes: &[u8], tensor: &Tensor, is_nan: Test) -> bool {
    bytes.chunks_exact(tensor.element.size().unwrap_or(1)).any(is_nan)
}

struct Checked {
    source: Arc<dyn TensorSource>,
    path: PathBuf,
    name: String,
    /// Bytes of an element.
    size: usize,
    is_nan: Test,
}

impl TensorSource for Checked {
    fn write_to(&self, out: &mut dyn Write) -> Result<()> {
        let mut watch = Watch { checked: self, out, part: Vec::new(), found: false };
        let written = self.source.write_to(&mut watch);
        if watch.found {
            return Err(Error::tensor(
                &self.path,
                &self.name,
                "holds NaN; weights must be numbers",
            ));
        }
        written
    }
}

/// Looks at elements on their way, which may be cut between two pieces.
struct Watch<'a> {
    checked: &'a Checked,
    out: &'a mut dyn Write,
    /// The beginning of an element whose end has not come yet.
    part: Vec<u8>,
    found: bool,
}

impl Write for Watch<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        let Checked { size, is_nan, .. } = *self.checked;
        let mut rest = bytes.get(..written).unwrap_or_default();
        if !self.part.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(size - self.part.len()));
            self.part.extend_from_slice(head);
            rest = tail;
            if self.part.len() == size {
                self.found |= is_nan(&self.part);
                self.part.clear();
            }
        }
        let whole = rest.chunks_exact(size);
        self.part.extend_from_slice(whole.remainder());
        for element in whole {
            self.found |= is_nan(element);
        }
        if self.found {
            return Err(std::io::Error::other("a weight is NaN"));
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of the given length.
    struct Pieces(Vec<u8>, usize);

    impl TensorSource for Pieces {
        fn write_to(&self, out: &mut dyn Write) -> Result<()> {
            self.0
                .chunks(self.1)
                .try_for_each(|piece| out.write_all(piece).map_err(Error::io("write", "out")))
        }
    }

    #[test]
    fn nan_is_found_wherever_pieces_are_cut() {
        for piece in 1..12 {
            for (at, value) in [(0, f32::NAN), (3, f32::NAN), (4, f32::NAN), (2, f32::INFINITY)] {
                let mut values = [1.5f32, -2.0, 0.0, 7.0, f32::MIN_POSITIVE];
                values[at] = value;
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                let checked = Checked {
                    source: Arc::new(Pieces(bytes.clone(), piece)),
                    path: "model.onnx".into(),
                    name: "w".into(),
                    size: 4,
                    is_nan: test_of(ElementType::Float32).unwrap(),
                };
                let mut out = Vec::new();
                match checked.write_to(&mut out) {
                    Ok(()) => assert!(value.is_infinite() && out == bytes),
                    Err(error) => {
                        assert!(value.is_nan());
                        assert_eq!(
                            error.to_string(),
                            "model.onnx: tensor `w` holds NaN; weights must be numbers"
                        );
                    }
                }
            }
        }
    }
}
