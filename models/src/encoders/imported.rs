//! An encoder of texts that was imported: its graph is that of its bundle.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use offshoot::bundle::Bundle;
use offshoot_export::adapt::EncoderGraph;
use offshoot_export::graph::{ElementType, Graph, Tensor, TensorType, Value};
use offshoot_export::shape;

use super::{Features, Init, Network};
use crate::error::{Error, Result};

/// An encoder of texts with a graph of its own, of which every float32 tensor is trained.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Imported {
    /// Digest of its bundle.
    pub digest: String,
    /// Width of an embedding.
    pub width: usize,
    /// Rows and columns of the token table, where the graph has one whose columns are as many as
    /// the numbers of the vectors that are pooled.
    pub table: Option<[usize; 2]>,
    #[serde(skip)]
    source: Loaded,
}

/// The graph, where it was read. Which it is, the digest says.
#[derive(Clone, Default)]
struct Loaded(Option<Arc<Source>>);

struct Source {
    encoder: EncoderGraph,
    /// Names and dimensions of what is trained.
    parameters: Vec<(String, Vec<usize>)>,
    table: Option<String>,
    /// A vector a token, before they are pooled.
    tokens: Option<Value>,
    pooled: Value,
}

impl PartialEq for Loaded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").finish_non_exhaustive()
    }
}

impl Imported {
    /// Reads the graph of a bundle and brings it to standard operators.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when it does not read texts, or its weights are not 32-bit floats;
    /// those of the graph.
    pub fn read(bundle: &Bundle) -> Result<Self> {
        let bad = |reason: String| {
            Error::Pretrain(format!("{} cannot be trained: {reason}", bundle.path().display()))
        };
        if bundle.manifest().text.is_none() {
            return Err(bad("it does not read texts, and was not pretrained here".into()));
        }
        let mut encoder = EncoderGraph::read(bundle)?;
        let mut own = HashSet::new();
        for (value, tensor) in encoder.graph.initializers() {
            let name = encoder.graph.value_name(*value).to_owned();
            let other = tensor.element.is_float() && tensor.element != ElementType::Float32;
            let byte = matches!(tensor.element, ElementType::Int8 | ElementType::Uint8);
            if (other || byte) && tensor.dims.len() > 1 {
                return Err(bad(format!(
                    "its weight `{name}` is of {}; begin with the bundle of 32-bit floats that it \
                     was made of",
                    tensor.element
                )));
            }
            own.insert(name);
        }
        encoder.to_standard()?;
        let g = &encoder.graph;
        let pooled = g
            .output_named("embedding")
            .ok_or_else(|| bad("its graph has no output `embedding`; import it again".into()))?;
        if let Some(&input) = g
            .inputs()
            .iter()
            .find(|&&v| !["input_ids", "attention_mask"].contains(&g.value_name(v)))
        {
            return Err(bad(format!("its graph wants an input `{}`", g.value_name(input))));
        }
        let parameters: Vec<(String, Vec<usize>)> = g
            .initializers()
            .iter()
            .filter(|(_, t)| t.element == ElementType::Float32 && t.elements().unwrap_or(0) > 1)
            .map(|(value, tensor)| (g.value_name(*value).to_owned(), tensor.dims.clone()))
            .filter(|(name, _)| own.contains(name) && !name.starts_with("constant."))
            .collect();
        if parameters.is_empty() {
            return Err(bad("its graph has no float32 weights".into()));
        }
        let table = table(g, &parameters);
        let tokens = table.as_ref().and_then(|(_, [_, width])| token_vectors(g, *width));
        let table = table.filter(|_| tokens.is_some());
        Ok(Self {
            digest: bundle.digest().to_owned(),
            width: bundle.manifest().embedding_size,
            table: table.as_ref().map(|(_, dims)| *dims),
            source: Loaded(Some(Arc::new(Source {
                parameters,
                table: table.map(|(name, _)| name),
                tokens,
                pooled,
                encoder,
            }))),
        })
    }

    fn source(&self) -> Result<Arc<Source>> {
        self.source
            .0
            .clone()
            .ok_or_else(|| Error::Pretrain("the graph of the imported encoder was not read".into()))
    }

    /// Its weights as the bundle has them.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when its graph was not read.
    pub fn weights(&self) -> Result<BTreeMap<String, Tensor>> {
        let source = self.source()?;
        let g = &source.encoder.graph;
        let names: HashSet<&str> = source.parameters.iter().map(|(name, _)| &name[..]).collect();
        let all = g.initializers().iter().map(|(value, tensor)| (g.value_name(*value), tensor));
        let kept = all.filter(|(name, _)| names.contains(name));
        Ok(kept.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect())
    }

    /// Encodes `ids` under `mask`, both int64 `[batch, tokens]`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn encode(&self, net: &mut Network<'_>, ids: Value, mask: Value) -> Result<Features> {
        let source = self.source()?;
        let mut tensors = HashMap::new();
        for (name, dims) in &source.parameters {
            tensors.insert(name.as_str(), net.weight(name, dims, Init::Zeros)?);
        }
        let g = &mut *net.graph;
        let wanted: Vec<Value> = source.tokens.into_iter().chain([source.pooled]).collect();
        let inputs = [("input_ids", ids), ("attention_mask", mask)];
        let made = g.inline(&source.encoder.graph, &inputs, &tensors, &wanted)?;
        let missing = || Error::Pretrain("the imported encoder gives no embedding".into());
        let pooled = *made.last().ok_or_else(missing)?;
        let rows = g.tensor_type(ids)?.shape.first().cloned().unwrap_or_else(|| 1.into());
        g.declare_type(pooled, TensorType::new(ElementType::Float32, shape![rows, self.width]));
        let tokens = match source.tokens.and(made.first()) {
            Some(&tokens) => tokens,
            None => g.unsqueeze(pooled, &[1])?,
        };
        Ok(Features { tokens, pooled, width: self.width })
    }

    /// The token table.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when the graph has none that is known; those of the graph.
    pub fn token_table(&self, net: &mut Network<'_>) -> Result<Value> {
        let source = self.source()?;
        match (&source.table, self.table) {
            (Some(name), Some(dims)) => net.weight(name, &dims, Init::Zeros),
            _ => Err(Error::Pretrain("the imported encoder has no table of tokens".into())),
        }
    }
}

/// The matrix of which `input_ids` choose rows.
fn table(g: &Graph, parameters: &[(String, Vec<usize>)]) -> Option<(String, [usize; 2])> {
    let ids = g.input_named("input_ids")?;
    let gathers = g.nodes().iter().filter(|node| node.operator == "Gather");
    let mut tables = gathers.filter(|node| node.inputs.get(1) == Some(&Some(ids)));
    let name = g.value_name(tables.next()?.inputs.first().copied().flatten()?);
    let (_, dims) = parameters.iter().find(|(known, _)| known == name)?;
    match dims[..] {
        [rows, columns] => Some((name.to_owned(), [rows, columns])),
        _ => None,
    }
}

/// The last value of the shape `[batch, tokens, width]`.
fn token_vectors(g: &Graph, width: usize) -> Option<Value> {
    let ids = g.tensor_type(g.input_named("input_ids")?).ok()?.shape.clone();
    let values = g.nodes().iter().rev().flat_map(|node| node.outputs.iter().flatten().copied());
    values.into_iter().find(|&value| {
        g.tensor_type(value).is_ok_and(|kind| {
            kind.element == ElementType::Float32
                && kind.rank() == 3
                && kind.shape[..2] == ids[..]
                && kind.shape[2].fixed() == Some(width)
        })
    })
}
