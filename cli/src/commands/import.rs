//! `offshoot import`: from a published encoder to a bundle.

use std::path::{Path, PathBuf};
use std::time::Instant;

use offshoot_export::graph::Lowering;
use offshoot_export::{ImportOptions, Imported};

use crate::failure::{Failure, Result};
use crate::files::shell_path;
use crate::interrupt::Interrupt;
use crate::progress::{self, Progress, Unit, grouped, megabytes, seconds};

const EXAMPLES: &str = "\
Examples:
  offshoot import all-MiniLM-L6-v2/ -o minilm.offshoot
  offshoot import encoder/model.onnx -o encoder.offshoot --name 'my encoder'
  offshoot import unpacked/ -o again.offshoot --force";

/// Make a bundle of a published encoder
///
/// SOURCE is a folder in the layout of sentence-transformers or Hugging Face with
/// `model.safetensors` (BERT, RoBERTa, XLM-RoBERTa, MPNet, DistilBERT, ELECTRA, ModernBERT),
/// or a `.onnx` file with its tokenizer beside it, or a folder that a bundle was unpacked to.
/// Pooling, Dense modules, normalisation, prompts and the longest input are read from the
/// folder's own files. No Python is needed.
///
/// The bundle appears under its name when it is whole; an error or an interrupt leaves
/// nothing behind.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder or ONNX file
    source: PathBuf,
    /// The bundle to write, usually NAME.offshoot
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Name of the encoder [default: that of its folder]
    #[arg(long)]
    name: Option<String>,
    /// Licence of the weights, as SPDX writes it [default: what the model card states]
    #[arg(long)]
    licence: Option<String>,
    /// Most tokens of a text, special tokens included [default: what the files say]
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// Write the graph with operators of the ONNX standard only, so that any engine can run
    /// it; slower in ONNX Runtime, whose fused operators are used otherwise
    #[arg(long)]
    standard_operators: bool,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: Args) -> Result {
    if !args.force && args.output.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!(
            "{} exists already; add --force to replace it, or choose another name",
            args.output.display()
        )));
    }
    let interrupt = Interrupt::listen();
    let options = ImportOptions {
        name: args.name,
        licence: args.licence,
        max_tokens: args.max_tokens,
        lowering: if args.standard_operators { Lowering::Standard } else { Lowering::OnnxRuntime },
        overwrite: args.force,
        stop: Some(interrupt.flag()),
    };
    import(&args.source, &args.output, &options).map(drop)
}

/// Imports with a progress bar, and says what was assumed.
pub(crate) fn import(source: &Path, output: &Path, options: &ImportOptions) -> Result<Imported> {
    let start = Instant::now();
    let mut progress: Option<Progress> = None;
    let imported = offshoot_export::import(source, output, options, &mut |step| {
        progress
            .get_or_insert_with(|| {
                Progress::start("Importing the encoder", Unit::Bytes, Some(step.total_bytes))
            })
            .set(step.done_bytes);
    });
    // The bar goes before anything else is said, an error too.
    drop(progress);
    let imported = imported?;
    for note in &imported.notes {
        progress::say(&format!("note: {note}"));
    }
    progress::say(&format!(
        "{}: {}, {} parameters, {}, imported in {}",
        shell_path(&imported.path),
        imported.manifest.name,
        grouped(imported.manifest.parameters),
        megabytes(imported.size),
        seconds(start.elapsed())
    ));
    Ok(imported)
}
