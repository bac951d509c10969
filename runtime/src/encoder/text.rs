//! Texts: their tokens, and batches of them.

use std::borrow::Cow;

use ort::value::{DynValue, Tensor};

use super::batch::{Batch, Inputs};
use super::{EmbedOptions, Encoder, Loaded, Prompt, join};
use crate::bundle::Modality;
use crate::embeddings::Embeddings;
use crate::error::{Error, Result, engine};
use crate::tokenizer::{TokenSpan, Tokenizer, Tokens, Truncation};

impl Encoder {
    /// Most tokens of a text, special tokens included; 0 for an encoder of images or
    /// signals.
    pub fn max_tokens(&self) -> usize {
        self.manifest().text.as_ref().map_or(0, |text| text.max_tokens)
    }

    /// Embeds texts with the default options: row `i` is text `i`.
    ///
    /// # Errors
    /// As [`Self::embed_with`].
    pub fn embed(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Embeddings> {
        self.embed_with(texts, &EmbedOptions::default())
    }

    /// Embeds texts: row `i` is text `i`, whatever batches were formed.
    ///
    /// # Errors
    /// [`Error::TooLong`] when a text is too long and the options refuse it;
    /// [`Error::Argument`] when the encoder reads no texts, for an unknown prompt or more
    /// dimensions than there are; [`Error::Engine`] when ONNX Runtime fails.
    pub fn embed_with(
        &self,
        texts: &[impl AsRef<str> + Sync],
        options: &EmbedOptions,
    ) -> Result<Embeddings> {
        self.check(Modality::Text, options)?;
        let loaded = self.inner.loaded()?;
        let tokens = self.tokens_of(&loaded, texts, options)?;
        self.embed_rows(&loaded, &tokens, options)
    }

    /// Embeds texts that are already token ids, special tokens included.
    ///
    /// # Errors
    /// As [`Self::embed_with`]; [`Error::Argument`] for an empty row or an id that
    /// the tokenizer does not have.
    pub fn embed_tokens(&self, rows: &[Vec<u32>], options: &EmbedOptions) -> Result<Embeddings> {
        self.check(Modality::Text, options)?;
        let loaded = self.inner.loaded()?;
        let tokens = self.checked_ids(&loaded, rows, options)?;
        self.embed_rows(&loaded, &tokens, options)
    }

    /// The tokens of a text as the encoder reads it.
    ///
    /// # Errors
    /// As [`Self::embed_with`].
    pub fn tokenize(&self, text: &str, options: &EmbedOptions) -> Result<Tokens> {
        let prompt = self.prompt(&options.prompt)?;
        let loaded = self.inner.loaded()?;
        self.tokenizer(&loaded)?.encode(&with_prompt(prompt, text), options.truncation, 0)
    }

    /// The text of token ids, special tokens left out.
    ///
    /// # Errors
    /// [`Error::Argument`] when the encoder reads no texts, or an id is not one of the
    /// tokenizer's.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let loaded = self.inner.loaded()?;
        self.tokenizer(&loaded)?.decode(ids)
    }

    /// The text of token ids, special tokens included.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        let loaded = self.inner.loaded()?;
        self.tokenizer(&loaded)?.decode_all(ids)
    }

    /// The tokens of a text, uncut and without a prompt, and where in the text they are.
    ///
    /// # Errors
    /// [`Error::Argument`] when the encoder reads no texts, or its tokenizer not this one.
    pub fn token_spans(&self, text: &str, special_tokens: bool) -> Result<Vec<TokenSpan>> {
        let loaded = self.inner.loaded()?;
        self.tokenizer(&loaded)?.spans(text, special_tokens)
    }

    /// Number of tokens that its tokenizer has, added ones included: ids are below it.
    ///
    /// # Errors
    /// [`Error::Argument`] when the encoder reads no texts.
    pub fn vocabulary_size(&self) -> Result<usize> {
        let loaded = self.inner.loaded()?;
        Ok(self.tokenizer(&loaded)?.vocabulary_size())
    }

    pub(crate) fn prompt<'a>(&'a self, prompt: &'a Prompt) -> Result<Option<&'a str>> {
        let Some(text) = &self.manifest().text else { return Ok(None) };
        let named = |name: &String| {
            text.prompts.get(name).map(|prompt| Some(prompt.as_str())).ok_or_else(|| {
                let known: Vec<_> = text.prompts.keys().map(String::as_str).collect();
                Error::Argument(match known.is_empty() {
                    true => format!("there is no prompt `{name}`: this encoder has none"),
                    false => format!("there is no prompt `{name}`, only {}", known.join(", ")),
                })
            })
        };
        match prompt {
            Prompt::None => Ok(None),
            Prompt::Text(text) => Ok(Some(text)),
            Prompt::Named(name) => named(name),
            Prompt::Default => text.default_prompt.as_ref().map_or(Ok(None), named),
        }
    }

    /// Tokens of texts as the encoder reads them.
    pub(super) fn tokens_of(
        &self,
        loaded: &Loaded,
        texts: &[impl AsRef<str> + Sync],
        options: &EmbedOptions,
    ) -> Result<Vec<Tokens>> {
        let prompt = self.prompt(&options.prompt)?;
        tokenize(self.tokenizer(loaded)?, texts, prompt, options, self.threads().get())
    }

    /// Rows of ids that the tokenizer has, no longer than the encoder reads.
    pub(super) fn checked_ids(
        &self,
        loaded: &Loaded,
        rows: &[Vec<u32>],
        options: &EmbedOptions,
    ) -> Result<Vec<Tokens>> {
        let vocabulary = self.tokenizer(loaded)?.vocabulary_size();
        let max_tokens = self.max_tokens();
        let mut tokens = Vec::with_capacity(rows.len());
        for (row, ids) in rows.iter().enumerate() {
            if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
                return Err(Error::Argument(format!(
                    "row {row} has the token id {id}; ids are below {vocabulary}"
                )));
            }
            if ids.is_empty() {
                return Err(Error::Argument(format!("row {row} has no tokens")));
            }
            let cut = ids.len().saturating_sub(max_tokens);
            if cut > 0 && options.truncation == Truncation::Refuse {
                return Err(Error::TooLong { row, tokens: ids.len(), max_tokens });
            }
            tokens.push(Tokens { ids: ids[..ids.len() - cut].to_vec(), cut });
        }
        Ok(tokens)
    }

    fn tokenizer<'a>(&self, loaded: &'a Loaded) -> Result<&'a Tokenizer> {
        loaded.tokenizer.as_ref().ok_or_else(|| self.reads_other(Modality::Text))
    }

    fn embed_rows(
        &self,
        loaded: &Loaded,
        tokens: &[Tokens],
        options: &EmbedOptions,
    ) -> Result<Embeddings> {
        let rows: Vec<&[u32]> = tokens.iter().map(|tokens| &tokens.ids[..]).collect();
        let texts = Texts { rows: &rows, pad: pad(self), batch_tokens: options.batch_tokens };
        let vectors = self.embed_inputs(loaded, &texts, options)?;
        let count = tokens.iter().map(|t| t.ids.len()).sum();
        let cut = tokens.iter().map(|t| t.cut).collect();
        Ok(Embeddings::new(vectors, count, cut))
    }
}

