//! The bytes of a head or statistics file: a safetensors file with a checksum.
//!
//! ```text
//! 8 bytes   length of the header, little-endian
//! header    JSON, padded with spaces to a multiple of 8:
//!           "__metadata__": {"format": "offshoot-head", "version": "1", "head": "…"}
//!           and for each tensor its dtype, shape and data_offsets
//! tensors   little-endian f64 or, of statistics, i64, without gaps
//! 32 bytes  the tensor "sha256": SHA-256 of everything before it
//! ```
//!
//! Numbers keep every bit, any language with a safetensors reader can take the coefficients
//! out, and one changed bit or one missing byte anywhere is noticed. The place of the checksum
//! and of the version never changes, so that a file is first proven whole, and only then said
//! to be too new.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Newest version that is read, and the one that is written.
pub(super) const VERSION: u32 = 1;
/// Largest head file. 65,536 classes of 4,096 dimensions are as large.
pub(super) const MAX_BYTES: u64 = 2 << 30;
/// Largest header.
const MAX_HEADER: usize = 512 << 20;
/// The format of a head file.
pub(super) const HEAD: &str = "offshoot-head";
/// The format of a reference for drift.
pub(super) const DRIFT: &str = "offshoot-drift";
/// The format of a statistics file.
pub(super) const STATISTICS: &str = "offshoot-statistics";
const CHECKSUM: &str = "sha256";
const CHECKSUM_BYTES: usize = 32;

/// A list or matrix of numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor<T = f64> {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<T>,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Container {
    /// Description of the head or the statistics, JSON.
    pub(super) head: String,
    /// Its numbers by name.
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// Its integers by name; no name is one of the tensors' too.
    pub(super) integers: BTreeMap<String, Tensor<i64>>,
}

