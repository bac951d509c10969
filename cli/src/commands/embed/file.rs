//! Embeddings in a file, written so that an interrupted run can go on.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offshoot::bundle::Modality;
use offshoot_models::embeddings::{self, EmbeddingWriter, Job, Layout, Opened, OutputFormat};
use offshoot_models::tables;

use super::rows::Values;
use super::{Args, Format};
use crate::encoder::EncoderArgs;
use crate::failure::{Code, Failure, Result};
use crate::files::{self, shell_path};
use crate::inputs::{self, Embedder, Rows};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, Progress, grouped, seconds};

pub(super) fn run(args: &Args, output: &Path) -> Result {
    let format = format_of(args.output_format, output)?;
    let pending = embeddings::pending(output)?;
    if let Some(done) = pending
        && !(args.resume || args.restart)
    {
        return Err(Failure::usage(format!(
            "an interrupted run has embedded {} rows of {}; go on with --resume, or start again \
             with --restart",
            grouped(done),
            output.display()
        )));
    }
    files::check_output(output, args.input.as_deref().into_iter().chain([args.bundle.as_path()]))?;
    let interrupt = Interrupt::listen();
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let mut rows = args.texts.open(&reads, args.input.as_deref(), None)?;
    let encoder = args.encoder.open(&args.bundle)?;
    let options = args.embed.options(args.truncate);
    // Embeds nothing, but refuses an unknown prompt or too many dimensions.
    let mut embedder = Embedder::new(&encoder, &options);
    embedder.embed(&[])?;
    let width = options.dimensions.map_or(encoder.dimensions(), NonZeroUsize::get);
    let layout = Layout {
        format,
        element: args.precision.into(),
        columns: args.precision.columns(width),
        with_text: args.with_text,
    };
    let job = Job {
        source: match (rows.digest(), inputs::file(args.input.as_deref())) {
            (Some(digest), _) => digest.to_owned(),
            (None, Some(path)) => tables::fingerprint(path)?,
            (None, None) => "standard input".into(),
        },
        encoder: encoder.digest().to_owned(),
        options: format!("{options:?} {:?}", args.texts),
    };
    let mut target = Target::new(output, layout, job);
    if args.resume && pending.is_some() {
        if let Some(done) = target.resume()? {
            progress::say(&format!("{}: {} rows", shell_path(output), grouped(done)));
            return Ok(());
        }
        skip(&mut rows, target.durable())?;
    }
    let before = target.durable();

    let mut progress = start(&rows);
    let mut tokens = 0;
    loop {
        // Every row so far is durable.
        let goodbye = target.kept();
        interrupt.check(&goodbye)?;
        let chunk = interrupt
            .at_once(Ending::saying(goodbye), || inputs::next_chunk(&mut rows))
            .map_err(|failure| target.explain(failure))?;
        if chunk.is_empty() {
            break;
        }
        let embedded = embedder.embed(&chunk).map_err(|failure| target.explain(failure))?;
        tokens += embedded.tokens();
        let values = Values::new(embedded.vectors(), args.precision);
        let writer = target.writer()?;
        writer.append(&values.block(), Some(&inputs::shown(&chunk)))?;
        writer.checkpoint()?;
        advance(&mut progress, &rows, target.durable() - before);
    }
    let took = progress.elapsed();
    drop(progress);
    let summary = format!(
        "{} {} values; {}",
        target.layout.columns,
        args.precision.element_name(),
        speed(reads.modality, target.durable() - before, tokens, took)
    );
    let total = target.finish()?;
    embedder.note();
    progress::say(&format!("{}: {} rows of {summary}", shell_path(output), grouped(total)));
    Ok(())
}

/// The output, whose work file is opened when there is something to write: an input that
/// fails at once leaves nothing behind.
struct Target {
    output: PathBuf,
    layout: Layout,
    job: Job,
    writer: Option<EmbeddingWriter>,
}

impl Target {
    fn new(output: &Path, layout: Layout, job: Job) -> Self {
        Self { output: output.to_owned(), layout, job, writer: None }
    }

    /// Goes on with an interrupted run. Gives its number of rows if it had ended already.
    fn resume(&mut self) -> Result<Option<u64>> {
        match self.open(true)? {
            Opened::Complete(rows) => Ok(Some(rows)),
            Opened::Writer(writer) => {
                self.writer = Some(writer);
                Ok(None)
            }
        }
    }

    fn writer(&mut self) -> Result<&mut EmbeddingWriter> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => match self.open(false)? {
                Opened::Writer(writer) => writer,
                Opened::Complete(_) => {
                    return Err(Failure::new(Code::Bug, "a new output was complete already"));
                }
            },
        };
        Ok(self.writer.insert(writer))
    }

    fn open(&self, resume: bool) -> Result<Opened> {
        Ok(embeddings::open(&self.output, self.layout.clone(), self.job.clone(), resume)?)
    }

    /// Rows that no interrupt can take away.
    fn durable(&self) -> u64 {
        self.writer.as_ref().map_or(0, EmbeddingWriter::durable_rows)
    }

    fn finish(mut self) -> Result<u64> {
        self.writer()?;
        match self.writer {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(0),
        }
    }

    /// What is kept when the work is interrupted, and how to go on.
    fn kept(&self) -> String {
        match self.durable() {
            0 => "nothing was embedded yet; run the same command again".into(),
            rows => format!(
                "{} rows are kept; run the same command with --resume to finish {}",
                grouped(rows),
                shell_path(&self.output)
            ),
        }
    }

    /// Adds to a failure what was kept.
    fn explain(&self, failure: Failure) -> Failure {
        match self.durable() {
            0 => failure,
            rows => failure.advise(format!(
                "the first {} rows are kept in {}.part",
                grouped(rows),
                shell_path(&self.output)
            )),
        }
    }
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

fn start(rows: &Rows) -> Progress {
    Progress::start("Embedding", rows.unit(), rows.len_hint())
}

fn advance(progress: &mut Progress, rows: &Rows, done: u64) {
    if rows.len_hint().is_some() {
        progress.set(rows.position());
    } else {
        progress.set(done);
    }
}

/// How fast it went.
fn speed(modality: Modality, rows: u64, tokens: usize, took: Duration) -> String {
    let what = modality.plural();
    let rate = |n: f64| grouped((n / took.as_secs_f64().max(1e-9)).round() as u64);
    let tokens = match modality {
        Modality::Text => format!(", {} tokens/s", rate(tokens as f64)),
        _ => String::new(),
    };
    format!("{} {what} in {}: {} {what}/s{tokens}", grouped(rows), seconds(took), rate(rows as f64))
}
