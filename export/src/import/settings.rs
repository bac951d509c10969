//! What a folder's configuration files say of texts: length, case, prompts,
//! similarity, licence.

use std::collections::BTreeMap;
use std::path::Path;

use offshoot::bundle::Similarity;
use serde_json::Value;

use super::json::{Object, kind, read_small};
use crate::error::Result;

/// The files in which sentence-transformers keeps the transformer's settings, by
/// the age of the folder.
pub(crate) const SENTENCE_CONFIGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Lengths from here on mean "no limit": tokenizers write 10^30.
const NO_LIMIT: f64 = (1u64 << 20) as f64;

/// What the files beside the weights say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settings {
    /// Most tokens of a text, by the smallest limit that a file states.
    pub(crate) max_tokens: Option<usize>,
    /// Whether text is to be lower-cased before anything else.
    pub(crate) lower_case: bool,
    /// Text before an input, by the prompt's name.
    pub(crate) prompts: BTreeMap<String, String>,
    /// Name of the prompt used when none is asked for.
    pub(crate) default_prompt: Option<String>,
    /// The similarity that the encoder was trained for.
    pub(crate) similarity: Similarity,
    /// The licence in the model card's front matter.
    pub(crate) licence: Option<String>,
}

impl Settings {
    /// Reads the settings of the model in `folder`, whose transformer's files lie
    /// in `transformer`.
    pub(crate) fn read(folder: &Path, transformer: &Path) -> Result<Self> {
        let sentence = SENTENCE_CONFIGS
            .iter()
            .map(|name| transformer.join(name))
            .find(|path| path.is_file())
            .unwrap_or_else(|| transformer.join(SENTENCE_CONFIGS[0]));
        let sentence = Object::read_or_empty(&sentence)?;
        token_vectors_only(&sentence)?;
        let tokenizer = Object::read_or_empty(&transformer.join("tokenizer_config.json"))?;
        let limits =
            [length(&sentence, "max_seq_length")?, length(&tokenizer, "model_max_length")?];

        let library = Object::read_or_empty(&folder.join("config_sentence_transformers.json"))?;
        let prompts = prompts(&library)?;
        let default_prompt = library.text("default_prompt_name")?.map(str::to_owned);
        if let Some(name) = &default_prompt
            && !prompts.contains_key(name)
        {
            return Err(library.error(
                "default_prompt_name",
                format!("is `{name}`, which `prompts` does not have"),
            ));
        }
        Ok(Self {
            max_tokens: limits.into_iter().flatten().min(),
            lower_case: sentence.bool("do_lower_case")?.unwrap_or(false),
            prompts,
            default_prompt,
            similarity: similarity(&library)?,
            licence: licence(&folder.join("README.md"))?,
        })
    }

    /// Whether any prompt puts text before an input.
    pub(crate) fn has_prompts(&self) -> bool {
        self.prompts.values().any(|text| !text.is_empty())
    }
}

/// Refuses transformer settings that ask for something other than the last
/// layer's token vectors.
fn token_vectors_only(sentence: &Object) -> Result<()> {
    if let Some(task) = sentence.text("transformer_task")?
        && task != "feature-extraction"
    {
        return Err(sentence.error(
            "transformer_task",
            format!("is `{task}`; only `feature-extraction` is supported"),
        ));
    }
    if let Some(name) = sentence.text("module_output_name")?
        && name != "token_embeddings"
    {
        return Err(sentence.error(
            "module_output_name",
            format!("is `{name}`; only `token_embeddings` is supported"),
        ));
    }
    let text = sentence.get("modality_config").and_then(|modalities| modalities.get("text"));
    if let Some(output) = text.and_then(|text| text.get("method_output_name"))
        && output != "last_hidden_state"
    {
        return Err(sentence.error(
            "modality_config",
            format!("takes {output} of the transformer; only `last_hidden_state` is supported"),
        ));
    }
    Ok(())
}

fn length(config: &Object, key: &str) -> Result<Option<usize>> {
    let Some(value) = config.get(key) else { return Ok(None) };
    match value.as_f64() {
        Some(n) if n >= NO_LIMIT => Ok(None),
        Some(n) if n >= 1.0 && n.fract() == 0.0 => Ok(Some(n as usize)),
        _ => Err(config.error(key, format!("is `{value}`, not a number of tokens"))),
    }
}

fn prompts(library: &Object) -> Result<BTreeMap<String, String>> {
    let Some(value) = library.get("prompts") else { return Ok(BTreeMap::new()) };
    let Value::Object(map) = value else {
        return Err(library.error("prompts", format!("is {}, not an object", kind(value))));
    };
    map.iter()
        .map(|(name, text)| match text.as_str() {
            Some(text) => Ok((name.clone(), text.to_owned())),
            None => Err(library
                .error("prompts", format!("has `{name}`, which is {} and no text", kind(text)))),
        })
        .collect()
}

