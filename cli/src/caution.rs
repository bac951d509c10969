//! Knowing when not to know: what the examples of a learner say besides a class.

use offshoot::Learner;
use offshoot_adapters::calibration::{Calibration, CalibrationKind};
use offshoot_adapters::open_set::OpenSet;

use crate::failure::{Failure, Result};

/// How far the answers of a learner's head are trusted.
#[derive(Debug, clap::Args)]
pub(crate) struct CautionArgs {
    /// Correct the probabilities by what the head says of examples that it was not shown:
    /// `temperature` (one number) or `dirichlet` (a matrix; for many labels of few classes).
    /// Needs a learner, whose examples it uses
    #[arg(long, value_name = "temperature|dirichlet", value_parser = calibration)]
    calibrate: Option<CalibrationKind>,
    /// Tell inputs of no known class apart: at most this share of them, such as 0.05, passes as
    /// known. Needs a learner
    #[arg(long, value_name = "P", value_parser = share)]
    pub(crate) false_accepts: Option<f64>,
}

impl CautionArgs {
    /// What probabilities are corrected by, if that was asked for.
    pub(crate) fn calibration(&self, learner: Option<&Learner>) -> Result<Option<Calibration>> {
        let Some(kind) = self.calibrate else { return Ok(None) };
        Ok(Some(needed(learner)?.calibration(kind)?))
    }

    /// What tells unknown inputs, and the rate, if that was asked for.
    pub(crate) fn rejection(&self, learner: Option<&Learner>) -> Result<Option<(OpenSet, f64)>> {
        let Some(rate) = self.false_accepts else { return Ok(None) };
        Ok(Some((needed(learner)?.open_set()?, rate)))
    }
}

/// The learner, without which nothing of this is known.
pub(crate) fn needed(learner: Option<&Learner>) -> Result<&Learner> {
    learner.ok_or_else(|| {
        Failure::usage(
            "--calibrate, --coverage and --false-accepts need a learner, which keeps its \
             examples; a head does not: `offshoot learn BUNDLE EXAMPLES -o NAME.learner` makes one",
        )
    })
}

fn calibration(name: &str) -> Result<CalibrationKind, String> {
    name.parse().map_err(|error: offshoot_adapters::Error| error.to_string())
}

/// A number between 0 and 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("it must lie between 0 and 1, such as 0.9".to_owned()),
    }
}
