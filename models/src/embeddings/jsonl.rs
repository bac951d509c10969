//! One JSON object a line.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use super::npy::open_part;
use super::sidecar::Progress;
use super::{Block, Layout, Sink};
use crate::error::{Error, Result};

pub(super) struct JsonlSink {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
}

impl JsonlSink {
    pub(super) fn open(path: PathBuf, _: &Layout, progress: &Progress) -> Result<Self> {
        let file = open_part(&path, b"", progress)?;
        Ok(Self { path, file, buffer: Vec::new() })
    }
}

#[derive(Serialize)]
struct Object<'a, 'b> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    embedding: RowOf<'a, 'b>,
}

/// One row of a block.
struct RowOf<'a, 'b> {
    block: &'a Block<'b>,
    row: usize,
}

impl Serialize for RowOf<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.block.columns()))?;
        match self.block {
            Block::F32(a) => a.row(self.row).iter().try_for_each(|v| list.serialize_element(v))?,
            Block::F16(a) => {
                a.row(self.row).iter().try_for_each(|v| list.serialize_element(&v.to_f32()))?;
            }
            Block::Int8(a) => a.row(self.row).iter().try_for_each(|v| list.serialize_element(v))?,
            Block::Bits(a) => a.row(self.row).iter().try_for_each(|v| list.serialize_element(v))?,
        }
        list.end()
    }
}

impl Sink for JsonlSink {
    fn append(&mut self, _: u64, block: &Block<'_>, texts: Option<&[&str]>) -> Result<()> {
        self.buffer.clear();
        for row in 0..block.rows() {
            let text = texts.map(|texts| texts[row]);
            let object = Object { text, embedding: RowOf { block, row } };
            serde_json::to_writer(&mut self.buffer, &object)
                .map_err(|e| Error::io("write", &self.path, e.into()))?;
            self.buffer.push(b'\n');
        }
        self.file.write_all(&self.buffer).map_err(|e| Error::io("write", &self.path, e))
    }

    fn checkpoint(&mut self) -> Result<u64> {
        self.file.sync_all().map_err(|e| Error::io("sync", &self.path, e))?;
        self.file.stream_position().map_err(|e| Error::io("write", &self.path, e))
    }

    fn complete(&mut self, _: u64) -> Result<PathBuf> {
        Ok(self.path.clone())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// `/dev/full` takes no byte.
    #[test]
    fn a_full_disk_is_told() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let mut sink = JsonlSink { path, file, buffer: Vec::new() };
        let rows = ndarray::Array2::<f32>::zeros((3, 2));
        let error = sink.append(0, &Block::F32(rows.view()), None).unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    }
}
