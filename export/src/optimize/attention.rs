//! Attention as exporters of PyTorch write it, found and written as one operator.
//!
//! What is looked for, with factors at any of the places where exporters put them:
//!
//! ```text
//! scores = heads(q) · heads(k)ᵀ [+ bias]      heads: Reshape, Transpose 0 2 1 3
//! out    = Reshape(Transpose 0 2 1 3 (Softmax(scores) · heads(v)))
//! ```
//!
//! `Where(IsNaN(p), 0, p)` around the softmax, which keeps rows that are wholly masked
//! finite, is passed over: a text has at least one token.

use std::collections::HashMap;

use crate::error::Result;
use crate::graph::{Attribute, CONTRIB_DOMAIN, ElementType, Graph, Node, TensorData, Value};

/// One attention that was found.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    /// `[batch, tokens, width]` each.
    query: Value,
    key: Value,
    value: Value,
    /// Added to the scores.
    bias: Option<Value>,
    scale: f32,
    heads: usize,
}

/// Writes every attention that is found as `MultiHeadAttention`, and returns how many.
pub(super) fn fuse(graph: &mut Graph) -> Result<usize> {
    let found = Finder::new(graph).all();
    let count = found.len();
    let mut biases: HashMap<Value, Value> = HashMap::new();
    graph.rewrite(|g, index, _| {
        let Some(found) = found.get(&index) else { return Ok(None) };
        let bias = match found.bias {
            None => None,
            Some(bias) => Some(match biases.get(&bias) {
                Some(wide) => *wide,
                None => {
                    let wide = widen(g, bias, found.query)?;
                    biases.insert(bias, wide);
                    wide
                }
            }),
        };
        let attributes = vec![
            Attribute::int("num_heads", found.heads as i64),
            Attribute::float("scale", found.scale),
        ];
        let Found { query, key, value, .. } = *found;
        let inputs = [Some(query), Some(key), Some(value), None, None, bias];
        Ok(Some(g.push_untyped("MultiHeadAttention", CONTRIB_DOMAIN, &inputs, attributes, 1)))
    })?;
    graph.prune();
    Ok(count)
}

/// The bias with a row for each query, which the operator asks for: exporters leave one
/// where all are the same.
fn widen(g: &mut Graph, bias: Value, query: Value) -> Result<Value> {
    let one = |g: &mut Graph, operator: &str, inputs: &[Value], attributes| {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        let made = g.push_untyped(operator, "", &inputs, attributes, 1);
        made.first().copied().ok_or_else(|| g.error(operator, "it has no output".into()))
    };
    let sizes = one(g, "Shape", &[query], vec![])?;
    let second = g.integers(&[1])?;
    let tokens = one(g, "Gather", &[sizes, second], vec![Attribute::int("axis", 0)])?;
    let ones = g.integers(&[1, 1])?;
    let last = g.integers(&[1])?;
    let shape = one(g, "Concat", &[ones, tokens, last], vec![Attribute::int("axis", 0)])?;
    one(g, "Expand", &[bias, shape], vec![])
}

struct Finder<'a> {
    graph: &'a Graph,
    maker: HashMap<Value, usize>,
    readers: HashMap<Value, Vec<usize>>,
}

impl<'a> Finder<'a> {
    fn new(graph: &'a Graph) -> Self {
        let (mut maker, mut readers) = (HashMap::new(), HashMap::<Value, Vec<usize>>::new());
        for (index, node) in graph.nodes().iter().enumerate() {
            maker.extend(node.outputs.iter().flatten().map(|output| (*output, index)));
            for input in node.inputs.iter().flatten() {
                readers.entry(*input).or_default().push(index);
            }
        }
        Self { graph, maker, readers }
    }

    /// What was found, by the index of the last node of each.
    fn all(&self) -> HashMap<usize, Found> {
        let nodes = self.graph.nodes().iter();
        nodes.filter(|node| is(node, "Softmax")).filter_map(|node| self.attention(node)).collect()
    }

