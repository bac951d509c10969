//! Where in a graph every token still has a vector of its own: what its pooling reads.
//!
//! A bundle's graph ends with the pooling, under whatever names its exporter chose. But all that
//! goes from the token ids to the embedding passes the vectors of the tokens, and they are the
//! last such value with a row for each token. Which values all passes is seen from the graph;
//! which of them has the shape, from a run on a few tokens.

use std::collections::{HashMap, HashSet};

use onnx_protobuf::{GraphProto, Message, ModelProto, NodeProto, ValueInfoProto};
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;

use super::prepared::commit_bundle;
use super::{OpenOptions, builder};
use crate::adapter::Adapter;
use crate::bundle::{Bundle, MODEL};
use crate::error::{Error, Result, engine};
use crate::library::Engine;

/// Most values that are tried, the last ones of the graph.
const TRIED: usize = 32;
/// Tokens of the text that is run; a number that few other sizes have.
const TOKENS: usize = 7;
/// Deepest nesting of graphs in graphs that is followed.
const MAX_DEPTH: usize = 32;

/// A bundle's graph up to the vectors of the tokens.
#[derive(Debug)]
pub(crate) struct Unpooled {
    /// How it is opened: on the bundle's pages, as an adapted graph is.
    pub(crate) options: OpenOptions,
    /// Name of its output, `[batch, tokens, width]`.
    pub(crate) output: String,
    /// Width of a token's vector.
    pub(crate) width: usize,
}

impl Unpooled {
    /// Finds it; `None` where no value has a row for each token.
    pub(crate) fn find(
        bundle: &Bundle,
        options: &OpenOptions,
        engine_: &Engine,
    ) -> Result<Option<Self>> {
        let bytes = match &options.adapter {
            Some(adapter) => adapter.model().to_vec(),
            None => bundle.read(MODEL)?,
        };
        let bad = |reason: String| Error::Bundle {
            path: bundle.path().to_owned(),
            reason: format!("`{MODEL}`: {reason}"),
        };
        let model = ModelProto::parse_from_bytes(&bytes).map_err(|e| bad(e.to_string()))?;
        let tried = candidates(&model.graph);
        if tried.is_empty() {
            return Ok(None);
        }
        let written = |outputs: &[String]| -> Result<OpenOptions> {
            let bytes =
                cut(model.clone(), outputs).write_to_bytes().map_err(|e| bad(e.to_string()))?;
            let adapter = Some(Adapter::of_graph(bundle, bytes).into());
            Ok(OpenOptions { adapter, ..options.clone() })
        };
        let Some((output, width)) = first_fit(bundle, &written(&tried)?, engine_, &tried)? else {
            return Ok(None);
        };
        let options = written(std::slice::from_ref(&output))?;
        Ok(Some(Self { options, output, width }))
    }
}

/// The first of these values that has a row of float32 for each token, and its width.
fn first_fit(
    bundle: &Bundle,
    options: &OpenOptions,
    engine_: &Engine,
    tried: &[String],
) -> Result<Option<(String, usize)>> {
    let act = "look for the vectors of tokens";
    let plain = builder(options, engine_, 1)?
        .with_optimization_level(GraphOptimizationLevel::Disable)
        .map_err(engine(act))?;
    let mut session = commit_bundle(bundle, options, plain)?;
    let most = bundle.manifest().text.as_ref().map_or(TOKENS, |text| text.max_tokens);
    let tokens = TOKENS.min(most);
    let row = |value: i64| {
        let tensor = Tensor::from_array(([1, tokens], vec![value; tokens]));
        tensor.map_err(engine(act))
    };
    let pad = bundle.manifest().text.as_ref().map_or(0, |text| i64::from(text.pad_id));
    let inputs = ort::inputs!["input_ids" => row(pad)?, "attention_mask" => row(1)?];
    let outputs = session.run(inputs).map_err(engine(act))?;
    for name in tried {
        let shape = outputs.get(name).and_then(|value| {
            value.try_extract_tensor::<f32>().ok().map(|(shape, _)| shape[..].to_vec())
        });
        if let Some([1, rows, width]) = shape.as_deref()
            && *rows == tokens as i64
            && *width > 0
            && tokens > 1
        {
            return Ok(Some((name.clone(), usize::try_from(*width).unwrap_or(0))));
        }
    }
    Ok(None)
}

