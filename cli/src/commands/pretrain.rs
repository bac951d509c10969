//! `offshoot pretrain`: from unlabeled examples to an encoder.

mod curve;
mod options;
mod preview;
mod told;

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use offshoot::trainer::Device;
use offshoot_models::augment::Preset;
use offshoot_models::data::{self, DataOptions, Dataset, Kind};
use offshoot_models::encoders::Family;
use offshoot_models::objectives;
use offshoot_models::pretrain::{METRICS, OptimizerKind, PretrainOptions, pretrain};

use self::options::options;
use self::told::{Told, figures};
use crate::failure::{Failure, Result};
use crate::files;
use crate::files::shell_path;
use crate::interrupt::Interrupt;
use crate::progress::{self, grouped, megabytes};

/// Picture of the loss, in the run's folder.
const CURVE: &str = "curve.svg";

const EXAMPLES: &str = "\
Examples:
  offshoot pretrain photos/ --minutes 15 -o parts.offshoot
  offshoot pretrain recordings.ts --objective simclr -o motion.offshoot
  offshoot pretrain corpus.txt --objective masked-token+0.1*simcse -o ours.offshoot
  offshoot pretrain proteins.fasta --epochs 3 -o proteins.offshoot
  offshoot pretrain photos/ --preview views.png
  offshoot pretrain corpus.txt --init minilm.offshoot --epochs 1 -o ours.offshoot

Then a handful of labels is enough: offshoot learn parts.offshoot labelled/ -o parts.head";

/// Pretrain an encoder on your own unlabeled data
///
/// Reads a folder of images, an IDX file, texts (lines, JSONL, CSV, Parquet), FASTA, or signals
/// (.ts, NumPy, CSV, Parquet), and writes one bundle. Nothing needs labels; where the data has
/// them, the accuracy of nearest neighbours is told meanwhile. A run that was interrupted goes
/// on when the same command is given again. Metrics, TensorBoard files and the checkpoint lie in
/// a folder beside the bundle, with the ending .run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files or folders of examples, all of one kind
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// The bundle to write
    #[arg(short, long, value_name = "FILE", required_unless_present = "preview")]
    output: Option<PathBuf>,
    #[arg(long, value_name = "NAME", help = objective_help())]
    objective: Option<String>,
    /// Go on with the encoder of this bundle: one that was pretrained here, or an imported one of
    /// texts. Of the latter all weights are trained, by any objective but simcse, replaced-token
    /// and autoregressive
    #[arg(long, value_name = "BUNDLE", conflicts_with_all = ["encoder", "size", "tokenizer",
        "vocabulary", "image_size"])]
    init: Option<PathBuf>,
    /// Only show what the objective is fed: of images and signals as a picture, examples on the
    /// left; of texts as a table on standard output
    #[arg(long, value_name = "FILE.png", num_args = 0..=1)]
    preview: Option<Option<PathBuf>>,
    /// Examples of the preview
    #[arg(long, value_name = "N", default_value = "8", requires = "preview")]
    rows: NonZeroUsize,
    /// Views of each example in the preview
    #[arg(long, value_name = "N", default_value = "6", requires = "preview")]
    views: NonZeroUsize,
    /// Kind of encoder [default: shift-mixer, signal-network or transformer]
    #[arg(long, value_name = "NAME", value_parser = parse_family)]
    encoder: Option<Family>,
    /// Size of the encoder
    #[arg(long, value_enum, value_name = "tiny|small|base", default_value = "tiny")]
    size: SizeChoice,
    /// Another size of the encoder's parts, such as `stages=[96,192]` or `layers.width=192`; an
    /// unknown name is answered with the known ones
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_size, conflicts_with = "init")]
    configure: Vec<(String, serde_json::Value)>,
    /// How views are drawn, where not as it suits the data: `natural` or `grey-shapes` for images,
    /// `sensors` or `shapes` (single movements that are aligned) for signals, `none`; and single
    /// settings, such as `crop=[0.5,1]`, of which an unknown one is answered with the known ones
    #[arg(long, value_name = "NAME|NAME=VALUE", value_parser = parse_augmentation)]
    augment: Vec<Augment>,
    /// End after about so many minutes
    #[arg(long, value_name = "N", conflicts_with_all = ["epochs", "steps"])]
    minutes: Option<f64>,
    /// End when every example was seen so many times [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "steps")]
    epochs: Option<f64>,
    /// End after so many steps
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// End when so many figures in a row had no lower loss of held-out examples than one before,
    /// and keep the weights that had the lowest
    #[arg(long, value_name = "N")]
    patience: Option<NonZeroU64>,
    /// Take figures of held-out examples every so many steps [default: 20 times a run, no
    /// oftener than every 20]
    #[arg(long, value_name = "STEPS")]
    figures_every: Option<NonZeroU64>,
    /// Examples of a batch [default: 128; of texts 64]
    #[arg(long, value_name = "N")]
    batch: Option<NonZeroUsize>,
    /// Batches of a step, whose gradients are averaged: for steps of more examples than the
    /// memory holds at once
    #[arg(long, value_name = "N", default_value = "1")]
    accumulate: NonZeroUsize,
    /// What turns gradients into steps: lars and lamb are for batches of a thousand examples and
    /// more [possible values: adamw, sgd, lars, lamb]
    #[arg(long, value_name = "NAME", default_value = "adamw", value_parser = parse_optimizer)]
    optimizer: OptimizerKind,
    /// Activations that a step computes again in place of keeping them, for less memory: those of
    /// cheap operators (a little slower), or all within residual blocks (a quarter to a third
    /// slower). The encoder becomes the same
    #[arg(long, value_enum, value_name = "cheap|blocks")]
    recompute: Option<RecomputeChoice>,
    /// Learning rate at its highest [default: 0.001; of sgd 0.05, lars 1, lamb 0.003; for an
    /// imported encoder 0.00005]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f32>,
    /// Keep an average of the weights with this decay, and write it in their place
    #[arg(long, value_name = "DECAY")]
    average: Option<f32>,
    /// Seed of weights, order and views
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Where to compute
    #[arg(long, value_name = "cpu|cuda|cuda:N", default_value = "cpu", value_parser = parse_device)]
    device: Device,
    /// Most threads that compute at once [default: as many as the process may use]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Threads that draw views ahead of the steps
    #[arg(long, value_name = "N", default_value = "1")]
    loaders: NonZeroUsize,
    /// Begin again where the folder holds an unfinished run, and replace the bundle
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    how: DataArgs,
}

