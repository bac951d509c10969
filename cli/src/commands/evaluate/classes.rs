//! How good a head of classes is.

use std::path::Path;

use ndarray::{Array2, ArrayView2, Axis};
use offshoot_adapters::metrics::{
    ClassificationReport, ConfusionMatrix, ProbabilityReport, ReliabilityDiagram, svg,
};
use offshoot_adapters::most_likely;
use serde_json::{Value, json};

use super::{Args, Work, known, scores, scores_of};
use crate::failure::{Code, Failure, Result};
use crate::files;
use crate::head::Classifier;
use crate::inputs;
use crate::output;
use crate::progress::grouped;

/// Most classes whose whole confusion matrix is in the JSON.
const DENSE_CLASSES: usize = 1000;

/// Most probabilities that are kept to be judged together, 512 MB of them.
const MOST_PROBABILITIES: usize = 1 << 26;

/// What sets of labels held.
struct Sets {
    coverage: f64,
    /// Sets that held the true label.
    right: usize,
    /// Labels in all sets.
    labels: usize,
}

impl Sets {
    fn held(&self, examples: usize) -> f64 {
        self.right as f64 / examples as f64
    }

    fn mean_size(&self, examples: usize) -> f64 {
        self.labels as f64 / examples as f64
    }
}

/// Measures a head of classes or a learner.
pub(super) fn run(args: &Args, work: Work) -> Result {
    let classifier = Classifier::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let head = &classifier.file.head;
    let classes = head.classes();
    let predictor = args.sets.predictor(classifier.learner.as_ref(), &classifier.file)?;
    let mut sets =
        predictor.as_ref().map(|(_, coverage)| Sets { coverage: *coverage, right: 0, labels: 0 });
    let (mut truth, mut predicted) = (Vec::new(), Vec::new());
    let mut probabilities = Some(Vec::new());
    work.each_part(&classifier.encoder, &classifier.options, |rows, x| {
        let first = truth.len();
        for row in rows {
            let label = inputs::label(row)?;
            truth.push(classes.index(label).ok_or_else(|| {
                Failure::data(format!(
                    "{} has the label {label:?}, which the head does not know; it knows {}",
                    row.name(),
                    known(classes.names())
                ))
            })?);
        }
        let proba = classifier.predict_proba(x)?;
        predicted.extend(proba.outer_iter().map(|row| most_likely(row).0));
        keep(&mut probabilities, proba);
        if let (Some((predictor, coverage)), Some(sets)) = (&predictor, &mut sets) {
            let given = predictor.predict_sets(x, *coverage)?;
            for (set, class) in given.iter().zip(truth.iter().skip(first)) {
                sets.right += usize::from(set.contains(class));
                sets.labels += set.len();
            }
        }
        Ok(())
    })?;
    let confusion = ConfusionMatrix::new(classes, &truth, &predicted)?;
    let report = ClassificationReport::from(&confusion);
    let proba = probabilities.map(|parts| joined(&parts)).transpose()?;
    let trust = proba.as_ref().map(|p| ProbabilityReport::new(p.view(), &truth)).transpose()?;
    if let Some(folder) = &args.figures {
        draw(folder, &confusion, proba.as_ref(), &truth)?;
    }
    if args.json {
        let value = to_json(&report, &confusion, trust.as_ref(), sets.as_ref(), truth.len());
        return output::print_json(&value, true);
    }
    let trust = trust.map(|trust| format!("\n{trust}")).unwrap_or_default();
    let sets = sets.map_or_else(String::new, |sets| {
        format!(
            "\nsets at {} %: {:.2} % hold the true label, {:.2} labels each on average\n",
            100.0 * sets.coverage,
            100.0 * sets.held(truth.len()),
            sets.mean_size(truth.len())
        )
    });
    output::print(&format!(
        "accuracy {:.2} % on {} examples ({} head)\n\n{report}\nrows: the true class, columns: the \
         predicted one\n{confusion}{trust}{sets}",
        100.0 * report.accuracy,
        grouped(truth.len() as u64),
        head.kind()
    ))
}

/// Keeps probabilities until there are too many, and then none.
fn keep(parts: &mut Option<Vec<Array2<f64>>>, next: Array2<f64>) {
    let Some(kept) = parts else { return };
    kept.push(next);
    if kept.iter().map(Array2::len).sum::<usize>() > MOST_PROBABILITIES {
        *parts = None;
    }
}

fn joined(parts: &[Array2<f64>]) -> Result<Array2<f64>> {
    let views: Vec<ArrayView2<'_, f64>> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Failure::new(Code::Bug, error.to_string()))
}

/// Writes `confusion.svg` and, where the probabilities were kept, `reliability.svg`.
fn draw(
    folder: &Path,
    confusion: &ConfusionMatrix,
    probabilities: Option<&Array2<f64>>,
    truth: &[usize],
) -> Result {
    std::fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    files::write(&folder.join("confusion.svg"), svg::confusion_matrix(confusion).as_bytes())?;
    if let Some(probabilities) = probabilities {
        let diagram = ReliabilityDiagram::new(probabilities.view(), truth)?;
        let figure = svg::reliability_diagram(&diagram);
        files::write(&folder.join("reliability.svg"), figure.as_bytes())?;
    }
    Ok(())
}

fn to_json(
    report: &ClassificationReport,
    confusion: &ConfusionMatrix,
    trust: Option<&ProbabilityReport>,
    sets: Option<&Sets>,
    examples: usize,
) -> Value {
    let classes: Vec<Value> = report
        .classes
        .names()
        .iter()
        .zip(&report.per_class)
        .map(|(name, class)| scores_of(name, class))
        .collect();
    let mut value = json!({
        "examples": examples,
        "accuracy": report.accuracy,
        "classes": classes,
        "macro_average": scores(&report.macro_average),
        "weighted_average": scores(&report.weighted_average),
    });
    if let Some(trust) = trust {
        value["probabilities"] = json!(trust);
    }
    if let Some(sets) = sets {
        let (held, mean_size) = (sets.held(examples), sets.mean_size(examples));
        value["sets"] = json!({"coverage": sets.coverage, "held": held, "mean_size": mean_size});
    }
    // Many classes: the cells that are not 0, as [true, predicted, count].
    value["confusion_cells"] = json!(confusion.cells().collect::<Vec<_>>());
    if report.classes.len() <= DENSE_CLASSES {
        let rows: Vec<Vec<u64>> =
            confusion.to_array().outer_iter().map(|row| row.to_vec()).collect();
        value["confusion_matrix"] = json!(rows);
    }
    value
}
