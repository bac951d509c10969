//! `offshoot learn`: from labelled examples to a head.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use ndarray::{Array2, ArrayView2, Axis};
use offshoot::{EmbedOptions, Encoder};
use offshoot_adapters::{Classes, EncoderTag, HeadFile, HeadKind};
use offshoot_models::tables::Row;

use crate::encoder::{EmbedArgs, EncoderArgs, Truncate, prompt_text};
use crate::failure::{Code, Failure, Result};
use crate::files;
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, Progress, Unit, grouped, seconds};
use crate::texts::{self, InputArgs, LabelArgs, shell_path};

/// Most classes whose counts are listed.
const LISTED: usize = 12;

const EXAMPLES: &str = "\
Examples:
  offshoot learn minilm.offshoot examples.csv -o movies.head
  offshoot learn minilm.offshoot mail.jsonl --text body --label folder -o mail.head
  offshoot learn minilm.offshoot - --format csv -o movies.head < examples.csv

A handful of examples of each class is enough to begin with. `offshoot evaluate` says how good \
the head is on examples that it has not seen.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "no head was written";

/// Learn classes from labelled examples
///
/// Embeds the examples and fits a head, a small file that belongs to this one encoder. The
/// head remembers the prompt and the dimensions, so `predict` and `evaluate` need not be told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// Labelled texts: CSV, TSV, JSONL or Parquet; `-` is standard input
    examples: PathBuf,
    /// The head to write, usually NAME.head
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Kind of head: `logistic` (multinomial logistic regression, calibrated probabilities),
    /// `ridge` (closed form, its penalty chosen by leave-one-out), `nearest-mean` (the fewest
    /// parameters, for one or two examples a class)
    #[arg(long, value_name = "KIND", default_value = "logistic", value_parser = parse_kind)]
    head: HeadKind,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
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
    files::check_writable(&args.output)?;
    // Everything that can be wrong with the examples is found before the slow part.
    let table = args.input.open(Some(&args.examples), Some(&args.label))?;
    let rows = interrupt
        .at_once(Ending::saying(INTERRUPTED), || table.collect::<Result<Vec<Row>, _>>())?;
    let labels = rows.iter().map(texts::label).collect::<Result<Vec<&str>>>()?;
    let (classes, y) = Classes::from_labels(&labels)?;
    if classes.len() < 2 {
        let label = classes.names().first().cloned().unwrap_or_default();
        return Err(offshoot_adapters::Error::OneClass { label }.into());
    }

    let encoder = args.encoder.open(&args.bundle)?;
    let options = args.embed.options(args.truncate);
    let embeddings = embed(&encoder, &rows, &options, &interrupt)?;

    let start = Instant::now();
    let head = args.head.fit(embeddings.view(), &y, classes)?;
    let took = start.elapsed();
    interrupt.check(INTERRUPTED)?;

    let tag = EncoderTag {
        digest: encoder.digest().to_owned(),
        name: encoder.manifest().name.clone(),
        dimensions: embeddings.ncols(),
        prompt: prompt_text(&encoder, &options.prompt),
    };
    let file = HeadFile::new(tag, head, &y);
    file.save(&args.output)?;
    progress::say(&summary(&file, rows.len()));
    progress::say(&format!(
        "{}: {} head, fitted in {}",
        shell_path(&args.output),
        args.head,
        seconds(took)
    ));
    Ok(())
}

/// `[examples, dimensions]`.
fn embed(
    encoder: &Encoder,
    rows: &[Row],
    options: &EmbedOptions,
    interrupt: &Interrupt,
) -> Result<Array2<f32>> {
    let mut progress =
        Progress::start("Embedding examples", Unit::Count("texts"), Some(rows.len() as u64));
    let mut parts: Vec<Array2<f32>> = Vec::new();
    let mut cut = 0;
    for chunk in texts::chunks(rows) {
        let embedded = texts::embed(encoder, chunk, options)?;
        cut += embedded.texts_cut();
        parts.push(embedded.into_vectors());
        progress.add(chunk.len() as u64);
        interrupt.check(INTERRUPTED)?;
    }
    drop(progress);
    texts::note_cut(encoder, cut);
    let views: Vec<ArrayView2<'_, f32>> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Failure::new(Code::Bug, error.to_string()))
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
