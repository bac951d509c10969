//! An encoder and a head as one plain ONNX file.

mod calibrated;
mod classifier;
mod head;
mod known;
mod mixture;
mod neighbors;
mod numbers;
mod others;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::adapters::calibration::Calibration;
use offshoot::bundle::{Bundle, MODEL};
use onnx_protobuf::StringStringEntryProto;
use protobuf::Message;

use crate::archive::{Target, check_stop};
use crate::error::{Error, Result};
use crate::graph::external::Layout;
use crate::graph::read::read;
use crate::graph::{Dim, ElementType, TensorType};
use crate::import::Progress;
use crate::shape;

pub use head::AnyHead;
pub use known::Rejection;

/// Most bytes that an ONNX file may have: what a protocol buffer can hold.
const MAX_BYTES: u64 = i32::MAX as u64;

/// How a head is fused with its encoder.
#[derive(Debug, Clone, Default)]
pub struct FuseOptions {
    /// Whether a file that stands at the target is replaced.
    pub overwrite: bool,
    /// Ends the work soon after it becomes true, leaving nothing behind.
    pub stop: Option<Arc<AtomicBool>>,
    /// What the head's probabilities are calibrated by.
    pub calibration: Option<Calibration>,
    /// What tells inputs of no known class. The file holds the embeddings of the examples then.
    pub rejection: Option<Rejection>,
}

/// A fused file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fused {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Names of its outputs.
    pub outputs: Vec<String>,
}

/// Writes the encoder in `bundle` with `head` after it to the ONNX file `output`.
///
/// The file holds its weights and runs in every ONNX Runtime, in any language. It takes
/// `input_ids` and `attention_mask`, int64 `[batch, tokens]`, as the encoder's tokenizer
/// gives them (the head's prompt, if any, before each text), and gives
///
/// | output | type | meaning |
/// | --- | --- | --- |
/// | `label` | string `[batch]` | name of the most likely class |
/// | `label_index` | int64 `[batch]` | its place among the classes |
/// | `probabilities` | float32 `[batch, classes]` | as [`Head::predict_proba`](offshoot::adapters::Head::predict_proba) and then [`Calibration::apply`], if there is one, within 1e-5 |
/// | `known` | bool `[batch]` | with a rejection: as [`OpenSet::accepts`](offshoot::adapters::open_set::OpenSet::accepts) |
/// | `known_score` | float32 `[batch]` | with a rejection: the score that was compared |
/// | `embedding` | float32 `[batch, width]` | the encoder's own embedding |
///
/// and of other heads in the place of the first three
///
/// | output | type | meaning |
/// | --- | --- | --- |
/// | `value` | float64 `[batch]`, or `[batch, outputs]` | of numbers: as [`RegressionHead::predict`](offshoot::adapters::RegressionHead::predict) |
/// | `labels` | bool `[batch, labels]` | of several labels: as [`MultiLabelHead::predict`](offshoot::adapters::MultiLabelHead::predict) |
/// | `scores` | float32 `[batch, labels]` | of several labels: what decides it |
///
/// `label` is the most likely class whether the input is known or not.
///
/// Its metadata hold `offshoot.classes` (a JSON list in the order of the columns; not of numbers),
/// `offshoot.encoder`, `offshoot.encoder_digest`, `offshoot.head`, `offshoot.dimensions` and,
/// where there is one, `offshoot.prompt`, `offshoot.calibration` (JSON), and of a rejection
/// `offshoot.known_threshold` and `offshoot.false_accepts`.
///
/// Heads that compare with their examples (nearest-neighbors, cache, and auto where it has curved
/// members) bring the embeddings of these into the file.
///
/// The graph is the bundle's: one that was imported with
/// [`Lowering::OnnxRuntime`](crate::graph::Lowering::OnnxRuntime) keeps ONNX Runtime's own
/// operators.
///
/// # Errors
/// [`Error::Head`] when the head belongs to another encoder, or calibration or rejection are of
/// other classes or dimensions; [`Error::Archive`] when something stands at `output` and overwriting was not allowed, or the file would pass 2 GiB;
/// [`Error::Runtime`] when the bundle is damaged; [`Error::Io`]; [`Error::Interrupted`]. On
/// every error `output` is as it was before.
pub fn fuse<'a>(
    bundle: &Path,
    head: impl Into<AnyHead<'a>>,
    output: &Path,
    options: &FuseOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fused> {
    let head = head.into();
    let target = Target::create(output, options.overwrite)?;
    let opened = Bundle::open(bundle)?;
    if head.encoder().digest != opened.digest() {
        return Err(Error::Head(format!(
            "the head was fitted on the encoder {:?} (digest {}), not on {} (digest {}): name the \
             bundle that it was learned with",
            head.encoder().name,
            head.encoder().digest,
            bundle.display(),
            opened.digest()
        )));
    }
    let total_bytes = opened.size();
    if total_bytes > MAX_BYTES {
        return Err(Error::archive(
            output,
            format!("the encoder has {total_bytes} bytes and one ONNX file holds {MAX_BYTES}"),
        ));
    }
    let copied = weights::copy(&opened, output, options.stop.as_deref(), &mut |done_bytes| {
        progress(Progress { done_bytes, total_bytes });
    })?;

    let mut graph = read(&copied.path().join(MODEL))?.graph;
    let embedding = graph
        .output_named("embedding")
        .ok_or_else(|| Error::onnx(bundle, "its graph has no output `embedding`"))?;
    let manifest = opened.manifest();
    graph.declare_type(
        embedding,
        TensorType::new(ElementType::Float32, shape!["batch", manifest.embedding_size]),
    );
    let outputs =
        graph.in_scope("head", |g| classifier::append(g, embedding, manifest, head, options))?;

    let layout = Layout::inside(&graph)?;
    let mut model = graph.to_model(&layout)?;
    check_stop(options.stop.as_deref())?;
    model.metadata_props.extend(metadata(head, options)?);
    let bytes = model
        .write_to_bytes()
        .map_err(|error| Error::archive(output, format!("the graph cannot be written: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::archive(
            output,
            format!("it would have {} bytes and one ONNX file holds {MAX_BYTES}", bytes.len()),
        ));
    }
    target.write(&bytes)?;
    check_stop(options.stop.as_deref())?;
    target.commit()?;
    progress(Progress { done_bytes: total_bytes, total_bytes });
    Ok(Fused { path: output.to_owned(), size: bytes.len() as u64, outputs })
}

