//! A tokenizer trained on the user's own texts, or the fixed one of residues.

use std::collections::BTreeMap;

use offshoot::bundle::TextConfig;
use offshoot::{Tokenizer, Truncation};
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::normalizers::utils::Lowercase;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use super::tokenizer_models::{self as models, Words};
use crate::data::{Dataset, Example, Permutation};
use crate::error::{Error, Result};
use crate::objectives::Tokens;

/// Kinds of tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenizerKind {
    /// Pieces of lower-case words (Wu et al., 2016, arXiv:1609.08144), as BERT has them.
    #[default]
    WordPiece,
    /// Byte pairs (Sennrich, Haddow & Birch, 2016, arXiv:1508.07909) of bytes, as GPT-2 has
    /// them: nothing is unknown.
    Bpe,
    /// Pieces by their likelihood (Kudo, 2018, arXiv:1804.10959), for any script.
    Unigram,
    /// One token a residue of a protein: the 20 amino acids and B, J, O, U, X, Z.
    Residues,
}

/// Most texts that a tokenizer is trained on, and most characters of each.
const TEXTS: usize = 200_000;
const CHARACTERS: usize = 10_000;
/// Most characters of a text for each token that an encoder takes.
const CHARACTERS_A_TOKEN: usize = 256;
/// Times the tokens that an encoder takes, of a long text of which parts are learned from, and
/// most characters for each of these tokens.
const PARTS: usize = 8;
const CHARACTERS_A_TOKEN_OF_PARTS: usize = 16;

/// Special tokens, in the order of their ids.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// Residues by their one-letter codes (IUPAC-IUB, 1984).
const RESIDUES: &str = "ACDEFGHIKLMNPQRSTVWYBJOUXZ";

/// A tokenizer with what is known about it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) json: Vec<u8>,
    pub(super) tokenizer: Tokenizer,
    /// The same, which takes [`PARTS`] times as many tokens.
    longer: Tokenizer,
    pub(super) config: TextConfig,
    pub(super) tokens: Tokens,
}

/// Trains a tokenizer on a sample of the texts; gives its `tokenizer.json`.
pub(super) fn train(
    data: &dyn Dataset,
    kind: TokenizerKind,
    vocabulary: usize,
    seed: u64,
) -> Result<Vec<u8>> {
    let bad = |error: tokenizers::Error| {
        Error::Pretrain(format!("a tokenizer cannot be trained on these texts: {error}"))
    };
    let order = Permutation::new(data.len(), seed, "tokenizer", 0);
    let texts = || {
        let order = order.clone();
        (0..data.len().min(TEXTS)).filter_map(move |at| match data.get(order.at(at)) {
            Ok(Example::Text(text)) => Some(text.chars().take(CHARACTERS).collect::<String>()),
            _ => None,
        })
    };
    let mut tokenizer = match kind {
        TokenizerKind::WordPiece => {
            let (normalizer, cut) = (BertNormalizer::new(true, true, None, true), BertPreTokenizer);
            let words = Words { normalizer: Some(&normalizer), pre_tokenizer: &cut };
            let model = models::word_piece(texts(), &words, vocabulary, &SPECIAL).map_err(bad)?;
            let mut tokenizer = tokenizers::Tokenizer::new(model);
            tokenizer.with_normalizer(Some(normalizer)).map_err(bad)?;
            tokenizer.with_pre_tokenizer(Some(cut));
            tokenizer.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
            tokenizer
        }
        TokenizerKind::Bpe => {
            let cut = ByteLevel::new(false, true, true);
            let words = Words { normalizer: None, pre_tokenizer: &cut };
            let model = models::byte_pairs(texts(), &words, vocabulary, &SPECIAL).map_err(bad)?;
            let mut tokenizer = tokenizers::Tokenizer::new(model);
            tokenizer.with_pre_tokenizer(Some(cut));
            tokenizer.with_decoder(Some(ByteLevel::default()));
            tokenizer
        }
        TokenizerKind::Unigram => {
            let cut = Metaspace::new('▁', PrependScheme::Always, true);
            let words = Words { normalizer: Some(&Lowercase), pre_tokenizer: &cut };
            let model = models::unigram(texts(), &words, vocabulary, &SPECIAL).map_err(bad)?;
            let mut tokenizer = tokenizers::Tokenizer::new(model);
            tokenizer.with_normalizer(Some(Lowercase)).map_err(bad)?;
            tokenizer.with_pre_tokenizer(Some(cut.clone()));
            tokenizer.with_decoder(Some(cut));
            tokenizer
        }
        TokenizerKind::Residues => {
            let names = SPECIAL.iter().map(|&token| token.to_owned());
            let names = names.chain(RESIDUES.chars().map(String::from));
            let vocabulary = names.zip(0u32..).collect();
            let model = WordLevel::builder()
                .vocab(vocabulary)
                .unk_token("[UNK]".into())
                .build()
                .map_err(bad)?;
            let mut tokenizer = tokenizers::Tokenizer::new(model);
            let each = SplitPattern::Regex(".".into());
            let split = Split::new(each, SplitDelimiterBehavior::Isolated, false).map_err(bad)?;
            tokenizer.with_pre_tokenizer(Some(split));
            tokenizer
        }
    };
    let special = SPECIAL.iter().map(|&token| AddedToken::from(token, true));
    tokenizer.add_special_tokens(special).map_err(bad)?;
    let id = |token: &str| tokenizer.token_to_id(token).unwrap_or(0);
    let close = TemplateProcessing::builder()
        .try_single("[CLS] $A [SEP]")
        .and_then(|builder| builder.try_pair("[CLS] $A [SEP] $B:1 [SEP]:1"))
        .map_err(Error::Pretrain)?
        .special_tokens(vec![("[CLS]", id("[CLS]")), ("[SEP]", id("[SEP]"))])
        .build()
        .map_err(|error| Error::Pretrain(error.to_string()))?;
    tokenizer.with_post_processor(Some(close));
    tokenizer.to_string(false).map(String::into_bytes).map_err(bad)
}

