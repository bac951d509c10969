//! `offshoot fuse`: an encoder and a head as one plain ONNX file.

use std::path::PathBuf;

use offshoot::Learner;
use offshoot_adapters::{FileKind, HeadFile, MultiLabelFile, RegressionFile};
use offshoot_export::{AnyHead, FuseOptions, Rejection, fuse};

use crate::caution::CautionArgs;
use crate::encoder::EncoderArgs;
use crate::failure::Result;
use crate::files::{self, shell_path};
use crate::head::{is_learner, open_learner};
use crate::interrupt::Interrupt;
use crate::progress::{self, Progress, Unit, megabytes};

const EXAMPLES: &str = "\
Examples:
  offshoot fuse minilm.offshoot movies.head -o movies.onnx
  offshoot fuse minilm.offshoot mail.learner -o mail.onnx
  offshoot fuse minilm.offshoot mail.learner -o mail.onnx --calibrate temperature \
--false-accepts 0.05

Any ONNX Runtime, in any language, then needs token ids and their mask and gives `label`, \
`label_index`, `probabilities` and `embedding`; of a head of numbers `value`, and of one of several \
labels `labels` and `scores`, in the place of the first three; with --false-accepts `known` and \
`known_score`. With --false-accepts, and of the heads nearest-neighbors, cache and most of auto, \
the file holds the embeddings of the examples. The tokenizer is in the bundle; `offshoot unpack` \
writes it as tokenizer.json.";

/// Write an encoder and a head as one plain ONNX file
///
/// The file holds its weights, the names of the classes and the head's arithmetic, and gives the
/// same answers as `offshoot predict` in any program that runs ONNX.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The head or the learner
    head: PathBuf,
    /// The file to write, usually NAME.onnx
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    caution: CautionArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    files::check_output(&args.output, [args.bundle.as_path(), &args.head])?;
    let interrupt = Interrupt::listen();
    match FileKind::of(&args.head)? {
        Some(FileKind::Regression) => {
            let head = RegressionFile::load(&args.head)?;
            return write(&args, None, AnyHead::Numbers(&head), "a number", &interrupt);
        }
        Some(FileKind::MultiLabel) => {
            let head = MultiLabelFile::load(&args.head)?;
            let what = format!("{} labels", head.fitted.labels().len());
            return write(&args, None, AnyHead::Labels(&head), &what, &interrupt);
        }
        _ => {}
    }
    let learner = match is_learner(&args.head) {
        true => Some(open_learner(&args.bundle, &args.head, &args.encoder, EncoderArgs::open)?),
        false => None,
    };
    let head = match &learner {
        Some(learner) => learner.head()?.as_ref().clone(),
        None => HeadFile::load(&args.head)?,
    };
    if learner.as_ref().map(Learner::uses_unlabelled).transpose()?.unwrap_or(false) {
        progress::say(
            "note: `predict` smooths what this head says over the learner's examples without a \
             label; the file gives the head's own answers",
        );
    }
    let what = format!("{} classes", head.head.classes().len());
    write(&args, learner.as_ref(), AnyHead::Classes(&head), &what, &interrupt)
}

/// Writes the file, which gives `what`.
fn write(
    args: &Args,
    learner: Option<&Learner>,
    head: AnyHead<'_>,
    what: &str,
    interrupt: &Interrupt,
) -> Result {
    let rejection = args.caution.rejection(learner, head.encoder())?;
    let options = FuseOptions {
        overwrite: true,
        stop: Some(interrupt.flag()),
        calibration: args.caution.calibration(learner)?,
        rejection: rejection.map(|(open_set, false_accepts)| Rejection { open_set, false_accepts }),
    };
    let title = format!("Fusing into {}", shell_path(&args.output));
    let mut bar: Option<Progress> = None;
    let fused = fuse(&args.bundle, head, &args.output, &options, &mut |step| {
        bar.get_or_insert_with(|| {
            Progress::start(title.as_str(), Unit::Bytes, Some(step.total_bytes))
        })
        .set(step.done_bytes);
    });
    match (&fused, bar) {
        (Ok(_), Some(bar)) => drop(bar.finish()),
        (_, bar) => drop(bar),
    }
    let fused = fused?;
    progress::say(&format!(
        "{}: {what}, {}, outputs {}",
        shell_path(&fused.path),
        megabytes(fused.size),
        fused.outputs.join(", ")
    ));
    Ok(())
}
