//! `offshoot embed`: from texts to embeddings.

mod rows;
mod single;

use std::path::{Path, PathBuf};
use std::time::Duration;

use offshoot_models::embeddings::{self, EmbeddingWriter, Job, Layout, Opened, OutputFormat};
use offshoot_models::tables::{self, Rows};

use self::rows::{Precision, Values};
use crate::encoder::{EmbedArgs, EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, Progress, Unit, grouped, seconds};
use crate::texts::{self, InputArgs, shell_path};
use crate::{files, output};

const EXAMPLES: &str = "\
Examples:
  offshoot embed minilm.offshoot reviews.txt -o reviews.npy
  offshoot embed minilm.offshoot mail.parquet --text body -o mail.parquet.npy --precision f16
  cat reviews.txt | offshoot embed minilm.offshoot > reviews.jsonl
  offshoot embed minilm.offshoot --one 'a single text'
  offshoot embed minilm.offshoot reviews.csv -o reviews.parquet --with-text --resume

Interrupted by Ctrl-C, a kill or a power cut, the work goes on with --resume where it stopped: \
no row is lost or embedded twice, and the file is the same byte for byte. Until it is whole it \
is called OUTPUT.part.";

/// Turn texts into embeddings
///
/// Reads texts from lines, CSV, TSV, JSONL or Parquet, and writes one embedding a row as .npy,
/// JSONL or Parquet. Input of any size is streamed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The texts: a file, or `-` for standard input [default: -]
    input: Option<PathBuf>,
    /// The file to write: .npy, .jsonl or .parquet [default: JSONL to standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Embed this one text, and print the result as one line of JSON
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["input", "output", "resume", "restart"])]
    one: Option<String>,
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
    /// Write each text beside its embedding (JSONL and Parquet)
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
        Some(output) => to_file(&args, &output),
        None => to_stdout(&args),
    }
}

fn to_file(args: &Args, output: &Path) -> Result {
    let format = format_of(args.output_format, output)?;
    if let Some(done) = embeddings::pending(output)?
        && !(args.resume || args.restart)
    {
        return Err(Failure::usage(format!(
            "an interrupted run has embedded {} rows of {}; go on with --resume, or start again \
             with --restart",
            grouped(done),
            output.display()
        )));
    }
    files::check_writable(output)?;
    let interrupt = Interrupt::listen();
    let mut rows = args.texts.open(args.input.as_deref(), None)?;
    let encoder = args.encoder.open(&args.bundle)?;
    let options = args.embed.options(args.truncate);
    let width = options.dimensions.map_or(encoder.dimensions(), std::num::NonZeroUsize::get);
    let layout = Layout {
        format,
        element: args.precision.into(),
        columns: args.precision.columns(width),
        with_text: args.with_text,
    };
    let job = Job {
        source: match texts::file(args.input.as_deref()) {
            Some(path) => tables::fingerprint(path)?,
            None => "standard input".into(),
        },
        encoder: encoder.digest().to_owned(),
        options: format!("{options:?} {:?}", args.texts),
    };
    let mut writer = match embeddings::open(output, layout, job, args.resume)? {
        Opened::Writer(writer) => writer,
        Opened::Complete(done) => {
            progress::say(&format!("{}: complete, {} rows", shell_path(output), grouped(done)));
            return Ok(());
        }
    };
    let before = writer.rows();
    skip(&mut rows, before)?;

    let mut progress = start(&rows);
    let (mut cut, mut tokens) = (0, 0);
    loop {
        let goodbye = kept(&writer, output);
        interrupt.check(&goodbye)?;
        // Every row so far is durable.
        let chunk = interrupt
            .at_once(Ending::saying(goodbye), || texts::next_chunk(&mut rows))
            .map_err(|failure| keep(failure, &writer, output))?;
        if chunk.is_empty() {
            break;
        }
        let embedded = texts::embed(&encoder, &chunk, &options)
            .map_err(|failure| keep(failure, &writer, output))?;
        cut += embedded.texts_cut();
        tokens += embedded.tokens();
        let values = Values::new(embedded.vectors(), args.precision);
        writer.append(&values.block(), Some(&texts::texts(&chunk)))?;
        writer.checkpoint()?;
        advance(&mut progress, &rows, writer.rows() - before);
    }
    let took = progress.elapsed();
    drop(progress);
    let total = writer.finish()?;
    texts::note_cut(&encoder, cut);
    progress::say(&format!(
        "{}: {} rows of {} {} values; {}",
        shell_path(output),
        grouped(total),
        args.precision.columns(width),
        args.precision.element_name(),
        speed(total - before, tokens, took)
    ));
    Ok(())
}

