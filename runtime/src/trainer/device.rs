//! Sessions for training: where they compute, and with which options.

use ort::ep;
use ort::logging::LogLevel;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::options::{Arena, Device, TrainerOptions};
use crate::error::{Error, Result, engine};
use crate::library::{Engine, LIBRARY_VARIABLE, TESTED_VERSION};
use crate::session::configured;

/// A session builder for a procedure on `device`; `capture` asks for a CUDA graph.
pub(super) fn builder(
    options: &TrainerOptions,
    engine_: &Engine,
    device: Device,
    capture: bool,
) -> Result<SessionBuilder> {
    let act = "set session options";
    let mut builder = Session::builder(engine_.environment())
        .map_err(engine(act))?
        // What fails is an error of the call, not a line on the terminal.
        .with_log_level(LogLevel::Fatal)
        .map_err(engine(act))?
        .with_intra_threads(options.thread_count())
        .map_err(engine(act))?
        .with_inter_threads(1)
        .map_err(engine(act))?
        .with_memory_pattern(options.memory_pattern)
        .map_err(engine(act))?
        .with_deterministic_compute(options.deterministic)
        .map_err(engine(act))?
        .with_optimization_level(options.optimization.level())
        .map_err(engine(act))?;
    if let Device::Cuda { index } = device {
        builder = with_cuda(builder, index, capture)?;
    }
    let arena = options.arena == Arena::Engine;
    builder = builder
        .with_execution_providers([ep::CPU::default().with_arena_allocator(arena).build()])
        .map_err(engine(act))?;
    configured(builder, options.spinning, &options.config)
}

/// Opens sessions with `act` on the device that the options ask for, or on the CPU where
/// they allow it; then with the reason.
///
/// # Errors
/// [`Error::Device`] when the device cannot be used and the options do not allow
/// another; those of `act`.
pub(super) fn open(
    options: &TrainerOptions,
    engine_: &Engine,
    act: &dyn Fn(Device) -> Result<Vec<Session>>,
) -> Result<(Device, Option<String>, Vec<Session>)> {
    let device = options.device;
    let opened = match device {
        Device::Cpu => act(device),
        // A driver or a card that is missing shows when a session is opened.
        Device::Cuda { .. } => builder(options, engine_, device, false)
            .and_then(|_| act(device))
            .map_err(|error| no_device(device, error)),
    };
    match opened {
        Err(error @ Error::Device { .. }) if options.fallback_to_cpu => {
            Ok((Device::Cpu, Some(error.to_string()), act(Device::Cpu)?))
        }
        opened => Ok((device, None, opened?)),
    }
}

/// What an engine's error says about the device, where it does.
fn no_device(device: Device, error: Error) -> Error {
    match error {
        Error::Engine { message, .. }
            if ["CUDA failure", "CUDNN failure"].iter().any(|sign| message.contains(sign)) =>
        {
            Error::Device { device: device.to_string(), reason: message }
        }
        other => other,
    }
}

/// The allocator of a device's memory.
pub(super) fn allocator(session: &Session, device: Device) -> Result<Allocator> {
    match device {
        Device::Cpu => Ok(Allocator::default()),
        Device::Cuda { index } => {
            let index = i32::try_from(index).map_err(|_| no_card(index))?;
            MemoryInfo::new(
                AllocationDevice::CUDA,
                index,
                AllocatorType::Device,
                MemoryType::Default,
            )
            .and_then(|info| Allocator::new(session, info))
            .map_err(engine("find the device's memory"))
        }
    }
}

fn no_card(index: u32) -> Error {
    Error::Device {
        device: Device::Cuda { index }.to_string(),
        reason: "there is no card of this number".into(),
    }
}

#[cfg(not(feature = "cuda"))]
fn with_cuda(_: SessionBuilder, index: u32, _: bool) -> Result<SessionBuilder> {
    Err(Error::Device {
        device: Device::Cuda { index }.to_string(),
        reason: "this program was built without the feature `cuda` of the crate `offshoot`".into(),
    })
}

#[cfg(feature = "cuda")]
fn with_cuda(builder: SessionBuilder, index: u32, capture: bool) -> Result<SessionBuilder> {
    use ort::ep::ExecutionProvider;

    let refuse =
        |reason: String| Error::Device { device: Device::Cuda { index }.to_string(), reason };
    let number = i32::try_from(index).map_err(|_| no_card(index))?;
    if !ep::CUDA::is_available().map_err(engine("list its providers"))? {
        return Err(refuse(format!(
            "the library of ONNX Runtime in use ({}) has no CUDA provider; install the package \
             onnxruntime-gpu {TESTED_VERSION} or newer and let {LIBRARY_VARIABLE} name the \
             libonnxruntime in it, or ask for the CPU",
            ort::info()
        )));
    }
    let cuda = ep::CUDA::default().with_device_id(number).with_cuda_graph(capture);
    builder.with_execution_providers([cuda.build().error_on_failure()]).map_err(|error| {
        refuse(format!(
            "ONNX Runtime's CUDA provider cannot be loaded: {error}; it needs a driver of NVIDIA, \
             and the CUDA and cuDNN libraries of the major versions that onnxruntime-gpu was built \
             for where the system's loader finds them"
        ))
    })
}