    fn attention(&self, softmax: &Node) -> Option<(usize, Found)> {
        let axis = softmax.attributes.iter().find(|a| a.name == "axis").map_or(-1, |a| a.i);
        if axis != -1 && axis != 3 {
            return None;
        }
        let (last, value) = self.after(output(softmax)?)?;
        let scores = input(softmax, 0)?;
        let (scores, bias) = match self.made_by(scores, "Add") {
            Some(add) => {
                let (a, b) = (input(add, 0)?, input(add, 1)?);
                match self.product_under(a) {
                    true => (a, Some(b)),
                    false => (b, Some(a)),
                }
            }
            None => (scores, None),
        };
        let (product, mut scale) = self.unscaled(scores);
        let product = self.made_by(product, "MatMul")?;
        let (query, factor) = self.unscaled(input(product, 0)?);
        scale *= factor;
        let (key, factor) = self.unscaled(input(product, 1)?);
        scale *= factor;
        let (query, heads) = self.heads(query, &[0, 2, 1, 3])?;
        let (key, factor) = self.turned_key(key)?;
        scale *= factor;
        Some((last, Found { query, key, value, bias, scale, heads }))
    }

    /// From the softmax to the last node, and the values `[batch, tokens, width]`.
    fn after(&self, mut probabilities: Value) -> Option<(usize, Value)> {
        let readers = self.readers.get(&probabilities)?;
        if readers.iter().any(|&i| self.node(i).is_some_and(|node| is(node, "IsNaN"))) {
            let choice = readers.iter().filter_map(|&i| self.node(i)).find(|n| is(n, "Where"))?;
            if input(choice, 2)? != probabilities {
                return None;
            }
            probabilities = output(choice)?;
        }
        let product = self.only_reader(probabilities)?;
        if !is(product, "MatMul") || input(product, 0)? != probabilities {
            return None;
        }
        let (value, _) = self.heads(input(product, 1)?, &[0, 2, 1, 3])?;
        // A reshape to the product's own shape may stand in between.
        let mut joined = output(product)?;
        for _ in 0..2 {
            let readers = self.readers.get(&joined)?.iter().filter_map(|&i| self.node(i));
            let mut readers = readers.filter(|node| !is(node, "Shape"));
            let next = readers.next()?;
            if readers.next().is_some() {
                return None;
            }
            if is(next, "Transpose") {
                if permutation(next) != [0, 2, 1, 3] {
                    return None;
                }
                let last = *self.readers.get(&output(next)?)?.first()?;
                let only = self.only_reader(output(next)?)?;
                return is(only, "Reshape").then_some((last, value));
            }
            if !is(next, "Reshape") {
                return None;
            }
            joined = output(next)?;
        }
        None
    }

    /// The key `[batch, tokens, width]` under its heads, last dimensions swapped, and the
    /// factors on the way.
    fn turned_key(&self, key: Value) -> Option<(Value, f32)> {
        if let Some((key, _)) = self.heads(key, &[0, 2, 3, 1]) {
            return Some((key, 1.0));
        }
        if let Some(turned) = self.made_by(key, "Transpose") {
            if permutation(turned) != [0, 1, 3, 2] {
                return None;
            }
            let (key, factor) = self.unscaled(input(turned, 0)?);
            return Some((self.heads(key, &[0, 2, 1, 3])?.0, factor));
        }
        // Folded to three dimensions, turned, and unfolded.
        let unfolded = self.made_by(key, "Reshape")?;
        let turned = self.made_by(input(unfolded, 0)?, "Transpose")?;
        if permutation(turned) != [0, 2, 1] {
            return None;
        }
        let folded = self.made_by(input(turned, 0)?, "Reshape")?;
        Some((self.heads(input(folded, 0)?, &[0, 2, 1, 3])?.0, 1.0))
    }