/// How the data is read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the data is read")]
struct DataArgs {
    /// What a table's column holds [default: text]
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<KindChoice>,
    /// Column or key of the text, image or signal
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// Column or key of labels, for the accuracy of nearest neighbours; of FASTA a key of the
    /// header, such as OS
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Time steps of a window, into which a long recording is cut
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Time steps between the starts of windows [default: a whole window]
    #[arg(long, value_name = "N", requires = "window")]
    stride: Option<usize>,
    /// Side that images are brought to [default: that of most of them, at most 224]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Kind of tokenizer to train [default: word-piece; residues for FASTA]
    #[arg(long, value_enum, value_name = "KIND")]
    tokenizer: Option<TokenizerChoice>,
    /// Number of its tokens
    #[arg(long, value_name = "N", default_value_t = 8000)]
    vocabulary: usize,
    /// Most tokens of a text that the encoder takes; longer ones are learned from in parts, and
    /// cut when it is used [default: 64; 128 for FASTA]
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum KindChoice {
    Text,
    Image,
    Signal,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SizeChoice {
    /// Under a million weights
    Tiny,
    /// A few million
    Small,
    /// Tens of millions
    Base,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RecomputeChoice {
    /// Activation functions, normalisation and the like
    Cheap,
    /// All but the ends of residual blocks
    Blocks,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum TokenizerChoice {
    /// Pieces of lower-case words
    WordPiece,
    /// Byte pairs
    Bpe,
    /// Pieces by their likelihood
    Unigram,
    /// One token a residue
    Residues,
}

fn parse_family(name: &str) -> Result<Family, String> {
    Family::ALL.into_iter().find(|family| family.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Family::ALL.iter().map(|family| family.name()).collect();
        format!("there is no such encoder; there are {}", names.join(", "))
    })
}

fn parse_optimizer(name: &str) -> Result<OptimizerKind, String> {
    OptimizerKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<&str> = OptimizerKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("there is no such optimizer; there are {}", names.join(", "))
    })
}

fn parse_size(text: &str) -> std::result::Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').ok_or("a size is NAME=VALUE")?;
    let value = serde_json::from_str(value)
        .map_err(|_| format!("`{value}` is neither a number nor a list of numbers"))?;
    Ok((name.to_owned(), value))
}

/// A preset of views, or one setting of theirs.
#[derive(Debug, Clone)]
enum Augment {
    Preset(Preset),
    Value(String, serde_json::Value),
}

