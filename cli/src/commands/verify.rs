//! `offshoot verify`: whether a bundle is undamaged.

use std::path::PathBuf;

use offshoot::bundle::Bundle;

use crate::encoder::bundle_failure;
use crate::failure::Result;
use crate::output;
use crate::progress::{Progress, Unit, megabytes};

const EXAMPLES: &str = "\
Example:
  offshoot verify minilm.offshoot && echo sound";

/// Check every byte of a bundle against its digests
///
/// Opening a bundle checks its structure, and the digests of what it reads when it is first
/// prepared on a machine. This checks everything, at any time, and exits with 4 when anything
/// is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
}

pub(crate) fn run(args: Args) -> Result {
    let path = &args.bundle;
    let bundle = Bundle::open(path).map_err(|error| bundle_failure(path, error))?;
    let mut progress = Progress::start("Checking", Unit::Bytes, Some(bundle.size()));
    bundle.verify(&mut |done| progress.set(done))?;
    progress.clear();
    output::print(&format!(
        "{}: sound; {} entries, {}, digest {}\n",
        path.display(),
        bundle.entries().count(),
        megabytes(bundle.size()),
        bundle.digest()
    ))
}
