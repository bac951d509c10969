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
    let mut root = Cli::command();
    root.build();
    let pages: Vec<clap::Command> = std::iter::once(root.clone())
        .chain(root.get_subcommands().filter(|c| c.get_name() != "help").map(|command| {
            let name = format!("offshoot-{}", command.get_name());
            command.clone().name(name.clone()).display_name(name)
        }))
        .collect();
    let count = pages.len();
    for page in pages {
        let path = folder.join(format!("{}.1", page.get_name()));
        let mut bytes = Vec::new();
        clap_mangen::Man::new(page)
            .render(&mut bytes)
            .map_err(|error| Failure::io("write", &path, &error))?;
        files::write(&path, &bytes)?;
    }
    progress::say(&format!("{count} pages written to {}", folder.display()));
    Ok(())
}
