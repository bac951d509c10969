//! Folders that bundles were unpacked to: the graph is finished and the manifest
//! describes it.

use std::path::Path;

use offshoot::bundle::{
    ImageConfig, MANIFEST, MAX_MANIFEST_BYTES, MODEL, Manifest, Modality, TOKENIZER,
    check_entry_name,
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
    check_graph(&graph_path, &graph, &manifest)?;

    let tokenizer = match manifest.modality {
        Modality::Text => Some(read_tokenizer(&folder.join(TOKENIZER))?),
        _ => None,
    };
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

fn read_tokenizer(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_small(path, 256 << 20)?;
    Tokenizer::from_bytes(&bytes)
        .map_err(|error| Error::tokenizer(path, format!("it cannot be read: {error}")))?;
    Ok(bytes)
}

/// Checks that the graph has the inputs and the output of the manifest's bundle.
fn check_graph(path: &Path, graph: &Graph, manifest: &Manifest) -> Result<()> {
    let expected = inputs(manifest);
    let fits = |value: Value, element: ElementType, shape: &[Option<usize>]| {
        graph.tensor_type(value).is_ok_and(|kind| {
            kind.element == element
                && kind.rank() == shape.len()
                // A dimension that the graph leaves open fits every size.
                && kind.shape.iter().zip(shape).all(|(dim, &size)| {
                    dim.fixed().is_none() || size.is_none() || dim.fixed() == size
                })
        })
    };
    for (name, element, shape) in &expected {
        match graph.input_named(name) {
            None => return Err(Error::onnx(path, format!("it lacks the input `{name}`"))),
            Some(input) if fits(input, *element, shape) => {}
            Some(_) => return Err(unfit(path, manifest, &expected)),
        }
    }
    let width = manifest.embedding_size;
    let gives = graph.output_named(OUTPUT).is_some_and(|output| {
        fits(output, ElementType::Float32, &[None, Some(width)])
            && graph
                .tensor_type(output)
                .is_ok_and(|kind| kind.shape.last().and_then(Dim::fixed) == Some(width))
    });
    if gives && graph.inputs().len() == expected.len() {
        return Ok(());
    }
    Err(unfit(path, manifest, &expected))
}

/// An input of a graph: its name, type and shape, `None` for a size that varies.
type Input = (&'static str, ElementType, Vec<Option<usize>>);

/// The inputs of a bundle's graph.
fn inputs(manifest: &Manifest) -> Vec<Input> {
    let mut inputs = Vec::new();
    if manifest.text.is_some() {
        inputs.push(("input_ids", ElementType::Int64, vec![None, None]));
        inputs.push(("attention_mask", ElementType::Int64, vec![None, None]));
    }
    if let Some(ImageConfig { height, width, channels }) = manifest.image {
        let shape = vec![None, Some(height), Some(width), Some(channels)];
        inputs.push(("pixels", ElementType::Uint8, shape));
    }
    if let Some(signal) = &manifest.signal {
        let shape = vec![None, Some(signal.channels), Some(signal.length)];
        inputs.push(("signals", ElementType::Float32, shape));
    }
    inputs
}

fn unfit(path: &Path, manifest: &Manifest, expected: &[Input]) -> Error {
    let shown = |(name, element, shape): &Input| {
        let sizes: Vec<String> =
            shape.iter().map(|size| size.map_or("?".into(), |size| size.to_string())).collect();
        format!("`{name}`, {element} [{}]", sizes.join(", "))
    };
    let inputs: Vec<String> = expected.iter().map(shown).collect();
    Error::onnx(
        path,
        format!(
            "it is not the graph of this folder's {MANIFEST}, which takes {} and gives \
             `{OUTPUT}`, float32 [batch, {}]",
            inputs.join(" and "),
            manifest.embedding_size
        ),
    )
}
