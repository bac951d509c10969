//! An ONNX file without its large tensors, which stay on the disk.
//!
//! A model may hold gigabytes of weights inside one protocol buffer. Parsing it
//! as it is would put them all in memory, so the file is first copied without
//! them: the fields `graph`, `initializer` and `raw_data` are found by walking the
//! wire format, and each large `raw_data` is left out and remembered by its place.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::tensors::FileRange;
use crate::error::{Error, Result};

/// `raw_data` from this size on is left in the file, in bytes.
const LEAVE_FROM: u64 = 1 << 16;

/// The most that a model may need besides its large tensors, in bytes: what one
/// protocol buffer may have.
const MAX_BYTES: usize = i32::MAX as usize;

/// A model's bytes without its large tensors, and where those lie.
pub(super) struct Skeleton {
    /// A protocol buffer of the type `ModelProto`.
    pub(super) bytes: Vec<u8>,
    /// The large `raw_data` of initializers, by the initializer's number.
    pub(super) left: HashMap<usize, FileRange>,
}

/// A message that is walked into; each other field is copied as it is.
#[derive(Clone, Copy, PartialEq)]
enum Message {
    Model,
    Graph,
    Tensor,
}

impl Message {
    /// The message in `field`, where it is walked into.
    fn child(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Model, 7) => Some(Self::Graph),
            (Self::Graph, 5) => Some(Self::Tensor),
            _ => None,
        }
    }
}

impl Skeleton {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let metadata = file.metadata().map_err(Error::io("open", path))?;
        if !metadata.is_file() {
            return Err(Error::onnx(path, "it is not a file"));
        }
        let mut walk = Walk {
            path,
            file: BufReader::with_capacity(1 << 16, file),
            at: 0,
            tensors: 0,
            graphs: 0,
            left: HashMap::new(),
        };
        let bytes = walk.message(Message::Model, metadata.len())?;
        if walk.graphs != 1 {
            return Err(Error::onnx(path, format!("it has {} graphs, not one", walk.graphs)));
        }
        Ok(Self { bytes, left: walk.left })
    }
}

struct Walk<'a> {
    path: &'a Path,
    file: BufReader<File>,
    at: u64,
    tensors: usize,
    graphs: usize,
    left: HashMap<usize, FileRange>,
}