    /// What `Reshape` and `Transpose` by `order` split into heads, and their number.
    fn heads(&self, value: Value, order: &[i64]) -> Option<(Value, usize)> {
        let transpose = self.made_by(value, "Transpose")?;
        if permutation(transpose) != order {
            return None;
        }
        let reshape = self.made_by(input(transpose, 0)?, "Reshape")?;
        let joined = input(reshape, 0)?;
        let (heads, size) = self.last_sizes(input(reshape, 1)?)?;
        let heads = match (heads, size) {
            (1.., _) => heads,
            (_, 1..) => self.width(joined)? / size,
            _ => return None,
        };
        Some((joined, usize::try_from(heads).ok().filter(|heads| *heads > 0)?))
    }

    /// The last two of the sizes that a `Reshape` gives.
    fn last_sizes(&self, sizes: Value) -> Option<(i64, i64)> {
        if let Some(all) = self.integers(sizes) {
            return match all[..] {
                [_, _, heads, size] => Some((heads, size)),
                _ => None,
            };
        }
        let parts = self.made_by(sizes, "Concat")?;
        let mut last = parts.inputs.iter().rev().flatten();
        let mut one = || match self.integers(*last.next()?)?[..] {
            [size] => Some(size),
            _ => None,
        };
        let size = one()?;
        Some((one()?, size))
    }

    /// Width of a projection.
    fn width(&self, value: Value) -> Option<i64> {
        let node = self.node(*self.maker.get(&value)?)?;
        let weight = match &*node.operator {
            "MatMul" => input(node, 1)?,
            "Add" => {
                let bias = node.inputs.iter().flatten().find_map(|i| self.graph.tensor(*i))?;
                return i64::try_from(*bias.dims.last()?).ok();
            }
            _ => return None,
        };
        i64::try_from(*self.graph.tensor(weight)?.dims.last()?).ok()
    }

    /// What is under factors, and their product.
    fn unscaled(&self, mut value: Value) -> (Value, f32) {
        let mut scale = 1.0;
        while let Some(node) = self.maker.get(&value).and_then(|&i| self.node(i)) {
            let (Some(a), Some(b)) = (input(node, 0), input(node, 1)) else { break };
            match (&*node.operator, self.scalar(a), self.scalar(b)) {
                ("Mul", None, Some(factor)) => (value, scale) = (a, scale * factor),
                ("Mul", Some(factor), None) => (value, scale) = (b, scale * factor),
                ("Div", None, Some(divisor)) => (value, scale) = (a, scale / divisor),
                _ => break,
            }
        }
        (value, scale)
    }

    fn product_under(&self, value: Value) -> bool {
        self.made_by(self.unscaled(value).0, "MatMul").is_some()
    }

    fn node(&self, index: usize) -> Option<&'a Node> {
        self.graph.nodes().get(index)
    }

    fn made_by(&self, value: Value, operator: &str) -> Option<&'a Node> {
        self.node(*self.maker.get(&value)?).filter(|node| is(node, operator))
    }

    fn only_reader(&self, value: Value) -> Option<&'a Node> {
        match self.readers.get(&value)?[..] {
            [index] => self.node(index),
            _ => None,
        }
    }

    fn integers(&self, value: Value) -> Option<Vec<i64>> {
        let tensor = self.graph.tensor(value)?;
        match &tensor.data {
            TensorData::Bytes(bytes) if tensor.element == ElementType::Int64 => {
                Some(bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
            }
            _ => None,
        }
    }

    fn scalar(&self, value: Value) -> Option<f32> {
        let tensor = self.graph.tensor(value)?;
        match &tensor.data {
            TensorData::Bytes(bytes) if tensor.element == ElementType::Float32 => {
                match bytes.as_chunks::<4>().0 {
                    [bytes] => Some(f32::from_le_bytes(*bytes)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn is(node: &Node, operator: &str) -> bool {
    node.operator == operator && matches!(&*node.domain, "" | "ai.onnx")
}

fn input(node: &Node, at: usize) -> Option<Value> {
    node.inputs.get(at).copied().flatten()
}

fn output(node: &Node) -> Option<Value> {
    node.outputs.first().copied().flatten()
}

fn permutation(node: &Node) -> &[i64] {
    node.attributes.iter().find(|a| a.name == "perm").map_or(&[], |a| &a.ints)
}
