//! Knowing when not to know: what the examples of a learner, or files made of a head's, say
//! besides a class.

use std::path::{Path, PathBuf};

use offshoot::Learner;
use offshoot_adapters::calibration::{Calibration, CalibrationKind};
use offshoot_adapters::conformal::{Conformal, ConformalPredictor};
use offshoot_adapters::open_set::OpenSet;
use offshoot_adapters::{Classes, EncoderTag, Fitted, FittedFile, HeadFile};

use crate::failure::{Code, Failure, Result};
use crate::files::shell_path;

/// How far the answers of a head are trusted.
#[derive(Debug, clap::Args)]
pub(crate) struct CautionArgs {
    /// Correct the probabilities by what the head says of examples that it was not shown:
    /// `temperature` (one number) or `dirichlet` (a matrix; for many labels of few classes).
    /// Needs a learner, whose examples it uses
    #[arg(long, value_name = "temperature|dirichlet", value_parser = calibration)]
    calibrate: Option<CalibrationKind>,
    /// Tell inputs of no known class apart: at most this share of them, such as 0.05, passes as
    /// known. Needs a learner, or --open-set
    #[arg(long, value_name = "P", value_parser = share)]
    false_accepts: Option<f64>,
    /// What `offshoot learn --open-set` wrote beside the head
    #[arg(long, value_name = "FILE", requires = "false_accepts")]
    open_set: Option<PathBuf>,
}

/// Sets of labels with a guarantee.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// Give a set of labels that holds the true one with this probability, such as 0.9
    /// (conformal prediction): needs a learner, whose examples it uses, or --conformal. Of a head
    /// of numbers, an interval
    #[arg(long, value_name = "P", value_parser = share)]
    pub(crate) coverage: Option<f64>,
    /// What `offshoot learn --conformal` wrote beside the head
    #[arg(long, value_name = "FILE", requires = "coverage")]
    pub(crate) conformal: Option<PathBuf>,
}

impl SetArgs {
    /// What gives sets for a head, and at which coverage, if that was asked for.
    pub(crate) fn predictor(
        &self,
        learner: Option<&Learner>,
        head: &HeadFile,
    ) -> Result<Option<(ConformalPredictor, f64)>> {
        let Some(coverage) = self.coverage else { return Ok(None) };
        let Some(path) = &self.conformal else {
            let learner = needed(learner)?;
            let examples = learner.with_store(|store| store.labelled())?;
            let (classes, y) = Classes::from_labels(&examples.labels)?;
            let sets = Conformal::default().fit(examples.embeddings.view(), &y, classes)?;
            return Ok(Some((sets, coverage)));
        };
        let sets: ConformalPredictor = beside(path, &head.encoder)?;
        if sets.classes() != head.head.classes() {
            return Err(Failure::new(
                Code::Artifact,
                format!(
                    "{} is of other classes than the head; write both by one `offshoot learn`",
                    shell_path(path)
                ),
            ));
        }
        Ok(Some((sets, coverage)))
    }
}

/// What was written beside a head of this encoder.
fn beside<T: Fitted>(path: &Path, head: &EncoderTag) -> Result<T> {
    let file = FittedFile::<T>::load_for(path, &head.digest, head.dimensions)?;
    if file.encoder.prompt != head.prompt {
        return Err(Failure::new(
            Code::Artifact,
            format!(
                "{} was learned with another prompt than the head; write both by one `offshoot \
                 learn`",
                shell_path(path)
            ),
        ));
    }
    Ok(file.fitted)
}

impl CautionArgs {
    /// What probabilities are corrected by, if that was asked for.
    pub(crate) fn calibration(&self, learner: Option<&Learner>) -> Result<Option<Calibration>> {
        let Some(kind) = self.calibrate else { return Ok(None) };
        Ok(Some(needed(learner)?.calibration(kind)?))
    }

    /// What tells unknown inputs of a head, and the rate, if that was asked for.
    pub(crate) fn rejection(
        &self,
        learner: Option<&Learner>,
        head: &EncoderTag,
    ) -> Result<Option<(OpenSet, f64)>> {
        let Some(rate) = self.false_accepts else { return Ok(None) };
        let open_set = match &self.open_set {
            Some(path) => beside(path, head)?,
            None => needed(learner)?.open_set()?,
        };
        Ok(Some((open_set, rate)))
    }

    /// Whether anything was asked for.
    pub(crate) fn asked(&self) -> bool {
        self.calibrate.is_some() || self.false_accepts.is_some()
    }
}

/// The learner, without which nothing of this is known.
fn needed(learner: Option<&Learner>) -> Result<&Learner> {
    learner.ok_or_else(|| {
        Failure::usage(
            "--calibrate, --coverage and --false-accepts need a learner, which keeps its \
             examples; a head does not: `offshoot learn BUNDLE EXAMPLES -o NAME.learner` makes one, \
             and `offshoot learn` writes what sets and strangers need beside a head by --conformal \
             and --open-set",
        )
    })
}

fn calibration(name: &str) -> Result<CalibrationKind, String> {
    name.parse().map_err(|error: offshoot_adapters::Error| error.to_string())
}

/// A number between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("it must lie between 0 and 1, such as 0.9".to_owned()),
    }
}
