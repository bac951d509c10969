//! Which examples learn, and which are predicted.

use crate::random::SplitMix64;

/// Most examples that are predicted.
const MOST_TESTED: usize = 1500;
/// Most examples that a head learns from.
const MOST_LEARNED: usize = 2000;

/// Draws of a few labelled examples of each class. They depend on the labels and the seed
/// alone, so whatever learns on them, of any encoder, has the same examples.
#[derive(Debug, Clone)]
pub struct Draws {
    /// Examples of each class that may be learned from.
    pools: Vec<Vec<usize>>,
    /// Examples that are predicted and never learned from.
    pub tested: Vec<usize>,
    /// The class of each of them, from 0 over the classes that are drawn from.
    pub truth: Vec<usize>,
    /// Numbers of labels of each class: 1, 2, 4 and so on, and as many as there are.
    pub shots: Vec<usize>,
    seed: u64,
}

impl Draws {
    /// Up to 1,500 examples, at most a third, are predicted; the others are drawn from. `None`
    /// where fewer than 2 classes have 3 examples.
    pub fn of(labels: &[usize], seed: u64) -> Option<Self> {
        let k = labels.iter().max().map_or(0, |most| most + 1);
        let mut random = SplitMix64::stream(seed, "labels", &[]);
        let mut pools: Vec<Vec<usize>> = vec![Vec::new(); k];
        labels.iter().enumerate().for_each(|(i, &class)| pools[class].push(i));
        pools.retain(|rows| rows.len() > 2);
        if pools.len() < 2 {
            return None;
        }
        let total: usize = pools.iter().map(Vec::len).sum();
        let share = (MOST_TESTED as f64 / total as f64).min(1.0 / 3.0);
        let (mut tested, mut truth) = (Vec::new(), Vec::new());
        for (class, rows) in pools.iter_mut().enumerate() {
            random.shuffle(rows);
            let count = ((rows.len() as f64 * share) as usize).max(1);
            tested.extend(rows.split_off(rows.len() - count));
            truth.resize(tested.len(), class);
        }
        let least = pools.iter().map(Vec::len).min().unwrap_or(0);
        let most = least.min(MOST_LEARNED / pools.len()).max(1);
        let mut shots: Vec<usize> =
            std::iter::successors(Some(1), |s| Some(s * 2)).take_while(|&s| s < most).collect();
        shots.push(most);
        Some(Self { pools, tested, truth, shots, seed })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.pools.len()
    }

    /// Draws at a number of labels: 10 up to 8 of each class, 5 up to 64, then 3.
    pub fn count(shot: usize) -> u64 {
        match shot {
            0..=8 => 10,
            9..=64 => 5,
            _ => 3,
        }
    }

    /// The examples of a draw, and the class of each.
    pub fn examples(&self, shot: usize, draw: u64) -> (Vec<usize>, Vec<usize>) {
        let mut random = SplitMix64::stream(self.seed, "draw", &[shot as u64, draw]);
        let (mut rows, mut y) = (Vec::new(), Vec::new());
        for (class, pool) in self.pools.iter().enumerate() {
            let mut pool = pool.clone();
            random.shuffle(&mut pool);
            rows.extend(pool.iter().take(shot));
            y.extend(std::iter::repeat_n(class, shot.min(pool.len())));
        }
        (rows, y)
    }

    /// Share of the predicted examples whose class was found.
    pub fn accuracy(&self, found: &[usize]) -> f64 {
        let right = found.iter().zip(&self.truth).filter(|(a, b)| a == b).count();
        right as f64 / self.truth.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_learned_and_predicted_and_classes_are_even() {
        let labels: Vec<usize> = (0..100).map(|i| [0, 2, 2, 3][i % 4]).collect();
        let draws = Draws::of(&labels, 1).unwrap();
        assert_eq!((draws.classes(), draws.shots.clone()), (3, vec![1, 2, 4, 8, 16, 17]));
        for shot in [1, 8, 17] {
            let (rows, y) = draws.examples(shot, 0);
            assert!(rows.iter().all(|row| !draws.tested.contains(row)));
            assert_eq!(y, (0..3).flat_map(|c| vec![c; shot]).collect::<Vec<_>>());
            assert!(rows.iter().zip(&y).all(|(&row, &class)| labels[row] == [0, 2, 3][class]));
        }
        assert_eq!(draws.accuracy(&draws.truth), 1.0);
        assert!(Draws::of(&[0; 9], 1).is_none() && Draws::of(&[], 1).is_none());
    }
}
