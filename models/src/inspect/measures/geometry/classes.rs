//! How far apart labelled classes are.

use ndarray::{Array2, ArrayView2, Axis};

use crate::inspect::Interval;
use crate::inspect::numeric::interval::{jackknife, without_groups};

/// Class separation `R² = 1 - d_within / d_total` (Kornblith and others, 2021,
/// arXiv:2010.16402) with d the mean of `1 - cosine` over pairs of rows of unit length within
/// a class, all classes counting alike, and over pairs of all classes.
///
/// Unit: a share. 1 where each class is one point, 0 where classes do not differ. A row is a
/// pair with itself too, as in the paper, so classes of few examples look better than they
/// are. NaN where all rows are the same.
pub fn separation(unit: ArrayView2<'_, f32>, labels: &[usize]) -> f64 {
    let (means, counts) = means(unit, labels);
    let present: Vec<usize> = (0..counts.len()).filter(|&c| counts[c] > 0).collect();
    let k = present.len() as f64;
    // The mean cosine of pairs of two classes is the product of their mean rows.
    let product = |a: usize, b: usize| means.row(a).dot(&means.row(b));
    let within = present.iter().map(|&c| 1.0 - product(c, c)).sum::<f64>() / k;
    let pairs = present.iter().flat_map(|&a| present.iter().map(move |&b| (a, b)));
    let total = pairs.map(|(a, b)| 1.0 - product(a, b)).sum::<f64>() / (k * k);
    if total > 1e-12 { 1.0 - within / total } else { f64::NAN }
}

/// The same with its interval, a jackknife over examples, which are in random order.
pub fn separation_with_interval(
    unit: ArrayView2<'_, f32>,
    labels: &[usize],
) -> (f64, Option<Interval>) {
    let value = separation(unit, labels);
    let without = without_groups(unit.nrows(), |kept| {
        let labels: Vec<usize> = kept.iter().map(|&i| labels[i]).collect();
        Some(separation(unit.select(Axis(0), kept).view(), &labels))
    });
    (value, jackknife(value, &without))
}

/// The mean row of each class, and the number of rows.
pub(super) fn means(x: ArrayView2<'_, f32>, labels: &[usize]) -> (Array2<f64>, Vec<usize>) {
    let k = labels.iter().max().map_or(0, |most| most + 1);
    let mut means = Array2::zeros((k, x.ncols()));
    let mut counts = vec![0usize; k];
    for (row, &class) in x.outer_iter().zip(labels) {
        counts[class] += 1;
        means.row_mut(class).iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v));
    }
    for (mut mean, &count) in means.outer_iter_mut().zip(&counts) {
        mean /= count.max(1) as f64;
    }
    (means, counts)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn points_and_equal_classes() {
        let points = array![[1f32, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]];
        assert!((separation(points.view(), &[0, 0, 1, 1]) - 1.0).abs() < 1e-12);
        assert!(separation(points.view(), &[0, 1, 0, 1]).abs() < 1e-12);
        assert!(separation(Array2::ones((4, 1)).view(), &[0, 0, 1, 1]).is_nan());
    }
}
