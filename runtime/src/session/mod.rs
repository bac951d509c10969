//! ONNX Runtime sessions: opened from a bundle, with weights that are pages of a
//! file and not copies.

pub(crate) mod external;
mod options;
mod prepared;
mod unpooled;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use options::thread_count;
pub use options::{OpenOptions, Spinning, WeightCache};
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
pub use prepared::CacheState;
pub(crate) use prepared::Prepared;
pub(crate) use unpooled::Unpooled;

use crate::error::{Result, engine};
use crate::library::Engine;

/// A session builder with everything that does not depend on where the graph
/// comes from.
///
/// The memory arena is off, since it never gives memory back; sessions use this
/// crate's own allocator ([`crate::memory`]) where it could be registered.
fn builder(options: &OpenOptions, engine_: &Engine, threads: usize) -> Result<SessionBuilder> {
    let act = "set session options";
    let mut builder = Session::builder(engine_.environment())
        .map_err(engine(act))?
        .with_log_level(LogLevel::Error)
        .map_err(engine(act))?
        .with_execution_providers([ep::CPU::default().with_arena_allocator(false).build()])
        .map_err(engine(act))?
        .with_intra_threads(threads)
        .map_err(engine(act))?
        .with_inter_threads(1)
        .map_err(engine(act))?
        .with_memory_pattern(false)
        .map_err(engine(act))?
        // Products of bytes saturate on x86 processors without VNNI; this takes the slower
        // kernels that do not, on those only.
        .with_config_entry("session.x64quantprecision", "1")
        .map_err(engine(act))?;
    if engine_.is_pooled() {
        builder =
            builder.with_config_entry("session.use_env_allocators", "1").map_err(engine(act))?;
    }
    configured(builder, options.spinning, &options.config)
}

/// Sets how waiting threads behave, then the caller's own entries, which win.
pub(crate) fn configured(
    mut builder: SessionBuilder,
    spinning: Spinning,
    config: &BTreeMap<String, String>,
) -> Result<SessionBuilder> {
    let own = config.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in spinning.entries().into_iter().chain(own) {
        builder = builder.with_config_entry(key, value).map_err(engine("set session options"))?;
    }
    Ok(builder)
}

/// Opens a model that was optimised before: nothing is rewritten.
fn open_optimized(
    options: &OpenOptions,
    engine_: &Engine,
    threads: usize,
    model: &Path,
) -> Result<Session> {
    builder(options, engine_, threads)?
        .with_optimization_level(GraphOptimizationLevel::Disable)
        .map_err(engine("set session options"))?
        .commit_from_file(model)
        .map_err(engine("open the prepared model"))
}
