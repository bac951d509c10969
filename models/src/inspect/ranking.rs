//! Choosing among encoders without labels.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView3, Axis};

use super::Interval;
use super::measures::geometry::invariance::vote;
use super::measures::information::{intrinsic_dimension, rank};
use super::numeric::clusters::Clusters;
use super::numeric::interval::{bootstrap_mean, jackknife, without_groups};
use super::numeric::neighbors::Neighbors;
use super::numeric::products::{first, unit_rows};
use super::numeric::{eigen, statistics};

/// LiDAR (Thilak and others, 2023, arXiv:2312.04000): RankMe of the eigenvalues of
/// `Σ_w^(-1/2) Σ_b Σ_w^(-1/2)`, where a class is an input and its examples are views of it,
/// with `Σ_w` the covariance within, `δ = 1e-4` added to its diagonal, and `Σ_b` that of the
/// means.
///
/// `views` is `[inputs, views, width]`. Unit: directions that tell inputs apart beyond what
/// views change. Limits: it is of the views that it is given. `None` of fewer than 3 inputs or
/// 2 views.
pub fn lidar(views: ArrayView3<'_, f32>) -> Option<f64> {
    let (n, q, d) = views.dim();
    if n < 3 || q < 2 || d == 0 {
        return None;
    }
    let x = views.mapv(f64::from);
    let means = x.sum_axis(Axis(1)) / q as f64;
    let grand = means.sum_axis(Axis(0)) / n as f64;
    let between = (&means - &grand).t().dot(&(&means - &grand)) / (n - 1) as f64;
    let mut within = Array2::<f64>::eye(d) * 1e-4;
    for view in 0..q {
        let away = &x.index_axis(Axis(1), view) - &means;
        within += &(away.t().dot(&away) / (n * (q - 1)) as f64);
    }
    let (values, rows) = eigen::vectors(within);
    let mut whiten = rows;
    for (mut row, value) in whiten.outer_iter_mut().zip(&values) {
        row /= value.max(1e-12).sqrt();
    }
    let values = eigen::values(whiten.dot(&between).dot(&whiten.t()));
    let kept: Vec<f64> = values.into_iter().map(|v| v.max(0.0)).collect();
    let lidar = rank::rank_me(&kept);
    lidar.is_finite().then_some(lidar)
}

/// Recognition: few-shot learning without labels, each input a class and its views the
/// examples. The mean of the first half of the views of each input stands for it, and this is
/// the share of the other views that are nearest to that of their own input by the cosine,
/// after `mean`, that of unchanged embeddings, is taken away; with its bootstrap interval over
/// inputs. The task of instance discrimination (Wu and others, 2018, arXiv:1805.01978), solved
/// as prototypical networks solve few-shot tasks (Snell and others, 2017, arXiv:1703.05175).
///
/// `views` is `[inputs, views, width]`. Unit: a share; `1 / inputs` is chance, so only figures of
/// the same number of inputs and views compare. Limits: it rewards what views leave alone,
/// whether or not the classes depend on it. `None` of fewer than 3 inputs or 2 views.
pub fn recognition(
    views: ArrayView3<'_, f32>,
    mean: ArrayView1<'_, f32>,
    seed: u64,
) -> Option<(f64, Option<Interval>)> {
    let (n, q, d) = views.dim();
    if n < 3 || q < 2 || d == 0 || mean.len() != d {
        return None;
    }
    let known = q / 2;
    let mut stands = Array2::<f32>::zeros((n, d));
    for view in 0..known {
        stands += &(&views.index_axis(Axis(1), view) - &mean);
    }
    let stands = unit_rows(stands.view());
    let mut found = vec![0.0; n];
    for view in known..q {
        let asked = &views.index_axis(Axis(1), view) - &mean;
        let cosines = unit_rows(asked.view()).dot(&stands.t());
        for ((own, found), row) in found.iter_mut().enumerate().zip(cosines.outer_iter()) {
            let others = row.iter().enumerate().filter(|(other, _)| *other != own);
            // A tie, as of a collapsed encoder, is not recognised.
            let is_own = others.map(|(_, cosine)| cosine).all(|cosine| *cosine < row[own]);
            *found += f64::from(is_own) / (q - known) as f64;
        }
    }
    Some((statistics::mean(&found), bootstrap_mean(&found, seed)))
}

/// [`lidar`] with its interval, a jackknife over inputs.
pub fn lidar_with_interval(views: ArrayView3<'_, f32>) -> Option<(f64, Option<Interval>)> {
    let value = lidar(views)?;
    let without = without_groups(views.dim().0, |kept| lidar(views.select(Axis(0), kept).view()));
    Some((value, jackknife(value, &without)))
}

/// Cluster learnability and intrinsic dimension (CLID: Lu and others, 2022, arXiv:2206.01251).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Clid {
    /// Leave-one-out accuracy of 10 nearest neighbours on k-means clusters, `√(rows / 2)` of
    /// them at most 50.
    pub learnability: f64,
    /// TwoNN's intrinsic dimension.
    pub dimension: f64,
}

