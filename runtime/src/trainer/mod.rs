//! Training: programs of ONNX graphs whose state stays on the device.
//!
//! A [`Program`] has named procedures, which are ONNX graphs, and named state tensors:
//! parameters, what the optimizer remembers, averages, counters. A procedure takes data
//! and some of the state, and returns outputs and new values of some of the state. By
//! convention [`STEP`] updates the parameters and returns `loss`, [`EVALUATE`] reads
//! them only, [`ACCUMULATE`] and [`UPDATE`] are for gradients of several batches.
//!
//! ```no_run
//! use ndarray::Array2;
//! use offshoot::trainer::{Trainer, TrainerOptions};
//!
//! let mut trainer = Trainer::open("encoder.training", &TrainerOptions::new())?;
//! let ids = Array2::<i64>::zeros((32, 64));
//! for _ in 0..1000 {
//!     let loss = trainer.step(&[("ids", (&ids).into()), ("rate", 1e-3f32.into())])?.loss()?;
//!     println!("{loss}");
//! }
//! trainer.save("encoder.safetensors", &[("epoch", "3")])?;
//! # Ok::<(), offshoot::Error>(())
//! ```
//!
//! Each state tensor that a procedure writes has two buffers: a run reads one, writes
//! the other, and they change places when the run has succeeded. Nothing of the state
//! is copied between runs, and a run that fails, or whose guarded outputs are not
//! finite ([`Procedure::guards`]), leaves the state as it was.
//!
//! On the CPU the same program, data and number of threads give the same bytes, and a
//! run that was saved and restored goes on as if it had not been interrupted, unless a
//! graph has an operator that is not deterministic ([`TrainerOptions::deterministic`]).

mod binding;
mod buffer;
mod checkpoint;
mod deterministic;
mod device;
mod element;
mod feed;
mod interface;
mod manifest;
mod open;
mod options;
mod outputs;
mod procedure;
mod program;
mod safetensors;
mod state;
mod tensor;

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;

pub use checkpoint::{CHECKPOINT_FORMAT, Checkpoint, RestoreOptions};
pub use element::Element;
pub use manifest::{
    PROGRAM_FORMAT, PROGRAM_KIND, ProcedureManifest, ProgramManifest, STATE, StateManifest,
};
pub use options::{Arena, Device, Optimization, TrainerOptions};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
pub use outputs::Outputs;
use procedure::Open;
pub use program::{
    ACCUMULATE, EVALUATE, Initial, Procedure, Program, STEP, StateKind, StateTensor, UPDATE,
    Weights, WeightsFile,
};
pub use safetensors::{Entry, header as safetensors_header};
use state::State;
pub use tensor::{Number, Tensor};

use crate::bundle::{WEIGHTS, is_current};
use crate::error::{Error, Result, engine};
use crate::library::Engine;
use crate::session::external::{Span, commit_mapped, redirect, utf8_name};

/// A training program, open and ready to run, with its state.
#[derive(Debug)]
pub struct Trainer {
    name: String,
    digest: String,
    procedures: Vec<Open>,
    state: State,
    steps: u64,
    device: Device,
    fallback: Option<String>,
    /// What sessions refer to. Dropped after them.
    _weights: Option<Arc<[u8]>>,
}

impl Trainer {
    /// Opens `NAME.training`.
    ///
    /// # Errors
    /// Those of [`Program::open`] and [`Self::new`].
    pub fn open(path: impl AsRef<Path>, options: &TrainerOptions) -> Result<Self> {
        Self::new(&Program::open(path)?, options)
    }

    /// Opens every procedure of a program and gives the state its first values.
    ///
    /// # Errors
    /// [`Error::Program`] when the program contradicts itself or its graphs;
    /// [`Error::Device`] when the device cannot be used and another is not allowed;
    /// [`Error::OutOfMemory`]; [`Error::Library`] when ONNX Runtime cannot be loaded;
    /// [`Error::Engine`] when it refuses a graph or an option.
    pub fn new(program: &Program, options: &TrainerOptions) -> Result<Self> {
        program.check()?;
        let engine = match &options.engine {
            Some(engine) => engine.clone(),
            None => Engine::load()?,
        };
        if options.deterministic && options.thread_count() > 1 {
            deterministic::check(program)?;
        }
        let (device, fallback, sessions) = device::open(options, &engine, &|device| {
            let procedures = program.procedures.iter();
            procedures.map(|one| Open::session(program, one, options, &engine, device)).collect()
        })?;
        let Some(first) = sessions.first() else {
            return Err(program.error("it has no procedures"));
        };
        let state = State::new(program, &device::allocator(first, device)?)?;
        let procedures = program
            .procedures
            .iter()
            .zip(sessions)
            .map(|(procedure, session)| {
                Open::new(program, procedure, session, &state, device, options.cuda_graph)
            })
            .collect::<Result<Vec<_>>>()?;
        let weights = match &program.weights {
            Weights::Memory(bytes) => Some(bytes.clone()),
            _ => None,
        };
        Ok(Self {
            name: program.name.clone(),
            digest: program.digest(),
            procedures,
            state,
            steps: 0,
            device,
            fallback,
            _weights: weights,
        })
    }

