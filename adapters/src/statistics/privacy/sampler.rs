//! Exact draws from the discrete Gaussian: integers and fair bits, no floating point.
//!
//! Canonne, Kamath and Steinke 2020, arXiv:2004.00010, algorithms 1 to 3.

/// An integer from 0 up to `n`, which is above 0, all equally likely.
fn below(n: u128, random: &mut impl FnMut() -> u64) -> u128 {
    let bits = 128 - (n - 1).leading_zeros();
    if bits == 0 {
        return 0;
    }
    loop {
        let mut value = u128::from(random());
        if bits > 64 {
            value = value << 64 | u128::from(random());
            value >>= 128 - bits;
        } else {
            value >>= 64 - bits;
        }
        if value < n {
            return value;
        }
    }
}

/// Whether an event of the probability `exp(-numerator / denominator)` happens (algorithm 1).
fn exp_bernoulli(numerator: u128, denominator: u128, random: &mut impl FnMut() -> u64) -> bool {
    for _ in 0..numerator / denominator {
        if !exp_fraction(1, 1, random) {
            return false;
        }
    }
    exp_fraction(numerator % denominator, denominator, random)
}

/// The same for a numerator of at most the denominator.
fn exp_fraction(numerator: u128, denominator: u128, random: &mut impl FnMut() -> u64) -> bool {
    let mut k = 1;
    while below(denominator * k, random) < numerator {
        k += 1;
    }
    k % 2 == 1
}

/// A draw of the discrete Laplace distribution, `P(y) ∝ exp(-|y| / scale)` (algorithm 2).
fn laplace(scale: u64, random: &mut impl FnMut() -> u64) -> i64 {
    let scale = u128::from(scale);
    loop {
        let low = below(scale, random);
        if !exp_bernoulli(low, scale, random) {
            continue;
        }
        let mut high = 0u128;
        while exp_fraction(1, 1, random) {
            high += 1;
        }
        let size = (low + scale * high) as i64;
        let negative = below(2, random) == 1;
        if !(negative && size == 0) {
            return if negative { -size } else { size };
        }
    }
}

/// A draw of the discrete Gaussian, `P(y) ∝ exp(-y² / 2σ²)`, for σ from 1 to 2²⁶
/// (algorithm 3).
pub(super) fn gaussian(sigma: u64, random: &mut impl FnMut() -> u64) -> i64 {
    let (scale, square) = (sigma + 1, u128::from(sigma) * u128::from(sigma));
    let wide = u128::from(scale);
    loop {
        let y = laplace(scale, random);
        // (|y| - σ²/t)² / 2σ², over the denominator 2 σ² t²: below 2¹⁰⁷, and the numerator
        // below 2¹²⁰ for any |y| that occurs.
        let apart = (u128::from(y.unsigned_abs()) * wide).abs_diff(square);
        if exp_bernoulli(apart * apart, 2 * square * wide * wide, random) {
            return y;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// SplitMix64 (Steele, Lea and Flood 2014): good enough bits for a test.
    pub(in super::super) fn generator(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
    }

    #[test]
    fn bernoulli_has_its_probability() {
        let mut random = generator(1);
        for (numerator, denominator) in [(0u128, 5u128), (1, 3), (1, 1), (7, 2), (1 << 90, 1 << 91)]
        {
            let n = 100_000;
            let hits =
                (0..n).filter(|_| exp_bernoulli(numerator, denominator, &mut random)).count();
            let p = (-(numerator as f64) / denominator as f64).exp();
            let deviation = (n as f64 * p * (1.0 - p)).sqrt().max(1e-9);
            assert!((hits as f64 - n as f64 * p).abs() <= 4.5 * deviation, "{hits} of {n} at {p}");
        }
    }

    /// Pearson's test over the values within 3.5 σ, and the rest.
    #[test]
    fn gaussian_passes_a_chi_square_test() {
        for sigma in [1u64, 3, 10] {
            let mut random = generator(sigma);
            let n = 200_000;
            let reach = (3.5 * sigma as f64) as i64;
            let mass = |y: i64| (-0.5 * (y as f64 / sigma as f64).powi(2)).exp();
            let total: f64 = (-40 * sigma as i64..=40 * sigma as i64).map(mass).sum();
            let mut counts = vec![0u32; (2 * reach + 2) as usize];
            for _ in 0..n {
                let y = gaussian(sigma, &mut random);
                let cell = if y.abs() <= reach { y + reach } else { 2 * reach + 1 };
                counts[cell as usize] += 1;
            }
            let inside: f64 = (-reach..=reach).map(mass).sum();
            let expected = (-reach..=reach).map(mass).chain([total - inside]);
            let statistic: f64 = counts
                .iter()
                .zip(expected)
                .map(|(&count, mass)| {
                    let expected = f64::from(n) * mass / total;
                    (f64::from(count) - expected).powi(2) / expected
                })
                .sum();
            // Mean of the degrees of freedom, variance twice that.
            let freedom = (2 * reach + 1) as f64;
            assert!(
                (statistic - freedom).abs() < 4.0 * (2.0 * freedom).sqrt(),
                "{sigma}: {statistic}"
            );
        }
    }

    #[test]
    fn gaussian_has_its_moments_at_every_scale() {
        for sigma in [1u64, 1 << 10, (1 << 17) + 1, 1 << 26] {
            let mut random = generator(sigma ^ 99);
            let n = 40_000;
            let (mut mean, mut square, mut fourth) = (0.0, 0.0, 0.0);
            for _ in 0..n {
                let y = gaussian(sigma, &mut random) as f64 / sigma as f64;
                mean += y / f64::from(n);
                square += y * y / f64::from(n);
                fourth += y.powi(4) / f64::from(n);
            }
            assert!(mean.abs() < 4.0 / 200.0, "{sigma}: mean {mean}");
            assert!((square - 1.0).abs() < 4.0 * 2f64.sqrt() / 200.0, "{sigma}: {square}");
            assert!((fourth - 3.0).abs() < 4.0 * 96f64.sqrt() / 200.0, "{sigma}: {fourth}");
        }
    }
}
