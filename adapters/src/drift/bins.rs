//! Counts of new values between quantiles of old ones.

/// Quantiles that are kept of a number.
pub(super) const QUANTILES: usize = 48;
/// Parts that are counted, the most that have 5 expected in each; odd, so that the degrees of
/// freedom are even and the tail of χ² is a short sum.
const PARTS: [usize; 4] = [17, 9, 5, 3];

/// Quantiles of one number, rising.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bins(Vec<f64>);

/// The place among `n` values in rising order, from 1, of quantile `k` from 0.
fn place(k: usize, n: usize) -> usize {
    let share = (k + 1) as f64 / (QUANTILES + 1) as f64;
    ((share * (n + 1) as f64).round() as usize).clamp(1, n)
}

impl Bins {
    /// Of at least one value.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self((0..QUANTILES).map(|k| values[place(k, values.len()) - 1]).collect())
    }

    /// Of quantiles that were kept.
    pub(super) fn from(quantiles: Vec<f64>) -> Result<Self, String> {
        match quantiles.windows(2).all(|pair| pair[0] <= pair[1]) {
            true => Ok(Self(quantiles)),
            false => Err("its quantiles are not in order".to_owned()),
        }
    }

    pub(super) fn quantiles(&self) -> &[f64] {
        &self.0
    }

    pub(super) fn root_mean_square(&self) -> f64 {
        (self.0.iter().map(|v| v * v).sum::<f64>() / self.0.len() as f64).sqrt()
    }

    /// The χ² statistic of new values against the quantiles of `n` old ones, and its degrees
    /// of freedom.
    pub(super) fn compare(
        &self,
        new: impl ExactSizeIterator<Item = f64>,
        n: usize,
    ) -> (f64, usize) {
        let count = new.len() as f64;
        let fits = |parts: &&usize| count / **parts as f64 >= 5.0;
        let parts = PARTS.iter().find(fits).copied().unwrap_or(3);
        let chosen: Vec<usize> = (1..parts)
            .map(|j| ((QUANTILES + 1) as f64 * j as f64 / parts as f64).round() as usize - 1)
            .collect();
        let borders: Vec<f64> = chosen.iter().map(|&k| self.0[k]).collect();
        // The share of the population below a value of rank r of n is r / (n + 1) on average.
        let below = |j: usize| match j {
            0 => 0.0,
            j if j == parts => 1.0,
            j => place(chosen[j - 1], n) as f64 / (n + 1) as f64,
        };
        let shares: Vec<f64> = (0..parts).map(|j| below(j + 1) - below(j)).collect();
        let mut counts = vec![0.0; parts];
        for value in new {
            let first = borders.partition_point(|&border| border < value);
            let last = borders.partition_point(|&border| border <= value);
            // A value that is a border belongs to the parts around it by their shares.
            let total: f64 = shares[first..=last].iter().sum();
            for part in first..=last {
                counts[part] += if total > 0.0 { shares[part] / total } else { 0.0 };
            }
        }
        let scale = count * (1.0 + count / n as f64);
        let each = counts.iter().zip(&shares).filter(|(_, share)| **share > 0.0);
        let statistic =
            each.map(|(found, share)| (found - count * share).powi(2) / (scale * share)).sum();
        (statistic, parts - 1)
    }
}

/// `P(χ² > x)` of an even number of degrees of freedom: `e^(-x/2) Σ_{k < ν/2} (x/2)^k / k!`.
pub(super) fn chi_squared_tail(x: f64, freedom: usize) -> f64 {
    let half = x / 2.0;
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 0..freedom / 2 {
        sum += term;
        term *= half / (k + 1) as f64;
    }
    ((-half).exp() * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.chi2.sf`.
    #[test]
    fn tail_equals_scipy() {
        for (x, freedom, wanted) in
            [(16.0, 16, 0.452_960_809_5), (40.0, 16, 0.000_778_590_1), (3.0, 2, 0.223_130_160_1)]
        {
            assert!((chi_squared_tail(x, freedom) - wanted).abs() < 1e-9, "{x} {freedom}");
        }
    }

    #[test]
    fn the_reference_itself_has_no_difference() {
        let values: Vec<f64> = (0..979).map(f64::from).collect();
        let bins = Bins::of(values.clone());
        let (statistic, freedom) = bins.compare(values.into_iter(), 979);
        assert!(freedom == 16 && statistic < 0.1, "{statistic}");
        // A constant number is no difference either.
        let constant = Bins::of(vec![2.0; 200]);
        assert!(constant.compare(vec![2.0; 50].into_iter(), 200).0 < 1e-9);
        assert!(constant.compare(vec![3.0; 50].into_iter(), 200).0 > 50.0);
    }
}
