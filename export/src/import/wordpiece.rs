//! The tokenizer of older BERT folders, which have `vocab.txt` alone.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::json::{Object, read_small};
use crate::error::{Error, Result};

/// Builds the content of `tokenizer.json` from `vocab.txt`, as `transformers` does
/// for BERT, DistilBERT and ELECTRA; `None` where the folder has no `vocab.txt` or
/// another architecture reads it in its own way.
pub(crate) fn from_vocabulary(
    folder: &Path,
    config: &Object,
    settings: &Object,
) -> Result<Option<Value>> {
    let path = folder.join("vocab.txt");
    let known = matches!(config.text("model_type")?, Some("bert" | "distilbert" | "electra"));
    if !known || !path.is_file() {
        return Ok(None);
    }
    let bytes = read_small(&path, 64 << 20)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::tokenizer(&path, "it is not UTF-8 text, one token a line"))?;
    let mut vocabulary = BTreeMap::new();
    for (id, token) in text.lines().enumerate() {
        vocabulary.insert(token, id);
    }

    let special = |key: &str, usual: &'static str| -> Result<(String, usize)> {
        let token = match settings.get(key) {
            Some(Value::String(token)) => token.clone(),
            Some(Value::Object(token)) => {
                token.get("content").and_then(Value::as_str).unwrap_or(usual).into()
            }
            _ => usual.into(),
        };
        let id = vocabulary.get(token.as_str()).copied().ok_or_else(|| {
            Error::tokenizer(&path, format!("the special token `{token}` has no line"))
        })?;
        Ok((token, id))
    };
    let pad = special("pad_token", "[PAD]")?;
    let unknown = special("unk_token", "[UNK]")?;
    let cls = special("cls_token", "[CLS]")?;
    let sep = special("sep_token", "[SEP]")?;
    let mask = special("mask_token", "[MASK]")?;

    let mut all = vec![&pad, &unknown, &cls, &sep, &mask];
    all.sort_by_key(|(_, id)| *id);
    all.dedup();
    let added: Vec<Value> = all
        .into_iter()
        .map(|(token, id)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let one = |(token, id): &(String, usize)| json!({"id": token, "ids": [id], "tokens": [token]});
    let begin = json!({"SpecialToken": {"id": cls.0, "type_id": 0}});
    let end = |kind: u8| json!({"SpecialToken": {"id": sep.0, "type_id": kind}});
    let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});
    Ok(Some(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": settings.bool("tokenize_chinese_chars")?.unwrap_or(true),
            "strip_accents": settings.bool("strip_accents")?,
            "lowercase": settings.bool("do_lower_case")?.unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, text("A", 0), end(0)],
            "pair": [begin, text("A", 0), end(0), text("B", 1), end(1)],
            "special_tokens": {&cls.0: one(&cls), &sep.0: one(&sep)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": unknown.0,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    })))
}
