//! `offshoot teach`: more examples for a learner.

use std::path::PathBuf;

use offshoot::Learner;
use offshoot::learner::{ExampleId, LearnerOptions, Lesson};
use offshoot_models::tables::Row;

use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::head::open_learner;
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, grouped};
use crate::taught;
use crate::texts::{InputArgs, LabelArgs, shell_path};

const EXAMPLES: &str = "\
Examples:
  offshoot teach minilm.offshoot mail.learner 'win money now' spam
  offshoot teach minilm.offshoot mail.learner --from corrected.csv
  offshoot teach minilm.offshoot new.learner 'the invoice is due' work --create

When the command succeeds, the examples are on disk. `offshoot undo` takes them back; `offshoot \
forget` removes single ones for ever, by their numbers.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was taught";

/// Teach a learner one text, or the examples of a table
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
    /// A text
    #[arg(value_name = "TEXT", required_unless_present = "from", conflicts_with = "from")]
    example: Option<String>,
    /// Its label
    #[arg(value_name = "LABEL", required_unless_present = "from")]
    class: Option<String>,
    /// Labelled texts: CSV, TSV, JSONL or Parquet; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
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
            let interrupt = Interrupt::listen();
            let source = args.source.clone().or_else(|| taught::source_name(table));
            let rows = args.input.open(Some(table), Some(&args.label))?;
            let rows = interrupt
                .at_once(Ending::saying(INTERRUPTED), || rows.collect::<Result<Vec<Row>, _>>())?;
            if rows.is_empty() {
                return Err(Failure::data("there are no examples; give labelled texts"));
            }
            taught::check_labels(&rows)?;
            let learner = open(&args, EncoderArgs::open)?;
            let mut options = learner.embed_options().clone();
            options.truncation = args.truncate.into();
            let embeddings =
                taught::embed(learner.encoder(), &rows, &options, &interrupt, INTERRUPTED)?;
            let examples = taught::examples(&rows, &embeddings, source.as_deref(), args.weight);
            let ids = learner.with_store(|store| store.teach_many(&examples))?;
            say(&args, &learner, &ids)
        }
        (None, Some(text), Some(label)) => {
            if let Some(problem) = offshoot::learner::label_problem(label) {
                return Err(Failure::data(format!("the text cannot be taught: {problem}")));
            }
            let learner = open(&args, EncoderArgs::open_for_one)?;
            let lesson = Lesson {
                weight: args.weight,
                source: args.source.as_deref(),
                ..Lesson::new(text, label)
            };
            let ids = learner.teach_many(&[lesson])?;
            say(&args, &learner, &ids)
        }
        _ => Err(Failure::usage("give a text and its label, or --from a table")),
    }
}

fn open(
    args: &Args,
    encoder: impl FnOnce(&EncoderArgs, &std::path::Path) -> Result<offshoot::Encoder>,
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
