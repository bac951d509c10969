//! How long a run is.

use std::sync::Arc;
use std::time::Instant;

use offshoot::Trainer;

use super::loader::{Loader, Maker};
use super::options::{Budget, PretrainOptions};
use super::run_folder::RunFolder;
use super::step;
use crate::error::Result;

/// Steps that are timed for a budget of minutes, after two more; and seconds after which the
/// timing ends.
const TIMED_STEPS: u32 = 20;
const TIMED_SECONDS: f64 = 10.0;

/// The number of steps of a run. For a budget of minutes steps are timed, and then undone.
pub(super) fn settle_steps(
    options: &PretrainOptions,
    maker: &Arc<Maker>,
    trainer: &mut Trainer,
    folder: &RunFolder,
) -> Result<u64> {
    let a_step = maker.batch as f64 * options.accumulate as f64;
    let a_epoch = maker.source.len() as f64 / a_step;
    match options.budget {
        Budget::Steps(steps) => Ok(steps),
        Budget::Epochs(epochs) => Ok((epochs * a_epoch).ceil().max(1.0) as u64),
        Budget::Minutes(minutes) => {
            let before = Instant::now();
            trainer.save(folder.checkpoint(), &[])?;
            let mut loader = Loader::start(maker, 0, options.loaders)?;
            let (mut timed, mut start) = (0, Instant::now());
            for at in 0..TIMED_STEPS + 2 {
                // The first steps allocate.
                if at == 2 {
                    start = Instant::now();
                    timed = 0;
                }
                step::take(trainer, &mut loader, options.accumulate, 0.0, &[])?;
                timed += 1;
                if at >= 2 && start.elapsed().as_secs_f64() > TIMED_SECONDS {
                    break;
                }
            }
            let a_step = start.elapsed().as_secs_f64() / f64::from(timed.max(1));
            drop(loader);
            trainer.restore(folder.checkpoint())?;
            let left = 60.0 * minutes - before.elapsed().as_secs_f64();
            Ok((0.95 * left / a_step).max(1.0) as u64)
        }
    }
}
