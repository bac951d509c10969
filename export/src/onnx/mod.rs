//! Ready-made ONNX encoders: recognised by the names of their inputs and outputs
//! and brought to the inputs and the output that the runtime uses.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::graph::read::{ReadGraph, read};
use crate::graph::{Dim, ElementType, Graph, TensorType, Value};
use crate::shape;

/// What the folder around an ONNX file says of its encoder.
#[derive(Debug, Default, Clone)]
pub(crate) struct Surroundings {
    /// Width of a token vector.
    pub(crate) token_width: Option<usize>,
    /// Width of the finished embedding.
    pub(crate) embedding_width: Option<usize>,
    /// Position of a text's first token.
    pub(crate) first_position: i64,
}

/// A graph that takes `input_ids` and `attention_mask`, int64 `[batch, tokens]`.
#[derive(Debug)]
pub(crate) struct OnnxEncoder {
    pub(crate) graph: Graph,
    pub(crate) attention_mask: Value,
    pub(crate) result: EncoderOutput,
    /// Rows of the token embedding, where it was found.
    pub(crate) vocabulary: Option<usize>,
    /// The one file that holds the weights, where it is one.
    pub(crate) weights_file: Option<PathBuf>,
}

/// What an encoder's graph gives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EncoderOutput {
    /// Token vectors, `[batch, tokens, width]`.
    Tokens(Value),
    /// Finished embeddings, float32 `[batch, width]`.
    Embedding(Value),
}

/// Outputs that are finished embeddings, and that are token vectors, by the names
/// that exporters give them.
const EMBEDDINGS: [&str; 3] = ["embedding", "sentence_embedding", "text_embeds"];
const TOKENS: [&str; 2] = ["last_hidden_state", "token_embeddings"];

/// Reads the encoder in the ONNX file at `path`.
pub(crate) fn read_encoder(path: &Path, around: &Surroundings) -> Result<OnnxEncoder> {
    let ReadGraph { mut graph, external_files } = read(path)?;
    let weights_file = match external_files.len() {
        0 => Some(path.to_owned()),
        1 => external_files.into_iter().next(),
        _ => None,
    };
    drop_defaults(&mut graph);
    let ids = required_input(path, &graph, "input_ids")?;
    let mask = required_input(path, &graph, "attention_mask")?;
    let vocabulary = embedding_rows(&graph, ids);
    let ids = int64(path, &mut graph, ids)?;
    let attention_mask = int64(path, &mut graph, mask)?;
    absorb_other_inputs(path, &mut graph, ids, attention_mask, around.first_position)?;
    let result = choose_output(path, &mut graph, around)?;
    Ok(OnnxEncoder { graph, attention_mask, result, vocabulary, weights_file })
}

/// Older exporters list every weight as an input with a default value.
fn drop_defaults(graph: &mut Graph) {
    for input in graph.inputs().to_vec() {
        let named = matches!(graph.value_name(input), "input_ids" | "attention_mask");
        if !named && graph.tensor(input).is_some() {
            graph.remove_input(input);
        }
    }
}

fn names(graph: &Graph, values: &[Value]) -> String {
    values.iter().map(|&v| format!("`{}`", graph.value_name(v))).collect::<Vec<_>>().join(", ")
}

fn required_input(path: &Path, graph: &Graph, name: &str) -> Result<Value> {
    let input = graph.input_named(name).ok_or_else(|| {
        Error::onnx(
            path,
            format!(
                "it has no input `{name}` (its inputs are {}); an encoder of text takes `input_ids` \
                 and `attention_mask`",
                names(graph, graph.inputs())
            ),
        )
    })?;
    if graph.tensor(input).is_some() {
        return Err(Error::onnx(path, format!("its input `{name}` is an initializer too")));
    }
    Ok(input)
}

/// Checks an input of integers `[batch, tokens]` of any size, and makes it int64.
fn int64(path: &Path, graph: &mut Graph, input: Value) -> Result<Value> {
    let name = graph.value_name(input).to_owned();
    let kind = graph.tensor_type(input)?.clone();
    if !matches!(kind.element, ElementType::Int64 | ElementType::Int32) || kind.rank() != 2 {
        return Err(Error::onnx(
            path,
            format!("its input `{name}` is {kind}; int64 [batch, tokens] is expected"),
        ));
    }
    if let Some(fixed) = kind.shape.iter().find_map(Dim::fixed) {
        return Err(Error::onnx(
            path,
            format!(
                "its input `{name}` is {kind}, for exactly {fixed} {}; export it again with dynamic \
                 batch and sequence axes",
                if kind.shape[0].fixed().is_some() { "texts" } else { "tokens" }
            ),
        ));
    }
    graph.redeclare(input, TensorType::new(kind.element, shape!["batch", "tokens"]));
    match kind.element {
        ElementType::Int64 => Ok(input),
        _ => graph.widen_input(input),
    }
}

