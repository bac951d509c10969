//! `offshoot suggest`: which texts are best labelled next.

use std::cmp::Ordering;
use std::path::PathBuf;

use ndarray::Array2;
use offshoot_adapters::most_likely;
use offshoot_adapters::selection::{Diverse, Uncertainty};
use serde_json::json;

use crate::csv;
use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::Result;
use crate::head::Classifier;
use crate::inputs::{self, Embedder, InputArgs};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::Progress;
use crate::rows::{RowFormat, Sink};

const EXAMPLES: &str = "\
Examples:
  offshoot suggest minilm.offshoot mail.learner unlabelled.csv -n 20
  offshoot suggest minilm.offshoot mail.learner mail.jsonl --text body --by entropy -o next.csv
  offshoot suggest minilm.offshoot mail.learner unlabelled.csv -n 20 --by diverse

CSV has the columns row, uncertainty, label, probability and text, the most uncertain text first; \
row is its number in the pool, and text, of images and signals, where they lie. A diverse batch is in the order of its picks. Correct the labels and give the file to `offshoot teach --from`.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was suggested";

/// Find the texts that are best labelled next
///
/// Reads a pool of unlabelled texts and writes those of which the learner is most unsure.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The learner, or a head
    learner: PathBuf,
    /// The texts: lines, CSV, TSV, JSONL or Parquet; `-` is standard input. Images: a folder or a
    /// table of paths. Signals: .ts, .npy or CSV
    pool: PathBuf,
    /// Most texts to suggest
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 10)]
    count: usize,
    /// How texts are chosen
    #[arg(long, value_enum, value_name = "MEASURE", default_value_t)]
    by: By,
    /// Seed of the choices of `diverse`; the same seed chooses the same
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the output [default: by the file's ending, else csv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output_format: Option<RowFormat>,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
    #[command(flatten)]
    texts: InputArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// How texts are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Doubt between the two most likely classes
    #[default]
    Margin,
    /// Doubt between all classes
    Entropy,
    /// Doubt (as margin) and unlikeness to each other, for texts that are labelled in one go.
    /// Chooses among the 16384 most uncertain texts of the pool, whose embeddings are kept
    /// in memory
    Diverse,
}

/// Most texts that a diverse batch is chosen from. For 384 dimensions and texts of a few
/// hundred bytes they take 80 MB.
const DIVERSE_POOL: usize = 16_384;

/// A text of the pool.
struct Candidate {
    row: u64,
    uncertainty: f64,
    label: String,
    probability: f64,
    text: String,
    /// For a diverse batch; else empty.
    embedding: Vec<f32>,
}

pub(crate) fn run(args: Args) -> Result {
    let format = RowFormat::choose(args.output_format, args.output.as_deref())?;
    let interrupt = Interrupt::listen();
    if let Some(output) = &args.output {
        let inputs = [&args.bundle, &args.learner, &args.pool].map(PathBuf::as_path);
        crate::files::check_output(output, inputs)?;
    }
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let mut rows = args.texts.open(&reads, Some(&args.pool), None)?;
    let classifier = Classifier::open(&args.bundle, &args.learner, &args.encoder, args.truncate)?;
    let (encoder, head) = (&classifier.encoder, &classifier.file.head);
    let measure = if args.by == By::Entropy { Uncertainty::Entropy } else { Uncertainty::Margin };
    let diverse = args.by == By::Diverse && args.count > 0;
    let kept = if diverse { args.count.max(DIVERSE_POOL) } else { args.count };
    let mut best: Vec<Candidate> = Vec::new();
    let mut embedder = Embedder::new(encoder, &classifier.options);
    let mut progress = Progress::start("Comparing", rows.unit(), rows.len_hint());
    loop {
        let ending = Ending::saying(INTERRUPTED);
        let chunk = interrupt.at_once(ending, || inputs::next_chunk(&mut rows))?;
        if chunk.is_empty() {
            break;
        }
        let embeddings = embedder.embed(&chunk)?;
        let probabilities = classifier.predict_proba(embeddings.vectors())?;
        let vectors = embeddings.vectors();
        let doubts = measure.of(probabilities.view())?;
        let judged = probabilities.outer_iter().zip(doubts).zip(vectors.outer_iter());
        for (row, ((probabilities, uncertainty), embedding)) in chunk.into_iter().zip(judged) {
            let (class, probability) = most_likely(probabilities);
            best.push(Candidate {
                row: row.number,
                uncertainty,
                label: head.classes().name(class).to_owned(),
                probability,
                text: row.shown,
                embedding: if diverse { embedding.to_vec() } else { Vec::new() },
            });
        }
        // Only the best are kept: the pool may be larger than the memory.
        best.sort_by(most_uncertain);
        best.truncate(kept);
        progress.set(rows.position());
        interrupt.check(INTERRUPTED)?;
    }
    drop(progress);
    embedder.note();
    if diverse {
        let ending = Ending::saying(INTERRUPTED);
        best = interrupt.at_once(ending, || batch(best, args.count, args.seed))?;
    }
    let mut sink = Sink::open(args.output.as_deref())?;
    sink.write(&lines(format, &best))?;
    sink.finish()
}

/// A diverse batch of at most `count` of the candidates.
fn batch(candidates: Vec<Candidate>, count: usize, seed: u64) -> Result<Vec<Candidate>> {
    let width = candidates.first().map_or(0, |candidate| candidate.embedding.len());
    let mut pool = Array2::zeros((candidates.len(), width));
    for (mut row, candidate) in pool.outer_iter_mut().zip(&candidates) {
        row.iter_mut().zip(&candidate.embedding).for_each(|(to, from)| *to = *from);
    }
    let doubts: Vec<f64> = candidates.iter().map(|candidate| candidate.uncertainty).collect();
    let picks = Diverse::new(pool.view(), Some(&doubts), seed)?.take(count);
    let mut candidates: Vec<Option<Candidate>> = candidates.into_iter().map(Some).collect();
    Ok(picks.filter_map(|index| candidates[index].take()).collect())
}

/// Of equals the one that comes first in the pool.
fn most_uncertain(a: &Candidate, b: &Candidate) -> Ordering {
    b.uncertainty.total_cmp(&a.uncertainty).then(a.row.cmp(&b.row))
}

fn lines(format: RowFormat, candidates: &[Candidate]) -> Vec<u8> {
    let mut out = match format {
        RowFormat::Csv => csv::line(&["row", "uncertainty", "label", "probability", "text"]),
        RowFormat::Jsonl => Vec::new(),
    };
    for Candidate { row, uncertainty, label, probability, text, .. } in candidates {
        match format {
            RowFormat::Csv => out.extend(csv::line(&[
                row.to_string(),
                format!("{uncertainty:.6}"),
                label.clone(),
                format!("{probability:.6}"),
                text.clone(),
            ])),
            RowFormat::Jsonl => {
                let line = json!({"row": row, "uncertainty": uncertainty, "label": label,
                                  "probability": probability, "text": text});
                out.extend(line.to_string().into_bytes());
                out.push(b'\n');
            }
        }
    }
    out
}
