//! Maps of embeddings in the plane.

use ndarray::{Array2, ArrayView2, Axis};

use super::numeric::{eigen, parallel, products};
use crate::random::SplitMix64;

/// Most rows of a map.
pub const MOST_ROWS: usize = 1000;

/// The first two principal components of the rows, `[rows, 2]`. Of more than 1,024 dimensions
/// the rows' products are decomposed, which must not be many.
pub fn pca(x: ArrayView2<'_, f32>) -> Array2<f64> {
    let centred = products::centred(x);
    let (n, d) = centred.dim();
    let mut plane = Array2::zeros((n, 2));
    if n < d {
        let (values, vectors) = eigen::vectors(products::gram(centred.view()));
        for (axis, value) in values.iter().take(2).enumerate() {
            plane.column_mut(axis).assign(&(&vectors.row(axis) * value.max(0.0).sqrt()));
        }
    } else {
        let (_, vectors) = eigen::vectors(products::scatter(centred.view()));
        for axis in 0..d.min(2) {
            let direction = vectors.row(axis).to_owned();
            plane.column_mut(axis).assign(&centred.mapv(f64::from).dot(&direction));
        }
    }
    plane
}

/// t-SNE (van der Maaten and Hinton, 2008, JMLR 9) of at most [`MOST_ROWS`] rows, with all
/// pairs: 400 steps of gradient descent from the principal components, the first 100 with
/// attraction enlarged 12 times. The same seed gives the same map.
///
/// Limits: near points are alike; distances between groups, their sizes and densities mean
/// nothing.
pub fn t_sne(x: ArrayView2<'_, f32>, perplexity: f64, seed: u64) -> Array2<f64> {
    let n = x.nrows();
    let mut plane = pca(x);
    if n < 5 {
        return plane;
    }
    let affinity = affinities(x, perplexity.clamp(2.0, (n - 1) as f64 / 3.0));
    let largest = plane.column(0).iter().fold(1e-12f64, |m, v| m.max(v.abs()));
    let mut random = SplitMix64::stream(seed, "map", &[]);
    plane.mapv_inplace(|v| 1e-2 * v / largest + 1e-4 * f64::from(random.normal()));
    let mut speed = Array2::<f64>::zeros((n, 2));
    let rate = (n as f64 / 12.0).max(50.0);
    for step in 0..400 {
        let (grow, momentum) = if step < 100 { (12.0, 0.5) } else { (1.0, 0.8) };
        let places: Vec<(f32, f32)> =
            plane.outer_iter().map(|p| (p[0] as f32, p[1] as f32)).collect();
        // Of each point: the pull, the push before it is normalised, and the push's weight.
        let forces = parallel::map(n, |i| {
            let (xi, yi) = places[i];
            let (mut pull, mut push, mut weight) = ((0f32, 0f32), (0f32, 0f32), 0f32);
            for (&(xj, yj), &p) in places.iter().zip(affinity.row(i)) {
                let (dx, dy) = (xi - xj, yi - yj);
                let q = 1.0 / (1.0 + dx * dx + dy * dy);
                let (attract, repel) = (p * q, q * q);
                pull = (pull.0 + attract * dx, pull.1 + attract * dy);
                push = (push.0 + repel * dx, push.1 + repel * dy);
                weight += q;
            }
            (pull, push, f64::from(weight) - 1.0)
        });
        let total: f64 = forces.iter().map(|(_, _, weight)| weight).sum::<f64>().max(1e-12);
        for (i, (pull, push, _)) in forces.iter().enumerate() {
            let gradient =
                |pull: f32, push: f32| 4.0 * (grow * f64::from(pull) - f64::from(push) / total);
            let by = [gradient(pull.0, push.0), gradient(pull.1, push.1)];
            for axis in 0..2 {
                speed[[i, axis]] = momentum * speed[[i, axis]] - rate * by[axis];
            }
        }
        plane += &speed;
        let mean = plane.sum_axis(Axis(0)) / n as f64;
        plane -= &mean;
    }
    plane
}

/// Symmetric affinities that sum to 1, each row's width found for the perplexity.
fn affinities(x: ArrayView2<'_, f32>, perplexity: f64) -> Array2<f32> {
    let n = x.nrows();
    let centred = products::centred(x);
    let squares: Vec<f32> = centred.outer_iter().map(|row| row.dot(&row)).collect();
    let products = centred.dot(&centred.t());
    let rows = parallel::map(n, |i| {
        let far: Vec<f64> = (0..n)
            .map(|j| f64::from((squares[i] + squares[j] - 2.0 * products[[i, j]]).max(0.0)))
            .collect();
        let mean = (far.iter().sum::<f64>() / n as f64).max(1e-12);
        let (mut beta, mut low, mut high) = (1.0 / mean, 0.0, f64::INFINITY);
        let mut row = vec![0.0; n];
        for _ in 0..60 {
            let least = (0..n).filter(|&j| j != i).map(|j| far[j]).fold(f64::INFINITY, f64::min);
            let (mut sum, mut weighted) = (0.0, 0.0);
            for j in 0..n {
                row[j] = if j == i { 0.0 } else { (-beta * (far[j] - least)).exp() };
                sum += row[j];
                weighted += row[j] * (far[j] - least);
            }
            let entropy = sum.ln() + beta * weighted / sum;
            row.iter_mut().for_each(|p| *p /= sum);
            if (entropy - perplexity.ln()).abs() < 1e-4 {
                break;
            }
            if entropy > perplexity.ln() {
                low = beta;
                beta = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * beta };
            } else {
                high = beta;
                beta = 0.5 * (low + high);
            }
        }
        row
    });
    Array2::from_shape_fn((n, n), |(i, j)| ((rows[i][j] + rows[j][i]) / (2.0 * n as f64)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::numeric::neighbors::Neighbors;

    #[test]
    fn neighbours_and_groups_stay_together() {
        let mut random = SplitMix64::new(1);
        let x = Array2::from_shape_fn((150, 20), |(i, j)| {
            0.5 * random.normal() + if j == i % 5 { 6.0 } else { 0.0 }
        });
        let plane = t_sne(x.view(), 15.0, 1).mapv(|v| v as f32);
        let near = Neighbors::among(plane.view(), 10);
        let same = near.rows.indexed_iter().filter(|((i, _), j)| i % 5 == **j as usize % 5);
        assert!(same.count() as f64 / near.rows.len() as f64 > 0.97);
        assert_eq!(t_sne(products::first(x.view(), 3), 5.0, 1).dim(), (3, 2));
        assert!(t_sne(Array2::ones((20, 3)).view(), 5.0, 1).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn principal_components_are_the_widest_directions() {
        let mut random = SplitMix64::new(2);
        let x = Array2::from_shape_fn((60, 4), |(_, j)| [9f32, 3.0, 0.1, 0.1][j] * random.normal());
        let plane = pca(x.view());
        let spread = |c: usize| plane.column(c).mapv(|v| v * v).sum();
        let wanted = products::centred(x.view()).column(0).mapv(|v| v * v).sum();
        assert!((spread(0) / f64::from(wanted) - 1.0).abs() < 0.02 && spread(1) > 10.0);
        // Fewer rows than dimensions give the same plane.
        let few = pca(products::first(x.view(), 3));
        assert_eq!(few.dim(), (3, 2));
    }
}
