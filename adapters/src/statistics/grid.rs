//! One example as integers: what it adds to each sum.

use ndarray::ArrayView1;

use crate::error::{Error, Result};

/// Bits after the binary point of every sum.
pub(super) const FRACTION_BITS: i32 = 40;
/// 2⁴⁰, one.
pub(super) const ONE: f64 = (1u64 << FRACTION_BITS) as f64;
/// Largest weight × squared length of one example, in units.
pub(super) const LARGEST_EXAMPLE: f64 = 1024.0;
/// Largest sum of all bounds: half of what an `i64` holds.
pub(super) const LARGEST_TOTAL: i64 = 1 << 62;
/// Furthest the exponent of a unit may lie from 0. Lengths of any `f32` embedding fit.
pub(super) const LARGEST_EXPONENT: i32 = 160;

/// 1.5 · 2⁵²: the sum of it and a number below 2⁵¹ has that number, rounded to an integer
/// (ties to even), in the last bits of its mantissa.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// The integer nearest to `value`, |value| < 2⁵¹; two additions that vectorise everywhere.
#[inline(always)]
fn round(value: f64) -> i64 {
    ((value + MAGIC).to_bits() as i64).wrapping_sub(MAGIC.to_bits() as i64)
}

/// Where the grid lies: embeddings are measured in a unit of 2^exponent, so that those of
/// the usual length are about 1 long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) exponent: i32,
    /// Longer embeddings are shortened to this length.
    pub(super) clip: Option<f64>,
}

/// An example on the grid.
pub(super) struct Example {
    /// The embedding in units.
    x: Vec<f64>,
    /// The embedding in units, times weight and 2⁴⁰.
    weighted: Vec<f64>,
    /// Weight times 2⁴⁰.
    pub(super) weight: i64,
    /// No smaller than any of the integers it adds.
    pub(super) bound: i64,
}

impl Grid {
    /// The smallest unit, a power of two, that is no shorter than `norm`.
    pub(super) fn for_norm(norm: f64) -> Result<Self> {
        let exponent = norm.log2().ceil();
        if !(norm > 0.0 && exponent.abs() <= f64::from(LARGEST_EXPONENT)) {
            let expected = "it must be a positive number that a length of f32 values can reach";
            return Err(Error::Setting { name: "largest norm", value: norm, expected });
        }
        Ok(Self { exponent: exponent as i32, clip: None })
    }

    /// The length of one unit.
    pub(super) fn unit(self) -> f64 {
        2f64.powi(self.exponent)
    }

    /// Puts an example on the grid, or says why it does not fit.
    pub(super) fn example(self, x: ArrayView1<f32>, weight: f64) -> Result<Example> {
        if let Some((column, &value)) = x.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(Error::NotFinite { row: 0, column, value });
        }
        let units = 1.0 / self.unit();
        let mut x: Vec<f64> = x.iter().map(|&value| f64::from(value) * units).collect();
        let mut square = square(&x);
        if let Some(clip) = self.clip {
            let (norm, clip) = (square.sqrt(), clip * units);
            if norm > clip {
                x.iter_mut().for_each(|value| *value *= clip / norm);
                square = clip * clip;
            }
        }
        let integer = (weight * ONE).round();
        if !(integer >= 1.0 && weight.is_finite()) {
            let expected = "a weight must be a positive number of at least 1e-12";
            return Err(Error::Setting { name: "weight", value: weight, expected });
        }
        if self.clip.is_some() && weight > 1.0 {
            let expected = "clipped statistics take weights of at most 1";
            return Err(Error::Setting { name: "weight", value: weight, expected });
        }
        let size = weight * square.max(1.0);
        if size.is_nan() || size > LARGEST_EXAMPLE {
            let norm = square.sqrt() * self.unit();
            return Err(Error::OffGrid { norm, weight, unit: self.unit() });
        }
        let weighted = x.iter().map(|&value| weight * ONE * value).collect();
        // One more than the real bound covers each rounding to the nearest integer.
        let bound = (size * ONE).ceil() as i64 + 2;
        Ok(Example { x, weighted, weight: integer as i64, bound })
    }
}

/// Squared length in eight partial sums, whose order no machine changes.
fn square(x: &[f64]) -> f64 {
    let (chunks, rest) = x.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| value * value).sum::<f64>()
}

impl Example {
    /// The embedding in units.
    pub(super) fn units(&self) -> impl Iterator<Item = f64> {
        self.x.iter().copied()
    }

    /// What it adds to the sum of embeddings, one integer a dimension.
    pub(super) fn first(&self) -> impl Iterator<Item = i64> {
        self.weighted.iter().map(|&value| round(value))
    }

