//! `offshoot man`: manual pages.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::args::Cli;
use crate::failure::{Failure, Result};
use crate::{files, progress};

const EXAMPLES: &str = "\
Example:
  offshoot man ~/.local/share/man/man1 && man offshoot-embed";

/// Write a manual page for every command
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder for the pages, made if it is not there
    folder: PathBuf,
}

pub(crate) fn run(args: Args) -> Result {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let commands: Vec<_> = std::iter::once(&root).chain(root.get_subcommands()).cloned().collect();
    let count = commands.len();
    for command in commands {
        let page = clap_mangen::Man::new(command);
        let path = folder.join(page.get_filename());
        let mut bytes = Vec::new();
        page.render(&mut bytes).map_err(|error| Failure::io("write", &path, &error))?;
        files::write(&path, &bytes)?;
    }
    progress::say(&format!("{count} pages written to {}", folder.display()));
    Ok(())
}
