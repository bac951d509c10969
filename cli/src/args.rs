//! The command line: its subcommands, and what their help says.

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Effects};
use clap::{Parser, Subcommand};

use crate::commands::{
    completions, embed, evaluate, examples, forget, fuse, import, info, inspect, learn, man, merge,
    optimize, predict, pretrain, quantize, quickstart, relabel, serve, similarity, suggest,
    suspects, teach, tune, undo, unpack, verify, weigh,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

const ABOUT: &str = "\
Teach small machines new classes from a handful of labels.

An encoder is imported once into one file, a bundle, that every process maps instead of \
loading. It turns texts, images and signals into embeddings; a head fitted in milliseconds on a few labelled \
examples turns embeddings into classes.";

const AFTER: &str = "\
Start here:
  offshoot quickstart            obtain a real encoder and real texts, and see it learn
  offshoot help embed            examples of every command are at the end of its help

Exit codes:
    0  success
    1  the work failed
    2  usage: an option is unknown, missing or does not fit another
    3  the input data are broken or unfit: a bad row, no rows, only one class
    4  a bundle, head or learner is damaged, or does not belong to the other
    5  surroundings: a missing or unwritable file, a full disk, no ONNX Runtime, no network
   70  a bug in offshoot
  130  interrupted; what was finished is kept

Environment:
  OFFSHOOT_CACHE    folder for prepared weights and obtained packages
  OFFSHOOT_OFFLINE  set to 1, nothing is ever downloaded
  OFFSHOOT_PYTHON   the Python whose pip obtains packages for `quickstart`
  ORT_DYLIB_PATH    ONNX Runtime's shared library, when you have one of your own
  NO_COLOR          set to anything, help and progress have no colours";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "offshoot",
    version,
    about = "Teach small machines new classes from a handful of labels",
    long_about = ABOUT,
    after_help = AFTER,
    styles = STYLES,
    max_term_width = 100,
    propagate_version = false,
    disable_help_subcommand = false
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One variant a subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(quickstart::Args),
    Import(import::Args),
    Info(info::Args),
    Verify(verify::Args),
    Unpack(unpack::Args),
    Embed(embed::Args),
    Learn(learn::Args),
    Teach(teach::Args),
    Forget(forget::Args),
    Undo(undo::Args),
    Examples(examples::Args),
    Suggest(suggest::Args),
    Suspects(suspects::Args),
    Merge(merge::Args),
    Predict(predict::Args),
    Evaluate(evaluate::Args),
    Inspect(inspect::Args),
    Fuse(fuse::Args),
    Optimize(optimize::Args),
    Quantize(quantize::Args),
    Tune(tune::Args),
    Pretrain(pretrain::Args),
    Relabel(relabel::Args),
    Weigh(weigh::Args),
    Serve(serve::Args),
    Similarity(similarity::Args),
    Completions(completions::Args),
    Man(man::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("offshoot {name}")), "{name} has no example");
            assert!(command.get_about().is_some(), "{name} has no description");
        }
    }
}
