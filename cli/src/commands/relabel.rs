//! `offshoot relabel`: an example gets another label.

use std::path::PathBuf;

use clap::ArgGroup;
use offshoot::learner::ExampleId;

use crate::failure::Result;
use crate::files::shell_path;
use crate::head::open_store;
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  offshoot suspects mail.learner
  offshoot relabel mail.learner 17 work
  offshoot relabel mail.learner 17 --none

`offshoot undo` takes it back.";

/// Give an example of a learner another label
///
/// The head is fitted anew when it is next needed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("to").required(true).args(["label", "none"])))]
pub(crate) struct Args {
    /// The learner
    learner: PathBuf,
    /// Number of the example
    id: i64,
    /// Its label from now on
    label: Option<String>,
    /// Take its label away, and keep the example
    #[arg(long)]
    none: bool,
}

pub(crate) fn run(args: Args) -> Result {
    let mut store = open_store(&args.learner)?;
    store.relabel(ExampleId(args.id), args.label.as_deref())?;
    let now = match &args.label {
        Some(label) => format!("is now {}", label.escape_debug()),
        None => "has no label now".to_owned(),
    };
    progress::say(&format!("{}: example {} {now}", shell_path(&args.learner), args.id));
    Ok(())
}
