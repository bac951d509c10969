//! A procedure that is open: its session, and the bindings of its state.

use std::ffi::CStr;
use std::fmt;

use ort::AsPointer;
use ort::memory::Allocator;
use ort::session::{NoSelectedOutputs, RunOptions, Session};
use ort::sys::OrtMemoryInfo;
use ort::value::DynValue;

use super::binding::Binding;
use super::buffer::Buffer;
use super::device;
use super::element::Element;
use super::feed;
use super::interface::Interface;
use super::open_session;
use super::options::{Device, TrainerOptions};
use super::program::{Procedure, Program};
use super::state::State;
use super::tensor::Tensor;
use crate::error::{Error, Result, engine};
use crate::library::Engine;

/// Most bindings that are kept. Procedures that write the same state need two each,
/// and one for each shape of the data when they are captured.
const MAX_BINDINGS: usize = 32;

/// A procedure that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) name: String,
    pub(super) counts: bool,
    pub(super) interface: Interface,
    /// Inputs of the state that the session wants in other memory than the state's.
    moved: Vec<usize>,
    /// Dropped before the session.
    bindings: Vec<(Key, Bound)>,
    /// Of the device, for what a captured run reads and writes.
    allocator: Option<Allocator>,
    captured: usize,
    session: Session,
}

/// What a binding is good for.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    /// Which buffer of each state tensor is current.
    current: Vec<bool>,
    /// Shapes of the data; for captured runs only.
    shapes: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Bound {
    binding: Binding,
    capture: Option<Capture>,
}

/// What a captured run reads and writes at addresses that stay.
struct Capture {
    data: Vec<Buffer>,
    returned: Vec<Buffer>,
    options: RunOptions<NoSelectedOutputs>,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("data", &self.data).finish_non_exhaustive()
    }
}

/// The outputs of a run, before it is decided whether its state is kept.
pub(super) type Returned = Vec<Tensor<'static>>;

impl Open {
    pub(super) fn session(
        program: &Program,
        procedure: &Procedure,
        options: &TrainerOptions,
        engine: &Engine,
        device: Device,
    ) -> Result<Session> {
        let plain = |capture| {
            let builder = device::builder(options, engine, device, capture)?;
            open_session(program, procedure, builder)
        };
        if !(options.cuda_graph && matches!(device, Device::Cuda { .. })) {
            return plain(false);
        }
        // Only outputs of fixed shapes can stay at their addresses.
        let session = plain(false)?;
        match returns_fixed_shapes(&session, procedure) {
            true => {
                drop(session);
                plain(true)
            }
            false => Ok(session),
        }
    }

    pub(super) fn new(
        program: &Program,
        procedure: &Procedure,
        session: Session,
        state: &State,
        device: Device,
        cuda_graph: bool,
    ) -> Result<Self> {
        let interface = Interface::new(program, procedure, &session, state)?;
        let on_device = matches!(device, Device::Cuda { .. });
        let capture = cuda_graph && on_device && returns_fixed_shapes(&session, procedure);
        let allocator = if capture { Some(device::allocator(&session, device)?) } else { None };
        let moved = if on_device { moved(&session, &interface, state)? } else { Vec::new() };
        Ok(Self {
            name: procedure.name.clone(),
            counts: procedure.counts,
            interface,
            moved,
            bindings: Vec::new(),
            allocator,
            captured: 0,
            session,
        })
    }

