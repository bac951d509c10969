//! Training programs: named procedures over one set of named state tensors.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::element::Element;
use crate::bundle::hex;
use crate::error::{Error, Result};

/// The procedure that updates the parameters once and returns `loss`.
pub const STEP: &str = "step";
/// The procedure that reads the parameters only.
pub const EVALUATE: &str = "evaluate";
/// The procedure that adds a batch's gradients to those that are kept.
pub const ACCUMULATE: &str = "accumulate";
/// The procedure that updates the parameters from the gradients that are kept.
pub const UPDATE: &str = "update";

/// Most procedures of a program.
pub(super) const MAX_PROCEDURES: usize = 256;
/// Most state tensors of a program.
pub(super) const MAX_STATE: usize = 1 << 18;

/// A training program: what a [`Trainer`](super::Trainer) runs.
///
/// Each procedure is an ONNX graph. It takes data and some of the state tensors, and
/// returns outputs and new values of some of the state tensors.
#[derive(Debug, Clone)]
pub struct Program {
    /// Name of the program, for people.
    pub name: String,
    /// The procedures. Names are unique.
    pub procedures: Vec<Procedure>,
    /// The state. Names are unique.
    pub state: Vec<StateTensor>,
    /// Frozen weights: what the procedures' external tensors of the location
    /// `weights.bin` are.
    pub weights: Weights,
}

/// One graph of a program.
#[derive(Debug, Clone)]
pub struct Procedure {
    /// Name, such as [`STEP`].
    pub name: String,
    /// The graph, an ONNX file without its external data.
    pub model: Arc<[u8]>,
    /// Names of graph inputs with the names of the state tensors that they get. Every
    /// other input is data.
    pub state_inputs: Vec<(String, String)>,
    /// Names of graph outputs with the names of the state tensors that they replace.
    /// Every other output is returned.
    pub state_outputs: Vec<(String, String)>,
    /// Returned outputs whose elements must all be finite; else nothing of the run is
    /// kept.
    pub guards: Vec<String>,
    /// Whether a run counts as a training step.
    pub counts: bool,
}

impl Procedure {
    /// A procedure that touches no state yet. It counts as a training step when its
    /// name is [`STEP`] or [`UPDATE`].
    pub fn new(name: impl Into<String>, model: impl Into<Arc<[u8]>>) -> Self {
        let name = name.into();
        Self {
            counts: matches!(name.as_str(), STEP | UPDATE),
            name,
            model: model.into(),
            state_inputs: Vec::new(),
            state_outputs: Vec::new(),
            guards: Vec::new(),
        }
    }
}

/// What a state tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// A weight of the network.
    Parameter,
    /// What an optimizer remembers: moments, gradients that are summed up.
    Optimizer,
    /// An average of a parameter over the steps.
    Average,
    /// Anything else, such as a counter or running statistics.
    Other,
}

/// A tensor that lives between runs.
#[derive(Debug, Clone)]
pub struct StateTensor {
    /// Name, under which it stands in checkpoints.
    pub name: String,
    /// Type of the elements.
    pub element: Element,
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// What it is for.
    pub kind: StateKind,
    /// Its first value.
    pub initial: Initial,
}

/// The first value of a state tensor.
#[derive(Debug, Clone)]
pub enum Initial {
    /// Zero everywhere.
    Zeros,
    /// These bytes: elements little-endian, in row-major order.
    Bytes(Arc<[u8]>),
    /// Bytes of a file that is open.
    Stored {
        /// The file.
        file: Arc<File>,
        /// First byte.
        offset: u64,
    },
}

/// Where the frozen weights of a program are.
#[derive(Debug, Clone, Default)]
pub enum Weights {
    /// There are none.
    #[default]
    None,
    /// In memory.
    Memory(Arc<[u8]>),
    /// In a file, which ONNX Runtime maps.
    File(WeightsFile),
}

/// A part of a file that holds frozen weights.
#[derive(Debug, Clone)]
pub struct WeightsFile {
    /// The file.
    pub path: PathBuf,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub size: u64,
    /// SHA-256 of the bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The file, held open to notice that another stands at its path.
    pub(super) file: Option<Arc<File>>,
}

impl Program {
    /// Checks that names are unique and known, sizes fit, and no state tensor is
    /// replaced twice by one run.
    ///
    /// # Errors
    /// [`Error::Program`] naming the procedure or the tensor.
    pub fn check(&self) -> Result<()> {
        self.fault().map_or(Ok(()), |reason| Err(self.error(reason)))
    }

    /// The procedure of this name.
    pub fn procedure(&self, name: &str) -> Option<&Procedure> {
        self.procedures.iter().find(|procedure| procedure.name == name)
    }

