//! Exponentials of many numbers at once.

use std::f64::consts::LOG2_E;

/// Added to a number, leaves its nearest whole number in the low bits of the sum.
const SHIFT: f64 = 6_755_399_441_055_744.0; // 1.5 × 2⁵²
/// `ln 2`, its leading bits and the rest: whole multiples of the first are exact.
const LN_2: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
/// Where the exponential is about the smallest normal number.
const LEAST: f64 = -708.0;
/// `1 / i!` from 13 down to 2: what the series leaves out is below half a unit of the last place.
const SERIES: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// Replaces numbers, none above 0, by their exponentials, to 1e-15 of each; those below -708 by
/// `exp(-708)`. Without a branch or a call, so that vector instructions take several at once.
pub(crate) fn exponentials(values: &mut [f64]) {
    for value in values {
        let x = if *value > LEAST { *value } else { LEAST };
        // exp(x) = 2ᵏ exp(r), r at most half of ln 2.
        let shifted = x * LOG2_E + SHIFT;
        let k = shifted - SHIFT;
        let r = (x - k * LN_2.0) - k * LN_2.1;
        let series = SERIES.iter().fold(0.0, |sum, &term| sum * r + term);
        let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
        *value = power * (1.0 + (r + r * r * series));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_those_of_the_standard_library() {
        let numbers: Vec<f64> = (0..200_000).map(|i| -708.0 * f64::from(i) / 200_000.0).collect();
        let small = (0..1_000).map(|i| -(0.5f64.powi(i)));
        let numbers: Vec<f64> =
            numbers.into_iter().chain(small).chain([0.0, -0.0, -708.0]).collect();
        let mut found = numbers.clone();
        exponentials(&mut found);
        for (x, found) in numbers.iter().zip(found) {
            assert!((found / x.exp() - 1.0).abs() <= 1e-15, "{x}: {found}");
        }
    }

    #[test]
    fn the_smallest_are_next_to_nothing() {
        let mut found = [-709.0, -1e300, f64::NEG_INFINITY];
        exponentials(&mut found);
        let least = (-708f64).exp();
        assert!(found.iter().all(|v| (v / least - 1.0).abs() <= 1e-15));
    }
}
