//! How ONNX Runtime is to run an encoder.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::adapter::Adapter;
use crate::library::Engine;

/// Whether threads that wait for work keep their core busy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spinning {
    /// Within a call only: waiting threads spin while an embedding is computed and
    /// sleep when it is done. The fastest that leaves an idle encoder idle.
    #[default]
    WithinCalls,
    /// Never: the lowest use of the processor.
    Off,
    /// Also between calls: the lowest latency, at the price of busy cores.
    Always,
}

impl Spinning {
    /// As ONNX Runtime's session options.
    pub(crate) fn entries(self) -> [(&'static str, &'static str); 2] {
        let (allow, stop) = match self {
            Self::WithinCalls => ("1", "1"),
            Self::Off => ("0", "0"),
            Self::Always => ("1", "0"),
        };
        [("session.intra_op.allow_spinning", allow), ("session.force_spinning_stop", stop)]
    }
}

/// The number of threads that is meant: that which was asked for, or as many as the process
/// may use.
pub(crate) fn thread_count(asked: Option<NonZeroUsize>) -> usize {
    asked.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

/// Where the weights that were laid out for this machine are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WeightCache {
    /// In [`cache_dir`](crate::cache_dir).
    #[default]
    UserFolder,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere: weights are mapped from the bundle, and what ONNX Runtime lays out
    /// anew is private memory.
    Off,
}

/// How an encoder is opened. The defaults are those of
/// [`Encoder::open`](crate::Encoder::open).
///
/// ```no_run
/// use offshoot::{OpenOptions, Spinning};
///
/// let encoder = OpenOptions::new()
///     .threads(std::num::NonZero::new(2))
///     .spinning(Spinning::Off)
///     .config_entry("session.set_denormal_as_zero", "1")
///     .open("minilm.offshoot")?;
/// # Ok::<(), offshoot::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) spinning: Spinning,
    pub(crate) cache: WeightCache,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) idle_unload: Option<Duration>,
    pub(crate) engine: Option<Engine>,
    pub(crate) adapter: Option<Arc<Adapter>>,
}

impl OpenOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Most threads that compute at once, the caller's included. `None`, the
    /// default, is as many as the process may use: the processors of its affinity
    /// mask, and on Linux no more than its cgroup's quota.
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

    /// Where the weights that were laid out for this machine are kept.
    #[must_use]
    pub fn cache(mut self, cache: WeightCache) -> Self {
        self.cache = cache;
        self
    }

    /// Sets any session option of ONNX Runtime by its key, such as
    /// `session.disable_prepacking`. An entry set here wins over the ones that this
    /// crate sets.
    #[must_use]
    pub fn config_entry(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// Gives the encoder's memory back when it was not used for this long; the next
    /// call opens it again. `None`, the default, never does.
    #[must_use]
    pub fn idle_unload(mut self, after: Option<Duration>) -> Self {
        self.idle_unload = after;
        self
    }

    /// The ONNX Runtime to use; by default the process's own ([`Engine::load`]).
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Changes the encoder by an adapter. Its digest, by which heads and learners know it,
    /// is then another one.
    #[must_use]
    pub fn adapter(mut self, adapter: Adapter) -> Self {
        self.adapter = Some(Arc::new(adapter));
        self
    }

    /// The number of threads that these options mean on this machine.
    pub(crate) fn thread_count(&self) -> usize {
        thread_count(self.threads)
    }
}
