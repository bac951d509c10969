//! How a training program is to be run.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use ort::session::builder::GraphOptimizationLevel;

use crate::library::Engine;
use crate::session::{Spinning, thread_count};

/// Where a program's procedures compute and its state lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics card of NVIDIA, by ONNX Runtime's CUDA provider.
    Cuda {
        /// Number of the card, from 0.
        index: u32,
    },
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
        }
    }
}

/// Where the memory of a step's intermediate results comes from on the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arena {
    /// ONNX Runtime's arena, which keeps what it has: the fastest where batches are
    /// alike.
    #[default]
    Engine,
    /// The system's allocator: no memory is kept between steps.
    None,
}

/// How much ONNX Runtime rewrites a procedure's graph when it is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Optimization {
    /// Nothing.
    Off,
    /// Constants folded, dead and doubled parts removed.
    Basic,
    /// Everything, fused operators and memory layouts included.
    #[default]
    All,
}

impl Optimization {
    pub(super) fn level(self) -> GraphOptimizationLevel {
        match self {
            Self::Off => GraphOptimizationLevel::Disable,
            Self::Basic => GraphOptimizationLevel::Level1,
            Self::All => GraphOptimizationLevel::All,
        }
    }
}

/// How a [`Trainer`](super::Trainer) is opened. The defaults are the CPU with as many
/// threads as the process may use.
#[derive(Debug, Clone, Default)]
pub struct TrainerOptions {
    pub(super) device: Device,
    pub(super) fallback_to_cpu: bool,
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) spinning: Spinning,
    pub(super) deterministic: bool,
    pub(super) cuda_graph: bool,
    pub(super) arena: Arena,
    pub(super) memory_pattern: bool,
    pub(super) optimization: Optimization,
    pub(super) config: BTreeMap<String, String>,
    pub(super) engine: Option<Engine>,
}

impl TrainerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to compute.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Whether the CPU is used where the device cannot be. `false`, the default, makes
    /// that an error.
    #[must_use]
    pub fn fallback_to_cpu(mut self, allowed: bool) -> Self {
        self.fallback_to_cpu = allowed;
        self
    }

    /// Most threads that compute at once, the caller's included. `None`, the default,
    /// is as many as the process may use. The same number gives the same bytes.
    #[must_use]
    pub fn threads(mut self, threads: Option<NonZeroUsize>) -> Self {
        self.threads = threads;
        self
    }

    /// Whether waiting threads keep their core busy.
    #[must_use]
    pub fn spinning(mut self, spinning: Spinning) -> Self {
        self.spinning = spinning;
        self
    }

    /// Asks for kernels that give the same bytes each time where the faster ones do
    /// not, and refuses graphs with an operator for which there is none: `ScatterND`
    /// with a reduction adds in the order in which threads come, so that two runs on
    /// more than one thread differ in the last bits. `ScatterElements` does not.
    #[must_use]
    pub fn deterministic(mut self, on: bool) -> Self {
        self.deterministic = on;
        self
    }

    /// Captures each procedure as a CUDA graph and replays it. A procedure whose
    /// ordinary outputs have dimensions that differ from run to run is not captured;
    /// each shape of the data is captured once. Without effect on the CPU.
    #[must_use]
    pub fn cuda_graph(mut self, on: bool) -> Self {
        self.cuda_graph = on;
        self
    }

    /// Where the memory of intermediate results comes from on the CPU.
    #[must_use]
    pub fn arena(mut self, arena: Arena) -> Self {
        self.arena = arena;
        self
    }

    /// Whether ONNX Runtime plans one block for all intermediate results of a shape of
    /// the data when it has seen that shape once.
    #[must_use]
    pub fn memory_pattern(mut self, on: bool) -> Self {
        self.memory_pattern = on;
        self
    }

    /// How much ONNX Runtime rewrites the graphs.
    #[must_use]
    pub fn optimization(mut self, optimization: Optimization) -> Self {
        self.optimization = optimization;
        self
    }

    /// Sets any session option of ONNX Runtime by its key. An entry set here wins over
    /// the ones that this crate sets.
    #[must_use]
    pub fn config_entry(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// The ONNX Runtime to use; by default the process's own ([`Engine::load`]).
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// The number of threads that these options mean on this machine.
    pub(super) fn thread_count(&self) -> usize {
        thread_count(self.threads)
    }
}