/// What texts are padded with.
pub(super) fn pad(encoder: &Encoder) -> i64 {
    encoder.manifest().text.as_ref().map_or(0, |text| i64::from(text.pad_id))
}

/// Texts as the graph reads them, padded on the right. Their length is in tokens.
pub(super) struct Texts<'a> {
    /// Token ids of each.
    pub(super) rows: &'a [&'a [u32]],
    pub(super) pad: i64,
    pub(super) batch_tokens: usize,
}

impl Inputs for Texts<'_> {
    fn lengths(&self) -> Vec<usize> {
        self.rows.iter().map(|ids| ids.len()).collect()
    }

    fn budget(&self) -> usize {
        self.batch_tokens
    }

    fn large(&self) -> usize {
        256
    }

    fn tensors(&self, batch: &Batch) -> Result<Vec<(&'static str, DynValue)>> {
        let shape = [batch.rows.len(), batch.width];
        let mut ids = vec![self.pad; batch.size()];
        let mut mask = vec![0i64; ids.len()];
        for (i, &row) in batch.rows.iter().enumerate() {
            let start = i * batch.width;
            for (j, &id) in self.rows[row].iter().enumerate() {
                ids[start + j] = i64::from(id);
                mask[start + j] = 1;
            }
        }
        let tensor = |values: Vec<i64>| {
            Tensor::from_array((shape, values)).map_err(engine("make the inputs of texts"))
        };
        Ok(vec![
            ("input_ids", tensor(ids)?.into_dyn()),
            ("attention_mask", tensor(mask)?.into_dyn()),
        ])
    }
}

/// Turns texts into tokens, on several threads when there are many.
fn tokenize(
    tokenizer: &Tokenizer,
    texts: &[impl AsRef<str> + Sync],
    prompt: Option<&str>,
    options: &EmbedOptions,
    threads: usize,
) -> Result<Vec<Tokens>> {
    /// Texts from which on another thread pays.
    const PART: usize = 64;
    let encode = |first: usize, texts: &[_]| -> Result<Vec<Tokens>> {
        let encode_one = |(i, text): (usize, &_)| {
            let text: &str = AsRef::as_ref(text);
            tokenizer.encode(&with_prompt(prompt, text), options.truncation, first + i)
        };
        texts.iter().enumerate().map(encode_one).collect()
    };
    let part = texts.len().div_ceil(threads.max(1)).max(PART);
    if texts.len() <= part {
        return encode(0, texts);
    }
    std::thread::scope(|scope| {
        let encode = &encode;
        let parts: Vec<_> = texts
            .chunks(part)
            .enumerate()
            .map(|(i, texts)| scope.spawn(move || encode(i * part, texts)))
            .collect();
        let mut all = Vec::with_capacity(texts.len());
        for part in parts {
            all.extend(join(part)?);
        }
        Ok(all)
    })
}

fn with_prompt<'a>(prompt: Option<&str>, text: &'a str) -> Cow<'a, str> {
    match prompt {
        Some(prompt) if !prompt.is_empty() => Cow::Owned(format!("{prompt}{text}")),
        _ => Cow::Borrowed(text),
    }
}
