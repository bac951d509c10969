//! `offshoot tune`: a small part of an encoder trained on the user's own texts.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use offshoot::adapters::{Classes, HeadKind};
use offshoot::trainer::TrainerOptions;
use offshoot::{Adapter, Encoder, OpenOptions};
use offshoot_export::adapt::Method;
use offshoot_models::tune::{TuneOptions, TuningExamples, tune};

use crate::encoder::require_texts;
use crate::failure::{Failure, Result};
use crate::files::{self, shell_path};
use crate::inputs::{self, InputArgs, LabelArgs, Row};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, Progress, Unit};
use crate::taught;

const INTERRUPTED: &str = "interrupted; nothing was written";

const EXAMPLES: &str = "\
Examples:
  offshoot tune minilm.offshoot mail.csv -o mail.adapter
  offshoot tune minilm.offshoot mail.csv -o mail.offshoot --test other-mail.csv
  offshoot tune minilm.offshoot questions.csv -o search.adapter --text question --partner answer
  offshoot learn minilm.offshoot mail.csv -o mail.head --adapter mail.adapter";

/// Train a small part of an encoder on your own texts
///
/// Texts of one class are drawn together and apart from the others (supervised contrastive
/// loss); with --partner, texts that belong together are. Trained are low-rank factors beside
/// the weight matrices (LoRA), or the biases, or the scales and biases of layer
/// normalisation. The output is an adapter of a few hundred kilobytes, which any command
/// takes by --adapter, or with the ending .offshoot a whole new bundle.
///
/// Heads and learners belong to the encoder that they were fitted on, its adapter included:
/// learn them again. With a handful of labels a head alone is often as good; --test says
/// which is better on texts that were not trained on.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
    /// A table of texts with labels, or of pairs of texts
    examples: PathBuf,
    /// The adapter to write, or with the ending .offshoot the bundle
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Column that holds the text which belongs to each text; there are no labels then
    #[arg(long, value_name = "COLUMN", conflicts_with = "label")]
    partner: Option<String>,
    /// Which part is trained
    #[arg(long, value_enum, value_name = "lora|bias|layer-norm", default_value = "lora")]
    method: Part,
    /// Rank of the factors, for lora
    #[arg(long, value_name = "N", default_value = "8")]
    rank: NonZeroUsize,
    /// Number of steps
    #[arg(long, value_name = "N")]
    steps: Option<NonZeroUsize>,
    /// Texts of a step
    #[arg(long, value_name = "N")]
    batch: Option<NonZeroUsize>,
    /// Learning rate at its highest
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f32>,
    /// Temperature of the loss: the lower, the more near neighbours count
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// Most tokens of a text while training; longer ones are cut
    #[arg(long, value_name = "N")]
    max_tokens: Option<NonZeroUsize>,
    /// Seed of the factors and of the order of the texts
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Labelled texts that are not trained on: the accuracy of the automatic head before and
    /// after is told
    #[arg(long, value_name = "FILE", conflicts_with = "partner")]
    test: Option<PathBuf>,
    /// Most threads that compute at once [default: as many as the process may use]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    label: LabelArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Part {
    /// Low-rank factors beside the weight matrices
    Lora,
    /// Biases of linear layers
    Bias,
    /// Scales and biases of layer normalisation
    LayerNorm,
}

pub(crate) fn run(args: Args) -> Result {
    let interrupt = Interrupt::listen();
    let inputs = [args.bundle.as_path(), &args.examples].into_iter().chain(args.test.as_deref());
    files::check_output(&args.output, inputs)?;
    if !args.force && args.output.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!(
            "{} exists already; add --force to replace it, or choose another name",
            args.output.display()
        )));
    }
    require_texts(&args.bundle, "tune")?;
    let label = match &args.partner {
        Some(partner) => LabelArgs::of(partner),
        None => args.label.clone(),
    };
    let rows = read(&args, &args.examples, &label, &interrupt)?;
    let test = match &args.test {
        Some(path) => Some(read(&args, path, &label, &interrupt)?),
        None => None,
    };
    let (first, second): (Vec<String>, Vec<String>) = split(&rows)?;
    let examples = match args.partner {
        Some(_) => TuningExamples::Pairs { anchors: &first, positives: &second },
        None => TuningExamples::Labelled { texts: &first, labels: &second },
    };

    let options = options(&args, &interrupt)?;
    let mut bar = Progress::start("Tuning", Unit::Count("steps"), Some(options.steps as u64));
    let tuned = tune(&args.bundle, &examples, &options, &mut |done, _| bar.set(done as u64));
    drop(bar);
    let tuned = tuned?;
    let bundle = args.output.extension().is_some_and(|ending| ending == "offshoot");
    if bundle {
        tuned.write_bundle(&args.output, args.force).map_err(Failure::from)?;
    } else {
        tuned.write_adapter(&args.output, args.force).map_err(Failure::from)?;
    }
    let size = args.output.metadata().map_or(0, |metadata| metadata.len());
    progress::say(&format!(
        "{}: {}, {} numbers trained in {} steps, loss {:.3} to {:.3}",
        shell_path(&args.output),
        progress::megabytes(size),
        progress::grouped(tuned.parameters),
        tuned.losses.len(),
        mean(&tuned.losses, false),
        mean(&tuned.losses, true),
    ));
    if let Some(test) = test {
        compare(&args, bundle, &rows, &test, &interrupt)?;
    }
    Ok(())
}