/// Values that all passes which goes from the token ids to the embedding, the last ones first.
/// What is only scaled or covered by the mask is left out: what it was made of is there too.
fn candidates(graph: &GraphProto) -> Vec<String> {
    let reads: Vec<Vec<&str>> = graph.node.iter().map(|node| inputs(node, 0)).collect();
    let made_from = |source| -> HashSet<&str> {
        let mut made = HashSet::from([source]);
        for (node, reads) in graph.node.iter().zip(&reads) {
            if !gives_sizes(node) && reads.iter().any(|name| made.contains(name)) {
                made.extend(node.output.iter().map(String::as_str));
            }
        }
        made
    };
    let (from_ids, from_mask) = (made_from("input_ids"), made_from("attention_mask"));
    let wanted = needed(graph, &["embedding"]);
    let on_path = |name: &str| from_ids.contains(name) && wanted.contains(name);
    let mut last_read: HashMap<&str, usize> = HashMap::new();
    for (at, (node, reads)) in graph.node.iter().zip(&reads).enumerate() {
        if gives_sizes(node) {
            continue;
        }
        last_read.extend(reads.iter().filter(|name| on_path(name)).map(|name| (*name, at)));
    }
    let mut passed = Vec::new();
    // The farthest operator that reads anything from before.
    let mut open = last_read.get("input_ids").copied().unwrap_or(usize::MAX);
    for (at, (node, reads)) in graph.node.iter().zip(&reads).enumerate() {
        let made: Vec<&str> =
            node.output.iter().map(String::as_str).filter(|name| on_path(name)).collect();
        let masked = ["Mul", "Div", "Where"].contains(&node.op_type.as_str())
            && reads.iter().any(|name| from_mask.contains(name) && !from_ids.contains(name));
        if let [name] = made[..]
            && open <= at
            && !masked
        {
            passed.push(name.to_owned());
        }
        for name in made {
            open = open.max(last_read.get(name).copied().unwrap_or(at));
        }
    }
    passed.reverse();
    passed.truncate(TRIED);
    passed
}

/// Whether an operator gives sizes, which are no content.
fn gives_sizes(node: &NodeProto) -> bool {
    ["Shape", "Size"].contains(&node.op_type.as_str())
}

/// Everything that an operator reads, inner graphs included.
fn inputs(node: &NodeProto, depth: usize) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    if depth < MAX_DEPTH {
        for attribute in &node.attribute {
            for graph in attribute.g.iter().chain(&attribute.graphs) {
                names.extend(graph.node.iter().flat_map(|node| inputs(node, depth + 1)));
                names.extend(graph.output.iter().map(|value| value.name.as_str()));
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The names of all values that these ones are made of, themselves included.
fn needed<'a>(graph: &'a GraphProto, outputs: &[&'a str]) -> HashSet<&'a str> {
    let mut wanted: HashSet<&str> = outputs.iter().copied().collect();
    for node in graph.node.iter().rev() {
        if node.output.iter().any(|name| wanted.contains(name.as_str())) {
            wanted.extend(inputs(node, 0));
        }
    }
    wanted
}

/// The part of a model that makes these values, which become its outputs.
fn cut(mut model: ModelProto, outputs: &[String]) -> ModelProto {
    let Some(graph) = model.graph.as_mut() else { return model };
    let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let wanted: HashSet<String> = needed(graph, &names).into_iter().map(str::to_owned).collect();
    graph.node.retain(|node| node.output.iter().any(|name| wanted.contains(name)));
    graph.initializer.retain(|tensor| wanted.contains(&tensor.name));
    // ONNX Runtime infers the types.
    let output = |name: &String| ValueInfoProto { name: name.clone(), ..Default::default() };
    graph.output = outputs.iter().map(output).collect();
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: op_type.into(),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..Default::default()
        }
    }

    #[test]
    fn the_pooling_reads_what_everything_passes() {
        let nodes = vec![
            node("Gather", &["table", "input_ids"], "embedded"),
            node("Shape", &["input_ids"], "size"),
            node("MatMul", &["embedded", "w"], "inner"),
            node("Softmax", &["inner"], "weights"),
            node("Add", &["weights", "embedded"], "stream"),
            node("Cast", &["attention_mask"], "mask"),
            node("Unsqueeze", &["mask"], "column"),
            node("Mul", &["stream", "column"], "masked"),
            node("ReduceSum", &["masked"], "sum"),
            node("ReduceSum", &["mask"], "count"),
            node("Div", &["sum", "count"], "mean"),
            node("ReduceL2", &["mean"], "norm"),
            node("Div", &["mean", "norm"], "embedding"),
        ];
        let graph = GraphProto { node: nodes, ..Default::default() };
        // The last is the mean's sum; the mean itself was divided by what the mask gives.
        assert_eq!(candidates(&graph), ["embedding", "sum", "stream", "embedded"]);
        let model = ModelProto { graph: Some(graph).into(), ..Default::default() };
        let cut = cut(model, &["stream".into()]);
        let left: Vec<&str> = cut.graph.node.iter().map(|node| node.output[0].as_str()).collect();
        assert_eq!(left, ["embedded", "inner", "weights", "stream"]);
        assert_eq!(cut.graph.output[0].name, "stream");
    }
}
