//! Graphs of fewer, larger operators, made ahead of time.
//!
//! In this order:
//!
//! 1. What several operators compute alike is computed once
//!    ([`Graph::merge_common`](crate::graph::Graph::merge_common)).
//! 2. ONNX Runtime's basic optimisations: constants are computed, and what is not needed
//!    goes.
//! 3. Attention as current exporters of PyTorch write it, which ONNX Runtime does not find,
//!    becomes one operator, and what this leaves twice is merged.
//! 4. ONNX Runtime's extended optimisations: normalisations, activations and skip
//!    connections are fused.
//!
//! Optimisations that depend on the machine (layouts, prepacked weights) are left to the
//! weight cache, so the result is portable.

mod attention;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offshoot::bundle::{Change, MODEL};
use offshoot::{Engine, WeightCache};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use serde::Serialize;

use crate::derive::Derivation;
use crate::error::{Error, Result};
use crate::graph::external::INLINE_BELOW;
use crate::graph::read::read;
use crate::graph::{CONTRIB_DOMAIN, Graph};
use crate::import::{ImportOptions, import};
use crate::parity::{self, OnProgress, ParityOptions, ParityReport, Sample};

/// How a bundle is optimised.
#[derive(Debug, Clone)]
pub struct OptimizeOptions {
    /// Texts on which the result is compared with its source.
    pub samples: Vec<Sample>,
    /// The smallest cosine that a text's two embeddings may have.
    pub min_cosine: f64,
    /// What is measured besides.
    pub parity: ParityOptions,
    /// Whether a file that stands at the target is replaced.
    pub overwrite: bool,
}

/// An optimised bundle that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Optimized {
    /// The bundle.
    pub path: PathBuf,
    /// How often each operator stood in the graph.
    pub before: BTreeMap<String, usize>,
    /// How often it stands there now.
    pub after: BTreeMap<String, usize>,
    /// How many operators computed what another computes, and went.
    pub merged: usize,
    /// Operators that are new, one entry a node.
    pub made: Vec<Made>,
    /// Operators that only ONNX Runtime has.
    pub only_onnx_runtime: Vec<String>,
    /// The comparison with the source.
    pub parity: ParityReport,
}

/// A node that took the place of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its operator.
    pub operator: String,
    /// Its name.
    pub node: String,
    /// Weights that it reads, by which its layer is known.
    pub weights: Vec<String>,
}

/// Writes the encoder in `source`, a bundle or an ONNX file with its tokenizer beside it,
/// with fewer operators to the bundle `output`.
///
/// # Errors
/// [`Error::Parity`] when the result is farther from its source than is allowed;
/// [`Error::Quantize`] when ONNX Runtime refuses the graph or there are no samples;
/// [`Error::Archive`] when something stands at `output` and overwriting was not allowed;
/// those of [`import`](crate::import()) for an ONNX file; [`Error::Runtime`];
/// [`Error::Io`]; [`Error::Interrupted`]. On every error `output` is as it was before.
pub fn optimize(
    source: &Path,
    output: &Path,
    options: &OptimizeOptions,
    progress: OnProgress<'_>,
) -> Result<Optimized> {
    crate::archive::check_free(output, options.overwrite)?;
    let imported = match source.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx")) {
        true => Some(imported(source, output, options)?),
        false => None,
    };
    let bundle = match &imported {
        Some((_, bundle)) => bundle.as_path(),
        None => source,
    };
    let work = Derivation::begin(bundle, output, options.overwrite, options.parity.stop.clone())?;
    let folder = work.folder.path();
    progress("Optimising", 0, 3);
    let mut graph = work.graph()?;
    let before = counts(&graph);
    let mut merged = graph.merge_common();
    let model = match merged {
        0 => folder.join(MODEL),
        _ => {
            graph.prune();
            work.write_model("merged", &graph)?
        }
    };
    let basic = onnx_runtime(folder, &model, GraphOptimizationLevel::Level1, "basic")?;
    work.check_stop()?;
    progress("Optimising", 1, 3);
    let mut graph = read(&basic)?.graph;
    let attentions = attention::fuse(&mut graph)?;
    merged += graph.merge_common();
    graph.prune();
    let fused = work.write_model("fused", &graph)?;
    let level = GraphOptimizationLevel::Level2;
    let extended = onnx_runtime(folder, &fused, level, "extended")?;
    work.check_stop()?;
    progress("Optimising", 3, 3);
    let graph = read(&extended)?.graph;

    let after = counts(&graph);
    let only_onnx_runtime = only_onnx_runtime(&graph);
    let details = BTreeMap::from([
        ("attentions_fused".to_owned(), attentions.to_string()),
        ("operators_merged".to_owned(), merged.to_string()),
        ("operators".to_owned(), format!("{} of {}", sum(&after), sum(&before))),
    ]);
    let source_digest = work.source.digest().to_owned();
    let change = Change { what: "optimize".into(), source_digest, details };
    let (made, _) = work.write("made.offshoot", &graph, &change)?;
    let open = options.parity.open.clone().cache(WeightCache::Folder(folder.join("cache")));
    let compared =
        parity::Source::embed(bundle, &options.samples, &options.parity, &mut *progress)?;
    let changed = compared.against((&made, &open), &mut *progress)?;
    changed.check(options.min_cosine, "please report it with the encoder's name")?;
    let parity = compared.report(changed, &mut *progress)?;
    work.publish(&made, output, options.overwrite)?;
    let made = new_nodes(&graph, &before);
    Ok(Optimized {
        path: output.to_owned(),
        before,
        after,
        merged,
        made,
        only_onnx_runtime,
        parity,
    })
}

