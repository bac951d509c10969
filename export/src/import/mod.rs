//! From a published folder or ONNX file to a bundle.

mod build;
mod dense;
mod files;
mod head;
mod json;
mod modules;
mod pooling;
mod settings;
mod source;
mod tokenizer;
mod unpacked;
mod wordpiece;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::{Manifest, TOKENIZER};
use sha2::{Digest, Sha256};

use self::source::Source;
use crate::archive::{self, BundleWriter};
use crate::error::{Error, Result};
use crate::graph::external::Layout;
use crate::graph::{Graph, Lowering};

/// How an encoder is to be imported.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Name of the encoder; that of its folder where `None`.
    pub name: Option<String>,
    /// Which operators the graph is written with. Ready-made ONNX graphs keep theirs.
    pub lowering: Lowering,
    /// Whether a file that stands at the target is replaced.
    pub overwrite: bool,
    /// Licence of the weights; what the model card states where `None`.
    pub licence: Option<String>,
    /// Most tokens of a text, special tokens included, instead of what the files say.
    /// It cannot exceed the positions that the encoder has.
    pub max_tokens: Option<usize>,
    /// Ends the import soon after it becomes true, leaving nothing behind.
    pub stop: Option<Arc<AtomicBool>>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of weights read for their digest and written so far.
    pub done_bytes: u64,
    /// Bytes that there will have been.
    pub total_bytes: u64,
}

/// A finished import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The bundle.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its digest: the SHA-256 of its manifest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// What was assumed or changed, a sentence each.
    pub notes: Vec<String>,
}

/// A bundle before it is written.
struct Plan {
    graph: Graph,
    manifest: Manifest,
    /// `None` for an encoder of images or signals.
    tokenizer: Option<Vec<u8>>,
    carried: Vec<(String, Vec<u8>)>,
    /// The published weights, where they are one file whose digest is recorded.
    weights_file: Option<PathBuf>,
    notes: Vec<String>,
}

/// Imports the encoder at `source` and writes a bundle to `output`.
///
/// `source` is a folder in the layout of sentence-transformers or Hugging Face, with
/// weights in `model.safetensors` or its shards; a `.onnx` file with its tokenizer
/// beside it, or a folder that holds `model.onnx` or `onnx/model.onnx`; or a folder
/// that a bundle was unpacked to. Weights pass through in pieces and are never in
/// memory together.
///
/// # Errors
/// [`Error::Archive`] when something stands at `output` and overwriting was not
/// allowed; [`Error::Interrupted`]; else an error that names the file, and the key or
/// tensor, that cannot be imported. On every error `output` is as it was before.
pub fn import(
    source: &Path,
    output: &Path,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Imported> {
    let bundle = BundleWriter::create(output, options.overwrite)?.stop_when(options.stop.clone());
    let found = Source::find(source, || Ok(modules::Chain::read(source)?.transformer))?;
    let name = options.name.clone().unwrap_or_else(|| found.name());
    let plan = match found {
        Source::Checkpoint { folder } => build::from_checkpoint(&folder, name, options)?,
        Source::Onnx { file, folder } => build::from_onnx(&file, &folder, name, options)?,
        Source::Unpacked { folder } => unpacked::plan(&folder, options)?,
    };
    write(bundle, output, plan, options, progress)
}

fn write(
    mut bundle: BundleWriter,
    output: &Path,
    plan: Plan,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Imported> {
    let Plan { graph, mut manifest, tokenizer, carried, weights_file, notes } = plan;
    let layout = Layout::new(&graph)?;
    let published = match &weights_file {
        Some(path) => std::fs::metadata(path).map_err(Error::io("open", path))?.len(),
        None => 0,
    };
    let total_bytes = published.saturating_add(layout.size());
    let mut report = |done_bytes: u64| progress(Progress { done_bytes, total_bytes });
    report(0);
    if let Some(path) = &weights_file {
        manifest.provenance.weights_sha256 =
            Some(sha256(path, options.stop.as_deref(), &mut report)?);
    }
    manifest.parameters = graph.parameters();

    bundle.add_graph(&graph, &layout, &mut |written| {
        report(published.saturating_add(written));
    })?;
    if let Some(tokenizer) = &tokenizer {
        bundle.add_bytes(TOKENIZER, tokenizer)?;
    }
    for (name, bytes) in &carried {
        bundle.add_bytes(name, bytes)?;
    }
    let written = bundle.finish(manifest)?;
    report(total_bytes);
    Ok(Imported {
        path: output.into(),
        manifest: written.manifest,
        digest: written.digest,
        size: written.size,
        notes,
    })
}

/// SHA-256 of a file, read in pieces.
fn sha256(path: &Path, stop: Option<&AtomicBool>, progress: &mut dyn FnMut(u64)) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0u64;
    loop {
        archive::check_stop(stop)?;
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(archive::hex(hasher));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        done = done.saturating_add(read as u64);
        progress(done);
    }
}
