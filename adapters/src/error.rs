//! What can go wrong, said so that the reader knows what to do about it.

use std::io;
use std::path::PathBuf;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every way in which fitting, predicting, scoring, saving or loading can fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to learn from.
    #[error("there are no examples: give at least one labelled embedding for each class")]
    NoExamples,

    /// Embeddings of width 0.
    #[error("the embeddings have no columns: each row must hold one embedding")]
    NoDimensions,

    /// Rows of embeddings and labels do not pair up.
    #[error("{rows} embeddings but {labels} labels: give exactly one label for each embedding")]
    LabelCount {
        /// Rows of the embedding matrix.
        rows: usize,
        /// Labels given.
        labels: usize,
    },

    /// A label index points past the last class.
    #[error("row {row} has class index {index}, but there are only {classes} classes")]
    UnknownClass {
        /// Row of the example.
        row: usize,
        /// The class index found there.
        index: usize,
        /// Number of classes.
        classes: usize,
    },

    /// Telling classes apart needs two of them.
    #[error(
        "every example has the label {label:?}: a classifier needs at least 2 classes, so add \
         examples of something else"
    )]
    OneClass {
        /// The only label.
        label: String,
    },

    /// A class was declared and never shown.
    #[error(
        "class {class:?} has no example: add one, or make the set of classes from the labels that occur"
    )]
    EmptyClass {
        /// Name of the class.
        class: String,
    },

    /// More classes than a head may have.
    #[error(
        "{found}{} different labels, at most {limit} are supported: is the label column the right \
         one (an identifier, a number or free text has a new value in nearly every row)?",
        if *.at_least { " or more" } else { "" }
    )]
    TooManyClasses {
        /// Classes counted.
        found: usize,
        /// Whether counting stopped early.
        at_least: bool,
        /// [`Classes::MAX`](crate::Classes::MAX).
        limit: usize,
    },

    /// The same class name twice.
    #[error("class {0:?} is named twice")]
    DuplicateClass(String),

    /// A label that is too long to be the name of a class.
    #[error("label {row} is {bytes} bytes long (it starts {start:?}), at most {limit} are allowed")]
    LongLabel {
        /// Position of the label.
        row: usize,
        /// Its length in bytes.
        bytes: usize,
        /// Its first characters.
        start: String,
        /// [`Classes::MAX_NAME_BYTES`](crate::Classes::MAX_NAME_BYTES).
        limit: usize,
    },

    /// An embedding holds NaN or infinity.
    #[error(
        "embedding in row {row} is not finite: column {column} holds {value}; remove the row or \
         embed it again"
    )]
    NotFinite {
        /// Row of the embedding.
        row: usize,
        /// Column of its first value that is not finite.
        column: usize,
        /// That value.
        value: f32,
    },

    /// Embeddings of another width than the head was fitted on.
    #[error(
        "embeddings have {found} dimensions but the head was fitted on {expected}: use the same \
         encoder, cut to the same dimensions"
    )]
    Width {
        /// Columns given.
        found: usize,
        /// Columns the head needs.
        expected: usize,
    },

    /// The work would need more memory than is sensible.
    #[error(
        "{what} with {examples} examples, {classes} classes and {dimensions} dimensions needs about \
         {needed_mib} MiB, over the limit of {limit_mib} MiB: use fewer examples or classes, or the \
         nearest-mean head, which needs far less"
    )]
    TooLarge {
        /// What was asked for.
        what: &'static str,
        /// Number of examples.
        examples: usize,
        /// Number of classes.
        classes: usize,
        /// Embedding width.
        dimensions: usize,
        /// Estimated working memory.
        needed_mib: u64,
        /// Most that is used.
        limit_mib: u64,
    },

    /// A setting outside its range.
    #[error("{name} is {value}: {expected}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The value given.
        value: f64,
        /// What would be accepted.
        expected: &'static str,
    },

    /// No calibration is called that.
    #[error("unknown calibration {name:?}: choose one of temperature, dirichlet")]
    UnknownCalibration {
        /// What was asked for.
        name: String,
    },

    /// The name of a head is not known.
    #[error("unknown head {name:?}: choose one of {}", crate::HeadKind::names())]
    UnknownHead {
        /// The name given.
        name: String,
    },

    /// The optimiser did not get near enough to the optimum.
    #[error(
        "logistic regression stopped after {iterations} iterations about {distance:.1e} from the \
         optimum (tolerance {tolerance:.1e}): raise max_iterations, lower c, or scale the \
         embeddings to unit length"
    )]
    NotConverged {
        /// Iterations made.
        iterations: usize,
        /// Bound on the relative distance of the coefficients from the optimum.
        distance: f64,
        /// The distance asked for.
        tolerance: f64,
    },

    /// A class that statistics do not hold.
    #[error("no example has the label {0:?}: it was never added, or its last example was removed")]
    NoSuchClass(String),

    /// An example to be removed or changed that cannot be among those added.
    #[error(
        "not among the examples of class {class:?} (weight {weight}): it was never added, was \
         removed already, or had another weight or class; nothing was changed"
    )]
    NotAdded {
        /// The class it should be of.
        class: String,
        /// The weight it should have, or the total of several.
        weight: f64,
    },

    /// An embedding or weight too large for the grid of statistics.
    #[error(
        "an embedding of length {norm:.3e} with weight {weight} does not fit statistics for lengths \
         near {unit:e} (weight times squared length may be up to 1024 times that squared): make \
         them for the largest length that occurs, or scale the embeddings to unit length"
    )]
    OffGrid {
        /// Length of the embedding.
        norm: f64,
        /// Its weight.
        weight: f64,
        /// The unit of the statistics.
        unit: f64,
    },

    /// The weights in statistics add up to more than they hold.
    #[error(
        "the statistics are full: all weights, each times its squared length in units, may add up \
         to 4 million; give smaller weights, or age the statistics with a factor below 1"
    )]
    Full,

    /// Statistics that no noise makes private.
    #[error(
        "these statistics {0}, so that what one example adds is not bounded: make them with \
         `Statistics::clipped` and add the examples again"
    )]
    NotPrivate(&'static str),

    /// Statistics on different grids.
    #[error(
        "cannot merge statistics with the units {} and {} and the clipping lengths {:?} and {:?}: \
         make both with the same constructor",
        units[0], units[1], clips[0], clips[1]
    )]
    OtherGrid {
        /// Their units.
        units: [f64; 2],
        /// Their clipping lengths.
        clips: [Option<f64>; 2],
    },

    /// The embeddings are so large, or so different in scale, that sums overflow or cancel.
    #[error(
        "the embeddings are too large or too badly scaled for {0}: scale them to unit length first"
    )]
    Scale(&'static str),

    /// Two lists that should pair up differ in length.
    #[error("{truth} true labels but {predicted} predictions: give one prediction for each label")]
    PredictionCount {
        /// True labels given.
        truth: usize,
        /// Predictions given.
        predicted: usize,
    },

    /// A value that is no probability.
    #[error(
        "row {row} gives class {class} the probability {value}: probabilities must lie between 0 \
         and 1"
    )]
    NotProbability {
        /// Row of the value.
        row: usize,
        /// Its column.
        class: usize,
        /// The value.
        value: f64,
    },

    /// Probabilities of one example that do not add up to 1.
    #[error(
        "the probabilities of row {row} sum to {sum}, not 1: give the probability of every class"
    )]
    ProbabilitySum {
        /// The row.
        row: usize,
        /// Their sum.
        sum: f64,
    },

    /// A value that is no logarithm of a probability.
    #[error(
        "row {row} gives class {class} the log-probability {value}: logarithms of probabilities \
         are at most 0"
    )]
    NotLogProbability {
        /// Row of the value.
        row: usize,
        /// Its column.
        class: usize,
        /// The value.
        value: f64,
    },

    /// Columns of another number of classes or labels.
    #[error("{found} columns were given but there are {expected} classes or labels")]
    Columns {
        /// Columns given.
        found: usize,
        /// Classes.
        expected: usize,
    },

    /// A target of regression that is NaN or infinite.
    #[error("target {column} of row {row} is {value}: give finite numbers, or leave the row out")]
    Target {
        /// Row of the example.
        row: usize,
        /// Its output.
        column: usize,
        /// The value.
        value: f64,
    },

    /// Flags that do not pair with labels.
    #[error("{rows} labels but {flags} flags of usable rows: give one flag for each label")]
    FlagCount {
        /// Labels given.
        rows: usize,
        /// Flags given.
        flags: usize,
    },

    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// A head file is damaged or is not one.
    #[error("{} is not a usable head file: {problem}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// A statistics file is damaged or is not one.
    #[error("{} is not a usable statistics file: {problem}", path.display())]
    BadStatistics {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// A reference for drift is damaged or is not one.
    #[error("{} is not a usable reference for drift: {problem}", path.display())]
    BadReference {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// A head file made by a later version of this crate.
    #[error(
        "{} has head format {found}, this program reads up to {supported}: update offshoot, or fit \
         the head again",
        path.display()
    )]
    NewerFile {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest one that is understood.
        supported: u32,
    },

    /// A head file that belongs to another encoder.
    #[error(
        "{} was fitted on the encoder {encoder:?} (digest {found}), not on the one in use (digest \
         {wanted}): open that encoder, or fit the head again",
        path.display()
    )]
    OtherEncoder {
        /// The file.
        path: PathBuf,
        /// Name of the encoder the head was fitted on.
        encoder: String,
        /// Its digest.
        found: String,
        /// Digest of the encoder in use.
        wanted: String,
    },

    /// A head file for the same encoder cut to another width.
    #[error(
        "{} was fitted on embeddings of {found} dimensions, not {wanted}: embed with {found} \
         dimensions, or fit the head again",
        path.display()
    )]
    OtherDimensions {
        /// The file.
        path: PathBuf,
        /// Width the head was fitted on.
        found: usize,
        /// Width in use.
        wanted: usize,
    },
}
