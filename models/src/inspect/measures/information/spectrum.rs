//! The eigenvalues of embeddings, and how fast they fall.

use ndarray::{Array2, ArrayView2, Axis};

use crate::inspect::numeric::{eigen, interval, parallel, products};
use crate::inspect::{Interval, measures::information::rank};

/// Largest matrix whose eigenvalues are computed.
pub const MOST_SIDE: usize = 1024;
/// Groups of the jackknife, where the matrix is at most [`GROUPED_SIDE`] wide.
const GROUPS: usize = 16;
const GROUPED_SIDE: usize = 512;

/// Singular values and variances of embeddings, with those of the same rows without one group
/// each, from which intervals come.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// Singular values of the rows as they are, falling.
    pub singular: Vec<f64>,
    /// Variances of the principal components, falling.
    pub variances: Vec<f64>,
    /// Rows used.
    pub rows: usize,
    without: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Spectrum {
    /// Of embeddings `[rows, width]`. Of more than [`MOST_SIDE`] dimensions, the first
    /// [`MOST_SIDE`] rows are used.
    pub fn of(x: ArrayView2<'_, f32>) -> Self {
        let wide = x.ncols() > MOST_SIDE;
        let used = if wide { x.nrows().min(MOST_SIDE) } else { x.nrows() };
        let x = x.slice_axis(Axis(0), ndarray::Slice::from(..used));
        if x.nrows() < x.ncols() {
            return Self::of_few(x);
        }
        let (n, d) = x.dim();
        let grouped = d <= GROUPED_SIDE && n >= 4 * GROUPS;
        let groups = if grouped { GROUPS } else { 1 };
        // Row i is of group i mod groups: whatever order the data has, groups are alike.
        let parts: Vec<(usize, Array2<f64>, ndarray::Array1<f64>)> = (0..groups)
            .map(|group| {
                let rows: Vec<usize> = (group..n).step_by(groups).collect();
                let part = x.select(Axis(0), &rows);
                let sum = products::mean(part.view()) * rows.len() as f64;
                (rows.len(), products::scatter(part.view()), sum)
            })
            .collect();
        let mut scatter = Array2::<f64>::zeros((d, d));
        let mut sum = ndarray::Array1::<f64>::zeros(d);
        for (_, s, m) in &parts {
            scatter += s;
            sum += m;
        }
        let one = |part: Option<usize>| {
            let (mut s, mut m, mut count) = (scatter.clone(), sum.clone(), n);
            if let Some((rows, scatter, sum)) = part.and_then(|part| parts.get(part)) {
                s -= scatter;
                m -= sum;
                count -= rows;
            }
            let singular = roots(eigen::values(s.clone()));
            for (i, mut row) in s.outer_iter_mut().enumerate() {
                row.scaled_add(-m[i] / count as f64, &m);
            }
            (singular, variances(eigen::values(s), count))
        };
        let count = if grouped { groups + 1 } else { 1 };
        let mut all = parallel::map(count, |i| one(i.checked_sub(1)));
        let without = all.split_off(1);
        let (singular, variances) = all.pop().unwrap_or_default();
        Self { singular, variances, rows: n, without }
    }

    /// Of fewer rows than dimensions: the same eigenvalues from the products of rows.
    fn of_few(x: ArrayView2<'_, f32>) -> Self {
        let singular = roots(eigen::values(products::gram(x)));
        let centred = products::centred(x);
        let variances = variances(eigen::values(products::gram(centred.view())), x.nrows());
        Self { singular, variances, rows: x.nrows(), without: Vec::new() }
    }

    fn interval(&self, value: f64, of: impl Fn(&(Vec<f64>, Vec<f64>)) -> f64) -> Option<Interval> {
        let without: Vec<f64> = self.without.iter().map(of).collect();
        interval::jackknife(value, &without)
    }

    /// [`rank::rank_me`] with its interval.
    pub fn rank_me(&self) -> (f64, Option<Interval>) {
        let value = rank::rank_me(&self.singular);
        (value, self.interval(value, |(singular, _)| rank::rank_me(singular)))
    }

    /// [`rank::participation_ratio`] with its interval.
    pub fn participation_ratio(&self) -> (f64, Option<Interval>) {
        let value = rank::participation_ratio(&self.variances);
        (value, self.interval(value, |(_, variances)| rank::participation_ratio(variances)))
    }

    /// [`decay`] with its interval.
    pub fn decay(&self) -> (f64, Option<Interval>) {
        let value = decay(&self.variances);
        (value, self.interval(value, |(_, variances)| decay(variances)))
    }

    /// Share of the variance in the first component; NaN where nothing varies.
    pub fn first_share(&self) -> f64 {
        self.variances.first().map_or(f64::NAN, |first| first / self.variances.iter().sum::<f64>())
    }
}