/// Why bytes are no head file.
#[derive(Debug, PartialEq)]
pub(super) enum Problem {
    /// Damaged, or something else.
    Bad(String),
    /// Made by a later version.
    Newer(u32),
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Metadata,
    #[serde(flatten)]
    entries: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    format: String,
    version: String,
    head: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl Container {
    /// The bytes of the file of this format, or what makes it too large.
    pub(super) fn to_bytes(&self, format: &str) -> Result<Vec<u8>, String> {
        let mut end = 0usize;
        let mut entries = BTreeMap::new();
        let tensors = self.tensors.iter().map(|(name, t)| (name, "F64", &t.shape, t.values.len()));
        let integers =
            self.integers.iter().map(|(name, t)| (name, "I64", &t.shape, t.values.len()));
        for (name, dtype, shape, values) in tensors.chain(integers) {
            let start = end;
            end += 8 * values;
            let (dtype, shape) = (dtype.to_owned(), shape.clone());
            entries.insert(name.clone(), Entry { dtype, shape, data_offsets: [start, end] });
        }
        let checksum = Entry {
            dtype: "U8".to_owned(),
            shape: vec![CHECKSUM_BYTES],
            data_offsets: [end, end + CHECKSUM_BYTES],
        };
        entries.insert(CHECKSUM.to_owned(), checksum);
        let metadata = Metadata {
            format: format.to_owned(),
            version: VERSION.to_string(),
            head: self.head.clone(),
        };
        let mut header = serde_json::to_vec(&Header { metadata, entries })
            .map_err(|error| format!("its header cannot be written: {error}"))?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let total = 8 + header.len() as u64 + end as u64 + CHECKSUM_BYTES as u64;
        if header.len() > MAX_HEADER || total > MAX_BYTES {
            return Err(format!("it would be {total} bytes long, over the limit of {MAX_BYTES}"));
        }

        let mut bytes = Vec::with_capacity(total as usize);
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header);
        for tensor in self.tensors.values() {
            bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
        }
        for tensor in self.integers.values() {
            bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        Ok(bytes)
    }

    /// Reads and checks the bytes of a file of this format.
    pub(super) fn from_bytes(format: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let bad = |problem: &str| Problem::Bad(problem.to_owned());
        let Some((body, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(bad("it is cut off, or something else"));
        };
        let Some((length, rest)) = body.split_first_chunk::<8>() else {
            return Err(bad("it is cut off, or something else"));
        };
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_HEADER || length > rest.len() || rest.first() != Some(&b'{') {
            return Err(bad("it is cut off, or something else"));
        }
        if Sha256::digest(body)[..] != checksum[..] {
            return Err(bad("its checksum is wrong: bytes were changed or lost; copy it again"));
        }
        let (header, data) = rest.split_at(length);
        let header: Header = serde_json::from_slice(header)
            .map_err(|error| Problem::Bad(format!("its header cannot be read: {error}")))?;
        if header.metadata.format != format {
            return Err(bad("it is a safetensors file of another kind"));
        }
        match header.metadata.version.parse::<u32>() {
            Ok(VERSION) => {}
            Ok(version) if version > VERSION => return Err(Problem::Newer(version)),
            _ => return Err(bad("its version is not a known one")),
        }
        let (tensors, integers) = tensors(header.entries, data)?;
        Ok(Self { head: header.metadata.head, tensors, integers })
    }
}

/// Tensors by name.
type Named<T> = BTreeMap<String, Tensor<T>>;

/// Cuts the tensors out of the data, which they must cover exactly.
fn tensors(
    mut entries: BTreeMap<String, Entry>,
    data: &[u8],
) -> Result<(Named<f64>, Named<i64>), Problem> {
    let bad = |name: &str, problem: &str| Problem::Bad(format!("tensor {name:?} {problem}"));
    let Some(checksum) = entries.remove(CHECKSUM) else {
        return Err(bad(CHECKSUM, "is missing"));
    };
    if checksum.dtype != "U8"
        || checksum.shape != [CHECKSUM_BYTES]
        || checksum.data_offsets[0] != data.len()
    {
        return Err(bad(CHECKSUM, "is not the last 32 bytes"));
    }
    let mut entries: Vec<(String, Entry)> = entries.into_iter().collect();
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut position = 0;
    let (mut tensors, mut integers) = (BTreeMap::new(), BTreeMap::new());
    for (name, Entry { dtype, shape, data_offsets: [start, end] }) in entries {
        if dtype != "F64" && dtype != "I64" {
            return Err(bad(&name, "is not of type F64 or I64"));
        }
        if start != position || end < start {
            return Err(bad(&name, "overlaps another or leaves a gap"));
        }
        let Some(bytes) = data.get(start..end) else {
            return Err(bad(&name, "reaches past the end"));
        };
        let size = shape.iter().try_fold(8usize, |size, &side| size.checked_mul(side));
        if size != Some(bytes.len()) {
            return Err(bad(&name, "has a shape that disagrees with its length"));
        }
        let words = bytes.as_chunks::<8>().0.iter();
        if dtype == "F64" {
            let values = words.map(|&word| f64::from_le_bytes(word)).collect();
            tensors.insert(name, Tensor { shape, values });
        } else {
            let values = words.map(|&word| i64::from_le_bytes(word)).collect();
            integers.insert(name, Tensor { shape, values });
        }
        position = end;
    }
    if position != data.len() {
        return Err(Problem::Bad("it has bytes that belong to nothing".to_owned()));
    }
    Ok((tensors, integers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Container {
        let tensor = |shape: &[usize], values: &[f64]| Tensor {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let tensors = [
            ("b".to_owned(), tensor(&[2, 1], &[f64::MIN_POSITIVE, -0.0])),
            ("a".to_owned(), tensor(&[1], &[0.1 + 0.2])),
        ];
        let integers = Tensor { shape: vec![2], values: vec![i64::MIN, 1] };
        Container {
            head: "{\"é\": \"\\\"\"}".to_owned(),
            tensors: tensors.into(),
            integers: [("c".to_owned(), integers)].into(),
        }
    }

    /// A file with the given header and data and a right checksum.
    fn forge(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        bytes
    }

    fn header(version: &str, entries: &str, end: usize) -> String {
        format!(
            r#"{{"__metadata__":{{"format":"offshoot-head","version":"{version}","head":"{{}}"}},{entries}"sha256":{{"dtype":"U8","shape":[32],"data_offsets":[{end},{}]}}}}"#,
            end.wrapping_add(32)
        )
    }

    #[test]
    fn comes_back_bit_for_bit_and_is_a_safetensors_file() {
        let bytes = sample().to_bytes(HEAD).unwrap();
        assert_eq!(Container::from_bytes(HEAD, &bytes).unwrap(), sample());
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor("a").unwrap();
        assert_eq!(view.data(), (0.1f64 + 0.2).to_le_bytes());
        assert_eq!(file.tensor("c").unwrap().data()[..8], i64::MIN.to_le_bytes());
        assert_eq!(file.tensor("sha256").unwrap().data(), &bytes[bytes.len() - 32..]);
    }

    #[test]
    fn every_truncation_and_every_bit_flip_is_noticed() {
        let bytes = sample().to_bytes(HEAD).unwrap();
        for length in 0..bytes.len() {
            assert!(Container::from_bytes(HEAD, &bytes[..length]).is_err(), "cut to {length}");
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Container::from_bytes(HEAD, &flipped).is_err(), "bit {bit}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Container::from_bytes(HEAD, &longer).is_err());
        assert!(Container::from_bytes(STATISTICS, &bytes).is_err());
    }

    #[test]
    fn hostile_headers_are_refused() {
        let whole = forge(&header("1", "", 0), b"");
        assert!(Container::from_bytes(HEAD, &whole).unwrap().tensors.is_empty());
        assert_eq!(
            Container::from_bytes(HEAD, &forge(&header("2", "", 0), b"")),
            Err(Problem::Newer(2))
        );
        let far = u64::MAX.to_string();
        let half = (usize::MAX / 8 + 2).to_string();
        let cases: [(String, &[u8]); 10] = [
            (header("0", "", 0), b""),
            (header("one", "", 0), b""),
            (header("1", "", 8), b""),
            (header("1", "", 0), b"12345678"),
            (header("1", "", 8), b"12345678"),
            (
                header("1", r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#, 8),
                b"12345678",
            ),
            (
                header("1", r#""a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]},"#, 8),
                b"12345678",
            ),
            (
                header("1", r#""a":{"dtype":"F64","shape":[1],"data_offsets":[8,0]},"#, 8),
                b"12345678",
            ),
            (
                header(
                    "1",
                    &format!(r#""a":{{"dtype":"F64","shape":[1],"data_offsets":[0,{far}]}},"#),
                    8,
                ),
                b"12345678",
            ),
            (
                header(
                    "1",
                    &format!(r#""a":{{"dtype":"F64","shape":[{half},8],"data_offsets":[0,8]}},"#),
                    8,
                ),
                b"12345678",
            ),
        ];
        for (header, data) in cases {
            let result = Container::from_bytes(HEAD, &forge(&header, data));
            assert!(matches!(result, Err(Problem::Bad(_))), "{header}: {result:?}");
        }
        // A header length that overflows, and JSON nested without end.
        let mut bytes = whole.clone();
        bytes[..8].copy_from_slice(&[0xff; 8]);
        assert!(matches!(Container::from_bytes(HEAD, &bytes), Err(Problem::Bad(_))));
        let nested = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert!(matches!(Container::from_bytes(HEAD, &forge(&nested, b"")), Err(Problem::Bad(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Container::from_bytes(HEAD, &bytes);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = Container::from_bytes(HEAD, &forge(&format!("{{{text}"), &bytes));
        }
    }
}
