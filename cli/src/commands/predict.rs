//! `offshoot predict`: the class, the number or the labels of each input.

mod classes;
mod labels;
mod values;

use std::path::PathBuf;

use ndarray::ArrayView2;
use offshoot::bundle::Modality;
use offshoot::{EmbedOptions, Encoder};
use offshoot_adapters::FileKind;

use crate::caution::{CautionArgs, SetArgs};
use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::files;
use crate::inputs::{self, Embedder, InputArgs, Row, Rows};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::rows::{RowFormat, Sink};

const EXAMPLES: &str = "\
Examples:
  echo 'a warm, funny and beautifully acted film' | offshoot predict minilm.offshoot movies.head
  offshoot predict minilm.offshoot movies.head reviews.csv -o predicted.csv
  offshoot predict minilm.offshoot mail.learner new-mail.csv --coverage 0.9 --false-accepts 0.05
  offshoot predict photos.offshoot birds.head new-photos/ -o birds.csv
  offshoot predict minilm.offshoot mail.head mail.jsonl --text body --proba -o predicted.jsonl

CSV has the columns row, label and probability, and for images and signals input, where they \
lie; --proba adds one column a class, named p: and the class; --coverage a column set, its labels \
joined by |; --false-accepts a column known. JSONL has the same as keys, with --proba an object \
`probabilities`.

A head of numbers (`offshoot learn --target`) gives value in the place of label and probability, \
and with --coverage low and high. One of several labels (`--label-separator`) gives labels, joined \
by |, and with --proba the score of each, named s: and the label, or an object `scores`: about 1 \
for labels that are true and -1 for others.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "a file of predictions is written whole or not at all; run it again";

/// Predict the class of each text, image or signal with a head or a learner
///
/// One line is written for each row of the input: the number of the row from 1, the most
/// likely class, and its probability; or the number or the labels that the head has learned. A
/// head or a learner runs only on its own encoder.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The head or the learner
    head: PathBuf,
    /// The texts: lines, CSV, TSV, JSONL or Parquet; `-` is standard input [default: -]. Images:
    /// a file, a folder or a table of paths. Signals: .ts, .npy or CSV
    input: Option<PathBuf>,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the output [default: by the file's ending, else csv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output_format: Option<RowFormat>,
    /// Write the probability of every class
    #[arg(long)]
    proba: bool,
    #[command(flatten)]
    sets: SetArgs,
    #[command(flatten)]
    caution: CautionArgs,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
    #[command(flatten)]
    texts: InputArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    let format = RowFormat::choose(args.output_format, args.output.as_deref())?;
    let read = [Some(&args.bundle), Some(&args.head), args.input.as_ref()];
    let read = read.into_iter().flatten().map(PathBuf::as_path);
    if let Some(output) = &args.output {
        files::check_output(output, read)?;
    }
    let interrupt = Interrupt::listen();
    let kind = FileKind::of(&args.head)?;
    if matches!(kind, Some(FileKind::Regression | FileKind::MultiLabel)) {
        args.check_of_no_classes(kind == Some(FileKind::Regression))?;
    }
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let work = Work {
        format,
        place: reads.modality != Modality::Text,
        // Predictions on the terminal and a bar would disturb each other.
        quiet: args.output.is_none(),
        rows: args.texts.open(&reads, args.input.as_deref(), None)?,
        sink: Sink::open(args.output.as_deref())?,
        interrupt,
    };
    match kind {
        Some(FileKind::Regression) => values::run(&args, work),
        Some(FileKind::MultiLabel) => labels::run(&args, work),
        _ => classes::run(&args, work),
    }
}

impl Args {
    /// Refuses what only heads of classes can tell.
    fn check_of_no_classes(&self, numbers: bool) -> Result {
        let useless = if numbers { self.proba } else { self.sets.coverage.is_some() };
        if useless || self.caution.asked() || self.sets.conformal.is_some() {
            let (what, has) = match numbers {
                true => ("numbers", "--coverage"),
                false => ("several labels", "--proba"),
            };
            return Err(Failure::usage(format!(
                "{} is a head of {what}, which has {has} only of --proba, --coverage, --conformal, \
                 --calibrate and --false-accepts",
                files::shell_path(&self.head)
            )));
        }
        Ok(())
    }
}

/// Rows on their way through the encoder to lines.
struct Work {
    format: RowFormat,
    /// Where the input lies is written.
    place: bool,
    quiet: bool,
    rows: Rows,
    sink: Sink,
    interrupt: Interrupt,
}

impl Work {
    /// Embeds the rows in parts, and writes the `header` and the `lines` of each part.
    fn each_part(
        self,
        encoder: &Encoder,
        options: &EmbedOptions,
        header: &[u8],
        mut lines: impl FnMut(&[Row], ArrayView2<'_, f32>) -> Result<Vec<u8>>,
    ) -> Result {
        let Self { mut rows, mut sink, interrupt, quiet, .. } = self;
        let mut progress =
            Progress::start_unless(quiet, "Predicting", rows.unit(), rows.len_hint());
        sink.write(header)?;
        let mut embedder = Embedder::new(encoder, options);
        loop {
            interrupt.check(INTERRUPTED)?;
            let chunk =
                interrupt.at_once(sink.ending(INTERRUPTED), || inputs::next_chunk(&mut rows))?;
            if chunk.is_empty() {
                break;
            }
            let embeddings = embedder.embed(&chunk)?;
            sink.write(&lines(&chunk, embeddings.vectors())?)?;
            progress.set(rows.position());
        }
        drop(progress);
        embedder.note();
        sink.finish()
    }
}

/// Six decimals: far beyond what a probability learned from examples is worth.
fn shown(probability: f64) -> String {
    format!("{probability:.6}")
}
