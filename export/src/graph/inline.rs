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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{ElementType, Lowering};
    use crate::shape;

    /// `embedding = x · weight + 0.5`.
    fn part() -> Graph {
        let mut g = Graph::new("part", Lowering::Standard);
        let x = g.input("x", ElementType::Float32, shape!["batch", 2]).unwrap();
        let w = g.initializer("weight", Tensor::from_f32(&[2, 3], &[1.0; 6])).unwrap();
        let y = g.matmul(x, w).unwrap();
        let half = g.scalar(0.5).unwrap();
        let y = g.add(y, half).unwrap();
        g.output("embedding", y).unwrap();
        g
    }

    #[test]
    fn a_part_that_is_put_in_twice_shares_the_tensors_that_are_given() {
        let part = part();
        let wanted = [part.output_named("embedding").unwrap()];
        let mut g = Graph::new("whole", Lowering::Standard);
        let w = g.root_initializer("w", Tensor::from_f32(&[2, 3], &[2.0; 6])).unwrap();
        let tensors = HashMap::from([("weight", w)]);
        for rows in ["few", "many"] {
            let x = g.input(rows, ElementType::Float32, shape![rows, 2]).unwrap();
            let made = g.inline(&part, &[("x", x)], &tensors, &wanted).unwrap();
            assert_eq!(g.tensor_type(made[0]).unwrap().to_string(), format!("float32 [{rows}, 3]"));
            g.output(&format!("{rows}.embedding"), made[0]).unwrap();
        }
        assert_eq!(g.nodes().len(), 4);
        // The weight and the constant, once each.
        assert_eq!(g.initializers().len(), 2);
        let weights = g.nodes().iter().filter(|node| node.operator == "MatMul");
        assert!(weights.into_iter().all(|node| node.inputs[1] == Some(w)));
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_so() {
        let part = part();
        let wanted = [part.output_named("embedding").unwrap()];
        let mut g = Graph::new("whole", Lowering::Standard);
        let none = HashMap::new();
        let missing = g.inline(&part, &[], &none, &wanted).unwrap_err().to_string();
        assert!(missing.contains("nothing stands for `x`"), "{missing}");
        let x = g.input("x", ElementType::Float32, shape!["batch", 5]).unwrap();
        let wrong = g.inline(&part, &[("x", x)], &none, &wanted).unwrap_err().to_string();
        assert!(wrong.contains("MatMul") && wrong.contains("[batch, 5]"), "{wrong}");
    }
}
