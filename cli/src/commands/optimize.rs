//! `offshoot optimize`: the same encoder of fewer, larger operators.

use std::fmt::Write;
use std::path::PathBuf;

use offshoot_export::optimize::{OptimizeOptions, Optimized, optimize};

use super::parity::{Bars, ParityArgs};
use crate::encoder::EncoderArgs;
use crate::failure::Result;
use crate::files::shell_path;
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  offshoot optimize encoder.offshoot -o fast.offshoot
  offshoot optimize exported/model.onnx -o fast.offshoot --texts mail.csv --report report.json

Graphs that `offshoot import` built from a checkpoint are fused already; ready ONNX files gain.";

/// Make the same encoder of fewer, larger operators
///
/// Computes once what stands in the graph several times, finds attention as PyTorch's exporters
/// write it, and has ONNX Runtime's own optimiser compute constants, drop what is not needed and
/// fuse the rest: ahead of time, and without what depends on the machine. The result is compared
/// with its source on real samples, and written only if the embeddings are the same. The report
/// says which operators run in ONNX Runtime only.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle, or an ONNX file with its tokenizer beside it
    source: PathBuf,
    /// The bundle to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The smallest cosine that the two embeddings of a sample may have
    #[arg(long, value_name = "COSINE", default_value_t = 0.9999)]
    min_cosine: f64,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    parity: ParityArgs,
}

pub(crate) fn run(args: Args) -> Result {
    args.parity.check(&args.output, args.force, &[&args.source])?;
    let interrupt = Interrupt::listen();
    let is_onnx = args.source.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx"));
    let reads = (!is_onnx).then(|| EncoderArgs::manifest(&args.source)).transpose()?;
    let samples = args.parity.samples(reads.as_ref())?;
    let options = OptimizeOptions {
        parity: args.parity.options(&samples.samples, &interrupt)?,
        samples: samples.samples,
        min_cosine: args.min_cosine,
        overwrite: args.force,
    };
    let mut bars = Bars::default();
    let optimized = optimize(&args.source, &args.output, &options, &mut |what, done, total| {
        bars.set(what, done, total);
    });
    drop(bars);
    let optimized = optimized?;
    progress::say(&format!("{}: optimised", shell_path(&optimized.path)));
    output::print(&operators(&optimized))?;
    args.parity.tell(&optimized.parity, &optimized)
}

/// How often each operator stands in the graph, before and after, and what is new.
fn operators(optimized: &Optimized) -> String {
    let Optimized { before, after, merged, made, only_onnx_runtime, .. } = optimized;
    let mut page = format!("{:<28} {:>12} {:>12}\n", "operator", "before", "after");
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let count = |counts: &std::collections::BTreeMap<String, usize>| {
            counts.get(name).copied().unwrap_or(0)
        };
        let _ = writeln!(page, "{name:<28} {:>12} {:>12}", count(before), count(after));
    }
    let (all, left): (usize, usize) = (before.values().sum(), after.values().sum());
    let _ = writeln!(page, "{:<28} {all:>12} {left:>12}\n", "all");
    if *merged > 0 {
        let _ = writeln!(page, "computed what another does: {merged}");
    }
    for node in made {
        let weights = match node.weights.first() {
            Some(first) => format!(" ({first})"),
            None => String::new(),
        };
        let _ = writeln!(page, "new: {} {}{weights}", node.operator, node.node);
    }
    if !only_onnx_runtime.is_empty() {
        let _ = writeln!(page, "in ONNX Runtime only: {}", only_onnx_runtime.join(", "));
    }
    page.push('\n');
    page
}