fn parse_augmentation(text: &str) -> std::result::Result<Augment, String> {
    match text.contains('=') {
        true => parse_size(text).map(|(name, value)| Augment::Value(name, value)),
        false => Preset::named(text).map(Augment::Preset).map_err(|error| error.to_string()),
    }
}

fn parse_device(name: &str) -> Result<Device, String> {
    match name.split_once(':') {
        None if name == "cpu" => Ok(Device::Cpu),
        None if name == "cuda" => Ok(Device::Cuda { index: 0 }),
        Some(("cuda", index)) => u32::from_str(index)
            .map(|index| Device::Cuda { index })
            .map_err(|_| format!("`{index}` is no number of a graphics card")),
        _ => Err("a device is cpu, cuda or cuda:N".into()),
    }
}

pub(crate) fn run(args: Args) -> Result {
    let interrupt = Interrupt::listen();
    let inputs = || args.data.iter().chain(&args.init).map(PathBuf::as_path);
    if let Some(sheet) = &args.preview {
        return preview::run(&args, sheet.as_deref(), &interrupt);
    }
    // Without --preview there is an output.
    let output = args.output.clone().unwrap_or_default();
    files::check_output(&output, inputs())?;
    let data = open(&args)?;
    let options = options(&args, data.as_ref(), &interrupt)?;
    prepare_output(&args, &options)?;
    let weak = options.objectives.iter().any(|o| o.objective.name() == "masked-patches");
    if weak && options.objectives.len() == 1 {
        progress::say(
            "note: masked-patches alone gives embeddings that are weak until they are tuned; for \
             frozen ones vicreg or simclr is better",
        );
    }
    let mut told = Told::default();
    let done = pretrain(&data, &options, &mut |event| told.tell(event));
    drop(told.bar.take());
    let done = match done {
        Err(offshoot_models::Error::Interrupted) => {
            return Err(Failure::interrupted(format!(
                "the run is kept in {}; the same command goes on with it",
                options.run_folder().display()
            )));
        }
        done => done?,
    };
    let folder = options.run_folder();
    curve::write(&folder.join(METRICS), &folder.join(CURVE), &title(&options))?;
    if done.unreadable > 0 {
        progress::say(&format!(
            "note: examples that cannot be read were passed over {} times",
            grouped(done.unreadable)
        ));
    }
    progress::say(&format!(
        "{}: {}, {} dimensions, {} steps{}",
        shell_path(&output),
        megabytes(done.written.size),
        done.written.manifest.embedding_size,
        grouped(done.steps),
        done.quality.map_or_else(String::new, |quality| {
            format!("; {}", figures(&quality, done.prediction.as_ref()))
        }),
    ));
    Ok(())
}

fn open(args: &Args) -> Result<Arc<dyn Dataset>> {
    let options = DataOptions {
        kind: args.how.kind.map(|kind| match kind {
            KindChoice::Text => Kind::Text,
            KindChoice::Image => Kind::Image,
            KindChoice::Signal => Kind::Signal,
        }),
        column: args.how.column.clone(),
        label: args.how.label.clone(),
        window: args.how.window,
        stride: args.how.stride,
    };
    let data: Arc<dyn Dataset> = data::open_all(&args.data, &options)?.into();
    let left_out = data.left_out();
    if left_out.count > 0 {
        progress::say(&format!(
            "note: {} records cannot be read and are left out; the first: {}",
            grouped(left_out.count as u64),
            left_out.named.first().map_or("", String::as_str)
        ));
    }
    Ok(data)
}

/// Refuses a bundle that exists; with --force an unfinished run is removed.
fn prepare_output(args: &Args, options: &PretrainOptions) -> Result {
    if args.force {
        let folder = options.run_folder();
        return match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io("remove", &folder, &error))
            }
            _ => Ok(()),
        };
    }
    free(&options.output, args.force)
}

/// Refuses a file that exists.
fn free(path: &Path, force: bool) -> Result {
    if !force && path.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!(
            "{} exists already; add --force to replace it, or choose another name",
            path.display()
        )));
    }
    Ok(())
}

/// What the run learns from, for people.
fn title(options: &PretrainOptions) -> String {
    let names: Vec<&str> = options.objectives.iter().map(|o| o.objective.name()).collect();
    names.join(" + ")
}

fn objective_help() -> String {
    format!(
        "What is learned from, one or several joined by `+`, each with a weight before it if it \
         is not 1, as in `masked-token+0.1*simcse` [default: simclr for images, \
         signals and FASTA, multiple-negatives for texts] [possible names: {}]",
        objectives::NAMES.join(", ")
    )
}