fn to_stdout(args: &Args) -> Result {
    if args.output_format.is_some_and(|format| format != Format::Jsonl) {
        return Err(Failure::usage(
            "standard output takes JSONL only; name a file with -o for the other formats",
        ));
    }
    let mut rows = args.texts.open(args.input.as_deref(), None)?;
    let encoder = args.encoder.open(&args.bundle)?;
    let options = args.embed.options(args.truncate);
    let mut out = output::buffered();
    let mut cut = 0;
    loop {
        let chunk = texts::next_chunk(&mut rows)?;
        if chunk.is_empty() {
            break;
        }
        let embedded = texts::embed(&encoder, &chunk, &options)?;
        cut += embedded.texts_cut();
        let values = Values::new(embedded.vectors(), args.precision);
        let shown = texts::texts(&chunk);
        values.write_jsonl(&mut out, args.with_text.then_some(&shown))?;
    }
    texts::note_cut(&encoder, cut);
    Ok(())
}

fn format_of(given: Option<Format>, output: &Path) -> Result<OutputFormat> {
    match given {
        Some(format) => Ok(format.into()),
        None => OutputFormat::from_path(output).ok_or_else(|| {
            Failure::usage(format!(
                "the format to write {} in is not known from its name; let it end in .npy, .jsonl \
                 or .parquet, or add --output-format",
                output.display()
            ))
        }),
    }
}

/// Passes over the rows that an interrupted run has embedded.
fn skip(rows: &mut Rows, done: u64) -> Result {
    let skipped = rows.skip_rows(done)?;
    if skipped == done {
        return Ok(());
    }
    Err(Failure::data(format!(
        "the interrupted run had embedded {} rows and the input has only {}; give the input it had, \
         or start again with --restart",
        grouped(done),
        grouped(skipped)
    )))
}

/// What is kept when the work is interrupted, and how to go on.
fn kept(writer: &EmbeddingWriter, output: &Path) -> String {
    format!(
        "{} rows are kept; run the same command with --resume to finish {}",
        grouped(writer.durable_rows()),
        shell_path(output)
    )
}

/// Adds to a failure what was kept.
fn keep(failure: Failure, writer: &EmbeddingWriter, output: &Path) -> Failure {
    match writer.durable_rows() {
        0 => failure,
        rows => failure.advise(format!(
            "the {} rows before it are kept in {}.part",
            grouped(rows),
            shell_path(output)
        )),
    }
}

fn start(rows: &Rows) -> Progress {
    match rows.len_hint() {
        Some(bytes) => Progress::start("Embedding", Unit::Bytes, Some(bytes)),
        None => Progress::start("Embedding", Unit::Count("texts"), None),
    }
}

fn advance(progress: &mut Progress, rows: &Rows, done: u64) {
    if rows.len_hint().is_some() {
        progress.set(rows.position());
    } else {
        progress.set(done);
    }
}

/// How fast it went.
fn speed(texts: u64, tokens: usize, took: Duration) -> String {
    let rate = |n: f64| grouped((n / took.as_secs_f64().max(1e-9)).round() as u64);
    format!(
        "{} texts in {}: {} texts/s, {} tokens/s",
        grouped(texts),
        seconds(took),
        rate(texts as f64),
        rate(tokens as f64)
    )
}
