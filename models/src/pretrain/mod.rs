//! Pretraining: from unlabeled examples to an encoder in one file.
//!
//! A run is a function of its data, its options and its seed. The batch of a step is made of
//! the seed and the step's number alone, all other state is the trainer's, and so a run that
//! was killed and resumed ends in the same bundle, byte for byte.

mod blank;
mod budget;
mod event;
mod finish;
mod fits;
mod held_out;
mod init;
mod loader;
mod ngrams;
mod optimizer;
mod options;
mod patience;
mod prediction;
mod preview;
mod program;
mod provenance;
mod quality;
mod record;
mod run;
mod run_folder;
mod schedule;
mod scratch;
mod setup;
mod source;
mod step;
mod tensorboard;
mod tokenizer;
mod tokenizer_models;

pub use self::blank::Blank;
pub use self::event::{Event, Pretrained};
pub use self::init::is_own;
pub use self::optimizer::OptimizerKind;
pub use self::options::{Budget, PretrainOptions, Start, WeightedObjective};
pub use self::prediction::Prediction;
pub use self::preview::{Preview, preview};
pub use self::quality::Quality;
pub use self::record::{METRICS, StepRecord};
pub use self::run::pretrain;
pub use self::schedule::Schedule;
pub use self::tokenizer::TokenizerKind;
pub use offshoot_export::training::Recompute;
