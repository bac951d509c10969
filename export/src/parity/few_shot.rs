//! Accuracy of heads that learn from a handful of labels, before and after.

use ndarray::{ArrayView2, Axis};
use offshoot::adapters::metrics::accuracy;
use offshoot::adapters::{Classes, Head};
use serde::Serialize;

use super::{OnProgress, Pair, ParityOptions, Sample};
use crate::archive::check_stop;
use crate::error::{Error, Result};

/// Which samples a head learns from and which test it, as indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// Learned from.
    pub train: Vec<usize>,
    /// Tested with.
    pub test: Vec<usize>,
}

/// Accuracies of heads fitted on the same draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FewShot {
    /// Kind of the head.
    pub head: String,
    /// Number of draws.
    pub draws: usize,
    /// Examples that each head learned from.
    pub examples: usize,
    /// Mean accuracy, 0 to 1.
    pub accuracy: Pair,
    /// Standard error of the mean of the differences.
    pub standard_error: f64,
}

/// Fits a head on each draw of the embeddings `x` and `y`, `[samples, width]`.
pub(super) fn measure(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    samples: &[Sample],
    options: &ParityOptions,
    progress: OnProgress<'_>,
) -> Result<Option<FewShot>> {
    let draws = &options.draws;
    if draws.is_empty() {
        return Ok(None);
    }
    let labels: Vec<&str> = samples.iter().map(|s| s.label.as_deref().unwrap_or("")).collect();
    if labels.iter().any(|label| label.is_empty()) {
        return Err(Error::Quantize(
            "few-shot accuracy needs a label for every sample; some have none".into(),
        ));
    }
    let (classes, labels) = Classes::from_labels(&labels).map_err(runtime)?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (i, draw) in draws.iter().enumerate() {
        check_stop(options.stop.as_deref())?;
        progress("Learning from a handful of labels", i as u64, draws.len() as u64);
        let pick = |indices: &[usize]| -> Result<Vec<usize>> {
            let label = |i: &usize| labels.get(*i).copied();
            indices.iter().map(label).collect::<Option<_>>().ok_or_else(|| {
                Error::Quantize(format!("a draw has indices beyond the {} texts", labels.len()))
            })
        };
        let (train, test) = (pick(&draw.train)?, pick(&draw.test)?);
        for (embeddings, accuracies) in [(x, &mut before), (y, &mut after)] {
            let learned = embeddings.select(Axis(0), &draw.train);
            let head: Head =
                options.head.fit(learned.view(), &train, classes.clone()).map_err(runtime)?;
            let asked = embeddings.select(Axis(0), &draw.test);
            let predicted = head.predict(asked.view()).map_err(runtime)?;
            accuracies.push(accuracy(&test, &predicted).map_err(runtime)?);
        }
    }
    progress("Learning from a handful of labels", draws.len() as u64, draws.len() as u64);
    let n = draws.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let accuracy = Pair { before: mean(&before), after: mean(&after) };
    let gain = accuracy.after - accuracy.before;
    let squares: f64 = before.iter().zip(&after).map(|(b, a)| (a - b - gain).powi(2)).sum();
    Ok(Some(FewShot {
        head: options.head.to_string(),
        draws: draws.len(),
        examples: draws.first().map_or(0, |draw| draw.train.len()),
        accuracy,
        standard_error: if n > 1.0 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 },
    }))
}

fn runtime(error: offshoot::adapters::Error) -> Error {
    Error::Runtime(error.into())
}
