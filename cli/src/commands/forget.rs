//! `offshoot forget`: examples go for ever.

use std::path::PathBuf;

use clap::ArgGroup;
use offshoot::learner::ExampleId;

use crate::failure::Result;
use crate::files::shell_path;
use crate::head::open_store;
use crate::progress::{self, grouped};

const EXAMPLES: &str = "\
Examples:
  offshoot forget mail.learner 17 18
  offshoot forget mail.learner --label newsletter
  offshoot forget mail.learner --source alice.csv

`offshoot examples` lists examples with their numbers.";

/// Forget examples of a learner for ever
///
/// When this command succeeds, no byte of the examples is in the file: not in its history, so
/// that no undo brings them back, not in its head, which is fitted anew when it is next needed,
/// and not in unused parts of the file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "label", "source"])))]
pub(crate) struct Args {
    /// The learner
    learner: PathBuf,
    /// Numbers of examples
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    /// Forget a class: every example with this label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Forget every example of a source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
}

pub(crate) fn run(args: Args) -> Result {
    let mut store = open_store(&args.learner)?;
    let forgotten = match (&args.label, &args.source) {
        (Some(label), _) => store.forget_class(label)?,
        (None, Some(source)) => store.forget_source(source)?,
        (None, None) => {
            let ids: Vec<ExampleId> = args.ids.iter().copied().map(ExampleId).collect();
            store.forget(&ids)?
        }
    };
    progress::say(&format!(
        "{}: {} {} forgotten, {} left",
        shell_path(&args.learner),
        grouped(forgotten as u64),
        if forgotten == 1 { "example" } else { "examples" },
        grouped(store.len()?)
    ));
    Ok(())
}