    /// Runs a procedure once on data, by the names of the graph's inputs. Borrowed data
    /// of row-major order is not copied on the CPU.
    ///
    /// # Errors
    /// [`Error::Input`] when an input is missing, unknown, or of another type or shape
    /// than the graph declares; [`Error::NotFinite`] when a guarded output is not finite;
    /// [`Error::OutOfMemory`]; [`Error::Engine`]. The state stays as it was.
    pub fn run(&mut self, procedure: &str, inputs: &[(&str, Tensor<'_>)]) -> Result<Outputs> {
        let Some(open) = self.procedures.iter_mut().find(|open| open.name == procedure) else {
            let names: Vec<&str> = self.procedures.iter().map(|open| open.name.as_str()).collect();
            return Err(Error::Argument(format!(
                "the program `{}` has no procedure `{procedure}`, only {}",
                self.name,
                names.join(", ")
            )));
        };
        let returned = open.run(&mut self.state, inputs)?;
        let outputs = open.interface.returned.iter().zip(returned);
        let values: Vec<_> =
            outputs.clone().map(|(output, value)| (output.name.clone(), value)).collect();
        for (output, (_, value)) in open.interface.returned.iter().zip(&values) {
            let bad = value.floats().and_then(|mut all| all.find(|v| !v.is_finite()));
            if let (true, Some(bad)) = (output.guard, bad) {
                return Err(not_finite(open, &self.state, &output.name, bad, self.steps));
            }
        }
        for (_, slot) in &open.interface.writes {
            if let Some(slot) = self.state.get_mut(*slot) {
                slot.swap();
            }
        }
        self.steps += u64::from(open.counts);
        Ok(Outputs { procedure: procedure.into(), values })
    }

    /// Runs the procedure [`STEP`].
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn step(&mut self, inputs: &[(&str, Tensor<'_>)]) -> Result<Outputs> {
        self.run(STEP, inputs)
    }

    /// Runs the procedure [`EVALUATE`].
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn evaluate(&mut self, inputs: &[(&str, Tensor<'_>)]) -> Result<Outputs> {
        self.run(EVALUATE, inputs)
    }

    /// Name of the program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What identifies the program ([`Program::digest`]).
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Names of the procedures.
    pub fn procedures(&self) -> impl Iterator<Item = &str> {
        self.procedures.iter().map(|open| open.name.as_str())
    }

    /// Number of training steps taken, those before a checkpoint included.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Where the program runs.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Why it does not run on the device that was asked for; `None` when it does.
    pub fn fallback_reason(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// A copy of a state tensor.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none of this name; [`Error::Engine`] when it
    /// cannot be copied from the device.
    pub fn state(&self, name: &str) -> Result<Tensor<'static>> {
        let index = self.state.find(name)?;
        match self.state.get(index) {
            Some(slot) => slot.tensor(),
            None => Err(Error::Argument(format!("there is no state tensor `{name}`"))),
        }
    }

    /// A copy of a parameter.
    ///
    /// # Errors
    /// As [`Self::state`]; [`Error::Argument`] for a state tensor of another kind.
    pub fn parameter(&self, name: &str) -> Result<Tensor<'static>> {
        let index = self.state.find(name)?;
        match self.state.get(index) {
            Some(slot) if slot.kind == StateKind::Parameter => slot.tensor(),
            _ => Err(Error::Argument(format!("the state tensor `{name}` is not a parameter"))),
        }
    }

    /// Names and copies of all parameters, one after another.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Result<Tensor<'static>>)> {
        self.state_of(StateKind::Parameter)
    }

    /// Names and copies of all state tensors of a kind, one after another.
    pub fn state_of(
        &self,
        kind: StateKind,
    ) -> impl Iterator<Item = (&str, Result<Tensor<'static>>)> {
        self.state
            .slots()
            .iter()
            .filter(move |slot| slot.kind == kind)
            .map(|slot| (slot.name.as_str(), slot.tensor()))
    }

    /// Names, kinds, types and dimensions of all state tensors.
    pub fn describe(&self) -> impl Iterator<Item = (&str, StateKind, Element, &[usize])> {
        let slots = self.state.slots().iter();
        slots.map(|slot| (slot.name.as_str(), slot.kind, slot.element, slot.dims.as_slice()))
    }

    /// Replaces a state tensor.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none of this name, or `value` has another type
    /// or other dimensions.
    pub fn set_state<'a>(&mut self, name: &str, value: impl Into<Tensor<'a>>) -> Result<()> {
        let value = value.into();
        let index = self.state.find(name)?;
        let Some(slot) = self.state.get_mut(index) else { return Ok(()) };
        if value.element() != slot.element || value.dims() != slot.dims {
            return Err(Error::Argument(format!(
                "the state tensor `{name}` is {} {:?} and cannot be {} {:?}",
                slot.element,
                slot.dims,
                value.element(),
                value.dims()
            )));
        }
        let bytes = value.to_bytes();
        slot.current_mut().fill(|out| {
            out.copy_from_slice(&bytes);
            Ok(())
        })
    }

    /// Address of a state tensor in the device's memory, for code that shares it. It
    /// changes with every run that writes the tensor.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none of this name.
    pub fn state_address(&self, name: &str) -> Result<*const c_void> {
        let index = self.state.find(name)?;
        Ok(self.state.get(index).map_or(std::ptr::null(), |slot| slot.current().address()))
    }

    /// Writes a checkpoint: every state tensor under its name, with the number of steps
    /// and `metadata` of the caller's own, such as the epoch. The file appears whole or
    /// not at all; one that stood there is replaced.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses; [`Error::Argument`] for a key that begins
    /// with `offshoot.` or comes twice.
    pub fn save(&self, path: impl AsRef<Path>, metadata: &[(&str, &str)]) -> Result<()> {
        let strings: BTreeMap<String, String> =
            metadata.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        if strings.len() != metadata.len() {
            return Err(Error::Argument("two entries of the metadata have the same key".into()));
        }
        let checkpoint = Checkpoint {
            program: self.digest.clone(),
            program_name: self.name.clone(),
            steps: self.steps,
            metadata: strings,
        };
        checkpoint::save(path.as_ref(), &self.state, &checkpoint)
    }

    /// Restores a checkpoint of this program, to the last bit.
    ///
    /// # Errors
    /// As [`Self::restore_with`].
    pub fn restore(&mut self, path: impl AsRef<Path>) -> Result<Checkpoint> {
        self.restore_with(path, RestoreOptions::new())
    }

    /// Restores a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Checkpoint`] when it is
    /// damaged, or its program, names, types or shapes are not these. The state stays as
    /// it was.
    pub fn restore_with(
        &mut self,
        path: impl AsRef<Path>,
        options: RestoreOptions,
    ) -> Result<Checkpoint> {
        let program = (self.name.as_str(), self.digest.as_str());
        let restored = checkpoint::restore(path.as_ref(), &mut self.state, program, options)?;
        self.steps = restored.steps;
        Ok(restored)
    }
}

/// Opens a session on a procedure's graph, with the frozen weights where they are.
fn open_session(
    program: &Program,
    procedure: &Procedure,
    builder: SessionBuilder,
) -> Result<Session> {
    let act = "open a procedure";
    let refuse =
        |reason: String| program.error(format!("its procedure `{}`: {reason}", procedure.name));
    let span = |file: String, offset, size| {
        BTreeMap::from([(WEIGHTS.to_owned(), Span { file, offset, size })])
    };
    let session = match &program.weights {
        Weights::None => {
            let model = redirect(&procedure.model, &BTreeMap::new()).map_err(refuse)?;
            let mut builder = builder;
            builder.commit_from_memory(&model).map_err(engine(act))
        }
        Weights::Memory(bytes) => {
            let spans = span(WEIGHTS.into(), 0, bytes.len() as u64);
            let model = redirect(&procedure.model, &spans).map_err(refuse)?;
            // The trainer keeps the bytes for as long as its sessions.
            builder
                .with_external_initializer_file_in_memory(WEIGHTS, bytes.clone())
                .map_err(engine(act))?
                .commit_from_memory(&model)
                .map_err(engine(act))
        }
        Weights::File(file) => {
            let spans = span(utf8_name(&file.path)?, file.offset, file.size);
            let parent = file.path.parent();
            let session = commit_mapped(builder, &procedure.model, parent, &spans, act, &refuse);
            // ONNX Runtime opened the file by its name, the program holds it open.
            if file.file.as_ref().is_some_and(|open| !is_current(open, &file.path)) {
                return Err(Error::Changed { path: file.path.clone() });
            }
            session
        }
    };
    session.map_err(|error| match error {
        Error::Engine { action, message } => {
            Error::Engine { action, message: format!("`{}`: {message}", procedure.name) }
        }
        other => other,
    })
}

/// The error of a run whose guarded output `guard` holds `value`.
fn not_finite(open: &Open, state: &State, guard: &str, value: f64, steps: u64) -> Error {
    let mut tensors = Vec::new();
    for (_, slot) in &open.interface.writes {
        let Some(slot) = state.get(*slot) else { continue };
        if let Some(buffer) = slot.other()
            && matches!(state::is_finite(slot, buffer), Ok(false))
        {
            tensors.push(slot.name.clone());
        }
    }
    Error::NotFinite {
        procedure: open.name.clone(),
        guard: guard.into(),
        value,
        step: steps + 1,
        tensors,
    }
}
