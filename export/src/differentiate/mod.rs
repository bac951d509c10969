//! Reverse-mode differentiation of ONNX graphs: ONNX in, ONNX out.
//!
//! [`gradients`] adds to a graph the operators that compute the derivative of one number,
//! the loss, by any of the graph's values. What it adds are operators of the ONNX
//! specification like all others, so every engine that runs the graph runs its gradient.
//!
//! The walk is short: operators on a path from the parameters to the loss are visited in
//! reverse order; for each, a *rule* ([`rules`]) is given the gradient of its outputs and
//! adds operators that compute the gradients of its inputs; what several readers of a
//! value contribute is added up. A rule is one small function and never thinks about
//! broadcasting: a gradient that has the shape of the broadcast result is summed to the
//! shape of the input in one place.
//!
//! ```
//! use offshoot_export::differentiate::gradients;
//! use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor};
//! use offshoot_export::shape;
//!
//! let mut g = Graph::new("squares", Lowering::Standard);
//! let x = g.input("x", ElementType::Float32, shape!["batch", 2])?;
//! let w = g.initializer("weight", Tensor::from_f32(&[2, 1], &[0.5, -1.0]))?;
//! let y = g.matmul(x, w)?;
//! let squares = g.mul(y, y)?;
//! let loss = g.op("ReduceMean", &[squares], vec![])?;
//! let loss = g.reshape(loss, shape![])?;
//! let gradient = gradients(&mut g, loss, &[w])?[0];
//! assert_eq!(g.tensor_type(gradient)?, g.tensor_type(w)?);
//! # Ok::<(), offshoot_export::Error>(())
//! ```
//!
//! Graphs that were read from files are differentiated after their types are inferred and
//! their operators brought to the version that rules are written for: see
//! [`Graph::infer_types`] and [`Graph::upgrade`].

mod backward;
mod recompute;
pub mod rules;
mod slices;

use std::collections::{HashMap, HashSet};

use backward::Backward;
use recompute::Group;
pub use recompute::Recompute;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Value};

/// Adds to `graph` the gradient of `loss`, a floating-point number, by each of `of`, and
/// returns the gradients in the same order, each of the type and shape of its value.
///
/// # Errors
/// [`Error::Gradient`] when the loss is not one floating-point number, when an operator
/// between a value and the loss has no rule (it is named), or when no path leads from a
/// value to the loss; [`Error::Operator`] when a type on the path is not known.
pub fn gradients(graph: &mut Graph, loss: Value, of: &[Value]) -> Result<Vec<Value>> {
    gradients_with(graph, loss, of, &Recompute::Nothing)
}

