//! `offshoot learn`: from labelled examples to a head or a learner.

mod others;
mod weights;

use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array2;
use offshoot::learner::{Store, StoreInfo};
use offshoot::{EmbedOptions, Encoder, LearnerOptions};
use offshoot_adapters::conformal::Conformal;
use offshoot_adapters::open_set::OpenSet;
use offshoot_adapters::{Classes, EncoderTag, FittedFile, Head, HeadFile, HeadKind, Logistic};

use crate::encoder::{EmbedArgs, EncoderArgs, Truncate, prompt_text};
use crate::failure::{Failure, Result};
use crate::files::{self, shell_path};
use crate::goal::GoalArgs;
use crate::inputs::{self, InputArgs, LabelArgs, Row};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, grouped, seconds};
use crate::taught;
use weights::Weights;

/// Most classes whose counts are listed.
const LISTED: usize = 12;

const EXAMPLES: &str = "\
Examples:
  offshoot learn minilm.offshoot examples.csv -o movies.head
  offshoot learn minilm.offshoot mail.jsonl --text body --label folder -o mail.head
  offshoot learn minilm.offshoot - --format csv -o movies.head < examples.csv
  offshoot learn minilm.offshoot examples.csv -o mail.learner
  offshoot learn photos.offshoot birds/ -o birds.head
  offshoot learn minilm.offshoot examples.csv -o a.head --head logistic --class-weights balanced
  offshoot learn minilm.offshoot offers.csv --target price -o prices.head
  offshoot learn minilm.offshoot posts.csv --label tags --label-separator ';' -o tags.head
  offshoot learn minilm.offshoot examples.csv -o a.head --conformal a.sets --open-set a.known

A handful of examples of each class is enough to begin with. `offshoot evaluate` says how good \
the head is on examples that it has not seen. A learner keeps its examples: `offshoot teach`, \
`forget` and `undo` work on it. --target learns numbers and --label-separator several labels an \
input; `offshoot predict` and `evaluate` take their heads as others. --conformal and --open-set \
write beside a head what `offshoot predict` needs for --coverage and --false-accepts; a learner \
needs neither.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was written";

/// Learn classes, numbers or several labels from labelled examples
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
    /// How much the classes count, with the head logistic: `balanced` (each as much as any other,
    /// however many examples it has) or a weight for some of them; others have 1
    #[arg(long, value_name = "balanced|LABEL=WEIGHT,…")]
    class_weights: Option<Weights>,
    /// Also write what gives sets of labels with a guaranteed coverage (conformal prediction),
    /// for `predict --coverage`; of few examples it holds their embeddings
    #[arg(long, value_name = "FILE")]
    conformal: Option<PathBuf>,
    /// Also write what tells inputs of no known class, for `predict --false-accepts`; it holds the
    /// embeddings of the examples
    #[arg(long, value_name = "FILE")]
    open_set: Option<PathBuf>,
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
    goal: GoalArgs,
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
    args.check()?;
    let unlabeled = args.unlabeled.as_deref();
    let read = [args.bundle.as_path(), &args.examples];
    for output in args.outputs() {
        files::check_output(output, read.into_iter().chain(unlabeled))?;
    }
    // Everything that can be wrong with the examples is found before the slow part.
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let label = args.goal.column(&args.label);
    let table = args.input.open(&reads, Some(&args.examples), Some(&label))?;
    let rows =
        interrupt.at_once(Ending::saying(INTERRUPTED), || table.collect::<Result<Vec<Row>>>())?;
    if args.goal.target.is_some() {
        return others::values(&args, &rows, &interrupt);
    }
    if let Some(separator) = &args.goal.label_separator {
        return others::labels(&args, &rows, separator, &interrupt);
    }
    let pool = match unlabeled {
        None => Vec::new(),
        Some(pool) => {
            let rows = args.input.open(&reads, Some(pool), None)?;
            interrupt.at_once(Ending::saying(INTERRUPTED), || rows.collect::<Result<Vec<Row>>>())?
        }
    };
    classes(&args, &rows, &pool, &interrupt)
}

impl Args {
    fn to_learner(&self) -> bool {
        self.output.extension().is_some_and(|ending| ending == "learner")
    }

    /// The files that are written.
    fn outputs(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.output), self.conformal.as_ref(), self.open_set.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// Refuses options that do not go together.
    fn check(&self) -> Result {
        let learner = self.to_learner();
        let beside = self.conformal.is_some() || self.open_set.is_some();
        if !learner && (self.no_text || self.source.is_some() || self.unlabeled.is_some()) {
            return Err(Failure::usage(
                "--no-text, --source and --unlabeled are about learners; let the output end with \
                 .learner",
            ));
        }
        if learner && (self.class_weights.is_some() || beside) {
            return Err(Failure::usage(
                "--class-weights, --conformal and --open-set are about heads, as a learner fits \
                 its head anew after each update and finds the rest in its examples; let the \
                 output be a head",
            ));
        }
        if self.class_weights.is_some() && self.head != Some(HeadKind::Logistic) {
            return Err(Failure::usage(
                "--class-weights are of one kind of head; add --head logistic",
            ));
        }
        if (self.goal.target.is_some() || self.goal.label_separator.is_some())
            && (learner || beside || self.head.is_some())
        {
            return Err(Failure::usage(
                "--target and --label-separator make a head of their own kind; leave --head, \
                 --conformal and --open-set out, and let the output be a head, not a learner",
            ));
        }
        let outputs: Vec<&Path> = self.outputs().collect();
        if outputs.iter().enumerate().any(|(i, path)| outputs.iter().take(i).any(|p| p == path)) {
            return Err(Failure::usage("two outputs have the same name; give each its own"));
        }
        if learner && std::fs::symlink_metadata(&self.output).is_ok() {
            return Err(Failure::usage(format!(
                "{0} exists and may hold what was taught; add to it with `offshoot teach BUNDLE \
                 {0} --from EXAMPLES`, or name another output",
                shell_path(&self.output)
            )));
        }
        Ok(())
    }
}

