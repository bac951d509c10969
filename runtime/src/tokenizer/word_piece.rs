//! WordPiece over a vocabulary in little memory.
//!
//! A model of the `tokenizers` crate like its own
//! [`WordPiece`](tokenizers::models::wordpiece::WordPiece), which gives the same
//! tokens from the same file; only the vocabulary is held differently. Everything
//! around the model stays that crate's.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokenizers::models::wordpiece::WordPieceTrainer;
use tokenizers::{Model, Token};

use super::vocabulary::Vocabulary;

/// A WordPiece model (Wu et al., 2016, arXiv:1609.08144): each word is cut from the
/// left into the longest pieces that the vocabulary has.
#[derive(Debug, Clone)]
pub(super) struct WordPiece {
    vocabulary: Vocabulary,
    unknown: String,
    unknown_id: u32,
    /// What stands before a piece that does not begin a word.
    continuing: String,
    /// Longer words, in characters, are unknown.
    longest_word: usize,
}

impl WordPiece {
    fn unknown(&self, word: &str) -> Vec<Token> {
        vec![Token::new(self.unknown_id, self.unknown.clone(), (0, word.len()))]
    }
}

impl Model for WordPiece {
    type Trainer = WordPieceTrainer;

    fn tokenize(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        if word.chars().count() > self.longest_word {
            return Ok(self.unknown(word));
        }
        let mut tokens = Vec::new();
        let mut piece = String::new();
        let mut start = 0;
        while start < word.len() {
            piece.clear();
            if start > 0 {
                piece.push_str(&self.continuing);
            }
            let prefix = piece.len();
            piece.push_str(&word[start..]);
            let id = loop {
                if piece.len() == prefix {
                    return Ok(self.unknown(word));
                }
                if let Some(id) = self.vocabulary.id(&piece) {
                    break id;
                }
                piece.pop();
            };
            let end = start + piece.len() - prefix;
            tokens.push(Token::new(id, piece.clone(), (start, end)));
            start = end;
        }
        Ok(tokens)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary.id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.vocabulary.token(id).map(str::to_owned)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.vocabulary.tokens().map(str::to_owned).zip(0..).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        let name = prefix.map_or("vocab.txt".to_owned(), |prefix| format!("{prefix}-vocab.txt"));
        let path = folder.join(name);
        let lines: String = self.vocabulary.tokens().flat_map(|token| [token, "\n"]).collect();
        std::fs::write(&path, lines)?;
        Ok(vec![path])
    }

    fn get_trainer(&self) -> Self::Trainer {
        WordPieceTrainer::builder().build()
    }
}

impl<'de> Deserialize<'de> for WordPiece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ModelVisitor)
    }
}

struct ModelVisitor;

impl<'de> Visitor<'de> for ModelVisitor {
    type Value = WordPiece;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a WordPiece model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WordPiece, A::Error> {
        let (mut unknown, mut continuing, mut longest_word) =
            ("[UNK]".to_owned(), "##".to_owned(), 100);
        let mut vocabulary = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "unk_token" => unknown = map.next_value()?,
                "continuing_subword_prefix" => continuing = map.next_value()?,
                "max_input_chars_per_word" => longest_word = map.next_value()?,
                "vocab" => vocabulary = Some(map.next_value::<Entries>()?.0),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let entries = vocabulary.ok_or_else(|| A::Error::missing_field("vocab"))?;
        let vocabulary = Vocabulary::new(&entries)
            .ok_or_else(|| A::Error::custom("its ids have gaps or doubles"))?;
        let unknown_id = vocabulary
            .id(&unknown)
            .ok_or_else(|| A::Error::custom(format!("its vocabulary lacks `{unknown}`")))?;
        Ok(WordPiece { vocabulary, unknown, unknown_id, continuing, longest_word })
    }
}

/// The pairs of a JSON object, in their order.
struct Entries(Vec<(String, u32)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tokens with their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODEL: &str = r###"{"type": "WordPiece", "unk_token": "[UNK]",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 8,
        "vocab": {"[UNK]": 0, "a": 1, "ab": 2, "abc": 3, "##b": 4, "##bc": 5, "##c": 6, "é": 7,
                  "##é": 8, "c": 9, "##a": 10, "##日": 11}}"###;

    proptest! {
        #[test]
        fn words_are_cut_as_the_library_cuts_them(word in "[abcé日x]{0,10}") {
            let ours: WordPiece = serde_json::from_str(MODEL).unwrap();
            let theirs: tokenizers::models::wordpiece::WordPiece =
                serde_json::from_str(MODEL).unwrap();
            prop_assert_eq!(ours.tokenize(&word).unwrap(), theirs.tokenize(&word).unwrap());
        }
    }

    #[test]
    fn tokens_and_ids_lead_to_each_other() {
        let model: WordPiece = serde_json::from_str(MODEL).unwrap();
        assert_eq!(model.get_vocab_size(), 12);
        for (token, id) in model.get_vocab() {
            assert_eq!(model.token_to_id(&token), Some(id));
            assert_eq!(model.id_to_token(id), Some(token));
        }
        assert!(serde_json::from_str::<WordPiece>(r#"{"vocab": {"a": 0}}"#).is_err());
    }
}
