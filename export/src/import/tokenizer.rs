//! The tokenizer of a published folder: read, brought to what `transformers`
//! makes of it, and checked against the weights.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::json::{Object, read_small, read_value};
use super::wordpiece;
use crate::error::{Error, Result};

/// The largest `tokenizer.json` that is read, in bytes; half a million pieces
/// take some 20 MB.
const MAX_BYTES: u64 = 256 << 20;

/// A tokenizer that fits its encoder.
#[derive(Debug)]
pub(crate) struct TokenizerFile {
    /// Content of `tokenizer.json`.
    pub(crate) bytes: Vec<u8>,
    /// Token id that fills rows.
    pub(crate) pad_id: u32,
    /// Its token.
    pub(crate) pad_token: String,
    /// What was changed or built, for people.
    pub(crate) notes: Vec<String>,
}

impl TokenizerFile {
    /// Reads the tokenizer in `folder`.
    ///
    /// `lower_case` puts lower-casing before everything else, as
    /// sentence-transformers does for folders that ask for it. `vocabulary` is the
    /// number of rows of the token embedding, where it is known.
    pub(crate) fn read(
        folder: &Path,
        config: &Object,
        lower_case: bool,
        vocabulary: Option<usize>,
    ) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let settings = Object::read_or_empty(&folder.join("tokenizer_config.json"))?;
        let special = Object::read_or_empty(&folder.join("special_tokens_map.json"))?;
        let mut notes = Vec::new();
        let mut bytes = if path.is_file() {
            read_small(&path, MAX_BYTES)?
        } else {
            let built = wordpiece::from_vocabulary(folder, config, &settings)?
                .ok_or_else(|| missing(folder))?;
            notes.push("tokenizer.json was built from vocab.txt".into());
            to_bytes(&path, &built)?
        };

        let mut value = read_value(&path, &bytes)?;
        let mut changed = follow_bert_settings(&mut value, &settings)?;
        if lower_case && !lowers(&value) {
            put_lowercase_first(&mut value);
            changed.push("lower-casing put before the tokenizer's normalizer".into());
        }
        if !changed.is_empty() {
            bytes = to_bytes(&path, &value)?;
            notes.extend(changed);
        }

        let tokenizer = Tokenizer::from_bytes(&bytes)
            .map_err(|error| Error::tokenizer(&path, format!("it cannot be read: {error}")))?;
        check_ids(&path, &tokenizer, vocabulary)?;
        let (pad_id, pad_token) = padding(&path, &tokenizer, &settings, &special, config)?;
        Ok(Self { bytes, pad_id, pad_token, notes })
    }
}

fn missing(folder: &Path) -> Error {
    let slow: Vec<&str> =
        ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.txt", "vocab.json"]
            .into_iter()
            .filter(|name| folder.join(name).is_file())
            .collect();
    let found = if slow.is_empty() {
        String::new()
    } else {
        format!(" (there is {}, which is not enough)", slow.join(", "))
    };
    Error::tokenizer(
        folder.join("tokenizer.json"),
        format!(
            "the file is missing{found}; write it with `transformers`: \
             AutoTokenizer.from_pretrained(folder, use_fast=True).save_pretrained(folder)"
        ),
    )
}

fn to_bytes(path: &Path, value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::Json { path: path.into(), reason: error.to_string() })
}

/// Where `tokenizer_config.json` and the normalizer of a BERT tokenizer disagree,
/// `transformers` follows the former; so does this.
fn follow_bert_settings(value: &mut Value, settings: &Object) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    let Some(normalizer) = value.get_mut("normalizer").and_then(Value::as_object_mut) else {
        return Ok(changed);
    };
    if normalizer.get("type").and_then(Value::as_str) != Some("BertNormalizer") {
        return Ok(changed);
    }
    for (key, field) in [
        ("do_lower_case", "lowercase"),
        ("strip_accents", "strip_accents"),
        ("tokenize_chinese_chars", "handle_chinese_chars"),
    ] {
        let Some(wanted) = settings.bool(key)? else { continue };
        if normalizer.get(field).and_then(Value::as_bool) != Some(wanted) {
            normalizer.insert(field.into(), Value::Bool(wanted));
            changed.push(format!("the tokenizer's `{field}` set to {wanted}, as `{key}` says"));
        }
    }
    Ok(changed)
}

