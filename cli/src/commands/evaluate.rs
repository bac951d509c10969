//! `offshoot evaluate`: how good a head is on labelled examples.

mod classes;
mod labels;
mod values;

use std::path::PathBuf;

use ndarray::ArrayView2;
use offshoot::{EmbedOptions, Encoder};
use offshoot_adapters::FileKind;
use offshoot_adapters::metrics::ClassScores;
use serde_json::{Value, json};

use crate::caution::SetArgs;
use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::files::shell_path;
use crate::goal::GoalArgs;
use crate::inputs::{self, Embedder, InputArgs, LabelArgs, Row, Rows};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  offshoot evaluate minilm.offshoot movies.head test.csv
  offshoot evaluate minilm.offshoot movies.head test.csv --json | jq .accuracy
  offshoot evaluate minilm.offshoot mail.learner test.csv --figures figures/
  offshoot evaluate minilm.offshoot mail.learner test.csv --coverage 0.9
  offshoot evaluate minilm.offshoot prices.head test.csv --target price
  offshoot evaluate minilm.offshoot topics.head test.csv --label-separator ';'

Use examples that the head has not learned from: on those that it has, every head looks better \
than it is.";

/// Measure a head or a learner on labelled examples
///
/// Prints accuracy, precision, recall and F1 of each class, the confusion matrix, and how far
/// the probabilities can be trusted: log loss, Brier score, and the expected calibration error,
/// the mean distance between what the head says of itself and how often it is right. Of a head of
/// numbers, R² and the root mean squared and mean absolute errors; of one of several labels,
/// precision, recall and F1 of each, over all decisions (micro) and over the labels (macro).
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
    /// Also draw the confusion matrix and the reliability diagram, as SVG, into this folder; of a
    /// head of classes
    #[arg(long, value_name = "FOLDER")]
    figures: Option<PathBuf>,
    #[command(flatten)]
    sets: SetArgs,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    label: LabelArgs,
    #[command(flatten)]
    goal: GoalArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "there is no result";

pub(crate) fn run(args: Args) -> Result {
    let interrupt = Interrupt::listen();
    let kind = FileKind::of(&args.head)?;
    let separator = args.check(kind)?;
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let label = args.goal.column(&args.label);
    let rows = args.input.open(&reads, Some(&args.examples), Some(&label))?;
    let work = Work { rows, interrupt };
    match (kind, separator) {
        (Some(FileKind::Regression), _) => values::run(&args, work),
        (Some(FileKind::MultiLabel), Some(separator)) => labels::run(&args, work, separator),
        _ => classes::run(&args, work),
    }
}

impl Args {
    /// Whether the options fit the kind of head; gives what parts several labels.
    fn check(&self, kind: Option<FileKind>) -> Result<Option<&str>> {
        let head = shell_path(&self.head);
        let classes = !matches!(kind, Some(FileKind::Regression | FileKind::MultiLabel));
        let wrong = match kind {
            Some(FileKind::Regression) if self.goal.target.is_none() => {
                Some("a head of numbers; name their column by --target")
            }
            Some(FileKind::MultiLabel) if self.goal.label_separator.is_none() => {
                Some("a head of several labels; say what parts them by --label-separator")
            }
            Some(FileKind::MultiLabel) if self.sets.coverage.is_some() => {
                Some("a head of several labels, which gives no sets; leave --coverage out")
            }
            _ if !classes && (self.figures.is_some() || self.sets.conformal.is_some()) => {
                Some("no head of classes; leave --figures and --conformal out")
            }
            _ if classes && (self.goal.target.is_some() || self.goal.label_separator.is_some()) => {
                Some("a head of classes; leave --target and --label-separator out")
            }
            _ => None,
        };
        match wrong {
            Some(wrong) => Err(Failure::usage(format!("{head} is {wrong}"))),
            None => Ok(self.goal.label_separator.as_deref()),
        }
    }
}

/// Examples on their way through the encoder.
struct Work {
    rows: Rows,
    interrupt: Interrupt,
}

impl Work {
    /// Embeds the examples in parts and has each judged.
    fn each_part(
        self,
        encoder: &Encoder,
        options: &EmbedOptions,
        mut judge: impl FnMut(&[Row], ArrayView2<'_, f32>) -> Result,
    ) -> Result {
        let Self { mut rows, interrupt } = self;
        let mut embedder = Embedder::new(encoder, options);
        let mut progress = Progress::start("Evaluating", rows.unit(), rows.len_hint());
        let mut any = false;
        loop {
            let ending = Ending::saying(INTERRUPTED);
            let chunk = interrupt.at_once(ending, || inputs::next_chunk(&mut rows))?;
            if chunk.is_empty() {
                break;
            }
            any = true;
            let embeddings = embedder.embed(&chunk)?;
            judge(&chunk, embeddings.vectors())?;
            progress.set(rows.position());
            interrupt.check(INTERRUPTED)?;
        }
        drop(progress);
        embedder.note();
        match any {
            true => Ok(()),
            false => Err(Failure::data("there are no examples; give labelled ones")),
        }
    }
}

fn scores(of: &ClassScores) -> Value {
    json!({"precision": of.precision, "recall": of.recall, "f1": of.f1, "support": of.support})
}

/// The scores of the class or label of this name.
fn scores_of(name: &str, of: &ClassScores) -> Value {
    let mut value = scores(of);
    value["label"] = json!(name);
    value
}

fn known(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(8).map(|name| format!("{name:?}")).collect();
    if names.len() > 8 {
        shown.push(format!("and {} more", names.len() - 8));
    }
    shown.join(", ")
}
