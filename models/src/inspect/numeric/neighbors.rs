//! Nearest neighbours by Euclidean distance: of rows of unit length, by cosine.

use ndarray::{Array2, ArrayView2, Axis, Slice};

use super::parallel;
use super::products::mean;

/// Distances held at once by a thread.
const AT_ONCE: usize = 1 << 21;

/// The nearest rows of each query, the nearest first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbors {
    /// Numbers of the rows, `[queries, k]`.
    pub(crate) rows: Array2<u32>,
    /// Their distances, `[queries, k]`, computed from differences, so that small ones are exact.
    pub(crate) distances: Array2<f64>,
}

impl Neighbors {
    /// The `k` nearest of the other rows.
    pub(crate) fn among(x: ArrayView2<'_, f32>, k: usize) -> Self {
        find(x, x, k, true)
    }

    /// The `k` nearest rows of `base` to each query.
    pub(crate) fn of(queries: ArrayView2<'_, f32>, base: ArrayView2<'_, f32>, k: usize) -> Self {
        find(queries, base, k, false)
    }
}

fn find(
    queries: ArrayView2<'_, f32>,
    base: ArrayView2<'_, f32>,
    k: usize,
    same: bool,
) -> Neighbors {
    let k = k.min(base.nrows().saturating_sub(usize::from(same)));
    let count = queries.nrows();
    if k == 0 || count == 0 {
        return Neighbors { rows: Array2::zeros((count, k)), distances: Array2::zeros((count, k)) };
    }
    // Distances do not change when the mean is taken out, and products lose fewer digits.
    let centre = mean(base).mapv(|v| v as f32);
    let base = &base - &centre;
    let queries = &queries - &centre;
    let half: Vec<f32> = base.outer_iter().map(|row| 0.5 * row.dot(&row)).collect();
    let block = (AT_ONCE / base.nrows()).clamp(1, 512);
    let found = parallel::map(count.div_ceil(block), |part| {
        let start = part * block;
        let some = queries.slice_axis(Axis(0), Slice::from(start..(start + block).min(count)));
        let products = some.dot(&base.t());
        let mut rows = Vec::with_capacity(some.nrows() * k);
        let mut distances = Vec::with_capacity(some.nrows() * k);
        let mut scored: Vec<(f32, u32)> = Vec::with_capacity(base.nrows());
        for (offset, (query, products)) in some.outer_iter().zip(products.outer_iter()).enumerate()
        {
            let own = if same { start + offset } else { usize::MAX };
            scored.clear();
            let each = products.iter().zip(&half).enumerate();
            scored.extend(each.filter(|(j, _)| *j != own).map(|(j, (p, h))| (h - p, j as u32)));
            // A few more than wanted, since the products are rounded.
            let kept = (k + 4).min(scored.len());
            if kept < scored.len() {
                scored.select_nth_unstable_by(kept - 1, |a, b| a.0.total_cmp(&b.0));
            }
            let mut exact: Vec<(f64, u32)> = scored[..kept]
                .iter()
                .map(|&(_, j)| {
                    let squares: f64 = base
                        .row(j as usize)
                        .iter()
                        .zip(query)
                        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                        .sum();
                    (squares.sqrt(), j)
                })
                .collect();
            exact.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            rows.extend(exact[..k].iter().map(|(_, j)| *j));
            distances.extend(exact[..k].iter().map(|(distance, _)| *distance));
        }
        (rows, distances)
    });
    let (mut rows, mut distances) = (Vec::new(), Vec::new());
    for (some_rows, some_distances) in found {
        rows.extend(some_rows);
        distances.extend(some_distances);
    }
    Neighbors {
        rows: Array2::from_shape_vec((count, k), rows).unwrap_or_else(|_| Array2::zeros((0, k))),
        distances: Array2::from_shape_vec((count, k), distances)
            .unwrap_or_else(|_| Array2::zeros((0, k))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn equals_the_search_by_hand() {
        let mut random = SplitMix64::new(5);
        let x = Array2::from_shape_simple_fn((90, 6), || random.normal() + 3.0);
        let found = Neighbors::among(x.view(), 4);
        for i in 0..90 {
            let mut all: Vec<(f64, usize)> = (0..90)
                .filter(|&j| j != i)
                .map(|j| {
                    let squares = (0..6).map(|c| f64::from(x[[i, c]] - x[[j, c]]).powi(2));
                    (squares.sum::<f64>().sqrt(), j)
                })
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (place, (distance, row)) in all.iter().take(4).enumerate() {
                assert_eq!(found.rows[[i, place]] as usize, *row);
                assert!((found.distances[[i, place]] - distance).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn few_rows_have_few_neighbours() {
        let x = Array2::<f32>::zeros((3, 2));
        assert_eq!(Neighbors::among(x.view(), 10).rows.dim(), (3, 2));
        assert_eq!(
            Neighbors::among(crate::inspect::numeric::products::first(x.view(), 1), 10).rows.dim(),
            (1, 0)
        );
        assert_eq!(Neighbors::of(x.view(), x.view(), 10).rows.dim(), (3, 3));
    }
}