    /// What it adds to the diagonal of the scatter.
    pub(super) fn diagonal(&self) -> impl Iterator<Item = i64> {
        self.weighted.iter().zip(&self.x).map(|(&a, &b)| round(a * b))
    }

    /// What it adds to each entry of the packed lower triangle of the scatter.
    pub(super) fn second(&self) -> impl Iterator<Item = i64> {
        self.weighted
            .iter()
            .enumerate()
            .flat_map(move |(i, &a)| self.x[..=i].iter().map(move |&b| round(a * b)))
    }

    /// Adds it to the packed lower triangle of the scatter.
    pub(super) fn add_second(&self, packed: &mut [i64]) {
        self.update(packed, |total, value| total.wrapping_add(value));
    }

    /// Takes it from the packed lower triangle of the scatter.
    pub(super) fn subtract_second(&self, packed: &mut [i64]) {
        self.update(packed, |total, value| total.wrapping_sub(value));
    }

    /// No sum leaves the range of its bounds, so nothing wraps; the plain operators would
    /// only add a test to each of d²/2 steps.
    #[inline(always)]
    fn update(&self, packed: &mut [i64], join: impl Fn(i64, i64) -> i64) {
        let mut rest = packed;
        for (i, &a) in self.weighted.iter().enumerate() {
            let Some((row, below)) = rest.split_at_mut_checked(i + 1) else { return };
            for (total, &b) in row.iter_mut().zip(&self.x) {
                *total = join(*total, round(a * b));
            }
            rest = below;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};

    #[test]
    fn rounds_to_the_nearest_integer_ties_to_even() {
        let limit = 2f64.powi(50);
        for value in [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.49999, 1e9 + 0.7, limit, -limit, -7.2] {
            assert_eq!(round(value), value.round_ties_even() as i64, "{value}");
        }
    }

    #[test]
    fn the_unit_reaches_over_the_largest_norm() {
        for (norm, exponent) in [(1.0, 0), (1.01, 1), (0.5, -1), (2500.0, 12), (1e-30, -99)] {
            assert_eq!(Grid::for_norm(norm).unwrap().exponent, exponent);
        }
        for norm in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e60, 1e-60] {
            assert!(matches!(Grid::for_norm(norm), Err(Error::Setting { .. })), "{norm}");
        }
    }

    #[test]
    fn contributions_are_products_on_the_grid_within_the_bound() {
        let grid = Grid { exponent: 1, clip: None };
        let example = grid.example(array![1.0, -0.5, 3.0].view(), 0.25).unwrap();
        let first: Vec<i64> = example.first().collect();
        assert_eq!(first, [0.125, -0.0625, 0.375].map(|v| (v * ONE) as i64));
        let second: Vec<i64> = example.second().collect();
        let products = [0.25, -0.125, 0.0625, 0.75, -0.375, 2.25];
        assert_eq!(second, products.map(|v| (v * 0.25 * ONE) as i64));
        let diagonal: Vec<i64> = example.diagonal().collect();
        assert_eq!(diagonal, [second[0], second[2], second[5]]);
        assert!(second.iter().chain(&first).all(|v| v.abs() <= example.bound));
        let mut packed = vec![7; 6];
        example.add_second(&mut packed);
        assert!(packed.iter().zip(&second).all(|(total, v)| *total == v + 7));
        example.subtract_second(&mut packed);
        assert_eq!(packed, [7; 6]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let grid = Grid { exponent: 0, clip: None };
        let fits = |x: Array1<f32>, weight| grid.example(x.view(), weight);
        assert!(fits(array![32.0], 1.0).is_ok());
        assert!(matches!(fits(array![32.1], 1.0), Err(Error::OffGrid { .. })));
        assert!(matches!(fits(array![1.0], 1025.0), Err(Error::OffGrid { .. })));
        assert!(matches!(fits(array![f32::MAX], 1.0), Err(Error::OffGrid { .. })));
        for weight in [0.0, -1.0, 1e-13, f64::NAN, f64::INFINITY] {
            let result = fits(array![1.0], weight);
            assert!(matches!(result, Err(Error::Setting { .. })), "{weight}");
        }
        let result = fits(array![1.0, f32::NAN], 1.0);
        assert!(matches!(result, Err(Error::NotFinite { column: 1, .. })));
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let grid = Grid { exponent: 0, clip: Some(0.5) };
        let long = grid.example(array![3.0, 4.0].view(), 1.0).unwrap();
        let clipped: Vec<i64> = long.first().collect();
        assert_eq!(clipped, [0.3, 0.4].map(|v| (v * ONE).round() as i64));
        let short = grid.example(array![0.3, 0.0].view(), 1.0).unwrap();
        assert_eq!(short.first().next(), Some((f64::from(0.3f32) * ONE).round_ties_even() as i64));
    }
}
