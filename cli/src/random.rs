//! Random bits of the operating system, for what must stay secret.

use offshoot_models::random::SplitMix64;

use crate::failure::{Code, Failure, Result};

const BUFFER: usize = 4096;

/// A source of uniform bits, fetched some at a time.
pub(crate) struct SystemRandom {
    words: Vec<u64>,
    /// Why the system gave none, and what keeps its user going until that is told.
    failed: Option<(getrandom::Error, SplitMix64)>,
}

impl SystemRandom {
    pub(crate) fn new() -> Self {
        Self { words: Vec::new(), failed: None }
    }

    /// 64 uniform bits. After a failure they are not secret: [`Self::finish`] before they are
    /// used.
    pub(crate) fn next_u64(&mut self) -> u64 {
        if let Some((_, fallback)) = &mut self.failed {
            return fallback.next_u64();
        }
        if let Some(word) = self.words.pop() {
            return word;
        }
        let mut bytes = [0; BUFFER];
        match getrandom::fill(&mut bytes) {
            Ok(()) => {
                let words = bytes.as_chunks::<8>().0.iter();
                self.words.extend(words.map(|&word| u64::from_le_bytes(word)));
            }
            Err(error) => self.failed = Some((error, SplitMix64::new(0))),
        }
        self.next_u64()
    }

    /// Says whether every bit came from the system.
    pub(crate) fn finish(self) -> Result {
        match self.failed {
            None => Ok(()),
            Some((error, _)) => Err(Failure::new(
                Code::Surroundings,
                format!("the system gives no random bits: {error}; nothing was written"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_differ_and_are_balanced() {
        let mut random = SystemRandom::new();
        let draws: Vec<u64> = (0..4 * BUFFER).map(|_| random.next_u64()).collect();
        random.finish().unwrap();
        let mut distinct = draws.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), draws.len());
        let ones: u32 = draws.iter().map(|word| word.count_ones()).sum();
        let bits = 64.0 * draws.len() as f64;
        // Ten standard deviations.
        assert!((f64::from(ones) - bits / 2.0).abs() < 10.0 * bits.sqrt() / 2.0, "{ones}");
    }

    #[test]
    fn a_failure_is_told_and_its_bits_end() {
        let failed = Some((getrandom::Error::UNSUPPORTED, SplitMix64::new(0)));
        let mut random = SystemRandom { words: vec![7], failed };
        assert_ne!(random.next_u64(), 7);
        assert!(random.finish().is_err());
    }
}
