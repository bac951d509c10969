//! `offshoot embed`: from inputs to embeddings.

mod file;
mod rows;
mod single;

use std::path::PathBuf;

use offshoot_models::embeddings::OutputFormat;

use self::rows::{Precision, Values};
use crate::encoder::{EmbedArgs, EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::inputs::{self, Embedder, InputArgs};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  offshoot embed minilm.offshoot reviews.txt -o reviews.npy
  offshoot embed minilm.offshoot mail.parquet --text body -o mail.parquet.npy --precision f16
  cat reviews.txt | offshoot embed minilm.offshoot > reviews.jsonl
  offshoot embed minilm.offshoot --one 'a single text'
  offshoot embed photos.offshoot birds/ -o birds.npy
  offshoot embed minilm.offshoot reviews.csv -o reviews.parquet --with-text --resume

Interrupted by Ctrl-C, a kill or a power cut, the work goes on with --resume where it stopped: \
no row is lost or embedded twice, and the file is the same byte for byte. Until it is whole it \
is called OUTPUT.part.";

/// Turn texts, images or signals into embeddings
///
/// Reads texts from lines, CSV, TSV, JSONL, Parquet or FASTA; images from a file, a folder or a table
/// of their paths; signals from .ts, .npy or CSV. Writes one embedding a row as .npy, JSONL or
/// Parquet. Input of any size is streamed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The texts, images or signals: a file or a folder, or `-` for standard input [default: -]
    input: Option<PathBuf>,
    /// The file to write: .npy, .jsonl or .parquet [default: JSONL to standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Embed this one text, or the image or signal in this file, and print the result as one line
    /// of JSON
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["input", "output", "resume", "restart"])]
    one: Option<String>,
    /// Print the vectors of the text's tokens, before they are pooled, in place of its embedding
    #[arg(long, requires = "one", conflicts_with_all = ["input", "output", "precision", "dimensions"])]
    each_token: bool,
    /// Go on with a run that was interrupted, with the same input and options
    #[arg(long, requires = "output")]
    resume: bool,
    /// Discard a run that was interrupted and start again
    #[arg(long, requires = "output", conflicts_with = "resume")]
    restart: bool,
    /// Format of the output [default: by the file's ending]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output_format: Option<Format>,
    /// Type of the values: `f32`; `f16`, half the size; `int8`, each row scaled to its largest
    /// value, which leaves cosines nearly as they are; `bits`, the signs in packed bytes,
    /// compared by their Hamming distance
    #[arg(long, value_enum, value_name = "TYPE", default_value_t)]
    precision: Precision,
    /// Write each text, or where the image or signal lies, beside its embedding (JSONL and
    /// Parquet)
    #[arg(long)]
    with_text: bool,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
    #[command(flatten)]
    texts: InputArgs,
    #[command(flatten)]
    embed: EmbedArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// Format of an embedding file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// NumPy's array file
    Npy,
    /// One JSON object a line
    Jsonl,
    /// Apache Parquet
    Parquet,
}

impl From<Format> for OutputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Npy => Self::Npy,
            Format::Jsonl => Self::Jsonl,
            Format::Parquet => Self::Parquet,
        }
    }
}

pub(crate) fn run(args: Args) -> Result {
    if let Some(text) = &args.one {
        return single::run(text, &args);
    }
    match args.output.clone() {
        Some(output) => file::run(&args, &output),
        None => to_stdout(&args),
    }
}

fn to_stdout(args: &Args) -> Result {
    if args.output_format.is_some_and(|format| format != Format::Jsonl) {
        return Err(Failure::usage(
            "standard output takes JSONL only; name a file with -o for the other formats",
        ));
    }
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let mut rows = args.texts.open(&reads, args.input.as_deref(), None)?;
    let encoder = args.encoder.open(&args.bundle)?;
    let options = args.embed.options(args.truncate);
    let mut out = output::buffered();
    let mut embedder = Embedder::new(&encoder, &options);
    loop {
        let chunk = inputs::next_chunk(&mut rows)?;
        if chunk.is_empty() {
            break;
        }
        let embedded = embedder.embed(&chunk)?;
        let values = Values::new(embedded.vectors(), args.precision);
        let shown = inputs::shown(&chunk);
        values.write_jsonl(&mut out, args.with_text.then_some(&shown))?;
    }
    embedder.note();
    Ok(())
}
