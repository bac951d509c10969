//! Whether a procedure's graph fits the state.

use super::{ProcedureGraph, StateValue};
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};

/// Checks that every input and output that is named is there, with the type and shape
/// of its state tensor.
pub(super) fn procedure(procedure: &ProcedureGraph, state: &[StateValue]) -> Result<()> {
    let graph = &procedure.graph;
    let refuse =
        |reason: String| Error::Program(format!("the procedure `{}` {reason}", procedure.name));
    for (pairs, values, what) in [
        (&procedure.state_inputs, graph.inputs(), "input"),
        (&procedure.state_outputs, graph.outputs(), "output"),
    ] {
        for (name, state_name) in pairs {
            let value = find(graph, values, name)
                .ok_or_else(|| refuse(format!("has no {what} `{name}` in its graph")))?;
            let state = state
                .iter()
                .find(|known| known.name == *state_name)
                .ok_or_else(|| refuse(format!("names the state `{state_name}`, which is none")))?;
            fits(graph, value, state)
                .map_err(|found| refuse(format!("has the {what} `{name}` of {found}")))?;
        }
    }
    for guard in &procedure.guards {
        let value = find(graph, graph.outputs(), guard)
            .ok_or_else(|| refuse(format!("has no output `{guard}` to guard")))?;
        if graph.tensor_type(value).is_ok_and(|kind| !kind.element.is_float()) {
            return Err(refuse(format!("has the guard `{guard}`, which is always finite")));
        }
    }
    Ok(())
}

fn find(graph: &Graph, values: &[Value], name: &str) -> Option<Value> {
    values.iter().copied().find(|&value| graph.value_name(value) == name)
}

/// The type of `value`, when it is not the one of the state tensor. Dimensions that are
/// not known in the graph fit any.
fn fits(graph: &Graph, value: Value, state: &StateValue) -> std::result::Result<(), String> {
    // A graph that was read from a file may not say: the engine checks it.
    let Ok(kind) = graph.tensor_type(value) else { return Ok(()) };
    let same = kind.element == state.element
        && kind.rank() == state.dims.len()
        && kind
            .shape
            .iter()
            .zip(&state.dims)
            .all(|(dim, &size)| dim.fixed().is_none_or(|fixed| fixed == size));
    match same {
        true => Ok(()),
        false => Err(format!(
            "{kind}, but its state tensor `{}` is {} {:?}",
            state.name, state.element, state.dims
        )),
    }
}
