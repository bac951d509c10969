//! `offshoot evaluate`: how good a head is on labelled examples.

use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2, Axis};
use offshoot_adapters::metrics::{
    ClassScores, ClassificationReport, ConfusionMatrix, ProbabilityReport, ReliabilityDiagram, svg,
};
use offshoot_adapters::most_likely;
use serde_json::{Value, json};

use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::{Code, Failure, Result};
use crate::files;
use crate::head::Classifier;
use crate::inputs::{self, Embedder, InputArgs, LabelArgs};
use crate::interrupt::{Ending, Interrupt};
use crate::output;
use crate::progress::{Progress, grouped};

const EXAMPLES: &str = "\
Examples:
  offshoot evaluate minilm.offshoot movies.head test.csv
  offshoot evaluate minilm.offshoot movies.head test.csv --json | jq .accuracy
  offshoot evaluate minilm.offshoot mail.learner test.csv --figures figures/

Use examples that the head has not learned from: on those that it has, every head looks better \
than it is.";

/// Most classes whose whole confusion matrix is in the JSON.
const DENSE_CLASSES: usize = 1000;

/// Most probabilities that are kept to be judged together, 512 MB of them.
const MOST_PROBABILITIES: usize = 1 << 26;

/// Measure a head or a learner on labelled examples
///
/// Prints accuracy, precision, recall and F1 of each class, the confusion matrix, and how far
/// the probabilities can be trusted: log loss, Brier score, and the expected calibration error,
/// the mean distance between what the head says of itself and how often it is right.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The head or the learner
    head: PathBuf,
    /// Labelled texts: CSV, TSV, JSONL or Parquet; `-` is standard input. Labelled images: a
    /// folder of a folder for each class, or a table of their paths. Labelled signals: .ts, .npy
    /// or CSV
    examples: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also draw the confusion matrix and the reliability diagram, as SVG, into this folder
    #[arg(long, value_name = "FOLDER")]
    figures: Option<PathBuf>,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    label: LabelArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    let interrupt = Interrupt::listen();
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let mut rows = args.input.open(&reads, Some(&args.examples), Some(&args.label))?;
    let classifier = Classifier::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let (encoder, head) = (&classifier.encoder, &classifier.file.head);
    let classes = head.classes();
    let (mut truth, mut predicted) = (Vec::new(), Vec::new());
    let mut probabilities = Some(Vec::new());
    let mut embedder = Embedder::new(encoder, &classifier.options);
    let mut progress = Progress::start("Evaluating", rows.unit(), rows.len_hint());
    loop {
        let ending = Ending::saying("there is no result");
        let chunk = interrupt.at_once(ending, || inputs::next_chunk(&mut rows))?;
        if chunk.is_empty() {
            break;
        }
        for row in &chunk {
            let label = inputs::label(row)?;
            truth.push(classes.index(label).ok_or_else(|| {
                Failure::data(format!(
                    "{} has the label {label:?}, which the head does not know; it knows {}",
                    row.name(),
                    known(classes.names())
                ))
            })?);
        }
        let embeddings = embedder.embed(&chunk)?;
        let proba = classifier.predict_proba(embeddings.vectors())?;
        predicted.extend(proba.outer_iter().map(|row| most_likely(row).0));
        keep(&mut probabilities, proba);
        progress.set(rows.position());
        interrupt.check("there is no result")?;
    }
    drop(progress);
    embedder.note();
    if truth.is_empty() {
        return Err(Failure::data("there are no examples; give labelled ones"));
    }
    let confusion = ConfusionMatrix::new(classes, &truth, &predicted)?;
    let report = ClassificationReport::from(&confusion);
    let proba = probabilities.map(|parts| joined(&parts)).transpose()?;
    let trust = proba.as_ref().map(|p| ProbabilityReport::new(p.view(), &truth)).transpose()?;
    if let Some(folder) = &args.figures {
        draw(folder, &confusion, proba.as_ref(), &truth)?;
    }
    if args.json {
        return output::print_json(
            &to_json(&report, &confusion, trust.as_ref(), truth.len()),
            true,
        );
    }
    let trust = trust.map(|trust| format!("\n{trust}")).unwrap_or_default();
    output::print(&format!(
        "accuracy {:.2} % on {} examples ({} head)\n\n{report}\nrows: the true class, columns: the \
         predicted one\n{confusion}{trust}",
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

fn known(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(8).map(|name| format!("{name:?}")).collect();
    if names.len() > 8 {
        shown.push(format!("and {} more", names.len() - 8));
    }
    shown.join(", ")
}

fn to_json(
    report: &ClassificationReport,
    confusion: &ConfusionMatrix,
    trust: Option<&ProbabilityReport>,
    examples: usize,
) -> Value {
    let scores = |s: &ClassScores| json!({"precision": s.precision, "recall": s.recall, "f1": s.f1, "support": s.support});
    let classes: Vec<Value> = report
        .classes
        .names()
        .iter()
        .zip(&report.per_class)
        .map(|(name, class)| {
            let mut value = scores(class);
            value["label"] = json!(name);
            value
        })
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
    // Many classes: the cells that are not 0, as [true, predicted, count].
    value["confusion_cells"] = json!(confusion.cells().collect::<Vec<_>>());
    if report.classes.len() <= DENSE_CLASSES {
        let rows: Vec<Vec<u64>> =
            confusion.to_array().outer_iter().map(|row| row.to_vec()).collect();
        value["confusion_matrix"] = json!(rows);
    }
    value
}
