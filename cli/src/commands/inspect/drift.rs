//! Keeping a reference, and comparing with it.

use std::path::Path;

use offshoot_adapters::drift::Reference;
use offshoot_adapters::{DriftFile, EncoderTag};

use super::Args;
use super::sample::{Drawn, name};
use crate::encoder::{Truncate, prompt_text};
use crate::failure::Result;
use crate::files;
use crate::interrupt::Interrupt;
use crate::output;

/// Does what `--save-reference` or `--drift` asks for.
pub(super) fn run(args: &Args, drawn: &Drawn, interrupt: &Interrupt) -> Result {
    let options = args.embed.options(Truncate::Cut);
    let encoder = args.encoder.open(&args.bundle)?;
    let embeddings = drawn.embed(&args.bundle, &encoder, &options, interrupt)?;
    let prompt = prompt_text(&encoder, &options.prompt);
    if let Some(path) = &args.save_reference {
        files::check_output(path, [args.data.as_path(), args.bundle.as_path()])?;
        let tag = EncoderTag {
            digest: encoder.digest().to_owned(),
            name: name(&args.bundle),
            dimensions: embeddings.ncols(),
            prompt,
        };
        let reference = Reference::new(embeddings.view())?;
        DriftFile { encoder: tag, reference }.save(path)?;
        return output::print(&format!(
            "{} holds what {} {} look like\n",
            path.display(),
            embeddings.nrows(),
            encoder.manifest().modality.plural()
        ));
    }
    let Some(path) = &args.drift else { return Ok(()) };
    let file = DriftFile::load_for(path, encoder.digest(), embeddings.ncols())?;
    let drift = file.reference.compare(embeddings.view(), args.false_alarms)?;
    if let Some(json) = &args.json {
        if json.as_os_str() == Path::new("-") {
            return output::print_json(&drift, true);
        }
        let bytes = serde_json::to_vec_pretty(&drift).map_err(|error| {
            crate::failure::Failure::new(crate::failure::Code::Bug, error.to_string())
        })?;
        files::write(json, &bytes)?;
    }
    output::print(&format!(
        "{}: p = {:.2e} on {} {} against {}; their mean has moved by {:.2} of an input's usual \
         distance from it{}\n",
        if drift.drifted { "drifted" } else { "no drift" },
        drift.p_value,
        drift.rows,
        encoder.manifest().modality.plural(),
        file.reference.rows(),
        drift.mean_shift,
        match (drift.drifted, drift.by_distance) {
            (true, true) => "; inputs differ most in how unusual they are",
            _ => "",
        }
    ))
}
