//! The published files that a bundle carries along, under their own names.

use std::path::{Path, PathBuf};

use super::json::read_small;
use super::modules::Chain;
use super::settings::SENTENCE_CONFIGS;
use crate::error::Result;

/// Files of the model's folder.
const OF_MODEL: [&str; 8] = [
    "README.md",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
    "NOTICE.txt",
    "modules.json",
    "config_sentence_transformers.json",
];

/// Files of the transformer's folder.
const OF_TRANSFORMER: [&str; 4] =
    ["config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

/// Files beyond this size are no configuration, in bytes; a model card may be long.
const MAX_BYTES: u64 = 16 << 20;

/// Names and contents of the files of `folder` to carry, by name.
pub(crate) fn carried(folder: &Path, chain: &Chain) -> Result<Vec<(String, Vec<u8>)>> {
    let within = chain.transformer.strip_prefix(folder).unwrap_or(Path::new(""));
    let mut names: Vec<PathBuf> = OF_MODEL.iter().map(PathBuf::from).collect();
    names.extend(OF_TRANSFORMER.iter().chain(&SENTENCE_CONFIGS).map(|name| within.join(name)));
    names.extend(chain.files.iter().cloned());
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| folder.join(name).is_file())
        .map(|name| Ok((entry_name(&name), read_small(&folder.join(&name), MAX_BYTES)?)))
        .collect()
}

/// A relative path as the name of an entry, with `/` between its parts.
fn entry_name(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