fn roots(values: Vec<f64>) -> Vec<f64> {
    // Below this an eigenvalue is rounding.
    let least = values.first().map_or(0.0, |first| first * 1e-14);
    values.into_iter().map(|v| if v > least { v.sqrt() } else { 0.0 }).collect()
}

fn variances(values: Vec<f64>, rows: usize) -> Vec<f64> {
    let least = values.first().map_or(0.0, |first| first.max(0.0) * 1e-14);
    let over = rows.max(1) as f64;
    values.into_iter().map(|v| if v > least { v / over } else { 0.0 }).collect()
}

/// α-ReQ (Agrawal and others, 2022, arXiv:2202.05808): the exponent α of `λ_j ∝ j^(-α)`, by
/// least squares of `log λ` on `log j`, over the ranks 11 to 50 as Stringer and others (2019)
/// fit it; of fewer than 60 positive variances, over the first half of them.
///
/// Unit: none; 0 is white noise, near 1 the balance of detail and smoothness that the paper
/// finds in encoders that transfer well, and far above 1 a representation of few directions.
/// Limits: spectra that follow no power law have a slope too. NaN of fewer than 3 variances.
pub fn decay(variances: &[f64]) -> f64 {
    let positive = variances.iter().take_while(|&&v| v > 0.0).count();
    let ranks = if positive >= 60 { 11..51 } else { 1..(positive / 2 + 1).max(positive.min(4)) };
    let points: Vec<(f64, f64)> =
        ranks.filter_map(|j| Some(((j as f64).ln(), variances.get(j - 1)?.ln()))).collect();
    if points.len() < 3 {
        return f64::NAN;
    }
    let n = points.len() as f64;
    let (mx, my) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (xy, xx) = points
        .iter()
        .fold((0.0, 0.0), |(xy, xx), (x, y)| (xy + (x - mx) * (y - my), xx + (x - mx).powi(2)));
    -xy / xx
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn cloud(rows: usize, width: usize, scale: impl Fn(usize) -> f32) -> Array2<f32> {
        let mut random = SplitMix64::new(3);
        Array2::from_shape_fn((rows, width), |(_, j)| random.normal() * scale(j))
    }

    #[test]
    fn the_exponent_of_a_power_law_is_found() {
        let law: Vec<f64> = (1..=100).map(|j| 3.0 * f64::from(j).powf(-1.3)).collect();
        assert!((decay(&law) - 1.3).abs() < 1e-12 && (decay(&law[..20]) - 1.3).abs() < 1e-12);
        assert!(decay(&law[..2]).is_nan() && decay(&[]).is_nan());
    }

    #[test]
    fn an_even_cloud_a_line_and_a_collapse() {
        let even = Spectrum::of(cloud(3000, 8, |_| 1.0).view());
        let (rank, interval) = even.rank_me();
        let interval = interval.unwrap();
        assert!(rank > 7.99 && interval.contains(rank), "{rank} {interval:?}");
        assert!(interval.low > 7.98 && interval.high < 8.01, "{interval:?}");
        assert!((even.participation_ratio().0 - 8.0).abs() < 0.1 && even.decay().0 < 0.1);

        let mut line = Array2::<f32>::zeros((500, 384));
        let t = cloud(500, 1, |_| 1.0);
        let direction = cloud(1, 384, |_| 1.0);
        line.outer_iter_mut()
            .zip(&t)
            .for_each(|(mut row, &t)| row.assign(&(&direction.row(0) * t)));
        let line = Spectrum::of(line.view());
        assert!((line.participation_ratio().0 - 1.0).abs() < 1e-6, "{:?}", line.variances);
        assert!(line.rank_me().0 < 1.001 && line.first_share() > 0.999_999);

        let same = Spectrum::of(Array2::ones((50, 4)).view());
        assert!((same.rank_me().0 - 1.0).abs() < 1e-9 && same.participation_ratio().0.is_nan());
    }

    #[test]
    fn fewer_rows_than_dimensions_have_the_same_eigenvalues() {
        let x = cloud(20, 30, |j| 1.0 / (1 + j) as f32);
        let few = Spectrum::of(x.view());
        let covariance = products::scatter(products::centred(x.view()).view()) / 20.0;
        let all = eigen::values(covariance);
        assert!(few.variances[..19].iter().zip(&all).all(|(a, b)| (a - b).abs() < 1e-6 * all[0]));
        assert!(few.rank_me().1.is_none());
    }
}
