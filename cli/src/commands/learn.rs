//! `offshoot learn`: from labelled examples to a head or a learner.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use offshoot::LearnerOptions;
use offshoot::learner::{Store, StoreInfo};
use offshoot_adapters::{Classes, EncoderTag, HeadFile, HeadKind};

use crate::encoder::{EmbedArgs, EncoderArgs, Truncate, prompt_text};
use crate::failure::{Failure, Result};
use crate::files::{self, shell_path};
use crate::inputs::{self, InputArgs, LabelArgs, Row};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, grouped, seconds};
use crate::taught;

/// Most classes whose counts are listed.
const LISTED: usize = 12;

const EXAMPLES: &str = "\
Examples:
  offshoot learn minilm.offshoot examples.csv -o movies.head
  offshoot learn minilm.offshoot mail.jsonl --text body --label folder -o mail.head
  offshoot learn minilm.offshoot - --format csv -o movies.head < examples.csv
  offshoot learn minilm.offshoot examples.csv -o mail.learner
  offshoot learn photos.offshoot birds/ -o birds.head

A handful of examples of each class is enough to begin with. `offshoot evaluate` says how good \
the head is on examples that it has not seen. A learner keeps its examples: `offshoot teach`, \
`forget` and `undo` work on it.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was written";

/// Learn classes from labelled examples
///
/// Embeds the examples and fits a head, a small file that belongs to this one encoder. The
/// head remembers the prompt and the dimensions, so `predict` and `evaluate` need not be told.
/// Where the output ends with `.learner`, it is a learner: the examples with their head, to be
/// taught more.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// Labelled texts: CSV, TSV, JSONL or Parquet; `-` is standard input. Labelled images: a
    /// folder of a folder for each class, or a table of their paths. Labelled signals: .ts, .npy
    /// or CSV
    examples: PathBuf,
    /// The file to write: a learner if it ends with `.learner`, else a head, usually NAME.head
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Kind of head: `auto` (sets itself: an average of several by how well each predicts
    /// examples that it is not shown), `logistic` (multinomial logistic regression), `ridge`
    /// (closed form, its penalty chosen by leave-one-out), `discriminant` (shared-covariance
    /// Gaussian), `nearest-mean` (the fewest parameters), `nearest-neighbors`, `cache`
    /// (Tip-Adapter) [default: auto]
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    head: Option<HeadKind>,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
    /// Keep embeddings and labels of the examples in the learner, and not their texts or, of
    /// images and signals, where they lie
    #[arg(long)]
    no_text: bool,
    /// What the examples' source is called in the learner, so that they can be forgotten
    /// together [default: the name of their file]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Inputs without labels, in any format that `predict` reads, which show where the crowds
    /// are that labels name: the learner keeps them, and they help it to predict
    #[arg(long, value_name = "FILE")]
    unlabeled: Option<PathBuf>,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    label: LabelArgs,
    #[command(flatten)]
    embed: EmbedArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

fn parse_kind(name: &str) -> Result<HeadKind, String> {
    name.parse().map_err(|error: offshoot_adapters::Error| error.to_string())
}

pub(crate) fn run(args: Args) -> Result {
    let interrupt = Interrupt::listen();
    let to_learner = args.output.extension().is_some_and(|ending| ending == "learner");
    if !to_learner && (args.no_text || args.source.is_some() || args.unlabeled.is_some()) {
        return Err(Failure::usage(
            "--no-text, --source and --unlabeled are about learners; let the output end with \
             .learner",
        ));
    }
    if to_learner && std::fs::symlink_metadata(&args.output).is_ok() {
        return Err(Failure::usage(format!(
            "{0} exists and may hold what was taught; add to it with `offshoot teach BUNDLE {0} \
             --from EXAMPLES`, or name another output",
            shell_path(&args.output)
        )));
    }
    let kind = args.head.unwrap_or(LearnerOptions::default().head);
    let unlabeled = args.unlabeled.as_deref();
    let read = [args.bundle.as_path(), &args.examples];
    files::check_output(&args.output, read.into_iter().chain(unlabeled))?;
    // Everything that can be wrong with the examples is found before the slow part.
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let table = args.input.open(&reads, Some(&args.examples), Some(&args.label))?;
    let rows =
        interrupt.at_once(Ending::saying(INTERRUPTED), || table.collect::<Result<Vec<Row>>>())?;
    let labels = rows.iter().map(inputs::label).collect::<Result<Vec<&str>>>()?;
    let (classes, y) = Classes::from_labels(&labels)?;
    if classes.len() < 2 {
        let label = classes.names().first().cloned().unwrap_or_default();
        return Err(offshoot_adapters::Error::OneClass { label }.into());
    }
    if to_learner {
        taught::check_labels(&rows)?;
    }

    let pool = match unlabeled {
        None => Vec::new(),
        Some(pool) => {
            let rows = args.input.open(&reads, Some(pool), None)?;
            interrupt.at_once(Ending::saying(INTERRUPTED), || rows.collect::<Result<Vec<Row>>>())?
        }
    };

    let encoder = args.encoder.open(&args.bundle)?;
    let options = args.embed.options(args.truncate);
    let embeddings = taught::embed(&encoder, &rows, &options, &interrupt, INTERRUPTED)?;

    let start = Instant::now();
    let head = kind.fit(embeddings.view(), &y, classes)?;
    let took = start.elapsed();
    interrupt.check(INTERRUPTED)?;

    let tag = EncoderTag {
        digest: encoder.digest().to_owned(),
        name: encoder.manifest().name.clone(),
        dimensions: embeddings.ncols(),
        prompt: prompt_text(&encoder, &options.prompt).filter(|prompt| !prompt.is_empty()),
    };
    let file = HeadFile::new(tag, head, &y);
    if to_learner {
        let source = args.source.clone().or_else(|| taught::source_name(&args.examples));
        let info = StoreInfo {
            encoder: file.encoder.clone(),
            head: kind.name().to_owned(),
            keeps_text: !args.no_text,
        };
        let mut examples = taught::examples(&rows, &embeddings, source.as_deref(), 1.0);
        if let Some(file) = unlabeled.filter(|_| !pool.is_empty()) {
            let embeddings = taught::embed(&encoder, &pool, &options, &interrupt, INTERRUPTED)?;
            let source = args.source.clone().or_else(|| taught::source_name(file));
            examples.extend(taught::examples(&pool, &embeddings, source.as_deref(), 1.0));
        }
        let mut store = Store::create(&args.output, &info, examples)?;
        if !pool.is_empty() {
            store.set_uses_unlabelled(true)?;
        }
        // The examples of this revision are those that the head was fitted on.
        let revision = store.revision()?;
        store.keep_head(revision, &file.to_bytes()?)?;
    } else {
        file.save(&args.output)?;
    }
    progress::say(&summary(&file, rows.len()));
    if !pool.is_empty() {
        let count = grouped(pool.len() as u64);
        progress::say(&format!("{count} inputs without a label help to predict"));
    }
    progress::say(&format!(
        "{}: {} head, fitted in {}",
        shell_path(&args.output),
        kind,
        seconds(took)
    ));
    Ok(())
}

/// What was learned, with a note on classes that have one example.
fn summary(file: &HeadFile, examples: usize) -> String {
    let names = file.head.classes().names();
    let mut text = format!("{} classes from {} examples", names.len(), grouped(examples as u64));
    let listed: Vec<String> = names
        .iter()
        .zip(&file.examples)
        .take(LISTED)
        .map(|(name, count)| format!("{} {}", name.escape_debug(), grouped(*count as u64)))
        .collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    let _ = write!(text, ": {}{more}", listed.join(", "));
    let single = file.examples.iter().filter(|&&count| count == 1).count();
    if single > 0 {
        let _ = write!(
            text,
            "\nnote: {single} {} a single example; more of them make it surer",
            if single == 1 { "class has" } else { "classes have" }
        );
    }
    text
}
