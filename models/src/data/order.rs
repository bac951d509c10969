//! A random order of all examples in constant memory.
//!
//! A Feistel network of eight rounds (Luby and Rackoff, "How to construct pseudorandom
//! permutations from pseudorandom functions", 1988) permutes the numbers of an even count of
//! bits; a number that falls beyond the examples is permuted again until it does not (Black
//! and Rogaway, "Ciphers with arbitrary finite domains", 2002), fewer than four times on
//! average.

use crate::random::SplitMix64;

const ROUNDS: usize = 8;

/// A permutation of `0..n`.
#[derive(Debug, Clone)]
pub struct Permutation {
    len: usize,
    /// Bits of half a number.
    bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// The order of `0..len` for a seed, a purpose and a number within it, such as the epoch.
    pub fn new(len: usize, seed: u64, purpose: &str, within: u64) -> Self {
        let most = (len as u64).saturating_sub(1);
        let bits = (u64::BITS - most.leading_zeros()).div_ceil(2).max(1);
        let mut random = SplitMix64::stream(seed, purpose, &[within]);
        Self { len, bits, keys: std::array::from_fn(|_| random.next_u64()) }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What comes at place `at`, which is counted modulo [`len`](Self::len); 0 where there is
    /// nothing.
    pub fn at(&self, at: usize) -> usize {
        if self.len < 2 {
            return 0;
        }
        let mut number = (at % self.len) as u64;
        // The first number is below `len`, so its cycle comes back below it.
        loop {
            number = self.permute(number);
            if number < self.len as u64 {
                return number as usize;
            }
        }
    }

    fn permute(&self, number: u64) -> u64 {
        let mask = (1u64 << self.bits) - 1;
        let (mut left, mut right) = (number >> self.bits, number & mask);
        for key in self.keys {
            let mixed = SplitMix64::new(key ^ right.wrapping_mul(0xd1b5_4a32_d192_ed03)).next_u64();
            (left, right) = (right, left ^ (mixed >> (u64::BITS - self.bits)));
        }
        left << self.bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once() {
        for len in (0..70).chain([1000, 1023, 1024, 1025, 60_000]) {
            let order = Permutation::new(len, 3, "order", 1);
            let mut seen = vec![false; len];
            for at in 0..len {
                assert!(!std::mem::replace(&mut seen[order.at(at)], true), "{len} {at}");
            }
        }
        let order = Permutation::new(usize::MAX, 3, "order", 1);
        assert_ne!(order.at(0), order.at(1));
    }

    #[test]
    fn orders_differ_by_seed_and_epoch_and_are_as_spread_as_random_ones() {
        let order = |seed, epoch| {
            let order = Permutation::new(10_000, seed, "order", epoch);
            (0..10_000).map(|at| order.at(at)).collect::<Vec<_>>()
        };
        let (first, second, other) = (order(1, 0), order(1, 1), order(2, 0));
        assert_eq!(first, order(1, 0));
        for (a, b) in [(&first, &second), (&first, &other)] {
            // Random permutations agree at one place on average.
            assert!(a.iter().zip(b).filter(|(a, b)| a == b).count() < 8);
        }
        // Correlation of place and number, of deviation 0.01 in a random order, and the
        // number of ascents, half on average with deviation sqrt(n / 12) = 29.
        let centred = |v: usize| v as f64 - 4999.5;
        let products: f64 = first.iter().enumerate().map(|(at, &v)| centred(at) * centred(v)).sum();
        let variance: f64 = (0..10_000).map(|v| centred(v).powi(2)).sum();
        assert!((products / variance).abs() < 0.04, "{}", products / variance);
        let ascents = first.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!(ascents.abs_diff(5000) < 120, "{ascents}");
    }

    /// Small orders too: all 24 orders of four come, none far more often than others.
    #[test]
    fn orders_of_four_are_all_there() {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..4800 {
            let order = Permutation::new(4, seed, "order", 0);
            let numbers: Vec<usize> = (0..4).map(|at| order.at(at)).collect();
            *counts.entry(numbers).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // 200 each, a little unevenly: the network has few bits to work with.
        assert!(counts.values().all(|&count| (100..300).contains(&count)), "{counts:?}");
    }
}