/// Feeds `token_type_ids` with zeros and `position_ids` with positions.
fn absorb_other_inputs(
    path: &Path,
    graph: &mut Graph,
    ids: Value,
    mask: Value,
    first_position: i64,
) -> Result<()> {
    for input in graph.inputs().to_vec() {
        if input == ids || input == mask {
            continue;
        }
        let name = graph.value_name(input).to_owned();
        let element = graph.tensor_type(input)?.element;
        if !matches!(element, ElementType::Int64 | ElementType::Int32) {
            return Err(extra_input(path, &name));
        }
        match name.as_str() {
            "token_type_ids" => graph.feed_input(input, |g| g.zeros_like(ids, element))?,
            "position_ids" => graph.feed_input(input, |g| {
                let positions = g.positions_like(ids, first_position)?;
                g.cast(positions, element)
            })?,
            _ => return Err(extra_input(path, &name)),
        }
    }
    Ok(())
}

fn extra_input(path: &Path, name: &str) -> Error {
    Error::onnx(
        path,
        format!(
            "it has the input `{name}`; an encoder of text takes `input_ids`, `attention_mask` and \
             perhaps `token_type_ids` and `position_ids`"
        ),
    )
}

fn choose_output(path: &Path, graph: &mut Graph, around: &Surroundings) -> Result<EncoderOutput> {
    let named = |names: &[&str]| names.iter().find_map(|name| graph.output_named(name));
    if let Some(output) = named(&EMBEDDINGS) {
        return embedding(path, graph, output, around);
    }
    if let Some(output) = named(&TOKENS) {
        return tokens(path, graph, output, around);
    }
    let of_rank = |rank: usize| {
        let mut outputs = graph.outputs().iter().copied().filter(|&output| {
            graph
                .tensor_type(output)
                .is_ok_and(|kind| kind.element.is_float() && kind.rank() == rank)
        });
        outputs.next().filter(|_| outputs.next().is_none())
    };
    if let Some(output) = of_rank(2) {
        return embedding(path, graph, output, around);
    }
    if let Some(output) = of_rank(3) {
        return tokens(path, graph, output, around);
    }
    Err(Error::onnx(
        path,
        format!(
            "none of its outputs {} is known to be an embedding; accepted are `last_hidden_state`, \
             `token_embeddings`, `sentence_embedding`, `text_embeds` or a single output \
             [batch, width]",
            names(graph, graph.outputs())
        ),
    ))
}

/// Declares `output` as float `[lead…, width]`, where the file agrees or is silent.
fn declare(
    path: &Path,
    graph: &mut Graph,
    output: Value,
    mut lead: Vec<Dim>,
    width: Option<usize>,
) -> Result<()> {
    let name = graph.value_name(output).to_owned();
    let declared = graph.tensor_type(output).ok().cloned();
    if let Some(kind) = &declared
        && (!kind.element.is_float() || kind.rank() != lead.len() + 1)
    {
        return Err(Error::onnx(
            path,
            format!("its output `{name}` is {kind}; floats [{}, width] are expected", {
                lead.iter().map(Dim::to_string).collect::<Vec<_>>().join(", ")
            }),
        ));
    }
    let stated = declared.as_ref().and_then(|kind| kind.shape.last()).and_then(Dim::fixed);
    let width = stated.or(width).ok_or_else(|| {
        Error::onnx(
            path,
            format!(
                "the width of its output `{name}` is not declared, and no config.json with \
                 `hidden_size` stands beside it"
            ),
        )
    })?;
    let element = declared.map_or(ElementType::Float32, |kind| kind.element);
    lead.push(width.into());
    graph.redeclare(output, TensorType::new(element, lead));
    Ok(())
}

fn embedding(
    path: &Path,
    graph: &mut Graph,
    output: Value,
    around: &Surroundings,
) -> Result<EncoderOutput> {
    declare(path, graph, output, shape!["batch"], around.embedding_width)?;
    Ok(EncoderOutput::Embedding(graph.cast(output, ElementType::Float32)?))
}

fn tokens(
    path: &Path,
    graph: &mut Graph,
    output: Value,
    around: &Surroundings,
) -> Result<EncoderOutput> {
    declare(path, graph, output, shape!["batch", "tokens"], around.token_width)?;
    Ok(EncoderOutput::Tokens(output))
}

/// Rows of the tensor that `ids` choose from.
fn embedding_rows(graph: &Graph, ids: Value) -> Option<usize> {
    let mut reached = vec![ids];
    for node in graph.nodes() {
        let reads = |at: usize| {
            node.inputs.get(at).copied().flatten().is_some_and(|value| reached.contains(&value))
        };
        match node.operator.as_str() {
            "Cast" | "Identity" if reads(0) => reached.extend(node.outputs.iter().flatten()),
            "Gather" if reads(1) => {
                let table = node.inputs.first().copied().flatten()?;
                return graph.tensor(table).filter(|t| t.dims.len() == 2).map(|t| t.dims[0]);
            }
            _ => {}
        }
    }
    None
}
