//! Tensors of an ONNX file: inside it, or in files beside it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use onnx_protobuf::TensorProto;
use onnx_protobuf::tensor_proto::DataLocation;

use crate::error::{Error, Result};
use crate::graph::{ElementType, Tensor, TensorData, TensorSource};

/// Bytes of a file that are read when they are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileRange {
    path: PathBuf,
    offset: u64,
    length: u64,
}

impl FileRange {
    pub(super) fn new(path: &Path, offset: u64, length: u64) -> Self {
        Self { path: path.into(), offset, length }
    }

    /// Writes the bytes to `out`, a piece at a time.
    pub(super) fn read_into(&self, out: &mut dyn Write) -> Result<()> {
        let mut file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
        file.seek(SeekFrom::Start(self.offset)).map_err(Error::io("read", &self.path))?;
        let mut buffer = vec![0; 1 << 18];
        let mut left = self.length;
        while left > 0 {
            let now = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let piece = buffer.get_mut(..now).unwrap_or_default();
            let read = file.read(piece).map_err(Error::io("read", &self.path))?;
            if read == 0 {
                return Err(Error::onnx(
                    &self.path,
                    format!("it became {left} bytes shorter while it was being read"),
                ));
            }
            out.write_all(piece.get(..read).unwrap_or_default())
                .map_err(Error::io("write", crate::graph::external::WEIGHTS_FILE))?;
            left -= read as u64;
        }
        Ok(())
    }
}

impl TensorSource for FileRange {
    fn write_to(&self, out: &mut dyn Write) -> Result<()> {
        self.read_into(out)
    }
}

/// The tensor that `proto`, of the ONNX file `model`, describes, and the file that
/// holds it where that is another. `left` is its `raw_data` where that was left in
/// the model's file.
pub(super) fn tensor(
    model: &Path,
    proto: TensorProto,
    left: Option<FileRange>,
) -> Result<(Tensor, Option<PathBuf>)> {
    let name = proto.name.clone();
    let wrong = |reason: String| Error::tensor(model, &name, reason);
    let dims = proto
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| wrong(format!("has the dimensions {:?}", proto.dims)))?;
    if proto.data_type == 0 {
        return Err(wrong("has no element type".into()));
    }
    if proto.segment.is_some() {
        return Err(wrong("is a segment of a tensor, which is not supported".into()));
    }
    let element = ElementType::from_code(proto.data_type);
    let mut tensor = Tensor { element, dims, data: TensorData::Bytes(Arc::default()) };
    if tensor.elements().is_none() || (element.size().is_some() && tensor.bytes().is_none()) {
        return Err(wrong(format!("has the dimensions {:?}, which are too large", proto.dims)));
    }
    let wanted = tensor.bytes().map(|bytes| bytes as u64);
    let fits = |found: u64, path: &Path| match wanted {
        Some(wanted) if wanted != found => Err(wrong(format!(
            "has {found} bytes in {} and its shape {:?} of {element} needs {wanted}",
            path.display(),
            proto.dims
        ))),
        _ => Ok(()),
    };

    let outside = is_external(&proto);
    let range = if outside { Some(external(model, &proto, wanted)?) } else { left };
    if let Some(range) = range {
        let file = outside.then(|| range.path.clone());
        fits(range.length, &range.path)?;
        tensor.data = if wanted.is_some() {
            TensorData::Source(Arc::new(range))
        } else {
            // A type of no whole bytes is carried inside the graph.
            let mut verbatim = proto.clone();
            verbatim.external_data.clear();
            verbatim.data_location = DataLocation::DEFAULT.into();
            range.read_into(&mut verbatim.raw_data)?;
            TensorData::Proto(Box::new(verbatim))
        };
        return Ok((tensor, file));
    }
    if !proto.raw_data.is_empty() && wanted.is_some() {
        fits(proto.raw_data.len() as u64, model)?;
        tensor.data = TensorData::Bytes(proto.raw_data.into());
        return Ok((tensor, None));
    }
    if let Some(bytes) = typed_bytes(&proto) {
        fits(bytes.len() as u64, model)?;
        tensor.data = TensorData::Bytes(bytes.into());
    } else {
        tensor.data = TensorData::Proto(Box::new(proto));
    }
    Ok((tensor, None))
}

pub(super) fn is_external(proto: &TensorProto) -> bool {
    proto.data_location.enum_value() == Ok(DataLocation::EXTERNAL)
}

/// Where the bytes of an external tensor lie: inside the model's folder, and
/// wholly inside the file.
fn external(model: &Path, proto: &TensorProto, wanted: Option<u64>) -> Result<FileRange> {
    let wrong = |reason: String| Error::tensor(model, &proto.name, reason);
    let entry = |key: &str| {
        proto.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    };
    let number = |key: &str| {
        entry(key)
            .map(|text| {
                text.trim().parse::<u64>().map_err(|_| {
                    wrong(format!("has the external {key} `{text}`, which is not a number"))
                })
            })
            .transpose()
    };
    let location = entry("location")
        .filter(|location| !location.is_empty())
        .ok_or_else(|| wrong("is external and names no file".into()))?;
    let relative = Path::new(location);
    let stays =
        relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
            && !location.contains(['\\', '\0']);
    if !stays {
        return Err(wrong(format!(
            "lies in `{location}`; files of external data must be inside the model's folder"
        )));
    }
    let path = model.parent().unwrap_or(Path::new("")).join(relative);
    let metadata = std::fs::metadata(&path).map_err(|error| {
        wrong(format!("lies in {}, which cannot be opened: {error}", path.display()))
    })?;
    if !metadata.is_file() {
        return Err(wrong(format!("lies in {}, which is not a file", path.display())));
    }
    let size = metadata.len();
    let offset = number("offset")?.unwrap_or(0);
    let length = match (number("length")?, wanted) {
        (Some(length), _) => length,
        (None, Some(wanted)) => wanted,
        (None, None) => size.saturating_sub(offset),
    };
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(FileRange { path, offset, length }),
        _ => Err(wrong(format!(
            "lies at byte {offset} of {} for {length} bytes, and the file has {size}",
            path.display()
        ))),
    }
}

/// Elements that stand in a field of their own type, as little-endian bytes;
/// `None` for types that are carried as they are.
fn typed_bytes(proto: &TensorProto) -> Option<Vec<u8>> {
    let ints = &proto.int32_data;
    Some(match proto.data_type {
        1 => proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        // 8-bit types and truth values, one to an integer.
        2 | 3 | 9 | 17..=20 => ints.iter().map(|&v| v as u8).collect(),
        4 | 5 | 10 | 16 => ints.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect(),
        6 => ints.iter().flat_map(|v| v.to_le_bytes()).collect(),
        7 => proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        11 => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        12 => proto.uint64_data.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect(),
        13 => proto.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        // Complex numbers: real and imaginary parts in turn.
        14 => proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        15 => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        _ => return None,
    })
}
