//! Copies of forward operators that run when a gradient is there.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Forward, Group};
use crate::error::Result;
use crate::graph::{Attribute, Dim, ElementType, Graph, Node, TensorType, Value};

/// Forward operators that are computed again together, from the moment that the first part of
/// the backward pass that reads one of them has its gradient.
pub(super) struct Part {
    pub(super) group: Group,
    /// Places of the operators, in order.
    pub(super) nodes: BTreeSet<usize>,
    /// What the backward pass reads of them.
    pub(super) read: HashSet<Value>,
}

/// What is to be computed again, in parts that share no operator.
pub(super) fn parts(forward: &Forward<'_>, first: usize, groups: &[Group]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for node in forward.graph.nodes() {
        let Some(made) = node.outputs.iter().flatten().next() else { continue };
        if made.index() < first || node.operator == "Shape" || node.operator == "Size" {
            continue;
        }
        let group = groups.iter().take_while(|group| group.from <= made.index()).last();
        let Some(&group) = group else { continue };
        for &value in node.inputs.iter().flatten() {
            let Some(at) = forward.again(value) else { continue };
            let nodes = needed(forward, at);
            // Those before came earlier in the backward pass.
            let shares = |part: &Part| !part.nodes.is_disjoint(&nodes);
            let (shared, mut others): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(shares);
            let mut whole = Part { group, nodes, read: HashSet::from([value]) };
            for part in shared {
                if part.group.from < whole.group.from {
                    whole.group = part.group;
                }
                whole.nodes.extend(part.nodes);
                whole.read.extend(part.read);
            }
            others.push(whole);
            parts = others;
        }
    }
    parts
}

/// An operator and those before it that have to be computed again for it.
fn needed(forward: &Forward<'_>, at: usize) -> BTreeSet<usize> {
    let mut nodes = BTreeSet::new();
    let mut open = vec![at];
    while let Some(at) = open.pop() {
        if nodes.insert(at)
            && let Some(node) = forward.node(at)
        {
            open.extend(node.inputs.iter().flatten().filter_map(|&input| forward.again(input)));
        }
    }
    nodes
}

/// What holds copies back.
pub(super) struct Barrier<'a> {
    pub(super) group: Group,
    pub(super) data: &'a HashSet<Value>,
}

/// Adds copies of `nodes` where the barrier's gradient is there, and lets the backward pass read
/// them.
pub(super) fn insert(graph: &mut Graph, barrier: &Barrier<'_>, nodes: Vec<Node>) -> Result<()> {
    let from = barrier.group.from;
    let mut all = graph.take_nodes();
    let begins = |node: &Node| {
        node.outputs.iter().flatten().next().is_some_and(|output| output.index() >= from)
    };
    let at = all.iter().position(begins).unwrap_or(all.len());
    let after = all.split_off(at);
    for node in all {
        graph.put_node(node);
    }
    let copied = graph.in_scope("again", |g| copy(g, barrier, nodes));
    for mut node in after {
        if let Ok(copied) = &copied {
            for input in node.inputs.iter_mut().flatten() {
                *input = copied.get(input).copied().unwrap_or(*input);
            }
        }
        graph.put_node(node);
    }
    copied.map(|_| ())
}

fn copy(g: &mut Graph, barrier: &Barrier<'_>, nodes: Vec<Node>) -> Result<HashMap<Value, Value>> {
    let zero = zero(g, barrier.group.gradient)?;
    let mut copied: HashMap<Value, Value> = HashMap::new();
    let mut held: HashMap<Value, Value> = HashMap::new();
    for node in nodes {
        let mut inputs = node.inputs.clone();
        let from_data = |value: Value| barrier.data.contains(&value);
        // Sizes are read as they are, unless nothing else holds the copy back.
        let is_held = |g: &Graph, value: Value| {
            g.tensor_type(value).is_ok_and(|kind| kind.element.is_float())
        };
        let float = inputs
            .iter()
            .flatten()
            .any(|&value| copied.contains_key(&value) || from_data(value) && is_held(g, value));
        for input in inputs.iter_mut().flatten() {
            if let Some(copy) = copied.get(input) {
                *input = *copy;
            } else if from_data(*input) && (!float || is_held(g, *input)) {
                *input = match held.get(input) {
                    Some(value) => *value,
                    None => {
                        let value = hold(g, *input, zero)?;
                        held.insert(*input, value);
                        value
                    }
                };
            }
        }
        let outputs = g.push_copy(&node, inputs);
        let pairs = node.outputs.iter().zip(outputs);
        copied.extend(pairs.filter_map(|(old, new)| Some(((*old)?, new?))));
    }
    Ok(copied)
}

/// The integer 0, which no engine knows before the first number of `late` is there.
fn zero(g: &mut Graph, late: Value) -> Result<Value> {
    let flat = g.integers(&[-1])?;
    let flat = g.op("Reshape", &[late, flat], vec![])?;
    let (start, end) = (g.integers(&[0])?, g.integers(&[1])?);
    let number = g.op("Slice", &[flat, start, end], vec![])?;
    let number = g.cast(number, ElementType::Float32)?;
    let no_number = g.op("IsNaN", &[number], vec![])?;
    let one_or_zero = g.cast(no_number, ElementType::Int64)?;
    // Of an empty gradient there is no number.
    let axes = g.integers(&[0])?;
    let keep = vec![Attribute::int("keepdims", 0)];
    let sum = g.op("ReduceSum", &[one_or_zero, axes], keep)?;
    let none = g.constant(crate::graph::Tensor::from_i64(&[], &[0]))?;
    g.op("Min", &[sum, none], vec![])
}

/// `x`, once `zero` is there.
fn hold(g: &mut Graph, x: Value, zero: Value) -> Result<Value> {
    let kind = g.tensor_type(x)?.clone();
    let sizes = super::super::backward::shape_of(g, x)?;
    let whole = TensorType::new(ElementType::Int64, vec![Dim::from(kind.rank())]);
    let sizes = g.push("Add", &[sizes, zero], vec![], whole)?;
    let empty = kind.shape.iter().any(|dim| dim.fixed() == Some(0));
    let attributes = if empty { vec![Attribute::int("allowzero", 1)] } else { vec![] };
    g.push("Reshape", &[x, sizes], attributes, kind)
}
