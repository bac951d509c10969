//! Seeded few-shot draws that any language can make again.

use crate::error::{Error, Result};
use crate::random::SplitMix64;

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