/// As [`gradients`], with some activations computed again in place of being kept. The numbers
/// are the same.
///
/// # Errors
/// As [`gradients`]; [`Error::Gradient`] when there is no value of a name that is to be kept.
pub fn gradients_with(
    graph: &mut Graph,
    loss: Value,
    of: &[Value],
    recompute: &Recompute,
) -> Result<Vec<Value>> {
    let kind = graph.tensor_type(loss)?.clone();
    if !kind.element.is_float() || kind.shape.iter().any(|dim| dim.fixed() != Some(1)) {
        return Err(Error::Gradient(format!(
            "the loss `{}` is {kind}; it must be one floating-point number",
            graph.value_name(loss)
        )));
    }
    for &value in of {
        let kind = graph.tensor_type(value)?;
        if !kind.element.is_float() {
            return Err(Error::Gradient(format!(
                "`{}` is {kind}; only floating-point tensors have a gradient",
                graph.value_name(value)
            )));
        }
    }

    let forward = graph.nodes().len();
    let first = graph.value_count();
    let mut groups = Vec::new();
    let path = Path::between(graph, of, loss);
    let mut sums: HashMap<Value, Vec<Value>> = HashMap::new();
    let seed = graph.scalar_of(kind.element, 1.0)?;
    let seed = graph.reshape(seed, kind.shape)?;
    sums.insert(loss, vec![seed]);

    for index in (0..forward).rev() {
        let Some(node) = graph.nodes().get(index).cloned() else { continue };
        if !node.outputs.iter().flatten().any(|output| sums.contains_key(output)) {
            continue;
        }
        let wanted: Vec<bool> =
            node.inputs.iter().map(|input| input.is_some_and(|v| path.active(v))).collect();
        let within = captured(graph, &node).into_iter().find(|&value| path.active(value));
        if let Some(value) = within {
            let reason = format!(
                "reads `{}` in an inner graph; operators with inner graphs are not differentiated, \
                 so rewrite the model without it, or train parameters after it only",
                graph.value_name(value)
            );
            return Err(Backward::new(graph, index, &node, vec![], wanted).unsupported(&reason));
        }
        if !wanted.contains(&true) {
            continue;
        }
        let scope = format!("backward/{}", title(&node).trim_start_matches('/'));
        let (group, given) = graph.in_scope(&scope, |g| {
            let mut outputs = Vec::with_capacity(node.outputs.len());
            for output in &node.outputs {
                outputs.push(match output {
                    Some(output) => total(g, &mut sums, *output)?,
                    None => None,
                });
            }
            let gradient = outputs.iter().flatten().next().copied();
            let group = gradient.map(|gradient| Group { from: g.value_count(), gradient });
            Ok((group, Backward::new(g, index, &node, outputs, wanted).run()?))
        })?;
        groups.extend(group);
        for (input, gradient) in node.inputs.iter().zip(given) {
            if let (Some(input), Some(gradient)) = (*input, gradient) {
                sums.entry(input).or_default().push(gradient);
            }
        }
    }

    let gradients: Vec<Value> = of
        .iter()
        .map(|&value| {
            graph.in_scope("backward", |g| total(g, &mut sums, value))?.ok_or_else(|| {
                Error::Gradient(format!(
                    "no path of differentiable operators leads from `{}` to the loss `{}`; leave \
                     it out of the trainable parameters, or check what the loss is computed from",
                    graph.value_name(value),
                    graph.value_name(loss)
                ))
            })
        })
        .collect::<Result<_>>()?;
    recompute::apply(graph, recompute, &path, first, &groups)?;
    Ok(gradients)
}

/// The gradient of a value: what its readers gave, added up once.
fn total(
    graph: &mut Graph,
    sums: &mut HashMap<Value, Vec<Value>>,
    value: Value,
) -> Result<Option<Value>> {
    let Some(parts) = sums.get(&value).cloned() else { return Ok(None) };
    let sum = match parts[..] {
        [] => return Ok(None),
        [one] => one,
        _ => match slices::joined(graph, &parts)? {
            Some(joined) => joined,
            None if parts.len() == 2 => graph.op("Add", &parts, vec![])?,
            None => graph.op("Sum", &parts, vec![])?,
        },
    };
    sums.insert(value, vec![sum]);
    Ok(Some(sum))
}

/// A node's name, or its operator and first output where it has none.
fn title(node: &Node) -> &str {
    if node.name.is_empty() { &node.operator } else { &node.name }
}

/// Inputs whose numbers an operator reads; of the second one of `CastLike`, only the type.
fn carried(node: &Node) -> impl Iterator<Item = &Option<Value>> {
    let count = if node.operator == "CastLike" { 1 } else { node.inputs.len() };
    node.inputs.iter().take(count)
}

/// Values that the inner graphs of an operator read by name.
fn captured(graph: &Graph, node: &Node) -> Vec<Value> {
    let names = crate::graph::read::captured(&node.attributes);
    names.into_iter().filter_map(|name| graph.value_named(name)).collect()
}

/// The values on a path from the parameters to the loss.
struct Path {
    active: HashSet<Value>,
}

impl Path {
    fn between(graph: &Graph, from: &[Value], to: Value) -> Self {
        let mut reached: HashSet<Value> = from.iter().copied().collect();
        for node in graph.nodes() {
            let inner = captured(graph, node);
            if carried(node).flatten().chain(&inner).any(|input| reached.contains(input)) {
                let floats = node.outputs.iter().flatten().filter(|&&output| {
                    !graph.is_stopped(output)
                        && graph.tensor_type(output).map_or(true, |kind| kind.element.is_float())
                });
                reached.extend(floats);
            }
        }
        let mut needed = HashSet::from([to]);
        for node in graph.nodes().iter().rev() {
            if node.outputs.iter().flatten().any(|output| needed.contains(output)) {
                needed.extend(node.inputs.iter().flatten());
                needed.extend(captured(graph, node));
            }
        }
        Self { active: reached.intersection(&needed).copied().collect() }
    }

    fn active(&self, value: Value) -> bool {
        self.active.contains(&value)
    }
}
