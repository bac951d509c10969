//! Statistics that tell next to nothing of any one example: differential privacy.

mod accounting;
mod sampler;

use super::grid::{FRACTION_BITS, LARGEST_TOTAL, ONE};
use super::{Parts, Statistics};
use crate::error::{Error, Result};

/// Bits after the binary point that are released; noise hides all beyond.
const RELEASED_BITS: i32 = 16;
/// Bits of the grid that are rounded away.
const DROPPED_BITS: i32 = FRACTION_BITS - RELEASED_BITS;
/// Largest standard deviation of the noise, in released steps, that the sampler is exact for.
const LARGEST_DEVIATION: f64 = (1u64 << 26) as f64;

/// What a release tells of one example, at most.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Privacy {
    /// ε: no event is more than `e^ε` times as likely with the example than without it, but
    /// for δ.
    pub epsilon: f64,
    /// δ.
    pub delta: f64,
    /// The same as zero-concentrated differential privacy, ρ. Of several releases of the same
    /// examples the ρ add up.
    pub rho: f64,
    /// Standard deviation of the noise on the weight of a class.
    pub deviation: f64,
}

impl Statistics {
    /// A copy to share that is differentially private: whether any one example is among
    /// these can hardly be told from it, whatever else is known. It merges with others and
    /// gives heads as every [`Statistics`] does.
    ///
    /// # Formula
    ///
    /// Only for statistics that were [`clipped`](Statistics::clipped) from the start: then one
    /// example of weight 1 and length at most c, in units, moves all sums together by at
    /// most `√(c⁴ + c² + 1)` in Euclidean norm (scatter, class sum, class weight). Every
    /// sum is rounded to 2⁻¹⁶ of a unit, which moves it by one more step at most, and gets
    /// noise of the discrete Gaussian on those steps with standard deviation σ: ρ-zCDP with
    /// `ρ = Δ² / 2σ²`. The largest ρ that implies (ε, δ) is used. Nothing is drawn or added in
    /// floating point, so no low bit of a float tells what noise should hide.
    ///
    /// What follows uses no example again and costs no privacy: the number of examples of a
    /// class is its noisy weight, rounded, at least 1; and `2 σ √d`, the spectral radius of
    /// the noise, is added to the diagonal of the scatter, so that it stays positive definite.
    ///
    /// The names of the classes are taken to be public. The neighbour is one with one example
    /// more or less; for one with another embedding or label the effect is at most
    /// doubled, that is 4 ρ. Every release of the same examples costs again.
    ///
    /// `random` must give 64 independent uniform bits a call, from a generator fit for
    /// cryptography, seeded by the system: who knows the seed can take the noise away.
    ///
    /// # Cost
    ///
    /// About ten draws for each of the d (d + 1) / 2 + K (d + 1) sums.
    ///
    /// # Source
    ///
    /// Canonne, Kamath and Steinke 2020, arXiv:2004.00010 (noise, algorithms 1 to 3;
    /// conversion, corollary 13); Bun and Steinke 2016, arXiv:1605.02065 (zCDP); Wang 2018,
    /// arXiv:1803.02596 (regression from noisy sums).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless `epsilon` is positive, `delta` between 0 and 1, and
    /// the noise that they ask for within what can be drawn; [`Error::NotPrivate`] for
    /// statistics that were not clipped, or were aged.
    pub fn privatize(
        &self,
        epsilon: f64,
        delta: f64,
        mut random: impl FnMut() -> u64,
    ) -> Result<(Self, Privacy)> {
        let setting = |name, value, expected| Error::Setting { name, value, expected };
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(setting("epsilon", epsilon, "it must be a positive number"));
        }
        if !(delta > 0.0 && delta < 1.0) {
            return Err(setting("delta", delta, "it must lie between 0 and 1"));
        }
        let clip = self.grid.clip.ok_or(Error::NotPrivate("were not clipped from the start"))?;
        if self.slack > 0 {
            return Err(Error::NotPrivate("were aged or are noisy already"));
        }
        let sensitivity = self.sensitivity(clip / self.unit());
        let target = accounting::rho(epsilon, delta);
        let sigma = (sensitivity / (2.0 * target).sqrt()).ceil().max(1.0);
        if sigma.is_nan() || sigma > LARGEST_DEVIATION {
            return Err(setting(
                "epsilon",
                epsilon,
                "so little needs more noise than can be drawn",
            ));
        }
        let rho = sensitivity * sensitivity / (2.0 * sigma * sigma);
        let mut parts = self.parts();
        let mut noisy = |value: &mut i64| {
            let half = 1i64 << (DROPPED_BITS - 1);
            let steps = (*value).saturating_add(half) >> DROPPED_BITS;
            let noise = sampler::gaussian(sigma as u64, &mut random);
            *value = steps.saturating_add(noise).saturating_mul(1 << DROPPED_BITS);
        };
        parts.weights.iter_mut().for_each(&mut noisy);
        parts.sums.iter_mut().for_each(&mut noisy);
        parts.scatter.iter_mut().for_each(&mut noisy);
        let step = (1u64 << DROPPED_BITS) as f64;
        settle(&mut parts, sigma * step)?;
        let private = Self::from_parts(parts)
            .map_err(|_| setting("epsilon", epsilon, "the noisy sums do not fit the grid"))?;
        let privacy = Privacy { epsilon, delta, rho, deviation: sigma * step / ONE };
        Ok((private, privacy))
    }

    /// How far one example of length up to `clip` units moves all released sums, in steps.
    fn sensitivity(&self, clip: f64) -> f64 {
        let d = self.dimensions as f64;
        let square = clip * clip;
        let moved = (square * square + square + 1.0).sqrt() * 2f64.powi(RELEASED_BITS);
        // Rounding moves each sum that the example is in by one step more, at most; a little
        // is left for the rounding of shares and of these formulas.
        moved * (1.0 + 1e-9) + (d * (d + 1.0) / 2.0 + d + 1.0).sqrt() * (1.0 + 1e-6)
    }
}

