//! Pretraining from end to end, on small data of every kind.

mod bad_input;
mod data;
mod held_out;
mod learning;
mod resuming;

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use offshoot::{Encoder, OpenOptions, TrainerOptions, WeightCache};
use offshoot_models::data::Dataset;
use offshoot_models::objectives::named;
use offshoot_models::pretrain::{Budget, PretrainOptions, Pretrained, pretrain};
use offshoot_models::{Error, Result};

/// Sees to it that ONNX Runtime is where it is looked for.
fn onnx_runtime() {
    if std::env::var_os(offshoot::library::LIBRARY_VARIABLE).is_none() {
        offshoot_models::packages::onnx_runtime(&mut |_| {}).expect("ONNX Runtime's package");
    }
}

/// A run of a few steps of small batches, on one thread.
fn options(objective: &str, output: &Path, steps: u64) -> PretrainOptions {
    onnx_runtime();
    PretrainOptions {
        budget: Budget::Steps(steps),
        batch: 8,
        max_tokens: 16,
        vocabulary: 200,
        seed: 3,
        trainer: TrainerOptions::new().threads(NonZero::new(1)),
        ..PretrainOptions::new(named(objective).unwrap(), output.into())
    }
}

fn run(data: &Arc<dyn Dataset>, options: &PretrainOptions) -> Result<Pretrained> {
    pretrain(data, options, &mut |_| {})
}

fn open(path: &Path) -> Encoder {
    OpenOptions::new().cache(WeightCache::Off).open(path).unwrap()
}

/// The message of a run that is refused, which leaves no bundle.
fn refusal(data: &Arc<dyn Dataset>, options: &PretrainOptions) -> String {
    let error = run(data, options).unwrap_err();
    assert!(!matches!(error, Error::Io { .. }), "{error}");
    assert!(!options.output.exists());
    error.to_string()
}