impl Walk<'_> {
    /// Copies the message that ends at `end`.
    fn message(&mut self, message: Message, end: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while self.at < end {
            let key = self.varint(end)?;
            match key & 7 {
                0 => {
                    let value = self.varint(end)?;
                    put_varint(&mut out, key);
                    put_varint(&mut out, value);
                }
                1 => self.copy(key, 8, end, &mut out)?,
                5 => self.copy(key, 4, end, &mut out)?,
                2 => {
                    let length = self.varint(end)?;
                    let stop = self.at.checked_add(length).filter(|&stop| stop <= end);
                    let Some(stop) = stop else { return Err(self.truncated(length, end)) };
                    let field = key >> 3;
                    if let Some(child) = message.child(field) {
                        self.graphs += usize::from(child == Message::Graph);
                        let inner = self.message(child, stop)?;
                        self.tensors += usize::from(child == Message::Tensor);
                        put_varint(&mut out, key);
                        put_varint(&mut out, inner.len() as u64);
                        out.extend(inner);
                    } else if message == Message::Tensor && field == 9 && length >= LEAVE_FROM {
                        let range = FileRange::new(self.path, self.at, length);
                        self.left.insert(self.tensors, range);
                        self.skip(length)?;
                    } else {
                        let length = usize::try_from(length).unwrap_or(usize::MAX);
                        put_varint(&mut out, key);
                        put_varint(&mut out, length as u64);
                        self.bytes(length, &mut out)?;
                    }
                }
                _ => {
                    return Err(Error::onnx(
                        self.path,
                        format!("it is not an ONNX model: no field can begin at byte {}", self.at),
                    ));
                }
            }
            if out.len() > MAX_BYTES {
                return Err(Error::onnx(
                    self.path,
                    "its structure, large tensors left out, is beyond 2 GiB",
                ));
            }
        }
        Ok(out)
    }

    fn copy(&mut self, key: u64, length: usize, end: u64, out: &mut Vec<u8>) -> Result<()> {
        if end - self.at < length as u64 {
            return Err(self.truncated(length as u64, end));
        }
        put_varint(out, key);
        self.bytes(length, out)
    }

    /// Copies bytes whose end is known to lie within the message.
    fn bytes(&mut self, length: usize, out: &mut Vec<u8>) -> Result<()> {
        if out.len().saturating_add(length) > MAX_BYTES {
            return Err(Error::onnx(
                self.path,
                format!("a field of {length} bytes at byte {} is beyond 2 GiB", self.at),
            ));
        }
        let read = (&mut self.file)
            .take(length as u64)
            .read_to_end(out)
            .map_err(Error::io("read", self.path))?;
        self.at += read as u64;
        if read < length {
            return Err(self.truncated((length - read) as u64, self.at));
        }
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        let by = i64::try_from(length)
            .map_err(|_| Error::onnx(self.path, "a tensor is larger than a file can be"))?;
        self.file.seek_relative(by).map_err(Error::io("read", self.path))?;
        self.at += length;
        Ok(())
    }

    fn varint(&mut self, end: u64) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = match self.file.fill_buf().map_err(Error::io("read", self.path))?.first() {
                Some(&byte) if self.at < end => byte,
                _ => return Err(self.truncated(1, end)),
            };
            self.file.consume(1);
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::onnx(
            self.path,
            format!("it is not an ONNX model: no number of 64 bits ends at byte {}", self.at),
        ))
    }

    fn truncated(&self, length: u64, end: u64) -> Error {
        Error::onnx(
            self.path,
            format!(
                "it is cut short or damaged: {length} bytes should follow byte {}, where the file \
                 or the part of it ends at {end}",
                self.at
            ),
        )
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use onnx_protobuf::{GraphProto, ModelProto, TensorProto};
    use protobuf::Message as _;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn model() -> ModelProto {
        let tensor = |name: &str, bytes: usize| TensorProto {
            name: name.into(),
            dims: vec![bytes as i64],
            data_type: 2,
            raw_data: (0..bytes).map(|i| i as u8).collect(),
            ..Default::default()
        };
        let graph = GraphProto {
            name: "g".into(),
            initializer: vec![tensor("small", 10), tensor("large", 70_000), tensor("last", 3)],
            ..Default::default()
        };
        ModelProto { ir_version: 9, graph: Some(graph).into(), ..Default::default() }
    }

    #[test]
    fn large_tensors_stay_in_the_file() {
        let mut model = model();
        let file = file(&model.write_to_bytes().unwrap());
        let skeleton = Skeleton::read(file.path()).unwrap();
        assert!(skeleton.bytes.len() < 300);
        let mut bytes = Vec::new();
        assert_eq!(skeleton.left.len(), 1);
        skeleton.left[&1].read_into(&mut bytes).unwrap();
        let large = &mut model.graph.as_mut().unwrap().initializer[1];
        assert_eq!(bytes, std::mem::take(&mut large.raw_data));
        assert_eq!(ModelProto::parse_from_bytes(&skeleton.bytes).unwrap(), model);
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut model = model();
        model.graph.as_mut().unwrap().initializer.remove(1);
        let bytes = model.write_to_bytes().unwrap();
        for end in 3..bytes.len() {
            let cut = file(&bytes[..end]);
            assert!(Skeleton::read(cut.path()).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for (bytes, says) in [
            (&b""[..], "0 graphs"),
            (b"\x0f", "no field"),
            (&[0xff; 20], "64 bits"),
            (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "cut short"),
        ] {
            let file = file(bytes);
            let message = Skeleton::read(file.path()).map(|_| ()).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
