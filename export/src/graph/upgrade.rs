//! Older graphs in the operators' current form.

use onnx_protobuf::AttributeProto;

use super::{Graph, Node, OPSET};
use crate::error::Result;

impl Graph {
    /// Brings a graph that was read, of version 13 of the operator set or newer, to
    /// [`OPSET`]: attributes that became inputs are made inputs. A graph that is as new
    /// or newer is left as it is.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) for graphs that are older.
    pub fn upgrade(&mut self) -> Result<()> {
        let from = self.opset();
        if from >= OPSET {
            return Ok(());
        }
        if from < 13 {
            return Err(self.error(
                "Graph",
                format!(
                    "is of version {from} of the operator set; export it again with version 13 or \
                     newer, {OPSET} for preference"
                ),
            ));
        }
        for domain in ["", "ai.onnx"] {
            if let Some(version) = self.opsets.get_mut(domain) {
                *version = OPSET;
            }
        }
        for at in 0..self.nodes.len() {
            let Some(mut node) = self.nodes.get(at).cloned() else { break };
            if self.renew(&mut node, from)?
                && let Some(place) = self.nodes.get_mut(at)
            {
                *place = node;
            }
        }
        Ok(())
    }

    /// Changes one operator of the version `from`; whether anything was changed.
    fn renew(&mut self, node: &mut Node, from: i64) -> Result<bool> {
        let operator = node.operator.as_str();
        let reduces = operator.starts_with("Reduce") && operator != "ReduceSum";
        if reduces && from < 18 {
            let Some(axes) = take(&mut node.attributes, "axes") else { return Ok(false) };
            node.inputs.truncate(1);
            node.inputs.push(Some(self.integers(&axes.ints)?));
            return Ok(true);
        }
        if operator == "Split" && from < 18 && node.inputs.len() < 2 {
            let count = node.outputs.len() as i64;
            node.attributes.push(super::Attribute::int("num_outputs", count));
            return Ok(true);
        }
        Ok(false)
    }
}

fn take(attributes: &mut Vec<AttributeProto>, name: &str) -> Option<AttributeProto> {
    let at = attributes.iter().position(|attribute| attribute.name == name)?;
    Some(attributes.remove(at))
}
