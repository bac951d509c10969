//! NumPy's `.npy`, format 1.0, with a header of fixed size whose shape is filled in at the
//! end.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::sidecar::Progress;
use super::{Block, Element, Layout, Sink};
use crate::error::{Error, Result};

/// Bytes before the first value. A multiple of 64, with room for any shape.
const HEADER: usize = 128;

pub(super) struct NpySink {
    path: PathBuf,
    file: File,
    layout: Layout,
    buffer: Vec<u8>,
}

/// Opens a work file and cuts it to the durable length; a new one begins with `header`.
pub(super) fn open_part(path: &Path, header: &[u8], progress: &Progress) -> Result<File> {
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
    let mut file = file.map_err(|e| Error::io("open", path, e))?;
    let io = |e| Error::io("write", path, e);
    if progress.rows == 0 {
        file.set_len(0).map_err(io)?;
        file.write_all(header).map_err(io)?;
        return Ok(file);
    }
    let found = file.metadata().map_err(|e| Error::io("read", path, e))?.len();
    if found < progress.length {
        return Err(Error::Output {
            path: path.into(),
            reason: format!(
                "it has {found} bytes and the interrupted run recorded {}; start without resuming",
                progress.length
            ),
        });
    }
    file.set_len(progress.length).map_err(io)?;
    file.seek(SeekFrom::End(0)).map_err(io)?;
    Ok(file)
}

impl NpySink {
    pub(super) fn open(path: PathBuf, layout: &Layout, progress: &Progress) -> Result<Self> {
        let row_bytes = layout.row_bytes()? as u64;
        let expected =
            progress.rows.checked_mul(row_bytes).and_then(|n| n.checked_add(HEADER as u64));
        if progress.rows > 0 && expected != Some(progress.length) {
            return Err(Error::Output {
                path,
                reason: "the record of the interrupted run is damaged; start without resuming"
                    .into(),
            });
        }
        let file = open_part(&path, &header(layout, 0), progress)?;
        Ok(Self { path, file, layout: layout.clone(), buffer: Vec::new() })
    }
}

/// The header for a number of rows, always [`HEADER`] bytes.
fn header(layout: &Layout, rows: u64) -> Vec<u8> {
    let kind = match layout.element {
        Element::F32 => "<f4",
        Element::F16 => "<f2",
        Element::Int8 => "|i1",
        Element::Bits => "|u1",
    };
    let dict = format!(
        "{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {}), }}",
        layout.columns
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&((HEADER - 10) as u16).to_le_bytes());
    bytes.extend_from_slice(dict.as_bytes());
    // At most 62 bytes and two numbers of 20 digits: there is always room.
    bytes.resize(HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}

impl Sink for NpySink {
    fn append(&mut self, _: u64, block: &Block<'_>, _: Option<&[&str]>) -> Result<()> {
        self.buffer.clear();
        block.bytes_into(&mut self.buffer);
        self.file.write_all(&self.buffer).map_err(|e| Error::io("write", &self.path, e))
    }

    fn checkpoint(&mut self) -> Result<u64> {
        self.file.sync_all().map_err(|e| Error::io("sync", &self.path, e))?;
        self.file.stream_position().map_err(|e| Error::io("write", &self.path, e))
    }

    fn complete(&mut self, rows: u64) -> Result<PathBuf> {
        let mut write = || -> std::io::Result<()> {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header(&self.layout, rows))?;
            self.file.sync_all()
        };
        write().map_err(|e| Error::io("write", &self.path, e))?;
        Ok(self.path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::OutputFormat;

    #[test]
    fn the_header_has_room_for_the_largest_shape() {
        let layout = Layout {
            format: OutputFormat::Npy,
            element: Element::F32,
            columns: usize::MAX,
            with_text: false,
        };
        let bytes = header(&layout, u64::MAX);
        assert_eq!(bytes.len(), HEADER);
        let text = String::from_utf8_lossy(&bytes[10..]);
        assert!(
            text.contains(&format!("({}, {}), }}", u64::MAX, usize::MAX)) && text.ends_with('\n')
        );
    }

    /// `/dev/full` takes no byte.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told() {
        let layout = Layout {
            format: OutputFormat::Npy,
            element: Element::F32,
            columns: 2,
            with_text: false,
        };
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let mut sink = NpySink { path, file, layout, buffer: Vec::new() };
        let rows = ndarray::Array2::<f32>::zeros((3, 2));
        let error = sink.append(0, &Block::F32(rows.view()), None).unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    }
}
