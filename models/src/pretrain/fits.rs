//! Whether options, data, encoder and an earlier run fit together.

use super::options::{PretrainOptions, WeightedObjective};
use super::run_folder::{Description, RunFolder};
use super::setup::Setup;
use crate::data::Dataset;
use crate::error::{Error, Result};

/// Whether a run can begin.
pub(super) fn run(data: &dyn Dataset, options: &PretrainOptions) -> Result<()> {
    options.check()?;
    if data.len() < 4 {
        return Err(Error::Pretrain(format!(
            "{} examples are too few to learn from; give at least 4",
            data.len()
        )));
    }
    Ok(())
}

/// Whether the objectives can train the encoder on the data.
pub(super) fn objectives(
    setup: &Setup,
    options: &PretrainOptions,
    data: &dyn Dataset,
) -> Result<()> {
    setup.encoder.check()?;
    let labeled = (0..data.len()).any(|index| data.label(index).is_some());
    for WeightedObjective { objective, .. } in &options.objectives {
        objective.check(&setup.encoder)?;
        if objective.needs_labels() && !labeled {
            return Err(Error::Pretrain(format!(
                "{} reads labels and the data has none; name their column, or choose another \
                 objective",
                objective.name()
            )));
        }
    }
    Ok(())
}

/// Whether an earlier run in the folder is this one.
pub(super) fn earlier(
    earlier: &Description,
    options: &PretrainOptions,
    data: &dyn Dataset,
    folder: &RunFolder,
) -> Result<()> {
    let what = if earlier.data_digest != data.digest() {
        "with other data"
    } else if earlier.options != options.fingerprint() {
        "with other options"
    } else {
        return Ok(());
    };
    Err(other_run(folder, what))
}

/// An error for a folder that holds another run.
pub(super) fn other_run(folder: &RunFolder, what: &str) -> Error {
    Error::Pretrain(format!(
        "{} holds a run {what}; remove it to begin again, or choose another output",
        folder.path().display()
    ))
}
