//! Seeded few-shot draws that any language can make again.

use crate::error::{Error, Result};

/// Steele, Lea and Flood's generator (Fast splittable pseudorandom number generators, 2014):
/// 64 bits of state, one addition and one mix a number.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator whose whole state is the seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`, 0 for `n = 0`: the high word of `next_u64() · n`. Its bias is below
    /// `n / 2^64`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Puts `items` in an order in which each is as likely as any other (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// Which examples train a head and which test it, as indices into the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// `shots` of each class, class by class, as drawn.
    pub train: Vec<usize>,
    /// All others, ascending.
    pub test: Vec<usize>,
}

/// Draws `shots` examples of each class without replacement.
///
/// The first `classes` numbers of [`SplitMix64`] with the given seed are the seeds of one
/// generator a class, and each shuffles the class's indices (ascending) from the front
/// (Fisher–Yates, `j = i + below(len - i)`). So with the same seed the examples at fewer
/// shots are among those at more.
///
/// # Errors
/// [`Error::Argument`] when a label is not below `classes`, or a class has fewer than `shots`
/// examples.
pub fn few_shot(labels: &[usize], classes: usize, shots: usize, seed: u64) -> Result<Draw> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        let class = members.get_mut(label).ok_or_else(|| {
            Error::Argument(format!("example {i} has label {label}, there are {classes} classes"))
        })?;
        class.push(i);
    }
    let mut seeds = SplitMix64::new(seed);
    let mut train = Vec::with_capacity(classes.saturating_mul(shots).min(labels.len()));
    let mut chosen = vec![false; labels.len()];
    for (class, mut indices) in members.into_iter().enumerate() {
        let mut generator = SplitMix64::new(seeds.next_u64());
        if indices.len() < shots {
            return Err(Error::Argument(format!(
                "class {class} has {} examples, {shots} were asked for",
                indices.len()
            )));
        }
        for i in 0..shots {
            let j = i + generator.below(indices.len() - i);
            indices.swap(i, j);
            chosen[indices[i]] = true;
        }
        train.extend_from_slice(&indices[..shots]);
    }
    let test = (0..labels.len()).filter(|&i| !chosen[i]).collect();
    Ok(Draw { train, test })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values published with the generator's reference implementation in C, seed 1234567.
    #[test]
    fn generator_gives_the_published_sequence() {
        let mut generator = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..5).map(|_| generator.next_u64()).collect();
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(first, expected);
        assert_eq!(generator.below(0), 0);
    }

    #[test]
    fn draws_are_stratified_disjoint_and_nested() {
        let labels: Vec<usize> = (0..90).map(|i| i % 3).collect();
        let mut smaller: Option<Draw> = None;
        for shots in [1, 2, 8, 30] {
            let draw = few_shot(&labels, 3, shots, 7).unwrap();
            for class in 0..3 {
                let of_class = &draw.train[class * shots..(class + 1) * shots];
                assert!(of_class.iter().all(|&i| labels[i] == class));
            }
            let mut all = [draw.train.clone(), draw.test.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..90).collect::<Vec<_>>());
            if let Some(smaller) = &smaller {
                assert!(smaller.train.iter().all(|i| draw.train.contains(i)));
            }
            smaller = Some(draw);
        }
        assert_ne!(few_shot(&labels, 3, 8, 7).unwrap(), few_shot(&labels, 3, 8, 8).unwrap());
    }

    #[test]
    fn impossible_draws_are_errors() {
        assert!(few_shot(&[0, 0, 1], 2, 2, 0).is_err());
        assert!(few_shot(&[0, 2], 2, 1, 0).is_err());
        assert!(few_shot(&[], 0, 5, 0).unwrap().train.is_empty());
    }
}
