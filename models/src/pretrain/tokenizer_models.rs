//! Models of tokenizers, trained such that the same texts give the same model: what the
//! trainers of the `tokenizers` crate do in the order of a hash table is done in order here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::tokenizer::{Normalizer, PreTokenizer, Trainer};
use tokenizers::{
    AddedToken, NormalizedString, OffsetReferential, OffsetType, PreTokenizedString, Result,
};

/// What cuts texts into the words that models are trained on.
pub(super) struct Words<'a> {
    pub(super) normalizer: Option<&'a dyn Normalizer>,
    pub(super) pre_tokenizer: &'a (dyn PreTokenizer + Sync),
}

impl Words<'_> {
    fn of(&self, text: &str) -> Result<Vec<String>> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.normalizer {
            normalizer.normalize(&mut normalized)?;
        }
        let mut cut = PreTokenizedString::from(normalized);
        self.pre_tokenizer.pre_tokenize(&mut cut)?;
        let words = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
        Ok(words.into_iter().map(|(word, ..)| word.to_owned()).collect())
    }
}

/// Pieces of words.
pub(super) fn word_piece(
    texts: impl Iterator<Item = String> + Send,
    words: &Words<'_>,
    vocabulary: usize,
    special: &[&str],
) -> Result<WordPiece> {
    let mut trainer =
        WordPieceTrainer::builder().show_progress(false).vocab_size(vocabulary).build();
    let inner = Mutex::new(BTreeSet::new());
    trainer.feed(texts, |text| {
        let words = words.of(text)?;
        if let Ok(mut inner) = inner.lock() {
            inner.extend(words.iter().flat_map(|word| word.chars().skip(1)));
        }
        Ok(words)
    })?;
    // Characters within words are numbered as they come, and ties between merges fall by
    // their numbers: so they are numbered before.
    let prefix = trainer.continuing_subword_prefix().clone().unwrap_or_default();
    let inner = inner.into_inner().unwrap_or_default();
    let names = special.iter().map(|&name| name.to_owned());
    let names = names.chain(inner.iter().map(|character| format!("{prefix}{character}")));
    trainer.set_special_tokens(names.map(|name| AddedToken::from(name, true)).collect());
    let mut model = WordPiece::builder().unk_token("[UNK]".into()).build()?;
    trainer.train(&mut model)?;
    Ok(model)
}

/// Byte pairs.
pub(super) fn byte_pairs(
    texts: impl Iterator<Item = String> + Send,
    words: &Words<'_>,
    vocabulary: usize,
    special: &[&str],
) -> Result<BPE> {
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocabulary)
        .special_tokens(special.iter().map(|&name| AddedToken::from(name, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    trainer.feed(texts, |text| words.of(text))?;
    let mut model = BPE::default();
    trainer.train(&mut model)?;
    Ok(model)
}

/// Pieces by their likelihood; the unknown token is the second of the special ones.
pub(super) fn unigram(
    texts: impl Iterator<Item = String> + Send,
    words: &Words<'_>,
    vocabulary: usize,
    special: &[&str],
) -> Result<Unigram> {
    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        .vocab_size(u32::try_from(vocabulary).unwrap_or(u32::MAX))
        .special_tokens(special.iter().map(|&name| AddedToken::from(name, true)).collect())
        .unk_token(special.get(1).map(|&name| name.to_owned()))
        .build()?;
    let mut counts = BTreeMap::<String, u32>::new();
    for text in texts {
        for word in words.of(&text)? {
            let count = counts.entry(word).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts.remove("");
    if counts.is_empty() {
        return Err("they have no words".into());
    }
    let mut model = Unigram::default();
    trainer.do_train(counts.into_iter().collect(), &mut model)?;

    // Characters that no piece was left for have the lowest scores, each a little more than
    // the one before, in no order.
    let pieces: Vec<(String, f64)> = model.iter().skip(special.len()).cloned().collect();
    let is_single = |piece: &str| piece.chars().nth(1).is_none();
    let singles = pieces.iter().filter(|(piece, _)| is_single(piece)).count();
    let lowest = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let within = lowest + STEP * (singles as f64 + 0.5);
    let (last, mut pieces): (Vec<_>, Vec<_>) =
        pieces.into_iter().partition(|(piece, score)| is_single(piece) && *score <= within);
    let mut last: Vec<String> = last.into_iter().map(|(piece, _)| piece).collect();
    last.sort();
    pieces.extend(
        last.into_iter().zip(0..).map(|(piece, at)| (piece, lowest + STEP * f64::from(at))),
    );
    // Sums over threads differ in the last digits.
    for (_, score) in &mut pieces {
        *score = f64::from(*score as f32);
    }
    pieces.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let special = special.iter().map(|&name| (name.to_owned(), 0.0));
    Unigram::from(special.chain(pieces).collect(), Some(1), false)
}

/// What such a score is more than the one before.
const STEP: f64 = 1e-4;
