//! Operators whose result depends on the order in which threads come.

use onnx_protobuf::{GraphProto, Message, ModelProto};

use super::program::{Procedure, Program};
use crate::error::Result;

/// Deepest nesting of graphs in graphs that is followed.
const MAX_DEPTH: usize = 32;

/// Checks that no graph of `program` has an operator that gives other bytes from run to
/// run on several threads.
///
/// # Errors
/// [`Error::Program`](crate::Error::Program) naming the node.
pub(super) fn check(program: &Program) -> Result<()> {
    program.procedures.iter().try_for_each(|procedure| {
        fault(procedure).map_or(Ok(()), |reason| {
            Err(program.error(format!("its procedure `{}` {reason}", procedure.name)))
        })
    })
}

fn fault(procedure: &Procedure) -> Option<String> {
    let model = match ModelProto::parse_from_bytes(&procedure.model) {
        Ok(model) => model,
        Err(error) => return Some(format!("has no graph that can be read: {error}")),
    };
    let node = model.graph.as_ref().and_then(|graph| scatter(graph, 0))?;
    Some(format!(
        "has the node `{node}`, a ScatterND with a reduction, which is not deterministic on \
         several threads; write it with ScatterElements, use one thread, or do not ask for \
         determinism"
    ))
}

/// The name of a `ScatterND` with a reduction.
fn scatter(graph: &GraphProto, depth: usize) -> Option<String> {
    graph.node.iter().find_map(|node| {
        let reduces = node
            .attribute
            .iter()
            .any(|attribute| attribute.name == "reduction" && attribute.s != b"none");
        if node.op_type == "ScatterND" && reduces {
            return Some(node.name.clone());
        }
        if depth >= MAX_DEPTH {
            return None;
        }
        let inner = node.attribute.iter().flat_map(|a| a.g.as_ref().into_iter().chain(&a.graphs));
        inner.into_iter().find_map(|graph| scatter(graph, depth + 1))
    })
}

#[cfg(test)]
mod tests {
    use onnx_protobuf::{AttributeProto, NodeProto};

    use super::*;

    fn procedure(operator: &str, reduction: &str) -> Procedure {
        let attribute = AttributeProto {
            name: "reduction".into(),
            s: reduction.as_bytes().to_vec(),
            ..Default::default()
        };
        let node = NodeProto {
            name: "/sum".into(),
            op_type: operator.into(),
            attribute: vec![attribute],
            ..Default::default()
        };
        let graph = GraphProto { node: vec![node], ..Default::default() };
        let model = ModelProto { graph: Some(graph).into(), ..Default::default() };
        Procedure::new("step", model.write_to_bytes().unwrap())
    }

    #[test]
    fn only_scatter_nd_with_a_reduction_is_refused() {
        assert!(fault(&procedure("ScatterND", "add")).unwrap().contains("`/sum`"));
        assert_eq!(fault(&procedure("ScatterND", "none")), None);
        assert_eq!(fault(&procedure("ScatterElements", "add")), None);
        assert!(fault(&Procedure::new("step", vec![0xff; 3])).is_some());
    }
}