/// Whether a normalizer of the kind `Lowercase` is there already.
fn lowers(value: &Value) -> bool {
    let is =
        |normalizer: &Value| normalizer.get("type").and_then(Value::as_str) == Some("Lowercase");
    let normalizer = &value["normalizer"];
    is(normalizer)
        || normalizer
            .get("normalizers")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(is))
}

fn put_lowercase_first(value: &mut Value) {
    let lower = json!({"type": "Lowercase"});
    let normalizers = match value["normalizer"].take() {
        Value::Null => vec![lower],
        Value::Object(mut map) if map.get("type").and_then(Value::as_str) == Some("Sequence") => {
            let mut all = vec![lower];
            if let Some(Value::Array(rest)) = map.remove("normalizers") {
                all.extend(rest);
            }
            all
        }
        other => vec![lower, other],
    };
    value["normalizer"] = json!({"type": "Sequence", "normalizers": normalizers});
}

/// Every id must have a row in the token embedding.
fn check_ids(path: &Path, tokenizer: &Tokenizer, vocabulary: Option<usize>) -> Result<()> {
    let vocab = tokenizer.get_vocab(true);
    if vocab.is_empty() {
        return Err(Error::tokenizer(path, "its vocabulary is empty"));
    }
    let Some(rows) = vocabulary else { return Ok(()) };
    let largest = vocab.iter().max_by_key(|(token, id)| (**id, token.as_str()));
    if let Some((token, &id)) = largest
        && id as usize >= rows
    {
        return Err(Error::tokenizer(
            path,
            format!(
                "token `{token}` has id {id} and the encoder's token embedding has {rows} rows, so \
                 ids must be below {rows}; tokenizer and weights are not of the same model"
            ),
        ));
    }
    Ok(())
}

