//! Training programs: graphs and state put together, in memory or as one file.
//!
//! ```
//! use offshoot::trainer::StateKind;
//! use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor};
//! use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
//! use offshoot_export::shape;
//!
//! // Halves a number at each step.
//! let mut g = Graph::new("step", Lowering::Standard);
//! let w = g.input("w", ElementType::Float32, shape![1])?;
//! let half = g.scalar(0.5)?;
//! let next = g.mul(w, half)?;
//! g.output("w.next", next)?;
//!
//! let mut builder = ProgramBuilder::new("halving");
//! builder.state("w", Tensor::from_f32(&[1], &[8.0]), StateKind::Parameter)?;
//! builder.procedure(ProcedureGraph::new("step", g).reads("w", "w").writes("w.next", "w"))?;
//! let program = builder.build()?;
//! assert_eq!(program.parameters(), 1);
//! # Ok::<(), offshoot_export::Error>(())
//! ```

mod check;
mod state;
mod weights;
mod write;

use offshoot::trainer::{Initial, Procedure, Program, StateKind, StateTensor, Weights};
use onnx_protobuf::Message;
use weights::Shared;
pub use write::WrittenProgram;

use crate::error::{Error, Result};
use crate::graph::{ElementType, Graph, Tensor};

/// Puts graphs and state together to a training program.
///
/// Tensors of 1 KiB and more that the graphs hold are frozen weights: they are kept
/// once, however many graphs have them, and the engine maps them from the file.
#[derive(Debug, Clone)]
pub struct ProgramBuilder {
    name: String,
    procedures: Vec<ProcedureGraph>,
    state: Vec<StateValue>,
}

/// A graph with what its inputs and outputs are to the state.
#[derive(Debug, Clone)]
pub struct ProcedureGraph {
    name: String,
    graph: Graph,
    state_inputs: Vec<(String, String)>,
    state_outputs: Vec<(String, String)>,
    guards: Vec<String>,
    counts: Option<bool>,
}

/// A state tensor with its first value.
#[derive(Debug, Clone)]
struct StateValue {
    name: String,
    element: ElementType,
    dims: Vec<usize>,
    kind: StateKind,
    /// `None` for zero everywhere.
    value: Option<Tensor>,
}

impl ProcedureGraph {
    /// A procedure that touches no state yet. Inputs that are not read from the state
    /// are data; outputs that are not written to it are returned.
    pub fn new(name: &str, graph: Graph) -> Self {
        Self {
            name: name.into(),
            graph,
            state_inputs: Vec::new(),
            state_outputs: Vec::new(),
            guards: Vec::new(),
            counts: None,
        }
    }

    /// Gives the graph's input `input` the state tensor `state`.
    #[must_use]
    pub fn reads(mut self, input: &str, state: &str) -> Self {
        self.state_inputs.push((input.into(), state.into()));
        self
    }

    /// Replaces the state tensor `state` by the graph's output `output`.
    #[must_use]
    pub fn writes(mut self, output: &str, state: &str) -> Self {
        self.state_outputs.push((output.into(), state.into()));
        self
    }

    /// Keeps nothing of a run in which the returned output `output` is not finite.
    #[must_use]
    pub fn guard(mut self, output: &str) -> Self {
        self.guards.push(output.into());
        self
    }

    /// Whether a run counts as a training step. Unless said, it does for the names
    /// `step` and `update`.
    #[must_use]
    pub fn counts(mut self, counts: bool) -> Self {
        self.counts = Some(counts);
        self
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The procedure with the ONNX form of its graph.
    fn compile(&self, shared: &Shared, index: usize) -> Result<Procedure> {
        let layout = shared.layout(index);
        let model = self.graph.to_model(&layout)?.write_to_bytes().map_err(|error| {
            Error::Program(format!("the graph of `{}` cannot be written: {error}", self.name))
        })?;
        let mut procedure = Procedure::new(self.name.clone(), model);
        procedure.state_inputs.clone_from(&self.state_inputs);
        procedure.state_outputs.clone_from(&self.state_outputs);
        procedure.guards.clone_from(&self.guards);
        if let Some(counts) = self.counts {
            procedure.counts = counts;
        }
        Ok(procedure)
    }
}

impl ProgramBuilder {
    /// A program without state and procedures.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), procedures: Vec::new(), state: Vec::new() }
    }

    /// Adds a state tensor with its first value.
    ///
    /// # Errors
    /// [`Error::Program`] when the name is taken, or the type cannot be trained with.
    pub fn state(&mut self, name: &str, value: Tensor, kind: StateKind) -> Result<()> {
        self.add_state(StateValue {
            name: name.into(),
            element: value.element,
            dims: value.dims.clone(),
            kind,
            value: Some(value),
        })
    }

    /// Adds a state tensor that is zero everywhere at first. Files do not hold it.
    ///
    /// # Errors
    /// As [`Self::state`].
    pub fn zeros(
        &mut self,
        name: &str,
        element: ElementType,
        dims: &[usize],
        kind: StateKind,
    ) -> Result<()> {
        let dims = dims.to_vec();
        self.add_state(StateValue { name: name.into(), element, dims, kind, value: None })
    }

    /// Adds a procedure. Its state must have been added before.
    ///
    /// # Errors
    /// [`Error::Program`] when the name is taken, or the graph lacks an input or output
    /// that is named, or one has another type or shape than its state tensor.
    pub fn procedure(&mut self, procedure: ProcedureGraph) -> Result<()> {
        if self.procedures.iter().any(|known| known.name == procedure.name) {
            return Err(Error::Program(format!("two procedures are called `{}`", procedure.name)));
        }
        check::procedure(&procedure, &self.state)?;
        self.procedures.push(procedure);
        Ok(())
    }

    /// The program in memory.
    ///
    /// # Errors
    /// [`Error::Program`] when the program contradicts itself; those of the tensors'
    /// sources.
    pub fn build(&self) -> Result<Program> {
        let shared = Shared::new(&self.procedures)?;
        let procedures = self.compile(&shared)?;
        let mut state = Vec::with_capacity(self.state.len());
        for value in &self.state {
            state.push(StateTensor {
                name: value.name.clone(),
                element: value.element()?,
                dims: value.dims.clone(),
                kind: value.kind,
                initial: match &value.value {
                    None => Initial::Zeros,
                    Some(tensor) => Initial::Bytes(state::bytes(&value.name, tensor)?),
                },
            });
        }
        let weights = match shared.size() {
            0 => Weights::None,
            _ => {
                let mut bytes = Vec::new();
                shared.write(&self.procedures, &mut bytes)?;
                Weights::Memory(bytes.into())
            }
        };
        let program = Program { name: self.name.clone(), procedures, state, weights };
        program.check()?;
        Ok(program)
    }

    fn compile(&self, shared: &Shared) -> Result<Vec<Procedure>> {
        let procedures = self.procedures.iter().enumerate();
        procedures.map(|(index, procedure)| procedure.compile(shared, index)).collect()
    }

    fn add_state(&mut self, value: StateValue) -> Result<()> {
        if self.state.iter().any(|known| known.name == value.name) {
            return Err(Error::Program(format!("two state tensors are called `{}`", value.name)));
        }
        let element = value.element()?;
        if element.bytes(&value.dims).is_none() {
            return Err(Error::Program(format!("the state tensor `{}` is too large", value.name)));
        }
        self.state.push(value);
        Ok(())
    }
}