fn options(args: &Args, interrupt: &Interrupt) -> Result<TuneOptions> {
    let mut options = TuneOptions {
        method: match args.method {
            Part::Lora => Method::Lora { rank: args.rank.get() },
            Part::Bias => Method::Bias,
            Part::LayerNorm => Method::LayerNorm,
        },
        seed: args.seed,
        trainer: TrainerOptions::new().threads(args.threads),
        stop: Some(interrupt.flag()),
        ..TuneOptions::default()
    };
    let positive = |name: &str, value: f32| {
        if value.is_finite() && value > 0.0 {
            return Ok(value);
        }
        Err(Failure::usage(format!("--{name} is {value}; it must be a number above 0")))
    };
    if let Some(steps) = args.steps {
        options.steps = steps.get();
    }
    if let Some(batch) = args.batch {
        options.batch = batch.get();
    }
    if let Some(tokens) = args.max_tokens {
        options.max_tokens = tokens.get();
    }
    if let Some(rate) = args.learning_rate {
        options.learning_rate = positive("learning-rate", rate)?;
    }
    if let Some(temperature) = args.temperature {
        options.temperature = positive("temperature", temperature)?;
    }
    Ok(options)
}

fn read(args: &Args, path: &Path, label: &LabelArgs, interrupt: &Interrupt) -> Result<Vec<Row>> {
    let table = args.input.texts(Some(path), Some(label))?;
    interrupt.at_once(Ending::saying(INTERRUPTED), || table.collect())
}

/// Texts, and their labels or partners.
fn split(rows: &[Row]) -> Result<(Vec<String>, Vec<String>)> {
    rows.iter().map(|row| Ok((row.shown.clone(), inputs::label(row)?.to_owned()))).collect()
}

/// The mean of the first or last tenth of the losses.
fn mean(losses: &[f32], last: bool) -> f32 {
    let count = (losses.len() / 10).max(1).min(losses.len());
    let part = if last { &losses[losses.len() - count..] } else { &losses[..count] };
    part.iter().sum::<f32>() / part.len().max(1) as f32
}

/// Tells the accuracy of the automatic head on the encoder as it was and as it is.
fn compare(
    args: &Args,
    bundle: bool,
    train: &[Row],
    test: &[Row],
    interrupt: &Interrupt,
) -> Result {
    let open = |options: OpenOptions, path: &Path| options.threads(args.threads).open(path);
    let before = open(OpenOptions::new(), &args.bundle)?;
    let after = if bundle {
        open(OpenOptions::new(), &args.output)?
    } else {
        open(OpenOptions::new().adapter(Adapter::open(&args.output)?), &args.bundle)?
    };
    let before = accuracy(&before, train, test, interrupt)?;
    let after = accuracy(&after, train, test, interrupt)?;
    progress::say(&format!(
        "accuracy of the automatic head on {} other texts: {:.1} % before, {:.1} % after",
        progress::grouped(test.len() as u64),
        100.0 * before,
        100.0 * after
    ));
    Ok(())
}

fn accuracy(encoder: &Encoder, train: &[Row], test: &[Row], interrupt: &Interrupt) -> Result<f64> {
    let options = offshoot::EmbedOptions::default();
    let labels = train.iter().map(inputs::label).collect::<Result<Vec<&str>>>()?;
    let (classes, y) = Classes::from_labels(&labels)?;
    let names = classes.names().to_vec();
    let x = taught::embed(encoder, train, &options, interrupt, "interrupted")?;
    let head = HeadKind::Auto.fit(x.view(), &y, classes)?;
    let x = taught::embed(encoder, test, &options, interrupt, "interrupted")?;
    let found = head.predict(x.view())?;
    let mut right = 0usize;
    for (row, &class) in test.iter().zip(&found) {
        right += usize::from(names.get(class).map(String::as_str) == Some(inputs::label(row)?));
    }
    Ok(right as f64 / test.len().max(1) as f64)
}
