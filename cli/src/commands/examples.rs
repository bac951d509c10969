//! `offshoot examples`: what a learner was taught, out of it and into another.

mod import;
mod parquet;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot::adapters::EncoderTag;
use offshoot::learner::{Example, ExampleFilter};
use offshoot_models::examples::decimal;
use serde_json::json;

use crate::csv;
use crate::failure::{Failure, Result};
use crate::head::open_store;
use crate::interrupt::Interrupt;
use crate::rows::{self, Sink};

const EXAMPLES: &str = "\
Examples:
  offshoot examples mail.learner
  offshoot examples mail.learner --label spam -o spam.csv
  offshoot examples mail.learner --embeddings -o mail.jsonl
  offshoot examples mail.learner -o mail.parquet
  offshoot examples other.learner --import mail.parquet
  offshoot examples other.learner --import mail.jsonl

CSV has the columns id, label, weight, time, source and text; JSONL the same as keys, and with \
--embeddings `embedding` and `encoder`, whose it is; Parquet always has the embeddings. `offshoot \
teach --from` and `offshoot learn` read all three and embed the texts anew; --import takes the \
embeddings of Parquet and JSONL to the last bit, with weights, times and sources.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "a file of examples is written whole or not at all; run it again";

/// List, export or import the examples of a learner
///
/// One line is written for each example, in the order in which they were taught.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The learner
    learner: PathBuf,
    /// Only examples with this label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Only examples of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the output [default: by the file's ending, else csv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output_format: Option<Format>,
    /// Teach the learner the examples of a Parquet or JSONL file with embeddings, such as this
    /// command writes, in one update; they must be of its encoder. Where there is no learner, one
    /// is made with the head `auto`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["label", "source", "output", "output_format", "embeddings"])]
    import: Option<PathBuf>,
    /// Write the embeddings too, as a list, so that --import takes them; only in JSONL. Parquet
    /// always has them
    #[arg(long)]
    embeddings: bool,
}

/// How examples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Jsonl,
    /// Apache Parquet, with embeddings; to a file only
    Parquet,
}

impl Format {
    /// The format that was asked for, else the one of the file's name, else CSV.
    fn choose(asked: Option<Self>, path: Option<&Path>) -> Result<Self> {
        let known = |ending: &str| match ending {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        };
        rows::choose(asked, path, Self::Csv, known, "csv, jsonl or parquet")
    }
}

pub(crate) fn run(args: Args) -> Result {
    if let Some(file) = &args.import {
        return import::run(&args.learner, file);
    }
    let format = Format::choose(args.output_format, args.output.as_deref())?;
    if args.embeddings && format == Format::Csv {
        return Err(Failure::usage(
            "embeddings are written in JSONL and Parquet only; add --output-format jsonl",
        ));
    }
    if let Some(output) = &args.output {
        crate::files::check_output(output, [args.learner.as_path()])?;
    }
    let interrupt = Interrupt::listen();
    let store = open_store(&args.learner)?;
    let filter = ExampleFilter { label: args.label, source: args.source };
    if format == Format::Parquet {
        let output = args.output.ok_or_else(|| {
            Failure::usage("Parquet is written to a file only; name one with --output")
        })?;
        return parquet::write(&store, &filter, &output, &interrupt, INTERRUPTED);
    }
    let mut sink = Sink::open(args.output.as_deref())?;
    if format == Format::Csv {
        sink.write(&csv::line(&["id", "label", "weight", "time", "source", "text"]))?;
    }
    let encoder = args.embeddings.then_some(&store.info().encoder);
    for example in store.examples(&filter) {
        sink.write(&line(&example?, format, encoder))?;
        interrupt.check(INTERRUPTED)?;
    }
    sink.finish()
}

/// A line of CSV, or else of JSONL: with the embedding where its encoder is given.
fn line(example: &Example, format: Format, encoder: Option<&EncoderTag>) -> Vec<u8> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    match format {
        Format::Csv => csv::line(&[
            example.id.to_string(),
            text(&example.label),
            example.weight.to_string(),
            rfc_3339(example.time),
            text(&example.source),
            text(&example.text),
        ]),
        _ => {
            let mut value = json!({
                "id": example.id.0, "label": example.label, "weight": example.weight,
                "time": rfc_3339(example.time), "source": example.source, "text": example.text,
            });
            if let Some(encoder) = encoder {
                value["encoder"] = json!(encoder);
                value["embedding"] = example.embedding.iter().map(|&v| decimal(v)).collect();
            }
            let mut line = value.to_string().into_bytes();
            line.push(b'\n');
            line
        }
    }
}

/// A time as RFC 3339 has it, in UTC and to the millisecond where it has any.
fn rfc_3339(time: SystemTime) -> String {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let milliseconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration() + Duration::from_nanos(999_999)),
    };
    let (seconds, part) = (milliseconds.div_euclid(1_000), milliseconds.rem_euclid(1_000));
    let part = if part == 0 { String::new() } else { format!(".{part:03}") };
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years from March on, in eras of 400 years of 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds: u64| rfc_3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(rfc_3339(UNIX_EPOCH - Duration::from_secs(1)), "1969-12-31T23:59:59Z");
        let just_before = UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(rfc_3339(just_before), "1969-12-31T23:59:59.999Z");
        let later = UNIX_EPOCH + Duration::from_millis(1_767_225_600_125);
        assert_eq!(rfc_3339(later), "2026-01-01T00:00:00.125Z");
    }
}
