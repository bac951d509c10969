//! `offshoot unpack`: from a bundle back to a folder of files.

use std::path::PathBuf;

use offshoot_export::archive;

use crate::failure::{Failure, Result};
use crate::files::shell_path;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};

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
    /// The folder, which must not exist yet
    folder: PathBuf,
}

pub(crate) fn run(args: Args) -> Result {
    if args.folder.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!(
            "{} exists already; choose another folder",
            args.folder.display()
        )));
    }
    let interrupt = Interrupt::listen();
    let what = format!("Unpacking to {}", shell_path(&args.folder));
    let mut progress: Option<Progress> = None;
    let unpacked =
        archive::unpack(&args.bundle, &args.folder, Some(interrupt.flag()), &mut |step| {
            progress
                .get_or_insert_with(|| {
                    Progress::start(what.as_str(), Unit::Bytes, Some(step.total_bytes))
                })
                .set(step.done_bytes);
        });
    match (&unpacked, progress) {
        (Ok(()), Some(progress)) => drop(progress.finish()),
        (_, progress) => drop(progress),
    }
    Ok(unpacked?)
}
