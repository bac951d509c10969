//! The safetensors format: headers written in a fixed order, and read without trust.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;

use safetensors::tensor::Metadata;
use serde::Serialize;
use serde::ser::SerializeMap;

use super::element::Element;

/// The largest header that is read, in bytes; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// One tensor of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Type of the elements.
    pub element: Element,
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
}

/// The bytes before the tensors of a safetensors file, whose elements must follow in
/// the order of `entries` without gaps. The same entries give the same bytes.
///
/// # Errors
/// The reason, when sizes overflow.
pub fn header(
    entries: &[Entry],
    metadata: &BTreeMap<String, String>,
) -> std::result::Result<Vec<u8>, String> {
    let mut spans = Vec::with_capacity(entries.len());
    let mut end = 0usize;
    for entry in entries {
        let start = end;
        end = entry
            .element
            .bytes(&entry.dims)
            .and_then(|size| start.checked_add(size))
            .ok_or_else(|| format!("the tensor `{}` is too large", entry.name))?;
        spans.push((entry, [start, end]));
    }
    let json = serde_json::to_vec(&Header { spans, metadata }).map_err(|e| e.to_string())?;
    let padded = json.len().next_multiple_of(8);
    let mut bytes = Vec::with_capacity(8 + padded);
    bytes.extend((padded as u64).to_le_bytes());
    bytes.extend(&json);
    bytes.resize(8 + padded, b' ');
    Ok(bytes)
}

struct Header<'a> {
    spans: Vec<(&'a Entry, [usize; 2])>,
    metadata: &'a BTreeMap<String, String>,
}

impl Serialize for Header<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Info<'a> {
            dtype: safetensors::Dtype,
            shape: &'a [usize],
            data_offsets: [usize; 2],
        }
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry("__metadata__", self.metadata)?;
        }
        for (entry, data_offsets) in &self.spans {
            let info = Info {
                dtype: entry.element.dtype(),
                shape: &entry.dims,
                data_offsets: *data_offsets,
            };
            map.serialize_entry(&entry.name, &info)?;
        }
        map.end()
    }
}

/// The header of a safetensors file, read and checked.
#[derive(Debug)]
pub(super) struct Stored {
    metadata: Metadata,
    /// Where the tensors begin, from the start of the safetensors file.
    start: u64,
}

impl Stored {
    /// Reads the header of the safetensors file that is `length` bytes of `file` from
    /// `offset` on.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn read(file: &File, offset: u64, length: u64) -> Result<Self, String> {
        let read = |at: u64, out: &mut [u8]| {
            crate::bundle::read_at(&mut &*file, at, out).map_err(|e| e.to_string())
        };
        if length < 8 {
            return Err("it is shorter than a safetensors header".into());
        }
        let mut size = [0; 8];
        read(offset, &mut size)?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER || size > length - 8 {
            return Err(format!(
                "its header claims {size} bytes of {length}; it is cut short or no safetensors file"
            ));
        }
        let mut json = vec![0; usize::try_from(size).unwrap_or(0)];
        read(offset + 8, &mut json)?;
        // Deserialising checks that tensors follow one another without gaps and that
        // each has the bytes that its shape needs.
        let metadata: Metadata =
            serde_json::from_slice(&json).map_err(|e| format!("its header cannot be read: {e}"))?;
        let start = size + 8;
        if start.checked_add(metadata.data_len() as u64) != Some(length) {
            return Err(format!(
                "its header describes {} bytes of tensors and there are {}; copy it again",
                metadata.data_len(),
                length - start
            ));
        }
        Ok(Self { metadata, start })
    }

    /// Where the tensor lies, from the start of the safetensors file.
    ///
    /// # Errors
    /// What it is instead of one of this type and shape.
    pub(super) fn place(
        &self,
        name: &str,
        element: Element,
        dims: &[usize],
    ) -> Result<u64, String> {
        let info = self.metadata.info(name).ok_or_else(|| format!("it has no tensor `{name}`"))?;
        if info.dtype != element.dtype() || info.shape != dims {
            return Err(format!(
                "its tensor `{name}` is {:?} {:?} where {:?} {dims:?} is needed",
                info.dtype,
                info.shape,
                element.dtype()
            ));
        }
        Ok(self.start + info.data_offsets.0 as u64)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    pub(super) fn strings(&self) -> HashMap<String, String> {
        self.metadata.metadata().clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |name: &str, element, dims: &[usize]| Entry {
            name: name.into(),
            element,
            dims: dims.to_vec(),
        };
        vec![
            entry("b", Element::Float32, &[2, 3]),
            entry("a", Element::Bool, &[]),
            entry("empty", Element::Bfloat16, &[0, 4]),
        ]
    }

    #[test]
    fn the_safetensors_crate_reads_what_is_written() {
        let metadata = BTreeMap::from([("key".to_owned(), "value".to_owned())]);
        let mut bytes = header(&entries(), &metadata).unwrap();
        assert_eq!(bytes.len() % 8, 0);
        bytes.extend((0..25).map(|i| i as u8));
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.tensor("b").unwrap().shape(), [2, 3]);
        assert_eq!(read.tensor("a").unwrap().data(), [24]);
        assert!(read.tensor("empty").unwrap().data().is_empty());
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let mut entries = entries();
        entries[0].dims = vec![usize::MAX, 2];
        assert!(header(&entries, &BTreeMap::new()).unwrap_err().contains("`b`"));
    }
}