/// What a program in another language needs to know of the head.
fn metadata(head: AnyHead<'_>, options: &FuseOptions) -> Result<Vec<StringStringEntryProto>> {
    let encoder = head.encoder();
    let mut entries = Vec::new();
    if let Some(names) = head.names() {
        entries.push(("offshoot.classes", serde_json::Value::from(names.to_vec()).to_string()));
    }
    entries.extend([
        ("offshoot.encoder", encoder.name.clone()),
        ("offshoot.encoder_digest", encoder.digest.clone()),
        ("offshoot.head", head.kind()),
        ("offshoot.dimensions", encoder.dimensions.to_string()),
    ]);
    if let Some(prompt) = &encoder.prompt {
        entries.push(("offshoot.prompt", prompt.clone()));
    }
    if let Some(calibration) = &options.calibration {
        let json = serde_json::to_string(calibration)
            .map_err(|error| Error::Head(format!("its calibration cannot be written: {error}")))?;
        entries.push(("offshoot.calibration", json));
    }
    if let Some(rejection) = &options.rejection {
        entries.push(("offshoot.known_threshold", rejection.threshold()?.to_string()));
        entries.push(("offshoot.false_accepts", rejection.false_accepts.to_string()));
    }
    Ok(entries
        .into_iter()
        .map(|(key, value)| StringStringEntryProto { key: key.into(), value, ..Default::default() })
        .collect())
}

/// A dimension that the caller's batch decides.
fn batch() -> Dim {
    Dim::from("batch")
}
