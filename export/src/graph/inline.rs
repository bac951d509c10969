//! A graph as a part of another, as often as is wanted.

use std::collections::HashMap;

use super::read::captured;
use super::{Graph, Node, NodeExtra, Tensor, TensorData, Value};
use crate::error::Result;

/// Tensors of fewer bytes are constants of the graph.
const SMALL: usize = 1024;

impl Graph {
    /// Adds the operators of `other` behind `inputs`, which stand for its inputs of these names.
    /// `tensors` stand for its tensors of these names; the others are copied. Returns what stands
    /// for `wanted`, values of `other`. Types are inferred anew, and from now on unknown sizes of
    /// different names may be the same, as in a graph that was read.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when an input is missing, the operators are of
    /// another version, do not fit, or have inner graphs that read from outside.
    pub fn inline(
        &mut self,
        other: &Self,
        inputs: &[(&str, Value)],
        tensors: &HashMap<&str, Value>,
        wanted: &[Value],
    ) -> Result<Vec<Value>> {
        if other.opset() != self.opset() {
            let reason = format!(
                "a graph of version {} of the operator set is no part of one of version {}",
                other.opset(),
                self.opset()
            );
            return Err(self.error("Inline", reason));
        }
        self.inlined = true;
        let mut values: HashMap<Value, Value> = HashMap::new();
        for &input in other.inputs() {
            let name = other.value_name(input);
            match inputs.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => values.insert(input, *value),
                None => return Err(self.error("Inline", format!("nothing stands for `{name}`"))),
            };
        }
        self.in_scope(&other.name, |g| {
            for (value, tensor) in other.initializers() {
                let name = other.value_name(*value);
                let made = match tensors.get(name) {
                    Some(&given) => given,
                    None => g.copied(name, tensor)?,
                };
                values.insert(*value, made);
            }
            for node in other.nodes() {
                g.inline_node(other, node, &mut values)?;
            }
            Ok(())
        })?;
        let find = |value: &Value| {
            values.get(value).copied().ok_or_else(|| {
                self.error("Inline", format!("nothing gives `{}`", other.value_name(*value)))
            })
        };
        wanted.iter().map(find).collect()
    }

    fn copied(&mut self, name: &str, tensor: &Tensor) -> Result<Value> {
        let small = tensor.bytes().is_some_and(|bytes| bytes < SMALL);
        match tensor.data {
            TensorData::Bytes(_) if small => self.constant(tensor.clone()),
            _ => self.initializer(name, tensor.clone()),
        }
    }

    fn inline_node(
        &mut self,
        other: &Self,
        node: &Node,
        values: &mut HashMap<Value, Value>,
    ) -> Result<()> {
        if let Some(name) = captured(&node.attributes).into_iter().next() {
            let reason = format!("reads `{name}` in an inner graph, which is not supported");
            return Err(self.error(&node.operator, reason));
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(match input {
                Some(value) => Some(values.get(value).copied().ok_or_else(|| {
                    let name = other.value_name(*value);
                    self.error(&node.operator, format!("nothing gives its input `{name}`"))
                })?),
                None => None,
            });
        }
        let title = if node.name.is_empty() { &node.operator } else { &node.name };
        let name = self.unique(&self.scoped(title.trim_start_matches('/')));
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for (at, output) in node.outputs.iter().enumerate() {
            outputs.push(output.map(|output| {
                let made = self.unique(&format!("{name}.{at}"));
                let made = self.push_value(made, None);
                values.insert(output, made);
                made
            }));
        }
        if !node.domain.is_empty() {
            let version = other.opsets.get(&node.domain).copied().unwrap_or(1);
            self.opsets.entry(node.domain.clone()).or_insert(version);
        }
        self.nodes.push(Node {
            name,
            operator: node.operator.clone(),
            domain: node.domain.clone(),
            inputs,
            outputs,
            attributes: node.attributes.clone(),
            extra: NodeExtra::default(),
        });
        self.infer_node(self.nodes.len() - 1)
    }
}
