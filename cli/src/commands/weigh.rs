//! `offshoot weigh`: how much examples count, and whether those without a label do.

use std::path::PathBuf;

use clap::ArgGroup;
use offshoot::learner::ExampleId;

use crate::failure::Result;
use crate::files::shell_path;
use crate::head::open_store;
use crate::progress::{self, grouped};

const EXAMPLES: &str = "\
Examples:
  offshoot weigh mail.learner 17 0.5
  offshoot weigh mail.learner --age 0.9
  offshoot weigh mail.learner --unlabeled off

--age multiplies the weight of every example that is there, so that those taught afterwards count \
for more. `offshoot undo` takes either back. With weights that differ, the heads nearest-mean, \
ridge and discriminant use them, auto becomes ridge, and the others refuse. --unlabeled keeps the \
examples without a label as they are; `offshoot teach --unlabeled` lets them help as well.";

/// Set how much an example of a learner counts, or age them all
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("what").required(true).args(["id", "age", "unlabeled"])))]
pub(crate) struct Args {
    /// The learner
    learner: PathBuf,
    /// Number of the example
    #[arg(requires = "weight")]
    id: Option<i64>,
    /// Its weight from now on; examples have 1
    weight: Option<f64>,
    /// Multiply the weight of every example by this, from 0 to 1
    #[arg(long, value_name = "FACTOR")]
    age: Option<f64>,
    /// Let the examples without a label help to predict, or not
    #[arg(long, value_name = "on|off", value_parser = on_or_off)]
    unlabeled: Option<bool>,
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it must be on or off".to_owned()),
    }
}

pub(crate) fn run(args: Args) -> Result {
    let mut store = open_store(&args.learner)?;
    let learner = shell_path(&args.learner);
    if let Some(factor) = args.age {
        let aged = store.age(factor)?;
        let plural = if aged == 1 { "" } else { "s" };
        progress::say(&format!("{learner}: {} example{plural} aged", grouped(aged as u64)));
    } else if let Some(uses) = args.unlabeled {
        store.set_uses_unlabelled(uses)?;
        let whether = if uses { "help" } else { "do not help" };
        progress::say(&format!("{learner}: examples without a label {whether} to predict"));
    } else if let (Some(id), Some(weight)) = (args.id, args.weight) {
        store.set_weight(ExampleId(id), weight)?;
        progress::say(&format!("{learner}: example {id} counts {weight}"));
    }
    Ok(())
}
