//! What a procedure's graph takes and returns, checked before the engine is called.

use std::collections::HashMap;
use std::ffi::CString;

use ort::session::Session;
use ort::value::{Outlet, ValueType};

use super::element::Element;
use super::program::{Procedure, Program};
use super::state::State;
use super::tensor::Tensor;
use crate::error::{Error, Result};

/// Inputs and outputs of a procedure by what they are for.
#[derive(Debug)]
pub(super) struct Interface {
    /// Inputs that each run is given.
    pub(super) data: Vec<Data>,
    /// Outputs that each run returns.
    pub(super) returned: Vec<Returned>,
    /// Graph inputs with the numbers of their state tensors.
    pub(super) reads: Vec<(String, usize)>,
    /// Graph outputs with the numbers of their state tensors.
    pub(super) writes: Vec<(String, usize)>,
}

/// An input that each run is given.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) name: String,
    pub(super) c_name: CString,
    pub(super) element: Element,
    /// Dimensions; negative where they differ from run to run.
    pub(super) dims: Vec<i64>,
    /// Names of dimensions; empty where they have none.
    symbols: Vec<String>,
}

/// An output that each run returns.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) name: String,
    pub(super) c_name: CString,
    pub(super) element: Element,
    pub(super) dims: Vec<i64>,
    pub(super) guard: bool,
}

