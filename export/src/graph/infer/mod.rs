//! Types and shapes of what operators give, for graphs that are built and for graphs
//! that were read.
//!
//! One table serves both: an operator that is added by [`Graph::op`] gets its output
//! types from here, and [`Graph::infer_types`] walks the nodes of a file that does not
//! say its types. Small integer tensors are followed by content ([`contents`]), since
//! exporters compute the shapes of `Reshape`, `Expand` and `Slice` with operators.

mod contents;
mod cutting;
mod movement;
mod numbers;
mod windows;

use onnx_protobuf::AttributeProto;

pub(crate) use contents::{Contents, Known};
pub(crate) use windows::Window;

use super::attribute::Attributes;
use super::{CONTRIB_DOMAIN, Dim, ElementType, Graph, Shape, TensorType, Value};
use crate::error::Result;

/// One operator, about to be added or met in a file.
pub(super) struct Call<'a> {
    pub(super) operator: &'a str,
    pub(super) inputs: &'a [Option<Value>],
    pub(super) attributes: Attributes<'a>,
    /// Number of outputs.
    pub(super) outputs: usize,
}

impl Call<'_> {
    /// An input that must be there.
    fn input(&self, g: &Graph, at: usize) -> Result<Value> {
        self.inputs.get(at).copied().flatten().ok_or_else(|| {
            g.error(self.operator, format!("lacks its input {at}; the operator needs it"))
        })
    }

    fn optional(&self, at: usize) -> Option<Value> {
        self.inputs.get(at).copied().flatten()
    }

    fn kind(&self, g: &Graph, at: usize) -> Result<TensorType> {
        Ok(g.tensor_type(self.input(g, at)?)?.clone())
    }
}