    /// Whether some procedure replaces this state tensor.
    pub fn is_written(&self, state: &str) -> bool {
        self.procedures.iter().any(|p| p.state_outputs.iter().any(|(_, name)| name == state))
    }

    /// Number of scalars in state tensors of the kind [`StateKind::Parameter`].
    pub fn parameters(&self) -> u64 {
        self.state
            .iter()
            .filter(|state| state.kind == StateKind::Parameter)
            .filter_map(|state| state.element.bytes(&state.dims).map(|n| n / state.element.size()))
            .map(|n| n as u64)
            .sum()
    }

    /// What identifies the program: SHA-256 of its graphs, frozen weights and
    /// declarations, 64 hexadecimal digits. First values of the state are left out, so
    /// that a checkpoint fits the same program with another seed.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(b"offshoot training program 1");
        let procedures: BTreeMap<_, _> = self.procedures.iter().map(|p| (&p.name, p)).collect();
        for procedure in procedures.values() {
            field(procedure.name.as_bytes());
            field(&Sha256::digest(&procedure.model));
            for pairs in [&procedure.state_inputs, &procedure.state_outputs] {
                field(&(pairs.len() as u64).to_le_bytes());
                for (value, state) in pairs {
                    field(value.as_bytes());
                    field(state.as_bytes());
                }
            }
            field(&(procedure.guards.len() as u64).to_le_bytes());
            for guard in &procedure.guards {
                field(guard.as_bytes());
            }
            field(&[u8::from(procedure.counts)]);
        }
        let state: BTreeMap<_, _> = self.state.iter().map(|s| (&s.name, s)).collect();
        for state in state.values() {
            field(state.name.as_bytes());
            field(format!("{} {:?} {:?}", state.element, state.dims, state.kind).as_bytes());
        }
        match &self.weights {
            Weights::None => {}
            Weights::Memory(bytes) => field(hex(&Sha256::digest(bytes)).as_bytes()),
            Weights::File(file) => field(file.sha256.as_bytes()),
        }
        hex(&hash.finalize())
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Program { name: self.name.clone(), reason: reason.into() }
    }

    fn fault(&self) -> Option<String> {
        if self.procedures.is_empty() || self.procedures.len() > MAX_PROCEDURES {
            return Some(format!(
                "it has {} procedures, not 1 to {MAX_PROCEDURES}",
                self.procedures.len()
            ));
        }
        if self.state.len() > MAX_STATE {
            return Some(format!(
                "it has {} state tensors, more than {MAX_STATE}",
                self.state.len()
            ));
        }
        if let Some(name) = twice(self.procedures.iter().map(|p| &p.name)) {
            return Some(format!("two of its procedures are called `{name}`"));
        }
        if let Some(name) = twice(self.state.iter().map(|s| &s.name)) {
            return Some(format!("two of its state tensors are called `{name}`"));
        }
        for state in &self.state {
            let size = state.element.bytes(&state.dims);
            let fits = match (&state.initial, size) {
                (_, None) => false,
                (Initial::Bytes(bytes), Some(size)) => bytes.len() == size,
                _ => true,
            };
            if state.name.is_empty() || state.name == "__metadata__" {
                return Some(format!("a state tensor cannot be called {:?}", state.name));
            }
            if !fits {
                return Some(format!(
                    "the first value of the state tensor `{}` is not {} {:?}",
                    state.name, state.element, state.dims
                ));
            }
        }
        let known: HashSet<&str> = self.state.iter().map(|state| state.name.as_str()).collect();
        self.procedures.iter().find_map(|procedure| {
            procedure_fault(procedure, &known)
                .map(|reason| format!("its procedure `{}` {reason}", procedure.name))
        })
    }
}

fn procedure_fault(procedure: &Procedure, known: &HashSet<&str>) -> Option<String> {
    let inputs = &procedure.state_inputs;
    let outputs = &procedure.state_outputs;
    if let Some((value, state)) =
        inputs.iter().chain(outputs).find(|(_, state)| !known.contains(state.as_str()))
    {
        return Some(format!("gives `{value}` the state tensor `{state}`, which is not one"));
    }
    if let Some(name) = twice(inputs.iter().map(|(input, _)| input)) {
        return Some(format!("gives the input `{name}` two state tensors"));
    }
    if let Some(name) = twice(outputs.iter().map(|(output, _)| output)) {
        return Some(format!("gives the output `{name}` to two state tensors"));
    }
    if let Some(name) = twice(outputs.iter().map(|(_, state)| state)) {
        return Some(format!("replaces the state tensor `{name}` twice"));
    }
    let guard =
        procedure.guards.iter().find(|guard| outputs.iter().any(|(output, _)| output == *guard))?;
    Some(format!("has the guard `{guard}`, which is a state tensor's new value"))
}

/// A name that comes twice.
fn twice<'a>(names: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let mut names: Vec<_> = names.map(String::as_str).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })
}
