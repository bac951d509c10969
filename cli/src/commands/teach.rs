//! `offshoot teach`: more examples for a learner.

use std::path::{Path, PathBuf};

use offshoot::Learner;
use offshoot::bundle::Modality;
use offshoot::learner::{ExampleId, LearnerOptions, Lesson};

use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::files::shell_path;
use crate::head::open_learner;
use crate::inputs::{InputArgs, LabelArgs, Row};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, grouped};
use crate::taught;

const EXAMPLES: &str = "\
Examples:
  offshoot teach minilm.offshoot mail.learner 'win money now' spam
  offshoot teach minilm.offshoot mail.learner --from corrected.csv
  offshoot teach minilm.offshoot mail.learner --from inbox.txt --unlabeled
  offshoot teach photos.offshoot birds.learner wren.jpg wren
  offshoot teach minilm.offshoot new.learner 'the invoice is due' work --create

When the command succeeds, the examples are on disk. `offshoot undo` takes them back; `offshoot \
forget` removes single ones for ever, by their numbers.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was taught";

/// Teach a learner one example, or those of a table or a folder
///
/// A table is taught as one update: all of its rows or, after an error or an interrupt, none.
/// Rows without a label are kept without one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The learner
    learner: PathBuf,
    /// A text; of images and signals, a file
    #[arg(value_name = "TEXT", required_unless_present = "from", conflicts_with = "from")]
    example: Option<String>,
    /// Its label
    #[arg(value_name = "LABEL", required_unless_present = "from")]
    class: Option<String>,
    /// Labelled texts: CSV, TSV, JSONL or Parquet; `-` is standard input. Labelled images: a
    /// folder of a folder for each class, or a table of their paths. Labelled signals: a file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Take the rows of --from without labels, and let examples without labels help to predict
    /// from now on
    #[arg(long, requires = "from")]
    unlabeled: bool,
    /// How much each example counts
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0)]
    weight: f64,
    /// Where the examples come from, so that they can be forgotten together [default: the name
    /// of their file]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Make the learner, if there is none, with the encoder's own prompt and the head `auto`
    #[arg(long)]
    create: bool,
    /// What is done with texts of a table that are too long for the encoder
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
    match (&args.from, &args.example, &args.class) {
        (Some(table), _, _) => {
            let source = args.source.clone().or_else(|| taught::source_name(table));
            teach_rows(&args, table, None, source.as_deref())
        }
        (None, Some(example), Some(label)) => {
            if let Some(problem) = offshoot::learner::label_problem(label) {
                return Err(Failure::data(format!("the example cannot be taught: {problem}")));
            }
            if EncoderArgs::manifest(&args.bundle)?.modality != Modality::Text {
                return teach_rows(&args, Path::new(example), Some(label), args.source.as_deref());
            }
            let learner = open(&args, EncoderArgs::open_for_one)?;
            let lesson = Lesson {
                weight: args.weight,
                source: args.source.as_deref(),
                ..Lesson::new(example, label)
            };
            let ids = learner.teach_many(&[lesson])?;
            say(&args, &learner, &ids)
        }
        _ => Err(Failure::usage("give an example and its label, or --from a table")),
    }
}

/// Teaches every row of an input, with its own label or with one for all.
fn teach_rows(args: &Args, input: &Path, label: Option<&str>, source: Option<&str>) -> Result {
    let interrupt = Interrupt::listen();
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let labels = (!args.unlabeled).then_some(&args.label);
    let rows = args.input.open(&reads, Some(input), labels)?;
    let mut rows =
        interrupt.at_once(Ending::saying(INTERRUPTED), || rows.collect::<Result<Vec<Row>>>())?;
    if rows.is_empty() {
        return Err(Failure::data("there are no examples; give labelled ones"));
    }
    if let Some(label) = label {
        rows.iter_mut().for_each(|row| row.label = Some(label.to_owned()));
    }
    taught::check_labels(&rows)?;
    let learner = open(args, EncoderArgs::open)?;
    let mut options = learner.embed_options().clone();
    options.truncation = args.truncate.into();
    let embeddings = taught::embed(learner.encoder(), &rows, &options, &interrupt, INTERRUPTED)?;
    let examples = taught::examples(&rows, &embeddings, source, args.weight);
    let ids = learner.with_store(|store| {
        let ids = store.teach_many(&examples)?;
        if args.unlabeled {
            store.set_uses_unlabelled(true)?;
        }
        Ok::<_, offshoot::Error>(ids)
    })?;
    say(args, &learner, &ids)
}

fn open(
    args: &Args,
    encoder: impl FnOnce(&EncoderArgs, &Path) -> Result<offshoot::Encoder>,
) -> Result<Learner> {
    if args.create && std::fs::symlink_metadata(&args.learner).is_err() {
        let encoder = encoder(&args.encoder, &args.bundle)?;
        return Ok(Learner::create(&args.learner, &encoder, &LearnerOptions::default())?);
    }
    open_learner(&args.bundle, &args.learner, &args.encoder, encoder)
}

fn say(args: &Args, learner: &Learner, ids: &[ExampleId]) -> Result {
    let total = learner.with_store(|store| store.len())?;
    let numbers = match ids {
        [id] => format!("example {id}"),
        [first, .., last] => format!("examples {first} to {last}"),
        [] => "nothing".to_owned(),
    };
    progress::say(&format!(
        "{}: {numbers} taught, {} in all",
        shell_path(&args.learner),
        grouped(total)
    ));
    Ok(())
}