impl Graph {
    /// Adds an operator of the ONNX specification with one output, whose type is
    /// inferred.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when the inputs do not fit, or the
    /// operator is not known here.
    pub fn op(
        &mut self,
        operator: &str,
        inputs: &[Value],
        attributes: Vec<AttributeProto>,
    ) -> Result<Value> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        let outputs = self.op_outputs(operator, &inputs, attributes, 1)?;
        outputs.first().copied().ok_or_else(|| self.error(operator, "has no output".into()))
    }

    /// Adds an operator with optional inputs and its first `outputs` outputs.
    ///
    /// # Errors
    /// As [`Self::op`].
    pub fn op_outputs(
        &mut self,
        operator: &str,
        inputs: &[Option<Value>],
        attributes: Vec<AttributeProto>,
        outputs: usize,
    ) -> Result<Vec<Value>> {
        let call = Call { operator, inputs, attributes: Attributes(&attributes), outputs };
        let types = self.types_of(&call)?.ok_or_else(|| {
            self.error(operator, "is not an operator whose types are known here".into())
        })?;
        let known = self.contents_after(&call).filter(|_| is_list(&types));
        let made = self.push_node(operator, "", inputs, attributes, types);
        if let (Some(known), Some(&value)) = (known, made.first()) {
            self.contents.insert(value, known);
        }
        Ok(made)
    }

    /// Adds the types that a graph that was read does not declare, as far as its
    /// operators are known here. What the file declares and is more exact stays.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when operators do not fit together.
    pub fn infer_types(&mut self) -> Result<()> {
        for at in 0..self.nodes.len() {
            self.infer_node(at)?;
        }
        Ok(())
    }

    /// As [`Self::infer_types`], for one operator whose inputs' types are known.
    pub(crate) fn infer_node(&mut self, at: usize) -> Result<()> {
        let Some(node) = self.nodes.get(at).cloned() else { return Ok(()) };
        let standard = node.domain.is_empty() || node.domain == "ai.onnx";
        let typed = node.inputs.iter().flatten().all(|&v| self.tensor_type(v).is_ok());
        if !(standard || node.domain == CONTRIB_DOMAIN) || !typed {
            return Ok(());
        }
        let call = Call {
            operator: &node.operator,
            inputs: &node.inputs,
            attributes: Attributes(&node.attributes),
            outputs: node.outputs.len(),
        };
        let place = if node.name.is_empty() { &node.operator } else { &node.name };
        let found = self.in_scope(place.trim_start_matches('/'), |g| {
            Ok((g.types_of(&call)?, g.contents_after(&call)))
        })?;
        let (Some(types), known) = found else { return Ok(()) };
        let known = known.filter(|_| is_list(&types));
        for (output, kind) in node.outputs.iter().zip(types) {
            if let Some(output) = *output {
                let merged = match self.tensor_type(output) {
                    Ok(declared) => merge(declared, kind),
                    Err(_) => kind,
                };
                self.declare_type(output, merged);
            }
        }
        if let (Some(known), Some(Some(value))) = (known, node.outputs.first()) {
            self.contents.insert(*value, known);
        }
        Ok(())
    }

    /// Gives a named unknown dimension its size, everywhere in the graph.
    pub fn bind_dim(&mut self, symbol: &str, size: usize) {
        for info in &mut self.values {
            for dim in info.kind.iter_mut().flat_map(|kind| &mut kind.shape) {
                *dim = dim.substitute(symbol, size);
            }
        }
        let values: Vec<Value> = self.inputs.iter().chain(&self.outputs).copied().collect();
        for value in values {
            self.frame.declared.remove(&value);
        }
        self.contents.clear();
    }

    /// Output types of an operator; `None` for one that is not known here.
    fn types_of(&mut self, call: &Call<'_>) -> Result<Option<Vec<TensorType>>> {
        if let Some(found) = numbers::types(self, call)? {
            return Ok(Some(found));
        }
        if let Some(found) = movement::types(self, call)? {
            return Ok(Some(found));
        }
        windows::types(self, call)
    }

    /// Whether two dimensions are, or in a graph that was read may be, the same.
    pub(crate) fn may_equal(&self, a: &Dim, b: &Dim) -> bool {
        a == b || (self.is_read() && (a.fixed().is_none() || b.fixed().is_none()))
    }

    /// Broadcasting of two shapes. In a graph that was read, two different unknowns give
    /// a third.
    pub(crate) fn broadcast_shapes(
        &mut self,
        operator: &str,
        a: &[Dim],
        b: &[Dim],
    ) -> Result<Shape> {
        if !self.is_read() {
            return super::broadcast(a, b).map_err(|reason| self.error(operator, reason));
        }
        self.broadcast_unknown(operator, a, b)
    }

    /// Broadcasting of two shapes whose unknowns may be anything.
    fn broadcast_unknown(&mut self, operator: &str, a: &[Dim], b: &[Dim]) -> Result<Shape> {
        let rank = a.len().max(b.len());
        let one = Dim::from(1);
        let dim = |shape: &[Dim], i: usize| {
            (i + shape.len()).checked_sub(rank).and_then(|j| shape.get(j)).unwrap_or(&one).clone()
        };
        let mut shape = Vec::with_capacity(rank);
        for i in 0..rank {
            let (x, y) = (dim(a, i), dim(b, i));
            shape.push(match (x.fixed(), y.fixed()) {
                _ if x == y => x,
                (_, Some(1)) => x,
                (Some(1), _) => y,
                (Some(_), None) => x,
                (None, Some(_)) => y,
                (None, None) => self.fresh_dim("unknown"),
                (Some(_), Some(_)) => {
                    let reason = super::broadcast(a, b).err().unwrap_or_default();
                    return Err(self.error(operator, reason));
                }
            });
        }
        Ok(shape)
    }
}

/// Whether the first output is of no dimension or one, as contents are followed.
fn is_list(types: &[TensorType]) -> bool {
    types.first().is_some_and(|kind| kind.rank() <= 1)
}

/// What a file declares and what is inferred, each where it knows more.
fn merge(declared: &TensorType, inferred: TensorType) -> TensorType {
    if declared.rank() != inferred.rank() || declared.element != inferred.element {
        return inferred;
    }
    let shape = declared
        .shape
        .iter()
        .zip(inferred.shape)
        .map(|(said, found)| if said.fixed().is_some() { said.clone() } else { found })
        .collect();
    TensorType::new(inferred.element, shape)
}

/// The axis that `axis`, which may count from the end, means.
fn position(axis: i64, rank: usize) -> Option<usize> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|&at| at < rank)
}

/// A type of integers.
fn integers(shape: Shape) -> TensorType {
    TensorType::new(ElementType::Int64, shape)
}