/// Examples that are embedded.
struct Ready {
    encoder: Encoder,
    options: EmbedOptions,
    /// `[rows, dimensions]`.
    embeddings: Array2<f32>,
    tag: EncoderTag,
}

impl Ready {
    fn new(args: &Args, rows: &[Row], interrupt: &Interrupt) -> Result<Self> {
        let encoder = args.encoder.open(&args.bundle)?;
        let options = args.embed.options(args.truncate);
        let embeddings = taught::embed(&encoder, rows, &options, interrupt, INTERRUPTED)?;
        let tag = EncoderTag {
            digest: encoder.digest().to_owned(),
            name: encoder.manifest().name.clone(),
            dimensions: embeddings.ncols(),
            prompt: prompt_text(&encoder, &options.prompt).filter(|prompt| !prompt.is_empty()),
        };
        Ok(Self { encoder, options, embeddings, tag })
    }
}

/// Learns the class of each row.
fn classes(args: &Args, rows: &[Row], pool: &[Row], interrupt: &Interrupt) -> Result {
    let kind = args.head.unwrap_or(LearnerOptions::default().head);
    let labels = rows.iter().map(inputs::label).collect::<Result<Vec<&str>>>()?;
    let (classes, y) = Classes::from_labels(&labels)?;
    if classes.len() < 2 {
        let label = classes.names().first().cloned().unwrap_or_default();
        return Err(offshoot_adapters::Error::OneClass { label }.into());
    }
    if args.to_learner() {
        taught::check_labels(rows)?;
    }
    let weights = args.class_weights.as_ref().map(|weights| weights.of(&classes)).transpose()?;

    let Ready { encoder, options, embeddings, tag } = Ready::new(args, rows, interrupt)?;
    let x = embeddings.view();
    let start = Instant::now();
    let head: Head = match &weights {
        Some(weights) => Logistic::default().fit_from(x, &y, classes.clone(), weights, None)?,
        None => kind.fit(x, &y, classes.clone())?,
    };
    let took = start.elapsed();
    interrupt.check(INTERRUPTED)?;

    let file = HeadFile::new(tag.clone(), head, &y);
    if args.to_learner() {
        let source = args.source.clone().or_else(|| taught::source_name(&args.examples));
        let info = StoreInfo {
            encoder: file.encoder.clone(),
            head: kind.name().to_owned(),
            keeps_text: !args.no_text,
        };
        let mut examples = taught::examples(rows, &embeddings, source.as_deref(), 1.0);
        if let Some(file) = args.unlabeled.as_deref().filter(|_| !pool.is_empty()) {
            let embeddings = taught::embed(&encoder, pool, &options, interrupt, INTERRUPTED)?;
            let source = args.source.clone().or_else(|| taught::source_name(file));
            examples.extend(taught::examples(pool, &embeddings, source.as_deref(), 1.0));
        }
        let mut store = Store::create(&args.output, &info, examples)?;
        if !pool.is_empty() {
            store.set_uses_unlabelled(true)?;
        }
        // The examples of this revision are those that the head was fitted on.
        let revision = store.revision()?;
        store.keep_head(revision, &file.to_bytes()?)?;
    } else {
        let sets = args.conformal.as_ref().map(|path| {
            Ok::<_, Failure>((path, Conformal::default().fit(x, &y, classes.clone())?))
        });
        let known = args
            .open_set
            .as_ref()
            .map(|path| Ok::<_, Failure>((path, OpenSet::fit(x, &y, &classes, None)?)));
        let (sets, known) = (sets.transpose()?, known.transpose()?);
        interrupt.check(INTERRUPTED)?;
        if let Some((path, sets)) = sets {
            FittedFile::new(tag.clone(), sets).save(path)?;
        }
        if let Some((path, known)) = known {
            FittedFile::new(tag, known).save(path)?;
        }
        file.save(&args.output)?;
    }
    progress::say(&summary(&file, rows.len()));
    if !pool.is_empty() {
        let count = grouped(pool.len() as u64);
        progress::say(&format!("{count} inputs without a label help to predict"));
    }
    let files: Vec<String> = args.outputs().map(shell_path).collect();
    progress::say(&format!("{}: {kind} head, fitted in {}", files.join(", "), seconds(took)));
    Ok(())
}

/// What was learned, with a note on classes that have one example.
fn summary(file: &HeadFile, examples: usize) -> String {
    let names = file.head.classes().names();
    format!(
        "{} classes from {} examples: {}{}",
        names.len(),
        grouped(examples as u64),
        counted(names, &file.examples),
        singles(&file.examples, "class")
    )
}

/// Names with how often they are there, as far as there is room.
fn counted(names: &[String], counts: &[usize]) -> String {
    let listed: Vec<String> = names
        .iter()
        .zip(counts)
        .take(LISTED)
        .map(|(name, count)| format!("{} {}", name.escape_debug(), grouped(*count as u64)))
        .collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", listed.join(", "))
}

/// A note on classes or labels with one example.
fn singles(counts: &[usize], what: &str) -> String {
    match counts.iter().filter(|&&count| count == 1).count() {
        0 => String::new(),
        1 => format!("\nnote: 1 {what} has a single example; more of them make it surer"),
        n => {
            let plural = if what == "class" { "classes" } else { "labels" };
            format!("\nnote: {n} {plural} have a single example; more of them make it surer")
        }
    }
}
