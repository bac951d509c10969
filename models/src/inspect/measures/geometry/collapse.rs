//! How tight classes are against the distance between them.

use ndarray::{Array2, ArrayView2};

use super::classes::means;
use crate::inspect::Interval;
use crate::inspect::numeric::eigen;
use crate::inspect::numeric::interval::{jackknife, without_groups};
use crate::inspect::numeric::products::first;

/// Scatter of labelled classes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Collapse {
    /// NC1 of neural collapse (Papyan and others, 2020, arXiv:2008.08186): `tr(Σ_W Σ_B⁺) / K`
    /// with the mean covariance within classes and that of the K class means. 0 where each
    /// class is one point.
    pub within_over_between: f64,
    /// Class-distance-normalised variance (Galanti and others, 2021, arXiv:2112.15121): the
    /// mean over ordered pairs of classes of `σ²_i / ‖μ_i - μ_j‖²`, half of what the paper
    /// sums over both. 0 where classes are points; grows with the width for noise.
    pub cdnv: f64,
    /// The same with the variance along `μ_i - μ_j` only (the directional CDNV: Luthra and
    /// others, 2025, arXiv:2506.04411), which is what few labels have to overcome: a nearest
    /// mean of few examples errs by chance in all other directions and so hardly at all.
    pub directional: f64,
}

/// Of embeddings `[rows, width]` and the class of each. `None` where fewer than 2 classes have
/// 2 examples, or where all means are the same.
pub fn collapse(x: ArrayView2<'_, f32>, labels: &[usize]) -> Option<Collapse> {
    let (means, counts) = means(x, labels);
    let kept: Vec<usize> = (0..counts.len()).filter(|&c| counts[c] > 1).collect();
    let k = kept.len();
    if k < 2 {
        return None;
    }
    let means = means.select(ndarray::Axis(0), &kept);
    let place: Vec<Option<usize>> =
        (0..counts.len()).map(|class| kept.iter().position(|&c| c == class)).collect();
    let grand = means.sum_axis(ndarray::Axis(0)) / k as f64;
    let away = &means - &grand;
    // Σ_B⁺ = K M (MᵀM)⁺² Mᵀ for the columns M of centred means: only K × K is decomposed.
    let (values, vectors) = eigen::vectors(away.dot(&away.t()));
    let least = values[0] * 1e-10;
    if values[0] <= 1e-24 {
        return None;
    }
    let used = values.iter().take_while(|&&v| v > least).count();
    // Row r is the projection whose squared length is rᵀ Σ_B⁺ r.
    let mut inverse: Array2<f64> = first(vectors.view(), used).dot(&away);
    for (mut row, value) in inverse.outer_iter_mut().zip(&values) {
        row *= (k as f64).sqrt() / value;
    }
    let mut within = vec![0.0; k];
    let mut variance = vec![0.0; k];
    let mut along = Array2::<f64>::zeros((k, k));
    for (row, &label) in x.outer_iter().zip(labels) {
        let Some(class) = place.get(label).copied().flatten() else { continue };
        let from_mean = row.mapv(f64::from) - means.row(class);
        let n = counts[kept[class]] as f64;
        let projected = inverse.dot(&from_mean);
        within[class] += projected.dot(&projected) / n;
        variance[class] += from_mean.dot(&from_mean) / n;
        let products = means.dot(&from_mean);
        for other in 0..k {
            along[[class, other]] += (products[class] - products[other]).powi(2) / n;
        }
    }
    let (mut cdnv, mut directional, mut pairs) = (0.0, 0.0, 0.0);
    for i in 0..k {
        for j in (0..k).filter(|&j| j != i) {
            let gap = &means.row(i) - &means.row(j);
            let squared = gap.dot(&gap);
            if squared > 1e-24 {
                cdnv += variance[i] / squared;
                directional += along[[i, j]] / (squared * squared);
                pairs += 1.0;
            }
        }
    }
    Some(Collapse {
        within_over_between: within.iter().sum::<f64>() / (k * k) as f64,
        cdnv: cdnv / pairs,
        directional: directional / pairs,
    })
}