/// A bundle of the ONNX file, in a folder beside the output.
fn imported(
    file: &Path,
    output: &Path,
    options: &OptimizeOptions,
) -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::Builder::new()
        .prefix(".offshoot.")
        .suffix(".partial")
        .tempdir_in(crate::archive::parent(output))
        .map_err(Error::io("write", output))?;
    let bundle = folder.path().join("imported.offshoot");
    let import_options = ImportOptions { stop: options.parity.stop.clone(), ..Default::default() };
    import(file, &bundle, &import_options, &mut |_| {})?;
    Ok((folder, bundle))
}

/// Has ONNX Runtime optimise `model` up to `level` and write it as `NAME.onnx`.
fn onnx_runtime(
    folder: &Path,
    model: &Path,
    level: GraphOptimizationLevel,
    name: &str,
) -> Result<PathBuf> {
    let failed = |error: ort::Error| {
        Error::Quantize(format!("ONNX Runtime could not optimise the graph: {error}"))
    };
    let path = folder.join(format!("{name}.onnx"));
    let engine = Engine::load()?;
    let weights = "session.optimized_model_external_initializers_file_name";
    let from = "session.optimized_model_external_initializers_min_size_in_bytes";
    let session = Session::builder(engine.environment())
        .and_then(|b| Ok(b.with_log_level(LogLevel::Error)?))
        .and_then(|b| Ok(b.with_intra_threads(1)?))
        .and_then(|b| Ok(b.with_optimization_level(level)?))
        .and_then(|b| Ok(b.with_optimized_model_path(&path)?))
        .and_then(|b| Ok(b.with_config_entry(weights, format!("{name}.bin"))?))
        .and_then(|b| Ok(b.with_config_entry(from, INLINE_BELOW.to_string())?))
        .and_then(|mut b| b.commit_from_file(model))
        .map_err(failed)?;
    drop(session);
    Ok(path)
}

fn counts(graph: &Graph) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for node in graph.nodes() {
        *counts.entry(node.operator.clone()).or_insert(0) += 1;
    }
    counts
}

fn sum(counts: &BTreeMap<String, usize>) -> usize {
    counts.values().sum()
}

fn only_onnx_runtime(graph: &Graph) -> Vec<String> {
    let nodes = graph.nodes().iter().filter(|node| node.domain == CONTRIB_DOMAIN);
    let mut names: Vec<String> = nodes.map(|node| node.operator.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Nodes of operators that there were none of before.
fn new_nodes(graph: &Graph, before: &BTreeMap<String, usize>) -> Vec<Made> {
    let nodes = graph.nodes().iter().filter(|node| !before.contains_key(&node.operator));
    nodes
        .map(|node| {
            let weights = node.inputs.iter().flatten().filter(|i| graph.tensor(**i).is_some());
            Made {
                operator: node.operator.clone(),
                node: node.name.clone(),
                weights: weights.map(|weight| graph.value_name(*weight).to_owned()).collect(),
            }
        })
        .collect()
}
