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

    /// A file is not an adapter, is a damaged one, or belongs to another encoder.
    #[error("{} is not a usable adapter: {reason}", path.display())]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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

    /// A head could not be fitted, read or used.
    #[error(transparent)]
    Head(#[from] offshoot_adapters::Error),

    /// A file is no learner, or a damaged one.
    #[cfg(feature = "learner")]
    #[error("{} is not a usable learner: {reason}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A learner made by a later version of this crate.
    #[cfg(feature = "learner")]
    #[error(
        "{} is a learner of version {found}, this program reads up to {supported}: update \
         offshoot; the file was not changed",
        path.display()
    )]
    NewerStore {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest one that is understood.
        supported: i64,
    },

    /// A learner that belongs to another encoder.
    #[cfg(feature = "learner")]
    #[error(
        "{} was taught on the encoder {encoder:?} (digest {found}), not on the one in use (digest \
         {wanted}): open that encoder, or teach a new learner",
        path.display()
    )]
    OtherEncoder {
        /// The learner.
        path: PathBuf,
        /// Name of its encoder.
        encoder: String,
        /// Digest of its encoder.
        found: String,
        /// Digest of the encoder in use.
        wanted: String,
    },

    /// Another process uses the learner for longer than was waited.
    #[cfg(feature = "learner")]
    #[error(
        "{} is in use by another process, waited {} s: try again; nothing was changed",
        path.display(),
        waited.as_secs_f64()
    )]
    Busy {
        /// The learner.
        path: PathBuf,
        /// How long was waited.
        waited: std::time::Duration,
    },

    /// An example that no learner takes. Nothing of the call was taught.
    #[cfg(feature = "learner")]
    #[error("example {row} cannot be taught: {reason}")]
    Example {
        /// Its place in the call, from 0.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },

    /// An example does not fit into sufficient statistics.
    #[cfg(feature = "learner")]
    #[error("example {example} of {} cannot be added to statistics: {reason}", path.display())]
    Sums {
        /// Its number.
        example: i64,
        /// The learner.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// There is no such example.
    #[cfg(feature = "learner")]
    #[error("there is no example {what} in {}; nothing was changed", path.display())]
    NoExample {
        /// Its number, or what was looked for.
        what: String,
        /// The learner.
        path: PathBuf,
    },

    /// The history of a learner is empty.
    #[cfg(feature = "learner")]
    #[error("there is nothing to undo in {}: its history is empty", path.display())]
    NothingToUndo {
        /// The learner.
        path: PathBuf,
    },

    /// The last update forgot examples, for ever.
    #[cfg(feature = "learner")]
    #[error(
        "the last update of {} forgot {examples} example{}, which cannot be brought back; what \
         came before it can still be undone if that is asked for",
        path.display(),
        if *examples == 1 { "" } else { "s" }
    )]
    Forgotten {
        /// The learner.
        path: PathBuf,
        /// How many examples were forgotten.
        examples: u64,
    },

    /// Examples are forgotten, and their bytes could not be overwritten yet.
    #[cfg(feature = "learner")]
    #[error(
        "the examples are no longer in {}, but their bytes could not be overwritten yet: {source}; \
         the next command that opens it tries again",
        path.display()
    )]
    NotErased {
        /// The learner.
        path: PathBuf,
        /// What was in the way.
        source: Box<Error>,
    },

    /// The head cannot use weights.
    #[cfg(feature = "learner")]
    #[error(
        "the examples have different weights, which the head {head} does not use: choose auto, \
         nearest-mean, ridge or discriminant, or give all examples the same weight"
    )]
    Weights {
        /// Kind of the head.
        head: String,
    },

    /// A training program contradicts itself or its graphs.
    #[error("the training program `{name}` cannot be used: {reason}")]
    Program {
        /// Name of the program.
        name: String,
        /// What is wrong with it, naming the procedure or the tensor.
        reason: String,
    },

    /// A file is no training program, or a damaged one.
    #[error("{} is not a usable training program: {reason}", path.display())]
    ProgramFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, naming the entry.
        reason: String,
    },

    /// A file is no checkpoint of this program, or a damaged one.
    #[error("the checkpoint {} cannot be restored: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A procedure of a training program was given data that it does not take.
    #[error("input `{input}` of the procedure `{procedure}` {reason}")]
    Input {
        /// The procedure.
        procedure: String,
        /// The input.
        input: String,
        /// What is wrong with it and what is expected.
        reason: String,
    },

    /// A guarded output of a procedure was not finite. The state is the one before.
    #[error(
        "`{guard}` is {value} at step {step} of the procedure `{procedure}`{}; the state is the one \
         before this step: lower the learning rate, clip gradients, or with 16-bit numbers lower \
         the loss scale, and look at the data of this step",
        would_be_lost(tensors)
    )]
    NotFinite {
        /// The procedure.
        procedure: String,
        /// The guarded output.
        guard: String,
        /// Its first element that is not finite.
        value: f64,
        /// The step that it would have been, from 1.
        step: u64,
        /// State tensors that would not have been finite afterwards.
        tensors: Vec<String>,
    },

    /// A device cannot be used.
    #[error("the device {device} cannot be used: {reason}")]
    Device {
        /// The device, such as `cuda:0`.
        device: String,
        /// What is missing.
        reason: String,
    },

    /// There was not enough memory.
    #[error("out of memory for {what}: {message}; use smaller batches or a smaller network")]
    OutOfMemory {
        /// What the memory was for.
        what: String,
        /// What the engine or the system said.
        message: String,
    },

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

/// The part of a message that names state tensors.
fn would_be_lost(tensors: &[String]) -> String {
    match tensors {
        [] => ", and every state tensor would have stayed finite".into(),
        [only] => format!(", and the state tensor `{only}` would not have been finite"),
        [first, rest @ ..] => format!(
            ", and {} state tensors, `{first}` among them, would not have been finite",
            rest.len() + 1
        ),
    }
}

/// Makes an [`Error::Engine`] of an error of the `ort` crate.
pub(crate) fn engine<T>(action: &'static str) -> impl Fn(ort::Error<T>) -> Error {
    move |error| Error::Engine { action, message: error.to_string() }
}
