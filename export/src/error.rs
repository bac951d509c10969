//! The one error type of this crate.

use std::path::PathBuf;

use offshoot::bundle::Modality;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong when a graph is built, a checkpoint imported or
/// a bundle written.
///
/// Each message says what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: `open`, `read`, `write` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// An operator was given values that it does not take.
    #[error("{operator} in `{scope}`: {reason}")]
    Operator {
        /// The ONNX operator.
        operator: String,
        /// The scope of the graph in which it was to stand.
        scope: String,
        /// What is wrong, with the shapes.
        reason: String,
    },

    /// An encoder cannot be adapted, or an adapter not be written.
    #[error("{0}")]
    Adapter(String),

    /// A graph cannot be differentiated.
    #[error("cannot differentiate: {0}")]
    Gradient(String),

    /// A configuration file is not what its name promises.
    #[error("{}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A configuration file lacks a key, or has a value that cannot be used.
    #[error("{}: `{key}` {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with its value and what would be accepted.
        reason: String,
    },

    /// A file of weights is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// One tensor of a file of weights is missing or unusable.
    #[error("{}: tensor `{tensor}` {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it and what would be accepted.
        reason: String,
    },

    /// The input is sound, but nothing here can import it.
    #[error("{}: {reason}", path.display())]
    Unsupported {
        /// The file or folder.
        path: PathBuf,
        /// What is not supported and what would be.
        reason: String,
    },

    /// The tokenizer is missing, damaged or does not fit the weights.
    #[error("{}: {reason}", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// An ONNX file is damaged or is not an encoder.
    #[error("{}: {reason}", path.display())]
    Onnx {
        /// The ONNX file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A bundle could not be written or unpacked.
    #[error("{}: {reason}", path.display())]
    Archive {
        /// The bundle or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// A head cannot be joined with an encoder.
    #[error("{0}")]
    Head(String),

    /// Graphs and state do not make a training program.
    #[error("{0}")]
    Program(String),

    /// A graph cannot be quantised or optimised, or the texts for it do not do.
    #[error("{0}")]
    Quantize(String),

    /// A changed encoder is farther from its source than was allowed. It was not written.
    #[error(
        "the smallest cosine with the source's embeddings is {found:.4}, of the {input} of row {row}, \
         and {bound} was asked for; nothing was written; {advice}"
    )]
    Parity {
        /// The smallest cosine.
        found: f64,
        /// What the encoder reads.
        input: Modality,
        /// Row of the input that has it.
        row: u64,
        /// The cosine that was asked for.
        bound: f64,
        /// What may help.
        advice: String,
    },

    /// The caller asked for the work to end. Nothing was left behind.
    #[error("interrupted; nothing was written")]
    Interrupted,

    /// An error of the runtime, met while reading a bundle or a manifest.
    #[error(transparent)]
    Runtime(#[from] offshoot::Error),
}

impl Error {
    /// Turns a system error into [`Error::Io`]; for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn key(
        path: impl Into<PathBuf>,
        key: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Key { path: path.into(), key: key.into(), reason: reason.into() }
    }

    pub(crate) fn tensor(
        path: impl Into<PathBuf>,
        tensor: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Tensor { path: path.into(), tensor: tensor.into(), reason: reason.into() }
    }

    pub(crate) fn unsupported(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Unsupported { path: path.into(), reason: reason.into() }
    }

    pub(crate) fn onnx(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Onnx { path: path.into(), reason: reason.into() }
    }

    pub(crate) fn archive(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Archive { path: path.into(), reason: reason.into() }
    }

    pub(crate) fn tokenizer(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Tokenizer { path: path.into(), reason: reason.into() }
    }
}
