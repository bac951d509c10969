//! A vocabulary in little memory.

use std::hash::{BuildHasher, RandomState};

/// Tokens and their ids, which are 0, 1, 2 and so on.
///
/// One text holds all tokens and one table of slots finds them: about 20 bytes a
/// token, where a map of owned texts in both directions has 150.
#[derive(Debug, Clone)]
pub(super) struct Vocabulary {
    /// All tokens, in the order of their ids.
    text: Box<str>,
    /// Where each token ends in `text`.
    ends: Box<[u32]>,
    /// Id + 1 of the token in each slot, 0 for none: open addressing with linear
    /// probing, at most half full. The hash is keyed by chance, so that no file can
    /// be made whose tokens all want the same slot.
    slots: Box<[u32]>,
    hash: RandomState,
}

impl Vocabulary {
    /// A vocabulary from tokens with their ids, in any order.
    ///
    /// `None` when ids are not 0 up to the number of tokens, a token appears twice,
    /// or there is more text than 32 bits count.
    pub(super) fn new(tokens: &[(String, u32)]) -> Option<Self> {
        let count = tokens.len();
        let mut by_id: Vec<Option<&str>> = vec![None; count];
        for (token, id) in tokens {
            let place = by_id.get_mut(usize::try_from(*id).ok()?)?;
            if place.replace(token).is_some() {
                return None;
            }
        }
        let total = tokens.iter().map(|(token, _)| token.len()).sum();
        u32::try_from(total).ok()?;
        let mut text = String::with_capacity(total);
        let mut ends = Vec::with_capacity(count);
        for token in by_id {
            text.push_str(token?);
            ends.push(text.len() as u32);
        }
        let slots = count.checked_mul(2)?.checked_next_power_of_two()?.max(2);
        let mut vocabulary = Self {
            text: text.into(),
            ends: ends.into(),
            slots: vec![0; slots].into(),
            hash: RandomState::new(),
        };
        for id in 0..u32::try_from(count).ok()? {
            let slot = match vocabulary.find(vocabulary.token(id)?) {
                Ok(_) => return None,
                Err(slot) => slot,
            };
            *vocabulary.slots.get_mut(slot)? = id + 1;
        }
        Some(vocabulary)
    }

    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.find(token).ok()
    }

    /// The token of an id.
    pub(super) fn token(&self, id: u32) -> Option<&str> {
        let id = id as usize;
        let end = *self.ends.get(id)? as usize;
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    /// All tokens, in the order of their ids.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).filter_map(|id| self.token(id))
    }

    /// The id of `token`, or else the free slot where it would stand.
    fn find(&self, token: &str) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = self.hash.hash_one(token) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                found if self.token(found - 1) == Some(token) => return Ok(found - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(tokens: &[&str]) -> Vec<(String, u32)> {
        tokens.iter().zip(0..).map(|(&token, id)| (token.to_owned(), id)).collect()
    }

    #[test]
    fn every_token_is_found_in_both_directions() {
        let tokens: Vec<String> = (0..5000).map(|i| format!("tok{}", i * 7919 % 5003)).collect();
        let mut entries: Vec<(String, u32)> = tokens.iter().cloned().zip(0..).collect();
        entries.reverse();
        let vocabulary = Vocabulary::new(&entries).unwrap();
        assert_eq!(vocabulary.len(), 5000);
        for (token, id) in &entries {
            assert_eq!(vocabulary.id(token), Some(*id));
            assert_eq!(vocabulary.token(*id), Some(token.as_str()));
        }
        assert_eq!((vocabulary.id("tok"), vocabulary.token(5000)), (None, None));
        assert!(vocabulary.tokens().eq(tokens.iter().map(String::as_str)));
    }

    #[test]
    fn the_empty_token_and_no_tokens_are_fine() {
        let vocabulary = Vocabulary::new(&pairs(&["a", "", "b"])).unwrap();
        assert_eq!((vocabulary.id(""), vocabulary.token(1)), (Some(1), Some("")));
        let none = Vocabulary::new(&[]).unwrap();
        assert_eq!((none.id("a"), none.len()), (None, 0));
    }

    #[test]
    fn gaps_and_doubles_are_refused() {
        assert!(Vocabulary::new(&[("a".into(), 0), ("b".into(), 2)]).is_none());
        assert!(Vocabulary::new(&[("a".into(), 0), ("b".into(), 0)]).is_none());
        assert!(Vocabulary::new(&[("a".into(), 0), ("a".into(), 1)]).is_none());
    }
}
