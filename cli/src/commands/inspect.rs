//! `offshoot inspect`: why an encoder is good for one's data, or is not.

mod blank;
mod drift;
mod layers;
mod sample;
mod told;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use offshoot_models::inspect::ranking;
use offshoot_models::inspect::report::{self, Report};
use serde_json::json;

use self::sample::Drawn;
use crate::encoder::{EmbedArgs, EncoderArgs, Truncate};
use crate::failure::{Code, Failure, Result};
use crate::files;
use crate::inputs::{InputArgs, LabelArgs};
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  offshoot inspect minilm.offshoot movies.csv -o report.html
  offshoot inspect a.offshoot photos/ --against b.offshoot --against c.offshoot -o both.html
  offshoot inspect minilm.offshoot movies.csv --json report.json
  offshoot inspect minilm.offshoot january.csv --save-reference january.drift
  offshoot inspect minilm.offshoot today.csv --drift january.drift

Labels are used where the data has them: a column, or the folder of an image.";

/// See whether an encoder is good for your data, with or without labels
///
/// Measures what an encoder keeps of your data (information), what lies near what and what moves
/// it (geometry), and how far labels go (data efficiency), each figure with its interval and
/// with what it means. With `--against`, encoders are compared on the same data and ranked
/// without labels. With `--drift`, today's data is compared with a reference that was kept.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The data, as `offshoot evaluate` reads it; labels are not needed
    data: PathBuf,
    /// Another encoder, to be compared; may be repeated
    #[arg(long, value_name = "BUNDLE")]
    against: Vec<PathBuf>,
    /// Write the report as one page that needs nothing else
    #[arg(short, long, value_name = "FILE.html")]
    output: Option<PathBuf>,
    /// Write the report as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Most inputs that are looked at: a random sample of more
    #[arg(long, value_name = "N", default_value = "10000")]
    sample: NonZeroUsize,
    /// Also train the same network from scratch on the labels; takes minutes. For encoders that
    /// `offshoot pretrain` made
    #[arg(long)]
    from_scratch: bool,
    /// Seed of everything that is drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Keep what these embeddings look like, in a few kilobytes, to see drift later
    #[arg(long, value_name = "FILE", conflicts_with_all = ["against", "output", "drift"])]
    save_reference: Option<PathBuf>,
    /// Say whether the data still looks like this reference
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["against", "output"])]
    drift: Option<PathBuf>,
    /// With --drift: how often an alarm may be false
    #[arg(long, value_name = "RATE", default_value_t = 0.01)]
    false_alarms: f64,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    label: LabelArgs,
    #[command(flatten)]
    embed: EmbedArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    let interrupt = Interrupt::listen();
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let inputs = [args.data.as_path(), args.bundle.as_path()];
    let standard = |path: &&PathBuf| path.as_os_str() != "-";
    for output in args.output.iter().chain(args.json.iter().filter(standard)) {
        files::check_output(output, inputs)?;
    }
    for other in &args.against {
        let manifest = EncoderArgs::manifest(other)?;
        if manifest.modality != reads.modality {
            return Err(Failure::usage(format!(
                "{} reads {} and {} reads {}, so there is nothing to compare",
                args.bundle.display(),
                reads.modality.plural(),
                other.display(),
                manifest.modality.plural()
            )));
        }
    }
    let rows = args.input.open(&reads, Some(&args.data), Some(&args.label))?;
    let drawn = Drawn::from(rows, args.sample.get(), args.seed, &interrupt)?;
    if args.drift.is_some() || args.save_reference.is_some() {
        return drift::run(&args, &drawn, &interrupt);
    }
    let options = args.embed.options(Truncate::Cut);
    let (mut reports, mut clids) = (Vec::new(), Vec::new());
    for bundle in std::iter::once(&args.bundle).chain(&args.against) {
        let encoder = args.encoder.open(bundle)?;
        let mut sample = drawn.of(bundle, &encoder, &options, args.seed, &interrupt)?;
        layers::look(&args, &drawn, bundle, &encoder, &mut sample, &interrupt)?;
        drop(encoder);
        blank::compare(&args, &drawn, bundle, &mut sample, &interrupt)?;
        if !args.against.is_empty() {
            clids.push(ranking::clid(sample.embeddings.view(), args.seed));
        }
        let started = Instant::now();
        let mut report = report::report(&sample)?;
        if args.output.is_some() {
            report.illustrate(|row| drawn.picture(row, &reads))?;
        }
        reports.push(report);
        progress::say(&format!(
            "the figures of {} took {}",
            sample.encoder,
            progress::seconds(started.elapsed())
        ));
        interrupt.check("there is no report")?;
    }
    tell(&args, &reports, &clids)
}

fn tell(args: &Args, reports: &[Report], clids: &[Option<ranking::Clid>]) -> Result {
    let ranking = (reports.len() > 1).then(|| told::Ranking::of(reports, clids));
    let table = ranking.as_ref().map(told::Ranking::table).unwrap_or_default();
    let points = ranking.as_ref().map(told::Ranking::points).unwrap_or_default();
    if let Some(output) = &args.output {
        let names: Vec<&str> = reports.iter().map(|report| report.encoder.as_str()).collect();
        let data = args.data.file_name().unwrap_or(args.data.as_os_str()).to_string_lossy();
        let title = format!("{} on {data}", names.join(", "));
        files::write(output, report::page(&title, reports, &table, &points).as_bytes())?;
    }
    if let Some(path) = &args.json {
        let all = json!({"reports": reports, "ranking": ranking});
        if path.as_os_str() == "-" {
            return output::print_json(&all, true);
        }
        let bytes = serde_json::to_vec_pretty(&all)
            .map_err(|error| Failure::new(Code::Bug, format!("the report is not JSON: {error}")))?;
        files::write(path, &bytes)?;
    }
    let mut text: String = reports.iter().map(told::text).collect::<Vec<_>>().join("\n");
    if !table.is_empty() {
        text.push_str("\nranked without labels\n");
        text.push_str(&told::aligned(&table));
    }
    output::print(&text)
}
