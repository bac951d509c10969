//! Batches that cover the pool.

use ndarray::{Array1, Array2, ArrayView2};

use crate::classifier::check;
use crate::error::{Error, Result};
use crate::examples::check_finite;
use crate::numeric::Random;

/// The pool, and how far each of it lies from the nearest example picked.
struct Distances {
    /// Embeddings `[pool, dimensions]`.
    pool: Array2<f64>,
    /// `‖x‖²`.
    sizes: Array1<f64>,
    /// Squared distance to the nearest picked, infinite before the first.
    nearest: Vec<f64>,
    left: Vec<bool>,
    count: usize,
}

impl Distances {
    fn new(pool: ArrayView2<f32>) -> Result<Self> {
        check_finite(pool)?;
        let pool = pool.mapv(f64::from);
        let sizes = pool.outer_iter().map(|x| x.dot(&x)).collect();
        let n = pool.nrows();
        Ok(Self { pool, sizes, nearest: vec![f64::INFINITY; n], left: vec![true; n], count: n })
    }

    /// Takes an embedding and its squared size into account.
    fn meet(&mut self, x: &Array1<f64>) {
        let size = x.dot(x);
        let products = self.pool.dot(x);
        for (i, nearest) in self.nearest.iter_mut().enumerate() {
            let sum = size + self.sizes[i];
            let distance = sum - 2.0 * products[i];
            // Copies are at distance 0, not at the rounding error of the difference.
            let distance = if distance > 1e-12 * sum { distance } else { 0.0 };
            *nearest = nearest.min(distance);
        }
    }

    fn pick(&mut self, index: usize) -> usize {
        self.left[index] = false;
        self.count -= 1;
        let x = self.pool.row(index).to_owned();
        self.meet(&x);
        index
    }

    fn first_left(&self) -> Option<usize> {
        self.left.iter().position(|&left| left)
    }
}

/// A diverse batch by k-means++ sampling.
///
/// Each pick is drawn with a chance in proportion to its weight times its squared distance
/// from the nearest example picked before (the first one, in proportion to its weight). With
/// the doubts of a head as weights the batch is both unsure and varied. When all that is left
/// has chance 0 (copies of what is picked, or weight 0), it follows in pool order.
///
/// # Cost
///
/// n d a pick; the pool is held as f64.
///
/// # Source
///
/// Arthur and Vassilvitskii 2007, *SODA*; for active learning Ash et al. 2020,
/// arXiv:1906.03671.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::selection::Diverse;
///
/// // Two groups: the second pick comes from the other one.
/// let pool = array![[0f32, 0.0], [0.0, 0.0], [9.0, 9.0], [9.0, 9.0]];
/// let picks: Vec<usize> = Diverse::new(pool.view(), None, 7)?.take(2).collect();
/// assert_ne!(picks[0] / 2, picks[1] / 2);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
pub struct Diverse {
    distances: Distances,
    weights: Vec<f64>,
    random: Random,
    started: bool,
}

impl Diverse {
    /// Starts on a pool of embeddings `[pool, dimensions]`, with a weight for each (equal
    /// unless given) and the seed of its choices.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`], [`Error::PredictionCount`] for another number of weights,
    /// [`Error::Setting`] for a weight that is negative or not finite.
    pub fn new(pool: ArrayView2<f32>, weights: Option<&[f64]>, seed: u64) -> Result<Self> {
        let n = pool.nrows();
        let weights = weights.map_or_else(|| vec![1.0; n], <[f64]>::to_vec);
        if weights.len() != n {
            return Err(Error::PredictionCount { truth: n, predicted: weights.len() });
        }
        if let Some(&value) = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            let expected = "a weight must be a finite number of at least 0";
            return Err(Error::Setting { name: "weight", value, expected });
        }
        let distances = Distances::new(pool)?;
        Ok(Self { distances, weights, random: Random::new(seed), started: false })
    }

    /// Draws an index in proportion to its chance.
    fn draw(&mut self) -> Option<usize> {
        let Distances { nearest, left, .. } = &self.distances;
        // Relative to the largest of each, so that products and sums stay finite.
        let largest = |values: &[f64]| {
            let values = values.iter().zip(left).filter(|(_, left)| **left);
            values.map(|(value, _)| *value).fold(0.0, f64::max)
        };
        let (heaviest, farthest) = (largest(&self.weights), largest(nearest));
        let started = self.started;
        let chance = |i: usize| {
            if !left[i] || heaviest == 0.0 || (started && farthest == 0.0) {
                return 0.0;
            }
            let distance = if started { nearest[i] / farthest } else { 1.0 };
            self.weights[i] / heaviest * distance
        };
        let total: f64 = (0..left.len()).map(chance).sum();
        let mut aim = self.random.uniform() * total;
        let mut last = None;
        for i in 0..left.len() {
            let chance = chance(i);
            if chance > 0.0 {
                last = Some(i);
                if aim < chance {
                    break;
                }
                aim -= chance;
            }
        }
        last.or_else(|| self.distances.first_left())
    }
}