/// The intervals of a [`Collapse`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CollapseIntervals {
    /// Of [`Collapse::within_over_between`].
    pub within_over_between: Option<Interval>,
    /// Of [`Collapse::cdnv`].
    pub cdnv: Option<Interval>,
    /// Of [`Collapse::directional`].
    pub directional: Option<Interval>,
}

/// Intervals by a jackknife over examples, which are in random order.
pub fn intervals(x: ArrayView2<'_, f32>, labels: &[usize], found: &Collapse) -> CollapseIntervals {
    let without = without_groups(x.nrows(), |kept| {
        let labels: Vec<usize> = kept.iter().map(|&i| labels[i]).collect();
        collapse(x.select(ndarray::Axis(0), kept).view(), &labels)
    });
    let of = |figure: fn(&Collapse) -> f64| {
        jackknife(figure(found), &without.iter().map(figure).collect::<Vec<_>>())
    };
    CollapseIntervals {
        within_over_between: of(|c| c.within_over_between),
        cdnv: of(|c| c.cdnv),
        directional: of(|c| c.directional),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn noise_around_two_points_by_hand() {
        let mut random = SplitMix64::new(1);
        let width = 20;
        let labels: Vec<usize> = (0..6000).map(|i| i % 2).collect();
        let x = Array2::from_shape_fn((6000, width), |(i, j)| {
            random.normal() + if j == 0 && i % 2 == 1 { 4.0 } else { 0.0 }
        });
        let found = collapse(x.view(), &labels).unwrap();
        // Σ_B = 4 e eᵀ, so tr(Σ_W Σ_B⁺) / K = 1 / 8; gap² = 16.
        assert!((found.within_over_between - 1.0 / 8.0).abs() < 0.01, "{found:?}");
        assert!((found.cdnv - width as f64 / 16.0).abs() < 0.05, "{found:?}");
        assert!((found.directional - 1.0 / 16.0).abs() < 0.005, "{found:?}");
    }

    /// Many small samples of the same two clouds: the intervals hold the figures of the clouds
    /// as often as they say.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut held = [0; 3];
        for seed in 0..100 {
            let mut random = SplitMix64::new(seed);
            let labels: Vec<usize> = (0..320).map(|_| random.below(2)).collect();
            let x = Array2::from_shape_fn((320, 3), |(i, j)| {
                random.normal() + if j == 0 && labels[i] == 1 { 4.0 } else { 0.0 }
            });
            let found = collapse(x.view(), &labels).unwrap();
            let all = intervals(x.view(), &labels, &found);
            held[0] += usize::from(all.within_over_between.unwrap().contains(1.0 / 8.0));
            held[1] += usize::from(all.cdnv.unwrap().contains(3.0 / 16.0));
            held[2] += usize::from(all.directional.unwrap().contains(1.0 / 16.0));
        }
        // 95 are expected, with a deviation of 2.2.
        assert!(held.iter().all(|&n| n >= 88), "{held:?}");
        assert_eq!(
            intervals(
                Array2::ones((8, 3)).view(),
                &[0, 1, 0, 1, 0, 1, 0, 1],
                &Collapse { within_over_between: 1.0, cdnv: 1.0, directional: 1.0 }
            ),
            CollapseIntervals::default()
        );
    }

    #[test]
    fn points_collapse_and_one_class_has_no_figure() {
        let x = Array2::from_shape_fn((12, 3), |(i, j)| if i % 3 == j { 1f32 } else { 0.0 });
        let labels: Vec<usize> = (0..12).map(|i| i % 3).collect();
        let found = collapse(x.view(), &labels).unwrap();
        assert!(found.within_over_between < 1e-12 && found.cdnv < 1e-12);
        assert!(collapse(x.view(), &[0; 12]).is_none());
        assert!(collapse(Array2::ones((12, 3)).view(), &labels).is_none());
    }
}
