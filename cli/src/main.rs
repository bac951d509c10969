//! The program `offshoot`: import an encoder, embed texts, images and signals, learn classes from a
//! handful of labels. Each subcommand is one file in `commands`, a thin call
//! into a crate.
//!
//! # Exit codes
//! | code | meaning |
//! | --- | --- |
//! | 0 | success; also when the reader of standard output went away |
//! | 1 | the work failed: ONNX Runtime refused something, a fit did not converge, nothing to undo |
//! | 2 | usage: an option that is unknown, missing or cannot be combined |
//! | 3 | the input data are broken or unfit: a bad row, no rows, one class only |
//! | 4 | a bundle, head or learner is damaged, or does not belong to the other |
//! | 5 | the surroundings: a file that is missing or cannot be written, a full disk, no ONNX Runtime, no network |
//! | 70 | a bug in this program |
//! | 130 | interrupted; what was finished is kept |
//!
//! Messages go to standard error as `error: what was wrong, where; what to do`.
#![forbid(unsafe_code)]

mod args;
mod caution;
mod commands;
mod csv;
mod encoder;
mod failure;
mod files;
mod goal;
mod head;
mod inputs;
mod interrupt;
mod output;
mod progress;
mod rows;
mod taught;

use std::panic;
use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::failure::Code;

fn main() -> ExitCode {
    // The hook says what happened; unwinding lets temporary files be removed.
    panic::set_hook(Box::new(failure::report_bug));
    match panic::catch_unwind(|| commands::run(Cli::parse().command)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => failure.report(),
        Err(_) => Code::Bug.into(),
    }
}