/// Reads a `tokenizer.json` for an encoder of so many positions.
pub(super) fn open(json: Vec<u8>, max_tokens: usize, name: &std::path::Path) -> Result<Prepared> {
    let inner = read(&json, name)?;
    let pad = find(&inner, &["[PAD]", "<pad>", "<|endoftext|>", "</s>"]);
    let pad = pad.unwrap_or(("[PAD]".into(), 0));
    let config = TextConfig {
        max_tokens,
        lower_case: false,
        prompts: BTreeMap::new(),
        default_prompt: None,
        pad_id: pad.1,
        pad_token: pad.0,
    };
    prepare(json, inner, config, name)
}

/// Reads a `tokenizer.json` of an encoder whose bundle says how it is used.
pub(super) fn open_as(
    json: Vec<u8>,
    config: TextConfig,
    name: &std::path::Path,
) -> Result<Prepared> {
    let inner = read(&json, name)?;
    prepare(json, inner, config, name)
}

fn read(json: &[u8], name: &std::path::Path) -> Result<tokenizers::Tokenizer> {
    tokenizers::Tokenizer::from_bytes(json)
        .map_err(|error| Error::Pretrain(format!("{}: {error}", name.display())))
}

fn find(inner: &tokenizers::Tokenizer, names: &[&str]) -> Option<(String, u32)> {
    names.iter().find_map(|&name| inner.token_to_id(name).map(|id| (name.to_owned(), id)))
}

fn prepare(
    json: Vec<u8>,
    inner: tokenizers::Tokenizer,
    config: TextConfig,
    name: &std::path::Path,
) -> Result<Prepared> {
    let mask = find(&inner, &["[MASK]", "<mask>", "[UNK]", "<unk>"]);
    let mask = mask.map_or(config.pad_id, |(_, id)| id);
    let special = inner.get_added_tokens_decoder().into_iter();
    let mut special: Vec<u32> =
        special.filter(|(_, token)| token.special).map(|(id, _)| id).collect();
    special.sort_unstable();
    let vocabulary = inner.get_vocab_size(true);
    drop(inner);
    let tokenizer = Tokenizer::from_bytes(&json, &config, name)?;
    let more = TextConfig { max_tokens: PARTS * config.max_tokens, ..config.clone() };
    let longer = Tokenizer::from_bytes(&json, &more, name)?;
    let (pad, max_tokens) = (config.pad_id, config.max_tokens);
    let tokens = Tokens { vocabulary, pad, mask, special, max_tokens };
    Ok(Prepared { json, tokenizer, longer, config, tokens })
}

impl Prepared {
    /// The tokens of a text, cut to the encoder's length. Of a very long text only the
    /// beginning is looked at, 256 characters for every token that fits.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let text = beginning(text, CHARACTERS_A_TOKEN * self.tokens.max_tokens);
        Ok(self.tokenizer.encode(text, Truncation::Cut, 0)?.ids)
    }

    /// The tokens of a text, cut to 8 times the encoder's length, for parts of it.
    pub(super) fn encode_longer(&self, text: &str) -> Result<Vec<u32>> {
        let most = CHARACTERS_A_TOKEN_OF_PARTS * PARTS * self.tokens.max_tokens;
        Ok(self.longer.encode(beginning(text, most), Truncation::Cut, 0)?.ids)
    }
}

/// The first so many characters of a text.
fn beginning(text: &str, most: usize) -> &str {
    let end = match text.len() > most {
        true => text.char_indices().nth(most).map_or(text.len(), |(at, _)| at),
        false => text.len(),
    };
    text.get(..end).unwrap_or(text)
}
