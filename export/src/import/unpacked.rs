//! Folders that bundles were unpacked to: the graph is finished and the manifest
//! describes it.

use std::path::Path;

use offshoot::bundle::{
    MANIFEST, MAX_MANIFEST_BYTES, MODEL, Manifest, TOKENIZER, check_entry_name,
};
use tokenizers::Tokenizer;

use super::head::OUTPUT;
use super::json::read_small;
use super::{ImportOptions, Plan};
use crate::error::{Error, Result};
use crate::graph::external::WEIGHTS_FILE;
use crate::graph::read::read;
use crate::graph::{Dim, ElementType, Graph, Value};

/// A plan that packs `folder` again. Nothing changed in it gives the same bytes.
pub(super) fn plan(folder: &Path, options: &ImportOptions) -> Result<Plan> {
    let manifest_path = folder.join(MANIFEST);
    let mut manifest = Manifest::from_json(&read_small(&manifest_path, MAX_MANIFEST_BYTES)?)
        .map_err(|error| Error::Json {
            path: manifest_path.clone(),
            reason: format!(
                "{error}; a folder with {MODEL} and {MANIFEST} is taken for an unpacked \
                     bundle"
            ),
        })?;
    let graph_path = folder.join(MODEL);
    let graph = read(&graph_path)?.graph;
    check_graph(&graph_path, &graph, manifest.embedding_size)?;

    let tokenizer_path = folder.join(TOKENIZER);
    let tokenizer = read_small(&tokenizer_path, 256 << 20)?;
    Tokenizer::from_bytes(&tokenizer).map_err(|error| {
        Error::tokenizer(&tokenizer_path, format!("it cannot be read: {error}"))
    })?;
    let mut carried = Vec::new();
    for name in manifest.entries.keys() {
        if matches!(name.as_str(), MODEL | WEIGHTS_FILE | TOKENIZER) {
            continue;
        }
        check_entry_name(name).map_err(|reason| {
            Error::key(&manifest_path, "entries", format!("has `{name}`: {reason}"))
        })?;
        let path = folder.join(name);
        if path.is_file() {
            carried.push((name.clone(), read_small(&path, 16 << 20)?));
        }
    }

    if let Some(name) = &options.name {
        manifest.name.clone_from(name);
    }
    if options.licence.is_some() {
        manifest.licence.clone_from(&options.licence);
    }
    if let (Some(asked), Some(text)) = (options.max_tokens, &mut manifest.text) {
        if asked == 0 || asked > text.max_tokens {
            return Err(Error::key(
                &manifest_path,
                "text.max_tokens",
                format!("is {}, and {asked} were asked for; a bundle can only be shortened", {
                    text.max_tokens
                }),
            ));
        }
        text.max_tokens = asked;
    }
    Ok(Plan { graph, manifest, tokenizer, carried, weights_file: None, notes: Vec::new() })
}

/// Checks that the graph has the inputs and the output of a bundle.
fn check_graph(path: &Path, graph: &Graph, width: usize) -> Result<()> {
    let is = |value: Value, element: ElementType, rank: usize| {
        graph.tensor_type(value).is_ok_and(|kind| kind.element == element && kind.rank() == rank)
    };
    let inputs = ["input_ids", "attention_mask"].map(|name| graph.input_named(name));
    let [Some(ids), Some(mask)] = inputs else {
        return Err(Error::onnx(path, "it lacks the input `input_ids` or `attention_mask`"));
    };
    let output = graph.output_named(OUTPUT);
    let fits = graph.inputs().len() == 2
        && is(ids, ElementType::Int64, 2)
        && is(mask, ElementType::Int64, 2)
        && output.is_some_and(|output| {
            is(output, ElementType::Float32, 2)
                && graph
                    .tensor_type(output)
                    .is_ok_and(|kind| kind.shape.last().and_then(Dim::fixed) == Some(width))
        });
    if fits {
        return Ok(());
    }
    Err(Error::onnx(
        path,
        format!(
            "it is not the graph of this folder's {MANIFEST}, which takes `input_ids` and \
             `attention_mask`, int64 [batch, tokens], and gives `{OUTPUT}`, float32 [batch, {width}]"
        ),
    ))
}
