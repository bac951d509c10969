//! Reads weights from safetensors files.
//!
//! Only headers are read when a checkpoint is opened. A tensor's elements are
//! read, converted to 32-bit floats and checked when they are written, one tensor
//! after another, so that a checkpoint of several gigabytes needs little memory.

mod shard;
mod weights;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use shard::{MAX_HEADER, Shard};
pub use weights::Weights;

use crate::error::{Error, Result};

/// Name of the file that holds all weights.
pub const SINGLE_FILE: &str = "model.safetensors";

/// Name of the file that says which shard holds which tensor.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// The weights of a published model: one or several safetensors files.
#[derive(Debug)]
pub struct Checkpoint {
    /// The weights, or the index of their shards.
    path: PathBuf,
    shards: Vec<Arc<Shard>>,
    /// Shard of each tensor.
    tensors: BTreeMap<String, usize>,
}

impl Checkpoint {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json`
    /// names, of a folder.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when a file is damaged or a shard is missing;
    /// [`Error::Unsupported`] when the folder has neither file.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = folder.join(SINGLE_FILE);
        if single.exists() {
            return Self::open_file(&single);
        }
        let index = folder.join(INDEX_FILE);
        if index.exists() {
            return Self::open_shards(folder, &index);
        }
        Err(Error::unsupported(
            folder,
            format!(
                "there is neither `{SINGLE_FILE}` nor `{INDEX_FILE}`; weights in other formats, \
                 such as pytorch_model.bin, must be saved as safetensors first"
            ),
        ))
    }

    /// Opens one safetensors file.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it is damaged.
    pub fn open_file(file: &Path) -> Result<Self> {
        let shard = Arc::new(Shard::open(file)?);
        let tensors = shard.names().map(|name| (name, 0)).collect();
        Ok(Self { path: file.to_owned(), shards: vec![shard], tensors })
    }

    fn open_shards(folder: &Path, index: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let bytes = read_index(index)?;
        let parsed: Index = serde_json::from_slice(&bytes)
            .map_err(|e| Error::Json { path: index.into(), reason: e.to_string() })?;
        let mut files: Vec<&String> = parsed.weight_map.values().collect();
        files.sort();
        files.dedup();
        let mut shards = Vec::with_capacity(files.len());
        for name in &files {
            let plain = Path::new(name).components().count() == 1
                && !name.contains(['\\', ':'])
                && name.ends_with(".safetensors");
            if !plain {
                return Err(Error::key(
                    index,
                    "weight_map",
                    format!(
                        "names the shard {name:?}; a shard is a .safetensors file of the same folder"
                    ),
                ));
            }
            let path = folder.join(name);
            if !path.is_file() {
                return Err(Error::Checkpoint {
                    path,
                    reason: format!("the shard is missing, though {INDEX_FILE} names it"),
                });
            }
            shards.push(Arc::new(Shard::open(&path)?));
        }
        let mut tensors = BTreeMap::new();
        for (tensor, file) in &parsed.weight_map {
            let at = files.binary_search(&file).unwrap_or(0);
            if shards.get(at).is_none_or(|shard: &Arc<Shard>| shard.info(tensor).is_none()) {
                return Err(Error::tensor(
                    folder.join(file),
                    tensor,
                    format!("is missing, though {INDEX_FILE} says that it is here"),
                ));
            }
            tensors.insert(tensor.clone(), at);
        }
        Ok(Self { path: index.to_owned(), shards, tensors })
    }

    /// The file that stands for the checkpoint in messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape of a tensor; `None` when there is none of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let shard = self.shards.get(*self.tensors.get(name)?)?;
        Some(&shard.info(name)?.shape)
    }

    /// A tensor of the given shape.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing, has another shape, or elements that
    /// are not floating-point numbers.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Weights> {
        let Some(shard) = self.tensors.get(name).and_then(|&at| self.shards.get(at)) else {
            return Err(Error::tensor(&self.path, name, "is missing"));
        };
        Weights::stored(shard.clone(), name, shape)
    }

    /// What stands before the names of an encoder's tensors: the first of
    /// `prefixes` under which `name` is found, or else whatever stands before it.
    ///
    /// # Errors
    /// [`Error::Tensor`] when no tensor ends in `name`, or several do and none of them
    /// begins with one of `prefixes`: such a checkpoint holds several encoders.
    pub fn prefix(&self, prefixes: &[&str], name: &str) -> Result<String> {
        if let Some(prefix) = prefixes.iter().find(|p| self.contains(&format!("{p}{name}"))) {
            return Ok((*prefix).to_owned());
        }
        let suffix = format!(".{name}");
        let found: Vec<&str> = self.names().filter_map(|n| n.strip_suffix(&suffix)).collect();
        match found[..] {
            [prefix] => Ok(format!("{prefix}.")),
            [] => Err(Error::tensor(&self.path, name, "is missing")),
            [first, second, ..] => Err(Error::tensor(
                &self.path,
                name,
                format!(
                    "is there several times, as below `{first}` and `{second}`; save the encoder \
                     that is meant by itself"
                ),
            )),
        }
    }

    /// SHA-256 of the weights where they are one file, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read.
    pub fn sha256(&self) -> Result<Option<String>> {
        match &self.shards[..] {
            [shard] => shard.sha256().map(Some),
            _ => Ok(None),
        }
    }
}

/// The bytes of an index, which is bounded as a shard's header is.
fn read_index(index: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(index).map_err(Error::io("open", index))?;
    file.take(MAX_HEADER + 1).read_to_end(&mut bytes).map_err(Error::io("read", index))?;
    if bytes.len() as u64 > MAX_HEADER {
        return Err(Error::Checkpoint {
            path: index.to_owned(),
            reason: format!("it is longer than {MAX_HEADER} bytes and no index of shards"),
        });
    }
    Ok(bytes)
}