    /// Runs once. The new values of the state are in the buffers that are not current.
    pub(super) fn run(
        &mut self,
        state: &mut State,
        inputs: &[(&str, Tensor<'_>)],
    ) -> Result<Returned> {
        let arranged = self.interface.arrange(&self.name, inputs)?;
        let standard: Vec<Tensor<'_>> = arranged.iter().map(|tensor| tensor.standard()).collect();
        let values = standard.iter().map(feed::value).collect::<Result<Vec<_>>>()?;
        let values: Vec<&DynValue> = values.iter().map(|value| &**value).collect();
        let at = self.binding(state, &standard)?;
        let Some((_, bound)) = self.bindings.get_mut(at) else { return Ok(Vec::new()) };
        for &read in &self.moved {
            if let Some((input, slot)) = self.interface.reads.get(read)
                && let Some(slot) = state.get(*slot)
            {
                bound.binding.bind_input(input, slot.current())?;
            }
        }
        let elements = self.interface.returned.iter().map(|returned| returned.element);
        match &mut bound.capture {
            None => {
                let names = self.interface.data.iter().map(|data| data.c_name.as_c_str());
                let data: Vec<(&CStr, &DynValue)> = names.zip(values).collect();
                let returned = bound
                    .binding
                    .run(&mut self.session, &data, None)
                    .map_err(|error| explain(error, &self.name, &standard))?;
                returned.into_iter().zip(elements).map(|(v, element)| owned(v, element)).collect()
            }
            Some(capture) => {
                for (buffer, value) in capture.data.iter_mut().zip(values) {
                    buffer.copy_from(value)?;
                }
                bound
                    .binding
                    .run(&mut self.session, &[], Some(&capture.options))
                    .map_err(|error| explain(error, &self.name, &standard))?;
                let outputs = capture.returned.iter().zip(&self.interface.returned);
                outputs
                    .map(|(buffer, output)| {
                        Tensor::from_bytes(
                            output.element,
                            &fixed(&output.dims).unwrap_or_default(),
                            &buffer.bytes()?,
                        )
                    })
                    .collect()
            }
        }
    }

    /// The place of the binding for the state as it is, made now if there is none.
    fn binding(&mut self, state: &mut State, data: &[Tensor<'_>]) -> Result<usize> {
        let touched = self.interface.reads.iter().chain(&self.interface.writes);
        let current = touched.map(|(_, slot)| state.get(*slot).is_some_and(|s| s.first)).collect();
        let shapes = match self.allocator {
            Some(_) => data.iter().map(|tensor| tensor.dims().to_vec()).collect(),
            None => Vec::new(),
        };
        let key = Key { current, shapes };
        if let Some(at) = self.bindings.iter().position(|(known, _)| *known == key) {
            return Ok(at);
        }
        if self.bindings.len() >= MAX_BINDINGS {
            self.bindings.remove(0);
        }
        let bound = self.bind(state, data)?;
        self.bindings.push((key, bound));
        Ok(self.bindings.len() - 1)
    }

    fn bind(&mut self, state: &mut State, data: &[Tensor<'_>]) -> Result<Bound> {
        let returned: Vec<_> = match self.allocator {
            Some(_) => Vec::new(),
            None => self.interface.returned.iter().map(|output| output.c_name.clone()).collect(),
        };
        let mut binding = Binding::new(&self.session, &returned)?;
        for (input, slot) in &self.interface.reads {
            if let Some(slot) = state.get(*slot) {
                binding.bind_input(input, slot.current())?;
            }
        }
        for (output, slot) in &self.interface.writes {
            if let Some(buffer) = state.get_mut(*slot).and_then(super::state::Slot::other_mut) {
                binding.bind_output(output, buffer)?;
            }
        }
        let Some(allocator) = &self.allocator else { return Ok(Bound { binding, capture: None }) };
        let mut inputs = Vec::with_capacity(data.len());
        for (tensor, input) in data.iter().zip(&self.interface.data) {
            let buffer = Buffer::new(allocator, input.element, tensor.dims())?;
            binding.bind_input(&input.name, &buffer)?;
            inputs.push(buffer);
        }
        let mut outputs = Vec::with_capacity(self.interface.returned.len());
        for output in &self.interface.returned {
            let dims = fixed(&output.dims).unwrap_or_default();
            let mut buffer = Buffer::new(allocator, output.element, &dims)?;
            binding.bind_output(&output.name, &mut buffer)?;
            outputs.push(buffer);
        }
        self.captured += 1;
        let act = engine("capture a procedure");
        let mut options = RunOptions::new().map_err(&act)?;
        options.set("gpu_graph_id", self.captured.to_string()).map_err(&act)?;
        let capture = Capture { data: inputs, returned: outputs, options };
        Ok(Bound { binding, capture: Some(capture) })
    }
}

/// The dimensions, when none differs from run to run.
fn fixed(dims: &[i64]) -> Option<Vec<usize>> {
    dims.iter().map(|&dim| usize::try_from(dim).ok()).collect()
}

fn returns_fixed_shapes(session: &Session, procedure: &Procedure) -> bool {
    session
        .outputs()
        .iter()
        .filter(|outlet| !procedure.state_outputs.iter().any(|(name, _)| name == outlet.name()))
        .all(|outlet| outlet.dtype().tensor_shape().is_some_and(|shape| fixed(shape).is_some()))
}

/// The inputs of the state, by their place in `reads`, that the session wants in the
/// host's memory where the state is not there, or the other way round.
fn moved(session: &Session, interface: &Interface, state: &State) -> Result<Vec<usize>> {
    let mut infos: Vec<*const OrtMemoryInfo> = vec![std::ptr::null(); session.inputs().len()];
    // SAFETY: the session is alive and the array has room for as many entries as it has
    // inputs; the descriptions belong to the session.
    let status = unsafe {
        let status = (ort::api().SessionGetMemoryInfoForInputs)(
            session.ptr(),
            infos.as_mut_ptr(),
            infos.len(),
        );
        ort::Error::result_from_status(status)
    };
    status.map_err(engine("ask where inputs belong"))?;
    let mut wants_host = std::collections::HashMap::new();
    for (outlet, &info) in session.inputs().iter().zip(&infos) {
        let mut kind = ort::sys::OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU;
        if !info.is_null() {
            // SAFETY: the description belongs to the session, which is alive.
            unsafe { (ort::api().MemoryInfoGetDeviceType)(info, &raw mut kind) };
        }
        let host = kind == ort::sys::OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU;
        wants_host.insert(outlet.name(), host);
    }
    let is_moved = |(_, (input, slot)): &(usize, &(String, usize))| {
        let on_host = state.get(*slot).is_some_and(|slot| slot.current().is_on_host());
        wants_host.get(input.as_str()).is_some_and(|&host| host != on_host)
    };
    Ok(interface.reads.iter().enumerate().filter(is_moved).map(|(index, _)| index).collect())
}

/// A returned value as a tensor of its own.
fn owned(value: DynValue, element: Element) -> Result<Tensor<'static>> {
    let value =
        value.downcast::<ort::value::DynTensorValueType>().map_err(engine("return a tensor"))?;
    let dims: Vec<usize> = value.shape().iter().map(|&d| d.unsigned_abs() as usize).collect();
    Tensor::from_bytes(element, &dims, &super::buffer::value_bytes(&value, element)?)
}

/// Says which run an error of the engine belongs to, and whether memory ran out.
fn explain(error: Error, procedure: &str, data: &[Tensor<'_>]) -> Error {
    let Error::Engine { message, .. } = error else { return error };
    let lower = message.to_ascii_lowercase();
    let memory = ["failed to allocate", "bad_alloc", "out of memory", "bad allocation"];
    if memory.iter().any(|sign| lower.contains(sign)) {
        let shapes: Vec<String> =
            data.iter().map(|tensor| format!("{:?}", tensor.dims())).collect();
        return Error::OutOfMemory {
            what: format!("procedure `{procedure}` on data of the shapes {}", shapes.join(", ")),
            message,
        };
    }
    Error::Engine { action: "run a procedure", message: format!("`{procedure}`: {message}") }
}