impl Iterator for Diverse {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let index = self.draw()?;
        self.started = true;
        Some(self.distances.pick(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.distances.count, Some(self.distances.count))
    }
}

impl ExactSizeIterator for Diverse {}

/// A batch that leaves nothing far from a labelled example: k-centre greedy.
///
/// Each pick is the example farthest from all that are labelled or picked, the first of
/// equals; with nothing labelled the first pick is the one farthest from the mean of the pool.
/// The largest distance left is at most twice the smallest possible for the same number of
/// picks.
///
/// # Cost
///
/// n d a pick and a labelled example; the pool is held as f64.
///
/// # Source
///
/// Sener and Savarese 2018, arXiv:1708.00489; Gonzalez 1985, *Theor. Comput. Sci.* 38.
pub struct CoreSet {
    distances: Distances,
    /// Whether the distances are those from the mean: nothing is labelled or picked yet.
    from_mean: bool,
}

impl CoreSet {
    /// Starts on a pool of embeddings `[pool, dimensions]`, given those that have labels
    /// (`[0, dimensions]` if none).
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`], [`Error::Width`].
    pub fn new(pool: ArrayView2<f32>, labelled: ArrayView2<f32>) -> Result<Self> {
        check(labelled, pool.ncols())?;
        let mut distances = Distances::new(pool)?;
        for x in labelled.outer_iter() {
            distances.meet(&x.mapv(f64::from));
        }
        if labelled.nrows() == 0 && pool.nrows() > 0 {
            let mean = distances.pool.sum_axis(ndarray::Axis(0)) / pool.nrows() as f64;
            distances.meet(&mean);
        }
        Ok(Self { distances, from_mean: labelled.nrows() == 0 })
    }

    /// The largest distance of an example that is left from what is labelled or picked: when
    /// it is small, more labels bring little. From the mean before there is any of them; 0
    /// when nothing is left.
    #[must_use]
    pub fn radius(&self) -> f64 {
        let Distances { nearest, left, .. } = &self.distances;
        let left = nearest.iter().zip(left).filter(|(_, left)| **left);
        left.map(|(nearest, _)| *nearest).fold(0.0, f64::max).sqrt()
    }
}

impl Iterator for CoreSet {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let Distances { nearest, left, .. } = &self.distances;
        let start = (self.distances.first_left()?, f64::NEG_INFINITY);
        let (index, _) = nearest
            .iter()
            .enumerate()
            .filter(|(i, _)| left[*i])
            .fold(start, |best, (i, &d)| if d > best.1 { (i, d) } else { best });
        if std::mem::take(&mut self.from_mean) {
            self.distances.nearest.fill(f64::INFINITY);
        }
        Some(self.distances.pick(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.distances.count, Some(self.distances.count))
    }
}

impl ExactSizeIterator for CoreSet {}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, array};

    /// Three tight groups of 10, 3 and 2.
    fn groups() -> Array2<f32> {
        Array2::from_shape_fn((15, 2), |(i, j)| {
            let centre = match i {
                0..10 => [0.0, 0.0],
                10..13 => [10.0, 0.0],
                _ => [0.0, 10.0],
            };
            centre[j] + ((i * 7 + j * 3) % 5) as f32 * 1e-3
        })
    }

    fn group(i: usize) -> usize {
        usize::from(i >= 10) + usize::from(i >= 13)
    }

    fn no_labels() -> Array2<f32> {
        Array2::zeros((0, 2))
    }

    #[test]
    fn every_group_is_asked_about_first() {
        for seed in 0..50 {
            let picks: Vec<usize> =
                Diverse::new(groups().view(), None, seed).unwrap().take(3).collect();
            let mut found: Vec<usize> = picks.iter().map(|&i| group(i)).collect();
            found.sort_unstable();
            assert_eq!(found, [0, 1, 2], "seed {seed}: {picks:?}");
        }
        let picks: Vec<usize> =
            CoreSet::new(groups().view(), no_labels().view()).unwrap().take(3).collect();
        let mut found: Vec<usize> = picks.iter().map(|&i| group(i)).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2], "{picks:?}");
        let labelled = groups().select(Axis(0), &[0, 14]);
        let mut core = CoreSet::new(groups().view(), labelled.view()).unwrap();
        assert!((core.radius() - 10.0).abs() < 0.01);
        assert_eq!(core.next().map(group), Some(1));
        assert!(core.radius() < 0.01);
    }

    /// The chance of the first two picks is what the definition says.
    #[test]
    fn chances_follow_weights_and_distances() {
        let pool = array![[0f32], [1.0], [3.0]];
        let weights = [1.0, 2.0, 1.0];
        let (mut first, mut second, draws) = ([0usize; 3], [0usize; 3], 20_000);
        for seed in 0..draws {
            let mut picks = Diverse::new(pool.view(), Some(&weights), seed).unwrap();
            let (a, b) = (picks.next().unwrap(), picks.next().unwrap());
            first[a] += 1;
            if a == 0 {
                second[b] += 1;
            }
        }
        let share = |count: usize, of: usize| count as f64 / of as f64;
        let close = |found: f64, expected: f64, n: f64| {
            let bound = 4.5 * (expected * (1.0 - expected) / n).sqrt();
            assert!((found - expected).abs() < bound, "{found}, not {expected}");
        };
        close(share(first[1], draws as usize), 0.5, draws as f64);
        close(share(first[0], draws as usize), 0.25, draws as f64);
        // After 0 the chances are 2 x 1 and 1 x 9.
        close(share(second[2], first[0]), 9.0 / 11.0, first[0] as f64);
    }

    #[test]
    fn each_is_picked_once_even_among_copies() {
        let pool = Array2::from_elem((6, 2), 0.1f32);
        let sorted = |picks: Vec<usize>| {
            let mut picks = picks;
            picks.sort_unstable();
            picks
        };
        let all: Vec<usize> = (0..6).collect();
        let diverse = Diverse::new(pool.view(), None, 1).unwrap();
        assert_eq!(diverse.len(), 6);
        assert_eq!(sorted(diverse.collect()), all);
        let weightless = Diverse::new(pool.view(), Some(&[0.0; 6]), 1).unwrap();
        assert_eq!(weightless.collect::<Vec<_>>(), all);
        let core = CoreSet::new(pool.view(), no_labels().view()).unwrap();
        assert_eq!(core.collect::<Vec<_>>(), all);
        assert_eq!(sorted(Diverse::new(groups().view(), None, 1).unwrap().collect()).len(), 15);
    }

    #[test]
    fn the_same_seed_picks_the_same_and_another_does_not() {
        let picks = |seed| Diverse::new(groups().view(), None, seed).unwrap().collect::<Vec<_>>();
        assert_eq!(picks(5), picks(5));
        assert!((0..20).any(|seed| picks(seed) != picks(5)));
    }

    #[test]
    fn bad_input_is_refused() {
        let bad = array![[f32::NAN]];
        assert!(matches!(Diverse::new(bad.view(), None, 0), Err(Error::NotFinite { .. })));
        let none = CoreSet::new(array![[1f32]].view(), Array2::zeros((0, 2)).view());
        assert!(matches!(none, Err(Error::Width { found: 2, expected: 1 })));
        let pool = array![[1f32], [2.0]];
        for weights in [&[1.0][..], &[1.0, -1.0], &[1.0, f64::NAN], &[1.0, f64::INFINITY]] {
            assert!(Diverse::new(pool.view(), Some(weights), 0).is_err());
        }
        assert_eq!(Diverse::new(no_labels().view(), None, 0).unwrap().next(), None);
        assert_eq!(CoreSet::new(no_labels().view(), no_labels().view()).unwrap().next(), None);
        let huge = array![[f32::MAX, f32::MAX], [-f32::MAX, 0.0], [0.0, 0.0]];
        let mut picks: Vec<usize> = Diverse::new(huge.view(), None, 3).unwrap().collect();
        picks.sort_unstable();
        assert_eq!(picks, [0, 1, 2]);
    }
}