impl Interface {
    /// Reads the interface of `session`, opened on `procedure`'s graph.
    ///
    /// # Errors
    /// [`Error::Program`] when the graph does not have what the procedure says.
    pub(super) fn new(
        program: &Program,
        procedure: &Procedure,
        session: &Session,
        state: &State,
    ) -> Result<Self> {
        let refuse =
            |reason: String| program.error(format!("its procedure `{}` {reason}", procedure.name));
        let c_name =
            |name: &str| CString::new(name).map_err(|_| refuse(format!("has the name {name:?}")));
        let mut interface =
            Self { data: Vec::new(), returned: Vec::new(), reads: Vec::new(), writes: Vec::new() };
        let mut reads: HashMap<&str, &str> =
            procedure.state_inputs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        for outlet in session.inputs() {
            let (element, dims, symbols) = tensor_type(outlet).map_err(refuse)?;
            match reads.remove(outlet.name()) {
                Some(name) => {
                    let slot = state.find(name)?;
                    check_state(outlet, element, &dims, state, slot).map_err(refuse)?;
                    interface.reads.push((outlet.name().into(), slot));
                }
                None => interface.data.push(Data {
                    name: outlet.name().into(),
                    c_name: c_name(outlet.name())?,
                    element,
                    dims,
                    symbols,
                }),
            }
        }
        if let Some(name) = reads.keys().next() {
            return Err(refuse(format!("has no input `{name}` in its graph, which names it")));
        }
        let mut writes: HashMap<&str, &str> =
            procedure.state_outputs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        for outlet in session.outputs() {
            let (element, dims, _) = tensor_type(outlet).map_err(refuse)?;
            match writes.remove(outlet.name()) {
                Some(name) => {
                    let slot = state.find(name)?;
                    check_state(outlet, element, &dims, state, slot).map_err(refuse)?;
                    interface.writes.push((outlet.name().into(), slot));
                }
                None => interface.returned.push(Returned {
                    name: outlet.name().into(),
                    c_name: c_name(outlet.name())?,
                    element,
                    dims,
                    guard: procedure.guards.iter().any(|guard| guard == outlet.name()),
                }),
            }
        }
        if let Some(name) = writes.keys().next() {
            return Err(refuse(format!("has no output `{name}` in its graph, which names it")));
        }
        for guard in &procedure.guards {
            match interface.returned.iter().find(|returned| returned.name == *guard) {
                None => return Err(refuse(format!("has no output `{guard}` to guard"))),
                Some(returned) if !returned.element.is_float() => {
                    return Err(refuse(format!(
                        "has the guard `{guard}`, which holds {} and is always finite",
                        returned.element
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(interface)
    }

    /// The tensors of `inputs` in the order of the graph's data inputs.
    ///
    /// # Errors
    /// [`Error::Input`] when one is missing, unknown, or of another type or shape than
    /// the graph declares.
    pub(super) fn arrange<'t, 'a>(
        &self,
        procedure: &str,
        inputs: &'t [(&str, Tensor<'a>)],
    ) -> Result<Vec<&'t Tensor<'a>>> {
        let refuse = |input: &str, reason: String| Error::Input {
            procedure: procedure.into(),
            input: input.into(),
            reason,
        };
        let known = || {
            let names: Vec<&str> = self.data.iter().map(|data| data.name.as_str()).collect();
            match names.is_empty() {
                true => "it takes no data".to_owned(),
                false => format!("it takes {}", names.join(", ")),
            }
        };
        for (index, (name, _)) in inputs.iter().enumerate() {
            if !self.data.iter().any(|data| data.name == *name) {
                return Err(refuse(name, format!("is not one that it takes; {}", known())));
            }
            if inputs.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(refuse(name, "is given twice".into()));
            }
        }
        let mut sizes: HashMap<&str, (usize, &str)> = HashMap::new();
        let mut arranged = Vec::with_capacity(self.data.len());
        for data in &self.data {
            let tensor = inputs
                .iter()
                .find(|(name, _)| *name == data.name)
                .map(|(_, tensor)| tensor)
                .ok_or_else(|| refuse(&data.name, format!("is missing; {}", known())))?;
            let expected = || show(data.element, &data.dims, &data.symbols);
            let fits = tensor.element() == data.element
                && tensor.dims().len() == data.dims.len()
                && tensor.dims().iter().zip(&data.dims).all(|(&found, &wanted)| {
                    wanted < 0 || usize::try_from(wanted).is_ok_and(|wanted| wanted == found)
                });
            if !fits {
                return Err(refuse(
                    &data.name,
                    format!("is {} {:?}, not {}", tensor.element(), tensor.dims(), expected()),
                ));
            }
            for (&size, symbol) in tensor.dims().iter().zip(&data.symbols) {
                if symbol.is_empty() {
                    continue;
                }
                match sizes.get(symbol.as_str()) {
                    Some(&(other, first)) if other != size => {
                        return Err(refuse(
                            &data.name,
                            format!(
                                "has {size} for `{symbol}` in {:?}, but `{first}` has {other}",
                                tensor.dims()
                            ),
                        ));
                    }
                    _ => {
                        sizes.insert(symbol, (size, &data.name));
                    }
                }
            }
            arranged.push(tensor);
        }
        Ok(arranged)
    }
}

fn tensor_type(outlet: &Outlet) -> Result<(Element, Vec<i64>, Vec<String>), String> {
    let ValueType::Tensor { ty, shape, dimension_symbols } = outlet.dtype() else {
        return Err(format!("has `{}`, which is not a tensor", outlet.name()));
    };
    let element = Element::from_ort(*ty).ok_or_else(|| {
        format!("has `{}` of elements {ty}, which are not supported", outlet.name())
    })?;
    Ok((element, shape.to_vec(), dimension_symbols.to_vec()))
}

fn check_state(
    outlet: &Outlet,
    element: Element,
    dims: &[i64],
    state: &State,
    slot: usize,
) -> Result<(), String> {
    let Some(slot) = state.get(slot) else { return Ok(()) };
    let fits = element == slot.element
        && dims.len() == slot.dims.len()
        && dims.iter().zip(&slot.dims).all(|(&declared, &dim)| {
            declared < 0 || usize::try_from(declared).is_ok_and(|declared| declared == dim)
        });
    match fits {
        true => Ok(()),
        false => Err(format!(
            "has `{}` of {}, but its state tensor `{}` is {} {:?}",
            outlet.name(),
            show(element, dims, &[]),
            slot.name,
            slot.element,
            slot.dims
        )),
    }
}

/// Writes a type as `float32 [batch, 12]`.
fn show(element: Element, dims: &[i64], symbols: &[String]) -> String {
    let dims: Vec<String> = dims
        .iter()
        .enumerate()
        .map(|(i, &dim)| match symbols.get(i) {
            _ if dim >= 0 => dim.to_string(),
            Some(symbol) if !symbol.is_empty() => symbol.clone(),
            _ => "?".into(),
        })
        .collect();
    format!("{element} [{}]", dims.join(", "))
}
