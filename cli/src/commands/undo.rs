//! `offshoot undo`: the last update is taken back.

use std::path::PathBuf;

use offshoot::Error;
use offshoot::learner::{Action, HISTORY_UPDATES, Undone};

use crate::failure::{Failure, Result};
use crate::files::shell_path;
use crate::head::open_store;
use crate::progress::{self, grouped};

const EXAMPLES: &str = "\
Examples:
  offshoot undo mail.learner
  offshoot undo mail.learner --past-forget

What was forgotten cannot be brought back. When the last update was a `forget`, undo says so and \
changes nothing; --past-forget takes back the update before it.";

/// Take back the last update of a learner
///
/// Examples that were taught are removed, all that were taught together; a label or a weight is
/// again what it was before. The last thousand updates are remembered.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The learner
    learner: PathBuf,
    /// Take back the last update before examples were forgotten
    #[arg(long)]
    past_forget: bool,
}

// What the help says.
const _: () = assert!(HISTORY_UPDATES == 1_000);

pub(crate) fn run(args: Args) -> Result {
    let mut store = open_store(&args.learner)?;
    let undone = store.undo(args.past_forget).map_err(|error| {
        let forgotten = matches!(error, Error::Forgotten { .. });
        let failure = Failure::from(error);
        if forgotten { failure.advise("--past-forget does") } else { failure }
    })?;
    progress::say(&format!("{}: {}", shell_path(&args.learner), said(undone)));
    Ok(())
}

fn said(Undone { action, examples }: Undone) -> String {
    let count = grouped(examples as u64);
    let plural = if examples == 1 { "" } else { "s" };
    match action {
        Action::Teach => format!("{count} example{plural} untaught"),
        Action::Relabel => format!("the former label of {count} example{plural} is back"),
        _ => format!("the former weight of {count} example{plural} is back"),
    }
}
