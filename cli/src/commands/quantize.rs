//! `offshoot quantize`: a smaller encoder, compared with its source.

use std::path::PathBuf;

use offshoot_export::quantize::{Precision, QuantizeOptions, Ranges, quantize};

use super::parity::{Bars, ParityArgs};
use crate::encoder::EncoderArgs;
use crate::failure::Result;
use crate::files::shell_path;
use crate::interrupt::Interrupt;
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  offshoot quantize minilm.offshoot -o small.offshoot --to int8
  offshoot quantize minilm.offshoot -o small.offshoot --to int8-static --calibrate mail.csv
  offshoot quantize minilm.offshoot -o tiny.offshoot --to int4-weights --texts mail.csv \
--min-cosine 0.95 --report parity.json
  offshoot quantize photos.offshoot -o small.offshoot --to int8-weights --samples photos/
  offshoot quantize motions.offshoot -o small.offshoot --to int8-static --samples test.ts \
--calibrate train.ts

Networks of convolutions become fastest with int8-static. Their weights have a scale an output \
channel; int8-weights and int4-weights store them as bytes.

Heads and learners belong to the encoder that they were fitted on: learn them again on the new \
bundle.";

/// Make a smaller and faster encoder, and prove what it lost
///
/// Writes a bundle whose weights (of matrix products, convolutions and tables) have fewer bits and
/// compares it with its source on real samples: cosine of the embeddings, few-shot accuracy, size,
/// speed and private memory. Where the calibration samples show that too much is lost, the most
/// sensitive layers are spared. A bundle whose smallest cosine is below the bound is not written.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
    /// The bundle to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// fp16: weights of 16-bit floats, half the size; int8: bytes, activations too, the fastest;
    /// int8-static: the same with ranges of activations that are measured beforehand;
    /// int8-weights, int4-weights: weights only, in blocks (of convolutions: in bytes)
    #[arg(long, value_name = "PRECISION", default_value = "int8")]
    to: Precision,
    /// The smallest cosine that the two embeddings of a sample may have
    #[arg(long, value_name = "COSINE", default_value_t = 0.97)]
    min_cosine: f64,
    /// Texts, images or signals for calibration; not those of --texts, which judge the result
    /// [default: other movie texts, where the movie texts are used]
    #[arg(long, value_name = "FILE")]
    calibrate: Option<PathBuf>,
    /// How int8-static finds the range of activations: minmax, least-error, or the share of
    /// values in percent that it keeps, such as 99.99
    #[arg(long, value_name = "RANGES", default_value = "minmax", value_parser = ranges)]
    ranges: Ranges,
    /// Weights that share a scale, for int8-weights and int4-weights
    #[arg(long, value_name = "N", default_value_t = 32)]
    block: usize,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    parity: ParityArgs,
}

fn ranges(text: &str) -> Result<Ranges, String> {
    match text {
        "minmax" => Ok(Ranges::MinMax),
        "least-error" => Ok(Ranges::LeastError),
        share => match share.parse::<f64>() {
            Ok(share) if share > 50.0 && share <= 100.0 => Ok(Ranges::Percentile(share)),
            _ => Err("it must be minmax, least-error or a percentage above 50".into()),
        },
    }
}

pub(crate) fn run(args: Args) -> Result {
    let inputs = [args.bundle.as_path()].into_iter().chain(args.calibrate.as_deref());
    args.parity.check(&args.output, args.force, &inputs.collect::<Vec<_>>())?;
    let interrupt = Interrupt::listen();
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let samples = args.parity.samples(Some(&reads))?;
    let calibration = match &args.calibrate {
        Some(path) => args.parity.calibration(&reads, path)?,
        None => samples.others,
    };
    let options = QuantizeOptions {
        precision: args.to,
        block: args.block,
        ranges: args.ranges,
        calibration,
        parity: args.parity.options(&samples.samples, &interrupt)?,
        samples: samples.samples,
        min_cosine: args.min_cosine,
        overwrite: args.force,
    };
    let mut bars = Bars::default();
    let quantized = quantize(&args.bundle, &args.output, &options, &mut |what, done, total| {
        bars.set(what, done, total);
    });
    drop(bars);
    let quantized = quantized?;
    if !quantized.spared.is_empty() {
        progress::say(&format!(
            "note: {} of {} weights kept more bits, since too much was lost without them: {}",
            quantized.spared.len(),
            quantized.spared.len() + quantized.quantized.len(),
            quantized.spared.join(", ")
        ));
    }
    progress::say(&format!(
        "{}: {}, {} weights quantised",
        shell_path(&quantized.path),
        quantized.precision,
        quantized.quantized.len()
    ));
    args.parity.tell(&quantized.parity, &quantized)
}