/// Makes noisy sums into statistics, from nothing but what is released.
fn settle(parts: &mut Parts, sigma: f64) -> Result<()> {
    let d = parts.dimensions;
    parts.weights.iter_mut().for_each(|weight| *weight = (*weight).max(ONE as i64));
    parts.counts =
        parts.weights.iter().map(|&w| ((w as f64 / ONE).round() as i64).max(1)).collect();
    let lift = (2.0 * sigma * (d as f64).sqrt()).ceil();
    parts.slack = (8.0 * sigma + lift).min(LARGEST_TOTAL as f64) as i64;
    for i in 0..d {
        let entry = &mut parts.scatter[i * (i + 3) / 2];
        *entry = entry.saturating_add(lift as i64).max(0);
    }
    let size = |values: &mut dyn Iterator<Item = i64>| {
        values.fold(0i64, |sum, value| sum.saturating_add(value.saturating_abs()))
    };
    let mut bound = size(&mut parts.weights.iter().copied());
    for j in 0..d {
        bound = bound.max(size(&mut parts.sums.iter().skip(j).step_by(d).copied()));
    }
    let scatter = parts.scatter.iter().map(|value| value.saturating_abs()).max().unwrap_or(0);
    parts.bound = bound.max(scatter).max(parts.slack);
    if parts.bound > LARGEST_TOTAL { Err(Error::Full) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::sampler::tests::generator;
    use super::*;
    use ndarray::Array1;

    fn example(i: usize) -> Array1<f32> {
        let sign = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        Array1::from_vec(vec![sign * 0.8, 0.3 * (i as f32).sin(), 0.2 * (i as f32).cos()])
    }

    fn clipped(n: usize) -> Statistics {
        let mut statistics = Statistics::clipped(3, 1.0).unwrap();
        for i in 0..n {
            statistics.add(example(i).view(), ["a", "b"][i % 2], 1.0).unwrap();
        }
        statistics
    }

    #[test]
    fn noise_has_the_deviation_that_is_reported() {
        let (statistics, mut random) = (clipped(2_000), generator(7));
        let mut squares = 0.0;
        for _ in 0..400 {
            let (private, privacy) = statistics.privatize(1.0, 1e-6, &mut random).unwrap();
            let noise = private.sums() - statistics.sums();
            squares += noise.iter().map(|v| (v / privacy.deviation).powi(2)).sum::<f64>() / 6.0;
            assert!(privacy.rho > 0.0 && privacy.rho < 0.03, "{}", privacy.rho);
        }
        // 2,400 squares: a standard deviation of 0.03.
        assert!((squares / 400.0 - 1.0).abs() < 0.12, "{}", squares / 400.0);
    }

    #[test]
    fn one_example_moves_the_sums_by_no_more_than_the_sensitivity() {
        for clip in [0.6, 1.0, 3.0] {
            let mut with = Statistics::clipped(3, clip).unwrap();
            with.add(example(5).view(), "a", 1.0).unwrap();
            let mut without = with.clone();
            let long = Array1::from_vec(vec![2f32, -3.0, 1.0]);
            with.add(long.view(), "a", 1.0).unwrap();
            let moved = |a: &[i64], b: &[i64]| {
                let steps = |v: i64| (v + (1 << (DROPPED_BITS - 1))) >> DROPPED_BITS;
                a.iter().zip(b).map(|(&a, &b)| ((steps(a) - steps(b)) as f64).powi(2)).sum::<f64>()
            };
            let (a, b) = (with.parts(), without.parts());
            let total = moved(&a.weights, &b.weights)
                + moved(&a.sums, &b.sums)
                + moved(&a.scatter, &b.scatter);
            let most = with.sensitivity(clip / with.unit());
            assert!(total.sqrt() <= most && total.sqrt() > 0.8 * most, "{} {most}", total.sqrt());
            let heavy = without.add(long.view(), "a", 1.5).unwrap_err();
            assert!(matches!(heavy, Error::Setting { name: "weight", .. }), "{heavy}");
        }
    }

    #[test]
    fn heads_still_tell_classes_apart_and_files_hold_it() {
        let (private, privacy) = clipped(2_000).privatize(2.0, 1e-6, generator(3)).unwrap();
        assert_eq!((privacy.epsilon, privacy.delta), (2.0, 1e-6));
        let x =
            ndarray::stack(ndarray::Axis(0), &[example(10).view(), example(11).view()]).unwrap();
        for head in [
            private.nearest_mean().unwrap(),
            private.ridge(&crate::Ridge::default()).unwrap(),
            private.discriminant(crate::statistics::Shrinkage::Oas).unwrap(),
        ] {
            assert_eq!(head.predict(x.view()).unwrap(), [0, 1], "{}", head.kind());
        }
        assert_eq!(Statistics::from_parts(private.parts()).unwrap(), private);
        let mut merged = private.clone();
        merged.merge(&clipped(100)).unwrap();
        assert!(matches!(merged.privatize(1.0, 1e-6, generator(1)), Err(Error::NotPrivate(_))));
    }

    #[test]
    fn what_is_not_bounded_is_refused() {
        let plain = Statistics::new(3).unwrap();
        assert!(matches!(plain.privatize(1.0, 1e-6, || 0), Err(Error::NotPrivate(_))));
        let statistics = clipped(10);
        for (epsilon, delta) in [(0.0, 0.1), (f64::NAN, 0.1), (1.0, 0.0), (1.0, 1.0), (1e-9, 1e-9)]
        {
            let error = statistics.privatize(epsilon, delta, || 0).unwrap_err();
            assert!(matches!(error, Error::Setting { .. }), "{error}");
        }
    }
}