/// The padding token: of `tokenizer_config.json`, `special_tokens_map.json`, the
/// tokenizer's own padding, or `config.json`, in this order.
fn padding(
    path: &Path,
    tokenizer: &Tokenizer,
    settings: &Object,
    special: &Object,
    config: &Object,
) -> Result<(u32, String)> {
    for source in [settings, special] {
        let token = match source.get("pad_token") {
            Some(Value::String(token)) => token.as_str(),
            Some(Value::Object(token)) => match token.get("content").and_then(Value::as_str) {
                Some(token) => token,
                None => return Err(source.error("pad_token", "has no `content`")),
            },
            Some(other) => {
                return Err(source.error("pad_token", format!("is `{other}`, not a token")));
            }
            None => continue,
        };
        let id = tokenizer.token_to_id(token).ok_or_else(|| {
            source
                .error("pad_token", format!("is `{token}`, which {} does not have", path.display()))
        })?;
        return Ok((id, token.into()));
    }
    if let Some(padding) = tokenizer.get_padding()
        && tokenizer.id_to_token(padding.pad_id).as_deref() == Some(&padding.pad_token)
    {
        return Ok((padding.pad_id, padding.pad_token.clone()));
    }
    let id = config.count("pad_token_id")?.and_then(|id| u32::try_from(id).ok());
    if let Some(id) = id
        && let Some(token) = tokenizer.id_to_token(id)
    {
        return Ok((id, token));
    }
    Err(Error::tokenizer(
        path,
        "no padding token is known; state `pad_token` in tokenizer_config.json",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(normalizer: &str) -> String {
        format!(
            r#"{{"version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [{{"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true}}],
            "normalizer": {normalizer}, "pre_tokenizer": {{"type": "Whitespace"}},
            "post_processor": null, "decoder": null,
            "model": {{"type": "WordLevel", "vocab": {{"[PAD]": 0, "[UNK]": 1, "dog": 2, "Dog": 3}},
                "unk_token": "[UNK]"}}}}"#
        )
    }

    fn read(files: &[(&str, &str)], lower: bool, rows: Option<usize>) -> Result<TokenizerFile> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let config = Object::read_or_empty(&folder.path().join("config.json"))?;
        TokenizerFile::read(folder.path(), &config, lower, rows)
    }

    const PAD: (&str, &str) = ("tokenizer_config.json", r#"{"pad_token": {"content": "[PAD]"}}"#);

    fn ids(file: &TokenizerFile, text: &str) -> Vec<u32> {
        let tokenizer = Tokenizer::from_bytes(&file.bytes).unwrap();
        tokenizer.encode(text, true).unwrap().get_ids().to_vec()
    }

    #[test]
    fn an_unchanged_tokenizer_keeps_its_bytes() {
        let text = words("null");
        let file = read(&[("tokenizer.json", &text), PAD], false, Some(4)).unwrap();
        assert_eq!(file.bytes, text.as_bytes());
        assert_eq!((file.pad_id, file.pad_token.as_str()), (0, "[PAD]"));
        assert_eq!(ids(&file, "Dog"), [3]);
    }

    #[test]
    fn ids_must_have_rows() {
        let text = words("null");
        let message =
            read(&[("tokenizer.json", &text), PAD], false, Some(3)).unwrap_err().to_string();
        assert!(message.contains("`Dog` has id 3") && message.contains("has 3 rows"), "{message}");
    }

    #[test]
    fn lower_casing_is_put_first() {
        for normalizer in [
            "null",
            r#"{"type": "NFC"}"#,
            r#"{"type": "Sequence", "normalizers": [{"type": "NFC"}]}"#,
        ] {
            let text = words(normalizer);
            let file = read(&[("tokenizer.json", &text), PAD], true, None).unwrap();
            assert_eq!(ids(&file, "DOG [PAD]"), [2, 0], "{normalizer}");
            assert_eq!(file.notes.len(), 1);
        }
        let text = words(r#"{"type": "Lowercase"}"#);
        let file = read(&[("tokenizer.json", &text), PAD], true, None).unwrap();
        assert_eq!(file.bytes, text.as_bytes());
    }

    #[test]
    fn settings_of_bert_win_over_the_normalizer() {
        let text = words(
            r#"{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true}"#,
        );
        let cased = ("tokenizer_config.json", r#"{"pad_token": "[PAD]", "do_lower_case": false}"#);
        let file = read(&[("tokenizer.json", &text), cased], false, None).unwrap();
        assert_eq!(ids(&file, "Dog"), [3]);
        assert!(file.notes[0].contains("do_lower_case"), "{:?}", file.notes);
    }

    #[test]
    fn padding_is_found_or_asked_for() {
        let text = words("null");
        let message = read(&[("tokenizer.json", &text)], false, None).unwrap_err().to_string();
        assert!(message.contains("state `pad_token`"), "{message}");
        let config = ("config.json", r#"{"pad_token_id": 1}"#);
        let file = read(&[("tokenizer.json", &text), config], false, None).unwrap();
        assert_eq!((file.pad_id, file.pad_token.as_str()), (1, "[UNK]"));
        let unknown = ("special_tokens_map.json", r#"{"pad_token": "<pad>"}"#);
        let message =
            read(&[("tokenizer.json", &text), unknown], false, None).unwrap_err().to_string();
        assert!(message.contains("`<pad>`, which"), "{message}");
    }

    #[test]
    fn missing_or_broken_files_say_what_to_do() {
        let message = read(&[], false, None).unwrap_err().to_string();
        assert!(message.contains("save_pretrained"), "{message}");
        let slow = read(&[("spiece.model", "x")], false, None).unwrap_err().to_string();
        assert!(slow.contains("there is spiece.model"), "{slow}");
        assert!(read(&[("tokenizer.json", "{"), PAD], false, None).is_err());
        let message = read(&[("tokenizer.json", "{}"), PAD], false, None).unwrap_err().to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }
}
