//! Why the service does not start or ends early.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the service does not start or ends early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bundle cannot be used.
    #[error(transparent)]
    Runtime(#[from] offshoot::Error),

    /// A file or an address cannot be used.
    #[error("cannot {action} {what}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or the address.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },

    /// The file of keys is damaged.
    #[error(
        "line {line} of {} is no key: {reason}; make keys with `offshoot serve --new-key NAME`",
        path.display()
    )]
    Keys {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A certificate or its key cannot be used.
    #[error("{} cannot be used for TLS: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// What was asked for cannot be.
    #[error("{0}")]
    Argument(String),
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        what: impl ToString,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.to_string();
        move |source| Self::Io { action, what, source }
    }
}
