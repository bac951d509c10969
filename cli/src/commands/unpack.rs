//! `offshoot unpack`: from a bundle back to a folder of files.

use std::path::PathBuf;

use crate::failure::Result;
use crate::progress;
use crate::texts::shell_path;

const EXAMPLES: &str = "\
Example:
  offshoot unpack minilm.offshoot minilm/ && ls minilm/";

/// Write a bundle's files to a folder
///
/// The folder holds the graph, its weights and the tokenizer's files under their usual names.
/// It opens like the bundle, and `offshoot import` makes a bundle of it again. Every file is
/// checked against its digest.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
    /// The folder, which must be new or empty
    folder: PathBuf,
}

pub(crate) fn run(args: Args) -> Result {
    offshoot_export::unpack(&args.bundle, &args.folder)?;
    progress::say(&format!("unpacked to {}", shell_path(&args.folder)));
    Ok(())
}
