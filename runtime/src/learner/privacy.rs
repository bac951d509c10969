//! Statistics that tell next to nothing of any one example, by noise from the system's own
//! random bits.

use offshoot_adapters::statistics::{Privacy, Statistics};

use crate::error::{Error, Result};

/// δ where nothing else was asked for: far below one over the number of examples.
pub const DEFAULT_DELTA: f64 = 1e-6;
/// Length that embeddings may have at most where one of them must not count for more than is
/// known beforehand: those of encoders of unit vectors do.
pub const UNIT_CLIP: f64 = 1.0;

/// Bytes that are fetched at a time.
const BUFFER: usize = 4096;

/// A differentially private copy of statistics that were [clipped](Statistics::clipped), by
/// [`Statistics::privatize`] with the system's random bits, and what it tells of one example.
/// Each call draws new noise and costs again: the ρ of all copies of the same examples add up.
///
/// ```
/// use offshoot::adapters::statistics::Statistics;
/// use offshoot::learner::{DEFAULT_DELTA, UNIT_CLIP, privatize};
///
/// let mut statistics = Statistics::clipped(2, UNIT_CLIP)?;
/// statistics.add(ndarray::array![0.6f32, 0.8].view(), "spam", 1.0)?;
/// let (shared, privacy) = privatize(&statistics, 2.0, DEFAULT_DELTA)?;
/// assert_ne!(shared.means(), statistics.means());
/// assert_eq!(privacy.epsilon, 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`Statistics::privatize`]; [`Error::Io`] when the system gives no random bits.
pub fn privatize(
    statistics: &Statistics,
    epsilon: f64,
    delta: f64,
) -> Result<(Statistics, Privacy)> {
    let mut random = SystemRandom::default();
    let made = statistics.privatize(epsilon, delta, || random.next_u64());
    // First: after a failure there is no noise.
    random.finish()?;
    Ok(made?)
}

/// A source of uniform bits, fetched some at a time.
#[derive(Default)]
struct SystemRandom {
    words: Vec<u64>,
    /// Why the system gave none, and what keeps its user going until that is told.
    failed: Option<(getrandom::Error, u64)>,
}

impl SystemRandom {
    /// 64 uniform bits. After a failure they are not secret: [`Self::finish`] before they are
    /// used.
    fn next_u64(&mut self) -> u64 {
        if let Some((_, state)) = &mut self.failed {
            // A linear congruential generator of Knuth's, its halves swapped.
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            return state.rotate_left(32);
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
            Err(error) => self.failed = Some((error, 0)),
        }
        self.next_u64()
    }

    /// Says whether every bit came from the system.
    fn finish(self) -> Result<()> {
        match self.failed {
            None => Ok(()),
            Some((error, _)) => {
                let error = std::io::Error::other(error.to_string());
                Err(Error::io("read", "the system's random bits", error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_differ_and_are_balanced() {
        let mut random = SystemRandom::default();
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
        let failed = Some((getrandom::Error::UNSUPPORTED, 0));
        let mut random = SystemRandom { words: vec![7], failed };
        let mut statistics = Statistics::clipped(3, UNIT_CLIP).unwrap();
        statistics.add(ndarray::array![0.6f32, 0.8, 0.0].view(), "a", 1.0).unwrap();
        // The sampler ends all the same.
        statistics.privatize(1.0, DEFAULT_DELTA, || random.next_u64()).unwrap();
        assert!(random.words == [7] && random.finish().is_err());
    }

    #[test]
    fn copies_differ_and_what_they_cost_is_told() {
        let mut statistics = Statistics::clipped(3, UNIT_CLIP).unwrap();
        for (x, label) in [([0.6f32, 0.8, 0.0], "a"), ([0.0, 0.6, 0.8], "b")] {
            statistics.add(ndarray::arr1(&x).view(), label, 1.0).unwrap();
        }
        let (one, told) = privatize(&statistics, 1.5, 1e-7).unwrap();
        let (two, again) = privatize(&statistics, 1.5, 1e-7).unwrap();
        assert_eq!((told.epsilon, told.delta, told), (1.5, 1e-7, again));
        assert!(one.means() != two.means() && one.means() != statistics.means());
        assert!(privatize(&statistics, 0.0, 1e-6).is_err());
        assert!(privatize(&Statistics::new(3).unwrap(), 1.0, 1e-6).is_err());
    }
}
