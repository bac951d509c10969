//! `offshoot info`: what a bundle holds.

use std::fmt::Write;
use std::path::PathBuf;

use offshoot::bundle::{Bundle, ImageConfig, Manifest, Pretraining, SignalConfig};
use serde::Serialize;
use serde_json::json;

use crate::encoder::bundle_failure;
use crate::failure::Result;
use crate::output;
use crate::progress::grouped;

const EXAMPLES: &str = "\
Examples:
  offshoot info minilm.offshoot
  offshoot info minilm.offshoot --json | jq .manifest.text.prompts";

/// Show what a bundle holds: the encoder, its sizes and digests
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
    /// Print JSON: the manifest, the digest, and every entry's offset and size
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result {
    let path = &args.bundle;
    let bundle = Bundle::open(path).map_err(|error| bundle_failure(path, error))?;
    if args.json {
        let entries: Vec<_> = bundle
            .entries()
            .map(|(name, offset, size)| json!({"name": name, "offset": offset, "size": size}))
            .collect();
        let value = json!({
            "path": path.to_string_lossy(),
            "digest": bundle.digest(),
            "size": bundle.size(),
            "entries": entries,
            "manifest": bundle.manifest(),
        });
        return output::print_json(&value, true);
    }
    output::print(&describe(&bundle))
}

/// A page for people.
fn describe(bundle: &Bundle) -> String {
    let manifest = bundle.manifest();
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(page, "{name:<13}{value}");
    };
    line("name", manifest.name.clone());
    line("digest", bundle.digest().to_owned());
    line("reads", word(&manifest.modality));
    line("parameters", grouped(manifest.parameters));
    line("embedding", embedding(manifest));
    if let Some(text) = &manifest.text {
        let case = if text.lower_case { ", lower-cased" } else { "" };
        line("texts", format!("up to {} tokens{case}", grouped(text.max_tokens as u64)));
        for (name, prompt) in &text.prompts {
            let default = text.default_prompt.as_ref() == Some(name);
            line(
                "prompt",
                format!("{name}: {prompt:?}{}", if default { " (default)" } else { "" }),
            );
        }
    }
    if let Some(ImageConfig { height, width, channels }) = &manifest.image {
        let colour = if *channels == 1 { "grey" } else { "in colour" };
        line("images", format!("{width} by {height} pixels, {colour}"));
    }
    if let Some(signal) = &manifest.signal {
        line("signals", windows(signal));
    }
    line("source", format!("{}, {}", manifest.provenance.source, manifest.provenance.architecture));
    if let Some(pretraining) = &manifest.provenance.pretraining {
        line("pretrained", pretrained(pretraining));
        line(
            "data",
            format!("{} examples, {}", grouped(pretraining.examples), { &pretraining.data_digest }),
        );
        for (name, value) in &pretraining.figures {
            line("figure", format!("{name}: {}", (1e4 * value).round() / 1e4));
        }
        // The architecture is for runs that go on with the encoder.
        let options = pretraining.options.iter().filter(|(name, _)| *name != "architecture");
        for (name, value) in options {
            line("option", format!("{name}: {value}"));
        }
    }
    for change in &manifest.provenance.changes {
        let details = change.details.iter().map(|(name, value)| format!(", {name} {value}"));
        line(
            "changed",
            format!("{} of {}{}", change.what, change.source_digest, {
                details.collect::<String>()
            }),
        );
    }
    line("licence", manifest.licence.clone().unwrap_or_else(|| "not stated".into()));
    line("made by", manifest.provenance.tool.clone());
    let mut entries: Vec<_> = bundle.entries().collect();
    entries.sort_by_key(|&(_, offset, _)| offset);
    let wide = entries.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let _ = writeln!(page, "\n{:<wide$} {:>13} {:>13}  SHA-256", "entry", "offset", "bytes");
    for (name, offset, size) in entries {
        let digest = match manifest.entries.get(name) {
            Some(entry) => &entry.sha256,
            None => bundle.digest(),
        };
        let (offset, size) = (grouped(offset), grouped(size));
        let _ = writeln!(page, "{name:<wide$} {offset:>13} {size:>13}  {digest}");
    }
    let _ = writeln!(page, "{:<wide$} {:>13} {:>13}", "all", "", grouped(bundle.size()));
    page
}

/// The windows that an encoder of signals reads.
fn windows(signal: &SignalConfig) -> String {
    let names = match signal.channel_names.is_empty() {
        true => String::new(),
        false => format!(" ({})", signal.channel_names.join(", ")),
    };
    let time = signal.sampling_rate.map_or(String::new(), |rate| {
        format!(" at {rate} Hz, {:.3} s", signal.length as f64 / rate)
    });
    format!(
        "{} {}{names} of {} samples{time}",
        grouped(signal.channels as u64),
        if signal.channels == 1 { "channel" } else { "channels" },
        grouped(signal.length as u64)
    )
}

/// How an encoder was pretrained, with the first and the last loss.
fn pretrained(pretraining: &Pretraining) -> String {
    let loss = match pretraining.curve.as_slice() {
        [[_, first], .., [_, last]] => format!(", loss {first:.3} to {last:.3}"),
        _ => String::new(),
    };
    let versions: String =
        pretraining.versions.iter().map(|(name, version)| format!(", {name} {version}")).collect();
    format!(
        "{}, {} steps{loss}, seed {}{versions}",
        pretraining.objective,
        grouped(pretraining.steps),
        pretraining.seed
    )
}

fn embedding(manifest: &Manifest) -> String {
    format!(
        "{} dimensions, {} pooling{}, compared by {}",
        manifest.embedding_size,
        word(&manifest.pooling).replace('_', " "),
        if manifest.normalized { ", unit norm" } else { "" },
        word(&manifest.similarity)
    )
}

/// The name by which the manifest writes a value.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".into(),
    }
}
