//! Ctrl-C: work ends at the next good place, and at once when asked twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Code, Failure, Result};

/// Whether the person asked for the work to end.
///
/// SIGINT, SIGTERM and SIGHUP count, and Ctrl-C on Windows. A command that has
/// nothing to finish does not listen: the system ends it.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Whether a signal ends the process where it stands.
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on. The first signal only sets a flag; the second ends the
    /// process.
    pub(crate) fn listen() -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let at_once = Arc::new(AtomicBool::new(false));
        let interrupt = Self { asked: asked.clone(), at_once: at_once.clone() };
        // Without a handler the system ends the process, and files are still whole:
        // none has its final name before it is finished.
        let _ = ctrlc::set_handler(move || {
            if asked.swap(true, Ordering::SeqCst) || at_once.load(Ordering::SeqCst) {
                std::process::exit(i32::from(Code::Interrupted as u8));
            }
        });
        interrupt
    }

    /// Runs work that cannot be asked to end and leaves nothing half-done: a signal
    /// ends the process.
    pub(crate) fn at_once<T>(&self, work: impl FnOnce() -> T) -> T {
        self.at_once.store(true, Ordering::SeqCst);
        let result = work();
        self.at_once.store(false, Ordering::SeqCst);
        result
    }

    /// Whether a signal came.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// The flag, for work that looks at it by itself.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.asked.clone()
    }

    /// An error when a signal came.
    pub(crate) fn check(&self, message: &str) -> Result {
        if self.is_asked() { Err(Failure::interrupted(message)) } else { Ok(()) }
    }
}
