//! Activations that are computed again in place of being kept.
//!
//! A backward pass reads what the forward pass computed, so a step keeps nearly all of it. It
//! may keep some values only and compute what lies between them again when the backward pass
//! gets there (Chen, Xu, Zhang & Guestrin, 2016, arXiv:1604.06174); where that is done for
//! cheap operators only, it costs little time (Korthikanti et al., 2022, arXiv:2205.05198).
//!
//! Two things would undo it. An engine computes once what two operators compute alike, and it
//! chooses the order in which operators run. So what the copies read passes a `Reshape` to the
//! shape that it has, whose sizes had a zero added that was made of the gradient that arrives
//! there: no engine can tell that it is zero, nothing is moved, and no copy can run before that
//! gradient is there. The numbers are those of the operators that are copied.

mod cheap;
mod copies;

use std::collections::{HashMap, HashSet};

use self::copies::Barrier;
use super::Path;
use crate::error::{Error, Result};
use crate::graph::read::captured;
use crate::graph::{Graph, Node, RANDOM, Value};

/// Which activations a backward pass computes again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Recompute {
    /// None: all that it reads are kept.
    #[default]
    Nothing,
    /// Those that cheap operators made (activation functions, normalisation, sums, scales,
    /// transpositions), where fewer bytes are then kept. No product and no convolution runs
    /// twice.
    Cheap,
    /// All but the sums that end residual branches. The forward pass up to the last of them
    /// runs twice. Nothing in graphs without such sums.
    Blocks,
    /// All but the values of these names: the forward pass up to the last of them runs twice.
    Between(Vec<String>),
}

/// What the walk added for one operator: values from `from` on, once `gradient` was there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) from: usize,
    pub(super) gradient: Value,
}

/// The forward pass as it stands when the walk is done.
struct Forward<'a> {
    graph: &'a Graph,
    /// The operator that made each value.
    made: HashMap<Value, usize>,
    /// What depends on the data that a step is given.
    data: HashSet<Value>,
    /// What is kept whatever reads it.
    kept: HashSet<Value>,
}

impl Forward<'_> {
    /// The operator that computes a value again; `None` for one that is kept.
    fn again(&self, value: Value) -> Option<usize> {
        let at = *self.made.get(&value)?;
        let free = self.data.contains(&value) && !self.kept.contains(&value);
        free.then_some(at)
    }

    fn node(&self, at: usize) -> Option<&Node> {
        self.graph.nodes().get(at)
    }
}

/// Lets the backward pass of `graph` compute again what `what` says. Values from `first` on are
/// the backward pass's; `groups` are its parts, in order.
pub(super) fn apply(
    graph: &mut Graph,
    what: &Recompute,
    path: &Path,
    first: usize,
    groups: &[Group],
) -> Result<()> {
    let is_backward = |node: &Node| {
        node.outputs.iter().flatten().next().is_some_and(|output| output.index() >= first)
    };
    let joins = joins(graph, path, first);
    let mut kept = unrepeatable(graph, &is_backward);
    let ends: HashSet<Value> = match what {
        Recompute::Nothing => return Ok(()),
        Recompute::Cheap | Recompute::Blocks => joins.iter().copied().collect(),
        Recompute::Between(names) => {
            let find = |name: &String| {
                graph.value_named(name).filter(|value| value.index() < first).ok_or_else(|| {
                    Error::Gradient(format!(
                        "there is no value `{name}` to be kept in place of being computed again"
                    ))
                })
            };
            names.iter().map(find).collect::<Result<_>>()?
        }
    };
    // What comes after the last value that is kept is needed at once.
    let last = graph.nodes().iter().rposition(|node| {
        !is_backward(node) && node.outputs.iter().flatten().any(|output| ends.contains(output))
    });
    let last = match (last, what) {
        (Some(last), _) => last,
        (None, Recompute::Cheap) => graph.nodes().len(),
        (None, _) => return Ok(()),
    };
    for node in graph.nodes().iter().skip(last).filter(|node| !is_backward(node)) {
        kept.extend(node.outputs.iter().flatten());
    }
    kept.extend(ends);
    let data = of_data(graph, &is_backward);
    if *what == Recompute::Cheap {
        kept.extend(cheap::expensive(graph, &data, &is_backward));
    }

    let forward = Forward { made: made(graph, &is_backward), data, kept, graph };
    let mut parts = copies::parts(&forward, first, groups);
    if *what == Recompute::Cheap {
        parts.retain(|part| cheap::saves(&forward, part, first));
    }
    let parts: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let nodes = part.nodes.iter().filter_map(|&at| forward.node(at).cloned()).collect();
            (part.group, nodes)
        })
        .collect();
    let data = forward.data;
    for (group, nodes) in parts {
        copies::insert(graph, &Barrier { group, data: &data }, nodes)?;
    }
    Ok(())
}

/// Sums of two values that parameters reach, each of the sum's shape: ends of residual branches.
fn joins(graph: &Graph, path: &Path, first: usize) -> Vec<Value> {
    let is_join = |node: &&Node| {
        let [Some(sum)] = node.outputs[..] else { return false };
        let Ok(kind) = graph.tensor_type(sum) else { return false };
        let same = |value: &&Value| {
            path.active(**value) && graph.tensor_type(**value).is_ok_and(|k| k.shape == kind.shape)
        };
        matches!(node.operator.as_str(), "Add" | "Sum")
            && sum.index() < first
            && kind.rank() > 1
            && node.inputs.iter().flatten().filter(same).count() > 1
    };
    graph
        .nodes()
        .iter()
        .filter(is_join)
        .flat_map(|node| node.outputs.iter().flatten().copied())
        .collect()
}

/// Values that no second computation can give, or that are too small to be worth one: integers
/// and masks, random numbers, statistics of normalisation, what operators with inner graphs make
/// or read, and outputs.
fn unrepeatable(graph: &Graph, is_backward: &dyn Fn(&Node) -> bool) -> HashSet<Value> {
    let mut kept: HashSet<Value> = graph.outputs().iter().copied().collect();
    for node in graph.nodes().iter().filter(|node| !is_backward(node)) {
        let inner = captured(&node.attributes);
        kept.extend(inner.iter().filter_map(|name| graph.value_named(name)));
        let graphs = node.attributes.iter().any(|a| a.g.is_some() || !a.graphs.is_empty());
        let random = RANDOM.contains(&node.operator.as_str());
        let float =
            |value: Value| graph.tensor_type(value).is_ok_and(|kind| kind.element.is_float());
        let statistics = node.operator.ends_with("Normalization");
        for (at, output) in node.outputs.iter().enumerate() {
            let Some(output) = *output else { continue };
            if graphs || random || !float(output) || statistics && at > 0 {
                kept.insert(output);
            }
        }
    }
    kept
}

fn made(graph: &Graph, is_backward: &dyn Fn(&Node) -> bool) -> HashMap<Value, usize> {
    let nodes = graph.nodes().iter().enumerate().filter(|(_, node)| !is_backward(node));
    nodes.flat_map(|(at, node)| node.outputs.iter().flatten().map(move |&o| (o, at))).collect()
}

/// What depends on the graph's inputs.
fn of_data(graph: &Graph, is_backward: &dyn Fn(&Node) -> bool) -> HashSet<Value> {
    let mut data: HashSet<Value> = graph.inputs().iter().copied().collect();
    for node in graph.nodes().iter().filter(|node| !is_backward(node)) {
        if node.inputs.iter().flatten().any(|input| data.contains(input)) {
            data.extend(node.outputs.iter().flatten());
        }
    }
    data
}
