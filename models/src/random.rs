//! Random numbers with a seed and a purpose: the same ones on every machine.

/// Steele, Lea and Flood's generator (Fast splittable pseudorandom number generators, 2014):
/// 64 bits of state, one addition and one mix a number.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

/// One odd number a stream apart.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    /// A generator whose whole state is the seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The generator of a purpose within a run, and of numbers within the purpose, such as the
    /// step and the row: what is drawn for one changes nothing for another.
    pub fn stream(seed: u64, purpose: &str, within: &[u64]) -> Self {
        let mut state = Self::new(seed);
        for byte in purpose.bytes() {
            state = Self::new(state.next_u64() ^ u64::from(byte));
        }
        for &number in within {
            state = Self::new(state.next_u64() ^ number);
        }
        Self::new(state.next_u64())
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
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

    /// A number from 0 to below 1, a multiple of 2⁻²⁴.
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A number from `low` to below `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Whether something of probability `p` happens.
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// A number of the normal distribution of mean 0 and variance 1 (Box and Muller, 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - f64::from(self.unit())).ln()).sqrt();
        let angle = std::f64::consts::TAU * f64::from(self.unit());
        (radius * angle.cos()) as f32
    }

    /// Puts `items` in an order in which each is as likely as any other (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_purposes_and_numbers_differ_and_are_the_same_again() {
        let first =
            |purpose: &str, within: &[u64]| SplitMix64::stream(7, purpose, within).next_u64();
        assert_eq!(first("crop", &[1, 2]), first("crop", &[1, 2]));
        let all = [
            first("crop", &[1, 2]),
            first("crop", &[2, 1]),
            first("flip", &[1, 2]),
            first("crop", &[1]),
            first("crop", &[]),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn normal_numbers_have_mean_0_variance_1_and_the_tails_of_a_normal() {
        let mut random = SplitMix64::new(3);
        let drawn: Vec<f64> = (0..100_000).map(|_| f64::from(random.normal())).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|v| v * v).sum::<f64>() / 1e5 - mean * mean;
        let beyond = drawn.iter().filter(|v| v.abs() > 1.959_964).count() as f64 / 1e5;
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02, "{mean}, {variance}");
        assert!((beyond - 0.05).abs() < 0.004, "{beyond}");
    }
}
