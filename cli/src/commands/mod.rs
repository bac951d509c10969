//! One file a subcommand.

pub(crate) mod completions;
pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod examples;
pub(crate) mod forget;
pub(crate) mod fuse;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod learn;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod optimize;
pub(crate) mod parity;
pub(crate) mod predict;
pub(crate) mod pretrain;
pub(crate) mod quantize;
pub(crate) mod quickstart;
pub(crate) mod relabel;
pub(crate) mod serve;
pub(crate) mod similarity;
pub(crate) mod suggest;
pub(crate) mod suspects;
pub(crate) mod teach;
pub(crate) mod tune;
pub(crate) mod undo;
pub(crate) mod unpack;
pub(crate) mod verify;
pub(crate) mod weigh;

use crate::args::Command;
use crate::failure::Result;

/// Runs a subcommand.
pub(crate) fn run(command: Command) -> Result {
    match command {
        Command::Quickstart(args) => quickstart::run(args),
        Command::Import(args) => import::run(args),
        Command::Info(args) => info::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Unpack(args) => unpack::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Learn(args) => learn::run(args),
        Command::Teach(args) => teach::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Tune(args) => tune::run(args),
        Command::Undo(args) => undo::run(args),
        Command::Examples(args) => examples::run(args),
        Command::Suggest(args) => suggest::run(args),
        Command::Suspects(args) => suspects::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Pretrain(args) => pretrain::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Fuse(args) => fuse::run(args),
        Command::Optimize(args) => optimize::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Relabel(args) => relabel::run(args),
        Command::Weigh(args) => weigh::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Similarity(args) => similarity::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
