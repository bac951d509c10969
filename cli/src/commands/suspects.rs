//! `offshoot suspects`: which labels of a learner are most likely wrong.

use std::path::PathBuf;

use offshoot::learner::{Suspect, Suspects};
use serde_json::json;

use crate::csv;
use crate::failure::Result;
use crate::files::shell_path;
use crate::head::open_store;
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, grouped};
use crate::rows::{RowFormat, Sink};

const EXAMPLES: &str = "\
Examples:
  offshoot suspects mail.learner
  offshoot suspects mail.learner -n 20 -o suspects.csv

CSV has the columns id, label, probability, suggested, suggested_probability and text; JSONL the \
same as keys. `offshoot forget` takes the numbers. A label that is right and looks wrong is a rare \
example, and worth more than others: look before you forget.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was written";

/// Find the labels of a learner that are most likely wrong
///
/// Each example is judged by a head that has not seen it, and listed when that head is
/// confident of another label; the likeliest to be wrong comes first. Needs no encoder, since
/// the learner keeps embeddings. Up to 512 labelled examples the automatic head judges, by
/// exact leave-one-out; of more, tenths are judged by the discriminant of the other nine. Weights
/// are not used, and an example that is alone in its class is not judged.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The learner
    learner: PathBuf,
    /// How many labels to list: fewer than look wrong, or also others that the head
    /// contradicts, in the order of doubt [default: all that look wrong]
    #[arg(short = 'n', long = "count", value_name = "N")]
    count: Option<usize>,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the output [default: by the file's ending, else csv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output_format: Option<RowFormat>,
}

pub(crate) fn run(args: Args) -> Result {
    let format = RowFormat::choose(args.output_format, args.output.as_deref())?;
    if let Some(output) = &args.output {
        crate::files::check_output(output, [args.learner.as_path()])?;
    }
    let interrupt = Interrupt::listen();
    let store = open_store(&args.learner)?;
    let suspects = interrupt.at_once(Ending::saying(INTERRUPTED), || store.suspects())?;
    let mut sink = Sink::open(args.output.as_deref())?;
    if format == RowFormat::Csv {
        sink.write(&csv::line(&[
            "id",
            "label",
            "probability",
            "suggested",
            "suggested_probability",
            "text",
        ]))?;
    }
    for suspect in suspects.found.iter().take(args.count.unwrap_or(suspects.flagged)) {
        let text = store.example(suspect.id)?.text;
        sink.write(&line(suspect, text, format))?;
    }
    sink.finish()?;
    progress::say(&format!("{}: {}", shell_path(&args.learner), summary(&suspects)));
    Ok(())
}

fn line(suspect: &Suspect, text: Option<String>, format: RowFormat) -> Vec<u8> {
    let Suspect { id, label, probability, suggested, suggested_probability } = suspect;
    match format {
        RowFormat::Csv => csv::line(&[
            id.to_string(),
            label.clone(),
            format!("{probability:.6}"),
            suggested.clone(),
            format!("{suggested_probability:.6}"),
            text.unwrap_or_default(),
        ]),
        RowFormat::Jsonl => {
            let value = json!({
                "id": id.0, "label": label, "probability": probability, "suggested": suggested,
                "suggested_probability": suggested_probability, "text": text,
            });
            let mut line = value.to_string().into_bytes();
            line.push(b'\n');
            line
        }
    }
}

fn summary(suspects: &Suspects) -> String {
    let Suspects { found, flagged, judged, alone, rate } = suspects;
    let mut text = format!(
        "{} of {} labels look{} wrong",
        grouped(*flagged as u64),
        grouped(*judged as u64),
        if *flagged == 1 { "s" } else { "" },
    );
    if *flagged > 0 {
        text.push_str(&format!(" (estimated share of wrong labels: {:.1} %)", 100.0 * rate));
    }
    let others = found.len() - flagged;
    if others > 0 {
        text.push_str(&format!(
            "; {} more {} contradicted, -n {} lists them too",
            grouped(others as u64),
            if others == 1 { "is" } else { "are" },
            found.len()
        ));
    }
    if *alone > 0 {
        text.push_str(&format!(
            "; {} {} alone in {} and not judged",
            grouped(*alone as u64),
            if *alone == 1 { "is" } else { "are" },
            if *alone == 1 { "its class" } else { "their classes" },
        ));
    }
    text
}
