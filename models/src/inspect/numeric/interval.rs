//! How far a figure can be trusted.

use super::parallel;
use crate::random::SplitMix64;

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether a value lies in it.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Resamples of a bootstrap.
pub(crate) const RESAMPLES: usize = 200;

/// The percentile interval of `statistic` over samples that are drawn from `0..n` with
/// repetition (Efron, 1979). Statistics that are not finite are left out; `None` of fewer than
/// 2 examples or where nothing is left.
pub(crate) fn bootstrap(
    n: usize,
    seed: u64,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Option<Interval> {
    if n < 2 {
        return None;
    }
    let mut random = SplitMix64::stream(seed, "bootstrap", &[n as u64]);
    let mut drawn = vec![0; n];
    let found = (0..RESAMPLES)
        .map(|_| {
            drawn.iter_mut().for_each(|i| *i = random.below(n));
            statistic(&drawn)
        })
        .filter(|value| value.is_finite())
        .collect();
    percentiles(found)
}

/// The bootstrap interval of the mean of values.
pub(crate) fn bootstrap_mean(values: &[f64], seed: u64) -> Option<Interval> {
    bootstrap(values.len(), seed, |drawn| {
        drawn.iter().map(|&i| values[i]).sum::<f64>() / drawn.len() as f64
    })
}

/// The middle 95 % of values.
pub(crate) fn percentiles(mut values: Vec<f64>) -> Option<Interval> {
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| {
        let place = share * last as f64;
        let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
        if low == high { low } else { low + place.fract() * (high - low) }
    };
    Some(Interval { low: at(0.025), high: at(0.975) })
}

/// The interval of a figure from its values without one group of the examples each: the
/// jackknife over groups (Quenouille, 1956), which repeats no example, so that neighbours and
/// ranks are not distorted as they are in a bootstrap. The quantile is Student's.
pub(crate) fn jackknife(value: f64, without: &[f64]) -> Option<Interval> {
    let groups = without.len() as f64;
    if without.len() < 3 || without.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mean = without.iter().sum::<f64>() / groups;
    let squares: f64 = without.iter().map(|v| (v - mean).powi(2)).sum();
    let deviation = ((groups - 1.0) / groups * squares).sqrt();
    let reach = student_975(without.len() - 1) * deviation;
    Some(Interval { low: value - reach, high: value + reach })
}

/// Groups of [`without_groups`].
const GROUPS: usize = 16;

/// What `figures` are of `0..n` without one of 16 groups each, for [`jackknife`]: every 16th
/// example is a group, so the order should be random. Empty of fewer than 32 examples.
pub(crate) fn without_groups<T: Send>(
    n: usize,
    figures: impl Fn(&[usize]) -> Option<T> + Sync,
) -> Vec<T> {
    if n < 2 * GROUPS {
        return Vec::new();
    }
    let found = parallel::map(GROUPS, |group| {
        let kept: Vec<usize> = (0..n).filter(|i| i % GROUPS != group).collect();
        figures(&kept)
    });
    found.into_iter().flatten().collect()
}

/// The 0.975 quantile of Student's distribution: Hill's expansion around the normal quantile
/// (Abramowitz and Stegun 26.7.5), exact to 0.2 % from 3 degrees of freedom; the first two are
/// known.
pub(crate) fn student_975(freedom: usize) -> f64 {
    let z = 1.959_963_984_540_054_f64;
    match freedom {
        0 => f64::INFINITY,
        1 => 12.706_204_736,
        2 => 4.302_652_73,
        n => {
            let n = n as f64;
            let z2 = z * z;
            let first = z * (z2 + 1.0) / 4.0;
            let second = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
            let third = z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
            let fourth =
                z * ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92160.0;
            z + first / n + second / n.powi(2) + third / n.powi(3) + fourth / n.powi(4)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.t.ppf(0.975, n)`.
    #[test]
    fn students_quantile_equals_scipy() {
        for (n, wanted) in [(3, 3.182_446), (5, 2.570_582), (9, 2.262_157), (19, 2.093_024)] {
            assert!((student_975(n) / wanted - 1.0).abs() < 2e-3, "{n}: {}", student_975(n));
        }
    }

    #[test]
    fn intervals_of_a_mean_hold_it_as_often_as_they_say() {
        let mut held = [0, 0];
        for seed in 0..300 {
            let mut random = SplitMix64::new(1000 + seed);
            let values: Vec<f64> = (0..100).map(|_| f64::from(random.normal())).collect();
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
            held[0] += usize::from(bootstrap_mean(&values, seed).unwrap().contains(0.0));
            let without: Vec<f64> = (0..20)
                .map(|g| {
                    let rest: Vec<f64> =
                        (0..100).filter(|i| i % 20 != g).map(|i| values[i]).collect();
                    mean(&rest)
                })
                .collect();
            held[1] += usize::from(jackknife(mean(&values), &without).unwrap().contains(0.0));
        }
        // 285 of 300 are expected, with a deviation of 3.8.
        assert!(held.iter().all(|&n| (271..=299).contains(&n)), "{held:?}");
    }

    #[test]
    fn too_few_have_no_interval() {
        assert!(bootstrap_mean(&[1.0], 0).is_none() && jackknife(1.0, &[1.0, 2.0]).is_none());
        assert!(percentiles(vec![f64::NAN]).is_none());
    }
}
