//! What a run writes down as it goes: a line of JSON a step, and event files for TensorBoard.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::prediction::Prediction;
use super::quality::Quality;
use super::run_folder::RunFolder;
use super::tensorboard::Events;
use crate::error::{Error, Result};

/// File of the metrics, in the run's folder.
pub const METRICS: &str = "metrics.jsonl";

/// What is known of one step.
#[derive(Debug, Clone, Serialize)]
pub struct StepRecord {
    /// The step, from 1.
    pub step: u64,
    /// How often every example was seen.
    pub epoch: f64,
    /// The loss.
    pub loss: f32,
    /// The loss of each objective, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub losses: BTreeMap<String, f32>,
    /// Joint norm of the gradients before clipping.
    pub gradient_norm: f32,
    /// The learning rate.
    pub learning_rate: f32,
    /// Figures of held-out examples, where they were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// How well held-out tokens are predicted, where the objective predicts some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
    /// The loss of held-out examples, where it is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_loss: Option<f32>,
}

impl StepRecord {
    /// Figures of held-out examples, by the names that TensorBoard shows.
    fn figures(&self) -> Vec<(&'static str, f64)> {
        let mut all = Vec::new();
        if let Some(quality) = &self.quality {
            all.push(("quality/effective_rank", quality.effective_rank));
            all.push(("quality/uniformity", quality.uniformity));
            all.push(("quality/spread", quality.spread));
            let accuracy = quality.nearest_neighbors;
            all.extend(accuracy.map(|accuracy| ("quality/nearest_neighbors", accuracy)));
        }
        if let Some(prediction) = &self.prediction {
            all.push(("prediction/perplexity", prediction.perplexity));
            all.push(("prediction/unigram", prediction.unigram));
            all.push(("prediction/trigram", prediction.trigram));
        }
        all.extend(self.held_out_loss.map(|loss| ("held_out_loss", f64::from(loss))));
        all
    }
}

/// The files of a run's record.
#[derive(Debug)]
pub(super) struct Recorder {
    path: PathBuf,
    file: File,
    events: Events,
}

impl Recorder {
    /// Opens the record of a run of which `done` steps are kept: what was written of later
    /// steps is taken away.
    pub(super) fn open(folder: &RunFolder, done: u64) -> Result<Self> {
        let path = folder.path().join(METRICS);
        let kept = lines(&path, done)?;
        let io = |e| Error::io("write", &path, e);
        // The kept part is written beside and renamed, so that a kill loses nothing.
        let mut beside = folder.partial().map_err(io)?;
        for line in kept {
            writeln!(beside, "{line}").map_err(io)?;
        }
        beside.persist(&path).map_err(|e| Error::io("rename", &path, e.error))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io)?;
        Ok(Self { file, events: Events::create(folder.path(), done)?, path })
    }

    /// Adds a step.
    pub(super) fn add(&mut self, record: &StepRecord) -> Result<()> {
        let line = serde_json::to_string(record)
            .map_err(|e| Error::Pretrain(format!("a metric cannot be written: {e}")))?;
        writeln!(self.file, "{line}").map_err(|e| Error::io("write", &self.path, e))?;
        let mut values = vec![
            ("loss".to_owned(), record.loss),
            ("gradient_norm".to_owned(), record.gradient_norm),
            ("learning_rate".to_owned(), record.learning_rate),
        ];
        values.extend(record.losses.iter().map(|(name, &loss)| (format!("loss/{name}"), loss)));
        let figures = record.figures().into_iter();
        values.extend(figures.map(|(name, value)| (name.to_owned(), value as f32)));
        self.events.add(record.step, &values)
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io("write", &self.path, e))?;
        self.events.sync()
    }
}

#[derive(Deserialize)]
struct Step {
    step: u64,
    loss: Option<f32>,
    held_out_loss: Option<f32>,
}

/// The whole lines of the first `done` steps.
fn lines(path: &Path, done: u64) -> Result<Vec<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("open", path, e)),
    };
    let mut kept = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|e| Error::io("read", path, e))?;
        match serde_json::from_str::<Step>(&line) {
            Ok(Step { step, .. }) if step <= done => kept.push(line),
            _ => break,
        }
    }
    Ok(kept)
}

/// Points of a run's curve: at most `points` means of the loss over equal parts of the run, each
/// at its last step.
pub(super) fn curve(folder: &Path, steps: u64, points: usize) -> Result<Vec<[f32; 2]>> {
    let mut losses = Vec::new();
    for line in lines(&folder.join(METRICS), steps)? {
        if let Ok(Step { step, loss: Some(loss), .. }) = serde_json::from_str(&line) {
            losses.push((step, loss));
        }
    }
    let part = losses.len().div_ceil(points.max(1)).max(1);
    let mean = |part: &[(u64, f32)]| {
        let sum: f64 = part.iter().map(|(_, loss)| f64::from(*loss)).sum();
        let last = part.last().map_or(0, |(step, _)| *step);
        [last as f32, (sum / part.len().max(1) as f64) as f32]
    };
    Ok(losses.chunks(part).map(mean).collect())
}

/// Steps and losses of held-out examples, of the first `steps` steps.
pub(super) fn held_out_losses(folder: &Path, steps: u64) -> Result<Vec<(u64, f32)>> {
    let lines = lines(&folder.join(METRICS), steps)?;
    let known = lines.iter().filter_map(|line| serde_json::from_str::<Step>(line).ok());
    Ok(known.filter_map(|step| Some((step.step, step.held_out_loss?))).collect())
}

/// Figures of held-out examples after a step, by name, where they were taken then.
pub(super) fn figures(folder: &Path, step: u64) -> Result<BTreeMap<String, f64>> {
    #[derive(Deserialize, Default)]
    struct Figures {
        #[serde(default)]
        quality: BTreeMap<String, f64>,
        #[serde(default)]
        prediction: BTreeMap<String, f64>,
        held_out_loss: Option<f64>,
    }
    let lines = lines(&folder.join(METRICS), step)?;
    let of_step =
        |line: &&String| serde_json::from_str::<Step>(line).is_ok_and(|found| found.step == step);
    let Some(line) = lines.iter().rfind(of_step) else { return Ok(BTreeMap::new()) };
    let Figures { mut quality, prediction, held_out_loss } =
        serde_json::from_str(line).unwrap_or_default();
    for (name, value) in prediction {
        let name = match name.as_str() {
            "unigram" | "trigram" => format!("perplexity_of_{name}s"),
            "tokens" => "predicted_tokens".into(),
            _ => name,
        };
        quality.insert(name, value);
    }
    quality.extend(held_out_loss.map(|loss| ("held_out_loss".to_owned(), loss)));
    Ok(quality)
}