fn similarity(library: &Object) -> Result<Similarity> {
    Ok(match library.text("similarity_fn_name")? {
        None | Some("cosine") => Similarity::Cosine,
        Some("dot" | "dot_product") => Similarity::Dot,
        Some("euclidean") => Similarity::Euclidean,
        Some("manhattan") => Similarity::Manhattan,
        Some(other) => {
            return Err(library.error(
                "similarity_fn_name",
                format!("is `{other}`; cosine, dot, euclidean and manhattan are supported"),
            ));
        }
    })
}

/// The licence in a model card's front matter: the `license` key, or
/// `license_name` where that says `other`. A card that is missing, too large or
/// not text states none.
fn licence(card: &Path) -> Result<Option<String>> {
    if !card.is_file() {
        return Ok(None);
    }
    let Ok(bytes) = read_small(card, 4 << 20) else { return Ok(None) };
    Ok(licence_of(&String::from_utf8_lossy(&bytes)))
}

fn licence_of(card: &str) -> Option<String> {
    let mut lines = card.trim_start_matches('\u{feff}').lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let (mut licence, mut named) = (None, None);
    let mut lines = lines.take_while(|line| line.trim_end() != "---").peekable();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("license:") {
            // One licence on the line, or a list of them on the lines below.
            let mut all: Vec<String> = scalar(rest).into_iter().collect();
            if all.is_empty() {
                while let Some(item) = lines.next_if(|line| line.trim().starts_with("- ")) {
                    all.extend(scalar(item.trim().trim_start_matches("- ")));
                }
            }
            licence = (!all.is_empty()).then(|| all.join(" AND "));
        } else if let Some(rest) = line.strip_prefix("license_name:") {
            named = scalar(rest);
        }
    }
    match licence.as_deref() {
        Some("other") => named.or(licence),
        _ => licence,
    }
}

/// A plain or quoted YAML scalar, without a comment behind it.
fn scalar(text: &str) -> Option<String> {
    let text = text.trim();
    let text = match text.chars().next()? {
        quote @ ('"' | '\'') => text.get(1..)?.split(quote).next()?,
        _ => text.split(" #").next()?.trim(),
    };
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(files: &[(&str, &str)]) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Settings::read(folder.path(), folder.path())
    }

    #[test]
    fn the_smallest_sensible_length_counts() {
        let both = [
            ("sentence_bert_config.json", r#"{"max_seq_length": 256, "do_lower_case": true}"#),
            ("tokenizer_config.json", r#"{"model_max_length": 512}"#),
        ];
        let both = settings(&both).unwrap();
        assert_eq!(both.max_tokens, Some(256));
        assert!(both.lower_case);
        let absurd =
            [("tokenizer_config.json", r#"{"model_max_length": 1000000000000000019884624838656}"#)];
        assert_eq!(settings(&absurd).unwrap().max_tokens, None);
        let negative = [("sentence_bert_config.json", r#"{"max_seq_length": -1}"#)];
        assert!(settings(&negative).unwrap_err().to_string().contains("`max_seq_length`"));
        let unknown = [("sentence_bert_config.json", r#"{"max_seq_length": null}"#)];
        assert_eq!(settings(&unknown).unwrap().max_tokens, None);
    }

    #[test]
    fn prompts_and_similarity_are_read() {
        let read = settings(&[(
            "config_sentence_transformers.json",
            r#"{"prompts": {"query": "query: ", "document": ""},
                "default_prompt_name": "document", "similarity_fn_name": "dot"}"#,
        )])
        .unwrap();
        assert_eq!(read.prompts["query"], "query: ");
        assert_eq!(read.default_prompt.as_deref(), Some("document"));
        assert_eq!(read.similarity, Similarity::Dot);
        assert!(read.has_prompts());
        for wrong in [
            r#"{"prompts": {}, "default_prompt_name": "query"}"#,
            r#"{"prompts": ["query: "]}"#,
            r#"{"prompts": {"query": 3}}"#,
            r#"{"similarity_fn_name": "maxsim"}"#,
        ] {
            assert!(settings(&[("config_sentence_transformers.json", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_outputs_of_the_transformer_are_refused() {
        for wrong in [
            r#"{"transformer_task": "fill-mask"}"#,
            r#"{"module_output_name": "sentence_embedding"}"#,
            r#"{"modality_config": {"text": {"method_output_name": "pooler_output"}}}"#,
        ] {
            assert!(settings(&[("sentence_bert_config.json", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn licences_are_read_from_the_card() {
        let card = |text: &str| licence_of(text);
        assert_eq!(
            card("---\nlanguage: en\nlicense: apache-2.0\n---\n# Model").unwrap(),
            "apache-2.0"
        );
        assert_eq!(card("---\nlicense: 'mit' # as is\n---\n").unwrap(), "mit");
        assert_eq!(
            card("---\nlicense:\n- mit\n- cc-by-4.0\ntags:\n- x\n---\n").unwrap(),
            "mit AND cc-by-4.0"
        );
        assert_eq!(
            card("---\nlicense: other\nlicense_name: research-only\n---\n").unwrap(),
            "research-only"
        );
        assert_eq!(card("# Model\nlicense: mit\n"), None);
        assert_eq!(card("---\ntags: x\n---\nlicense: mit\n"), None);
        assert_eq!(card(""), None);
    }
}
