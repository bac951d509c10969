//! Ctrl-C: work ends at the next good place, and at once when asked twice.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{Code, Failure, Result};

/// Whether the person asked for the work to end.
///
/// SIGINT, SIGTERM and SIGHUP count, and Ctrl-C on Windows. A command that has
/// nothing to finish does not listen: the system ends it.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    /// What a signal does while it may end the process where it stands.
    ending: Arc<Mutex<Option<Ending>>>,
}

/// How the process ends when a signal comes at a moment at which nothing would be lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending {
    /// What is said.
    pub(crate) message: String,
    /// A temporary file that would stay behind.
    pub(crate) remove: Option<PathBuf>,
}

impl Ending {
    /// An ending that only says something.
    pub(crate) fn saying(message: impl Into<String>) -> Self {
        Self { message: message.into(), remove: None }
    }
}

impl Interrupt {
    /// Listens from now on. The first signal sets a flag, unless the process is in
    /// [`Self::at_once`]; the second ends the process.
    pub(crate) fn listen() -> Self {
        let interrupt = Self { asked: Arc::default(), ending: Arc::default() };
        let Self { asked, ending } = interrupt.clone();
        // Without a handler the system ends the process, and files are still whole:
        // none has its final name before it is finished.
        let _ = ctrlc::set_handler(move || {
            let ending = ending.lock().unwrap_or_else(PoisonError::into_inner).take();
            let again = asked.swap(true, Ordering::SeqCst);
            if let Some(Ending { message, remove }) = ending {
                if let Some(path) = remove {
                    let _ = std::fs::remove_file(path);
                }
                let _ = Failure::interrupted(message).report();
            } else if !again {
                return;
            }
            std::process::exit(i32::from(Code::Interrupted as u8));
        });
        interrupt
    }

    /// Runs work that cannot be asked to end, such as reading from a pipe, and would leave
    /// nothing half-done: a signal ends the process.
    pub(crate) fn at_once<T>(&self, ending: Ending, work: impl FnOnce() -> T) -> T {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
        let result = work();
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = None;
        result
    }

    /// The flag, for work that looks at it by itself.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.asked.clone()
    }

    /// An error when a signal came.
    pub(crate) fn check(&self, message: &str) -> Result {
        if self.asked.load(Ordering::SeqCst) {
            return Err(Failure::interrupted(message));
        }
        Ok(())
    }
}
