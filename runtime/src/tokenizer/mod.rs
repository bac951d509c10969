//! From text to token ids.

mod vocabulary;
mod word_piece;

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use tokenizers::{
    DecoderWrapper, Encoding, NormalizerWrapper, PostProcessor, PostProcessorWrapper,
    PreTokenizerWrapper, TokenizerImpl,
};
use word_piece::WordPiece;

use crate::bundle::TextConfig;
use crate::error::{Error, Result};

/// What is done with a text that is longer than the encoder reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Truncation {
    /// The text is cut at the encoder's limit, and counted in
    /// [`Embeddings::cut`](crate::Embeddings::cut).
    #[default]
    Cut,
    /// [`Error::TooLong`].
    Refuse,
}

/// The tokens of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// Tokens that did not fit.
    pub cut: usize,
}

/// A token and where it is in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpan {
    /// Its id.
    pub id: u32,
    /// The part of the text, or the token itself where it is special.
    pub text: String,
    /// Whether it was added to the text.
    pub special: bool,
    /// Its first character in the text and the one after its last; none for special tokens.
    pub span: Option<(usize, usize)>,
}

/// Turns text into token ids, as the encoder's publisher does.
pub struct Tokenizer {
    pipeline: Pipeline,
    config: TextConfig,
    /// Special tokens that are added to a text.
    added: usize,
}

/// The `tokenizers` crate's pipeline, over a model in little memory where there is
/// one.
enum Pipeline {
    WordPiece(Box<WithModel<WordPiece>>),
    Any(Box<tokenizers::Tokenizer>),
}

type WithModel<M> =
    TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Calls a method of whichever pipeline it is.
macro_rules! pipeline {
    ($pipeline:expr, $inner:ident => $call:expr) => {
        match $pipeline {
            Pipeline::WordPiece($inner) => $call,
            Pipeline::Any($inner) => $call,
        }
    };
}

impl Pipeline {
    fn from_bytes(json: &[u8]) -> tokenizers::Result<Self> {
        #[derive(Deserialize)]
        struct Peek {
            model: Kind,
        }
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            name: Option<String>,
        }
        let kind = serde_json::from_slice::<Peek>(json).ok().and_then(|peek| peek.model.name);
        if kind.as_deref() == Some("WordPiece")
            && let Ok(pipeline) = serde_json::from_slice(json)
        {
            return Ok(Self::WordPiece(Box::new(pipeline)));
        }
        // Other models, odd vocabularies, and damaged files, for the library's message.
        Ok(Self::Any(Box::new(tokenizers::Tokenizer::from_bytes(json)?)))
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// A tokenizer from the bytes of a `tokenizer.json`; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the bytes are not a tokenizer, or its special
    /// tokens leave no room for text.
    pub fn from_bytes(json: &[u8], config: &TextConfig, path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Tokenizer { path: path.to_owned(), reason };
        let mut pipeline = Pipeline::from_bytes(json).map_err(|e| bad(e.to_string()))?;
        let added = pipeline!(&mut pipeline, inner => {
            inner.with_padding(None);
            inner.with_truncation(None).map_err(|e| bad(e.to_string()))?;
            inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
        });
        if added >= config.max_tokens {
            return Err(bad(format!(
                "it adds {added} special tokens and the encoder reads {}",
                config.max_tokens
            )));
        }
        Ok(Self { pipeline, config: config.clone(), added })
    }

    /// The tokens of `text`, which is row `row` of the caller's texts.
    ///
    /// # Errors
    /// [`Error::TooLong`] when the text is too long and `truncation` refuses it;
    /// [`Error::Argument`] when the tokenizer cannot read it.
    pub fn encode(&self, text: &str, truncation: Truncation, row: usize) -> Result<Tokens> {
        let text = &*self.cased(text);
        let failed = |e: tokenizers::Error| {
            Error::Argument(format!("text {row} cannot be turned into tokens: {e}"))
        };
        let mut encoding: Encoding =
            pipeline!(&self.pipeline, inner => inner.encode_fast(text, false)).map_err(failed)?;
        let room = self.config.max_tokens.saturating_sub(self.added);
        let cut = encoding.len().saturating_sub(room);
        if cut > 0 {
            if truncation == Truncation::Refuse {
                return Err(Error::TooLong {
                    row,
                    tokens: encoding.len() + self.added,
                    max_tokens: self.config.max_tokens,
                });
            }
            encoding.truncate(room, 0, tokenizers::TruncationDirection::Right);
        }
        let encoding = pipeline!(&self.pipeline, inner => inner.post_process(encoding, None, true))
            .map_err(failed)?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), cut })
    }

    /// The text of token ids, special tokens left out.
    ///
    /// # Errors
    /// [`Error::Argument`] when an id is not one of the tokenizer's.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.text_of(ids, true)
    }

    /// The text of token ids, special tokens included.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        self.text_of(ids, false)
    }

    /// The tokens of `text`, uncut, and where in it they are.
    ///
    /// # Errors
    /// [`Error::Argument`] when the tokenizer cannot read it.
    pub fn spans(&self, text: &str, special_tokens: bool) -> Result<Vec<TokenSpan>> {
        let text = &*self.cased(text);
        let encoding: Encoding = pipeline!(&self.pipeline, inner => {
            inner.encode_char_offsets(text, special_tokens)
        })
        .map_err(|e| Error::Argument(format!("the text cannot be turned into tokens: {e}")))?;
        let chars: Vec<char> = text.chars().collect();
        let tokens = encoding.get_ids().iter().zip(encoding.get_tokens());
        let places = encoding.get_offsets().iter().zip(encoding.get_special_tokens_mask());
        let span = |((&id, token), (&(start, end), &special)): ((&u32, &String), (_, &u32))| {
            let special = special != 0;
            let text = match chars.get(start..end) {
                Some(part) if !special => part.iter().collect(),
                _ => token.clone(),
            };
            TokenSpan { id, text, special, span: (!special).then_some((start, end)) }
        };
        Ok(tokens.zip(places).map(span).collect())
    }

    /// The text as the pipeline is given it.
    fn cased<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.config.lower_case { text.to_lowercase().into() } else { text.into() }
    }

    fn text_of(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        pipeline!(&self.pipeline, inner => inner.decode(ids, skip_special_tokens))
            .map_err(|e| Error::Argument(format!("the token ids cannot be decoded: {e}")))
    }

    /// The token of an id; `None` when there is none.
    pub fn token(&self, id: u32) -> Option<String> {
        pipeline!(&self.pipeline, inner => inner.id_to_token(id))
    }

    /// Number of tokens, added ones included.
    pub fn vocabulary_size(&self) -> usize {
        pipeline!(&self.pipeline, inner => inner.get_vocab_size(true))
    }
}
