//! The one error type of this crate.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong when an encoder is opened or used.
///
/// Each message says what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: `open`, `map`, `write` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// The file is not a bundle, or is a damaged one.
    #[error("{} is not a usable encoder bundle: {reason}", path.display())]
    Bundle {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it, naming the entry.
        reason: String,
    },

    /// The manifest is damaged or of a newer format.
    #[error("manifest.json cannot be used: {reason}")]
    Manifest {
        /// What is wrong with it, naming the key.
        reason: String,
    },

    /// An entry's bytes are not those that the manifest promises.
    #[error(
        "{}: entry `{entry}` is damaged: its SHA-256 is {found}, the manifest says {expected}; \
         copy or import the bundle again",
        path.display()
    )]
    Digest {
        /// The bundle.
        path: PathBuf,
        /// The damaged entry.
        entry: String,
        /// Digest in the manifest.
        expected: String,
        /// Digest of the bytes.
        found: String,
    },

    /// A bundle was changed or replaced while it was being opened.
    #[error("{} changed while it was being opened; open it again once it is written", path.display())]
    Changed {
        /// The bundle.
        path: PathBuf,
    },

    /// The tokenizer could not be read, or does not fit the encoder.
    #[error("the tokenizer of {} cannot be used: {reason}", path.display())]
    Tokenizer {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// ONNX Runtime's shared library was not found, could not be loaded or is too old.
    #[error("{0}")]
    Library(String),

    /// ONNX Runtime refused a graph, an option or an input.
    #[error("ONNX Runtime failed to {action}: {message}")]
    Engine {
        /// What was being done.
        action: &'static str,
        /// ONNX Runtime's message.
        message: String,
    },

    /// A text is longer than the encoder reads and cutting was not allowed.
    #[error(
        "text {row} has {tokens} tokens and the encoder reads {max_tokens}; \
         shorten it, or allow it to be cut"
    )]
    TooLong {
        /// Row of the text in the call, from 0.
        row: usize,
        /// Its number of tokens, special tokens included.
        tokens: usize,
        /// The most that the encoder reads.
        max_tokens: usize,
    },

    /// An argument cannot be used.
    #[error("{0}")]
    Argument(String),

    /// The user's cache folder is unknown.
    #[error(
        "no cache folder: neither OFFSHOOT_CACHE nor a home folder is set; \
         set OFFSHOOT_CACHE to a folder that may be written"
    )]
    NoCacheDir,
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}

/// Makes an [`Error::Engine`] of an error of the `ort` crate.
pub(crate) fn engine<T>(action: &'static str) -> impl Fn(ort::Error<T>) -> Error {
    move |error| Error::Engine { action, message: error.to_string() }
}
