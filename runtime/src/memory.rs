//! Memory that is given back.
//!
//! What a layer computes is large and short-lived. ONNX Runtime's own arena never
//! gives it back, and the system's allocator keeps it in whichever heap the thread
//! happened to have. Here blocks are mapped one by one, kept while a call runs, so
//! that the next layer gets pages that are already there, and unmapped when the
//! call ends ([`trim`]). Small blocks are the system's allocator's.

#[cfg(unix)]
mod pool;

use ort::environment::Environment;

/// Gives freed memory back to the system.
pub(crate) fn trim() {
    #[cfg(unix)]
    pool::trim();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer and may be called at any time, from
    // any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Makes the pool the allocator of `environment`'s sessions that ask for it; whether
/// that was done. It is not where an application registered one of its own.
pub(crate) fn register(environment: &Environment) -> bool {
    #[cfg(unix)]
    return pool::register(environment);
    #[cfg(not(unix))]
    {
        let _ = environment;
        false
    }
}