/// CLID of embeddings; `None` of fewer than 30 rows. Of more than 3,000 the first are used.
pub fn clid(x: ArrayView2<'_, f32>, seed: u64) -> Option<Clid> {
    let n = x.nrows().min(3000);
    if n < 30 {
        return None;
    }
    let unit = unit_rows(first(x, n));
    let k = ((n as f64 / 2.0).sqrt() as usize).clamp(2, 50);
    let clusters = Clusters::fit(unit.view(), k, 1, seed);
    let nearest = Neighbors::among(unit.view(), 10);
    let right =
        nearest.rows.outer_iter().zip(&clusters.of).filter(|(rows, own)| {
            vote(rows.iter().map(|&j| clusters.of[j as usize])) == Some(**own)
        });
    let learnability = right.count() as f64 / n as f64;
    let pairs: Vec<(f64, f64)> =
        nearest.distances.outer_iter().map(|row| (row[0], row[1])).collect();
    let (dimension, _) = intrinsic_dimension::two_nn(&pairs, seed)?;
    Some(Clid { learnability, dimension })
}

/// One score an encoder from CLID: the sum of both parts, each standardised over the encoders.
pub fn clid_scores(parts: &[Clid]) -> Vec<f64> {
    let standard = |values: Vec<f64>| {
        let (mean, deviation) = (statistics::mean(&values), statistics::deviation(&values));
        let over = if deviation > 0.0 { deviation } else { 1.0 };
        values.into_iter().map(|v| (v - mean) / over).collect::<Vec<f64>>()
    };
    let learnability = standard(parts.iter().map(|p| p.learnability).collect());
    let dimension = standard(parts.iter().map(|p| p.dimension).collect());
    learnability.into_iter().zip(dimension).map(|(a, b)| a + b).collect()
}

/// Spearman's rank correlation; equal values have their mean rank. `None` of fewer than 3 pairs
/// or where one side does not vary.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.len() < 3 {
        return None;
    }
    statistics::correlation(&statistics::ranks(a), &statistics::ranks(b))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::random::SplitMix64;

    /// The value is `scipy.stats.spearmanr`'s.
    #[test]
    fn spearman_with_ties_equals_scipy() {
        let found = spearman(&[1.0, 2.0, 2.0, 5.0, 4.0], &[3.0, 1.0, 4.0, 6.0, 6.0]).unwrap();
        assert!((found - 0.789_473_684_210_526_4).abs() < 1e-12, "{found}");
        assert!(spearman(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]).is_none());
    }

    #[test]
    fn lidar_counts_directions_that_views_leave_alone() {
        let mut random = SplitMix64::new(1);
        // Four directions are the input's, four are the view's.
        let inputs = Array2::from_shape_simple_fn((300, 4), || random.normal());
        let views = Array3::from_shape_fn((300, 6, 8), |(i, _, j)| {
            if j < 4 { 10.0 * inputs[[i, j]] } else { random.normal() }
        });
        let found = lidar(views.view()).unwrap();
        assert!((found - 4.0).abs() < 0.1, "{found}");
        let (value, interval) = lidar_with_interval(views.view()).unwrap();
        let interval = interval.unwrap();
        assert!(value == found && interval.high - interval.low < 0.2, "{interval:?}");
        assert!(lidar(Array3::zeros((300, 1, 8)).view()).is_none());
        assert!(lidar(Array3::zeros((300, 3, 8)).view()).is_none());
    }

    #[test]
    fn recognition_at_its_limits() {
        let mut random = SplitMix64::new(3);
        let none = ndarray::Array1::zeros(40);
        let inputs = Array2::from_shape_simple_fn((50, 40), || random.normal());
        let same = Array3::from_shape_fn((50, 4, 40), |(i, _, j)| inputs[[i, j]]);
        let (all, interval) = recognition(same.view(), none.view(), 1).unwrap();
        assert!(all == 1.0 && interval.unwrap().low == 1.0);
        let noise = Array3::from_shape_simple_fn((50, 8, 40), || random.normal());
        let (chance, interval) = recognition(noise.view(), none.view(), 1).unwrap();
        assert!(chance < 0.08 && interval.unwrap().contains(1.0 / 50.0), "{chance} {interval:?}");
        let collapsed = Array3::ones((50, 4, 40));
        assert_eq!(recognition(collapsed.view(), none.view(), 1).unwrap().0, 0.0);
        // The common part of all embeddings hides nothing, since the mean is taken away.
        let far = same.mapv(|v| v + 100.0);
        let mean = ndarray::Array1::from_elem(40, 100.0);
        assert_eq!(recognition(far.view(), mean.view(), 1).unwrap().0, 1.0);
        assert!(recognition(same.view(), ndarray::Array1::zeros(3).view(), 1).is_none());
    }

    #[test]
    fn clustered_data_is_learnable() {
        let mut random = SplitMix64::new(1);
        let x = Array2::from_shape_simple_fn((200, 3), || random.normal());
        let found = clid(x.view(), 1).unwrap();
        assert!(found.learnability > 0.6 && found.dimension > 1.0, "{found:?}");
        assert_eq!(clid_scores(&[found, found]), [0.0, 0.0]);
    }
}
