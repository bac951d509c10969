//! Deterministic random numbers.

/// SplitMix64 (Steele, Lea and Flood 2014, OOPSLA): 64 good bits a step from 64 bits of state,
/// the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0 (included) to 1 (excluded), in steps of 2⁻⁵³.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_generator() {
        let mut random = Random::new(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn is_uniform() {
        let mut random = Random::new(0);
        let values: Vec<f64> = (0..100_000).map(|_| random.uniform()).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 4.0 / 12f64.sqrt() / 1e5f64.sqrt(), "{mean}");
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
    }
}
