//! A graph of nearest neighbours, and smoothing over it.

use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Rows whose distances to all others are held at once.
const BLOCK: usize = 256;
/// Least scale of a distance, squared.
const SCALE_FLOOR: f64 = 1e-12;

/// Rows of unit length joined with their nearest neighbours, weights symmetric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Graph {
    rows: Array2<f32>,
    /// Neighbours of row i: `edges[starts[i]..starts[i + 1]]`, with normalised weights.
    starts: Vec<usize>,
    edges: Vec<(u32, f64)>,
    /// Distance of each row to its last neighbour.
    scales: Array1<f64>,
    /// One over the square root of each row's weights.
    inverse_roots: Array1<f64>,
    neighbors: usize,
}

impl Graph {
    pub(super) fn new(rows: Array2<f32>, neighbors: usize) -> Self {
        let n = rows.nrows();
        let neighbors = neighbors.min(n.saturating_sub(1)).max(1);
        let mut found = Vec::with_capacity(n);
        for (start, block) in rows.axis_chunks_iter(Axis(0), BLOCK).enumerate() {
            let products = block.dot(&rows.t());
            for (i, products) in products.outer_iter().enumerate() {
                found.push(nearest(products.iter().copied(), Some(start * BLOCK + i), neighbors));
            }
        }
        let scales: Array1<f64> = found.iter().map(|list| scale(list)).collect();
        // Each pair once, with the larger of the two directions, which are equal by symmetry of
        // the weight except where only one names the other.
        let mut pairs: Vec<(u32, u32, f64)> = Vec::with_capacity(n * neighbors);
        for (i, list) in found.iter().enumerate() {
            for &(j, d2) in list {
                let weight = (-2.0 * d2 / (scales[i] * scales[j as usize])).exp();
                let (a, b) = (i as u32, j);
                pairs.push((a.min(b), a.max(b), weight));
            }
        }
        pairs.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
        pairs.dedup_by_key(|pair| (pair.0, pair.1));
        let mut totals = Array1::<f64>::zeros(n);
        let mut counts = vec![0usize; n + 1];
        for &(a, b, weight) in &pairs {
            for end in [a, b] {
                totals[end as usize] += weight;
                counts[end as usize + 1] += 1;
            }
        }
        for i in 0..n {
            counts[i + 1] += counts[i];
        }
        let inverse_roots = totals.mapv(|total| 1.0 / total.max(1e-300).sqrt());
        let (starts, mut next) = (counts.clone(), counts);
        let mut edges = vec![(0, 0.0); 2 * pairs.len()];
        for &(a, b, weight) in &pairs {
            let weight = weight * inverse_roots[a as usize] * inverse_roots[b as usize];
            for (from, to) in [(a as usize, b), (b as usize, a)] {
                edges[next[from]] = (to, weight);
                next[from] += 1;
            }
        }
        Self { rows, starts, edges, scales, inverse_roots, neighbors }
    }

    /// `reach S scores + (1 - reach) start`.
    pub(super) fn step(
        &self,
        scores: &Array2<f64>,
        reach: f64,
        start: &Array2<f64>,
    ) -> Array2<f64> {
        let mut next = start * (1.0 - reach);
        for (i, mut row) in next.outer_iter_mut().enumerate() {
            for &(j, weight) in &self.edges[self.starts[i]..self.starts[i + 1]] {
                row.scaled_add(reach * weight, &scores.row(j as usize));
            }
        }
        next
    }

    /// What the scores would be of rows of unit length that are not in the graph: those of
    /// their neighbours.
    pub(super) fn extend(&self, rows: ArrayView2<f32>, scores: &Array2<f64>) -> Array2<f64> {
        let mut extended = Array2::zeros((rows.nrows(), scores.ncols()));
        let blocks = rows.axis_chunks_iter(Axis(0), BLOCK);
        let outputs = extended.axis_chunks_iter_mut(Axis(0), BLOCK);
        for (block, mut output) in blocks.zip(outputs) {
            let products = block.dot(&self.rows.t());
            for (products, mut out) in products.outer_iter().zip(output.outer_iter_mut()) {
                let list = nearest(products.iter().copied(), None, self.neighbors);
                let own = scale(&list);
                let mut total = 0.0;
                for &(j, d2) in &list {
                    let j = j as usize;
                    let weight = (-2.0 * d2 / (own * self.scales[j])).exp();
                    total += weight;
                    out.scaled_add(weight * self.inverse_roots[j], &scores.row(j));
                }
                out /= total.max(1e-300).sqrt();
            }
        }
        extended
    }
}

/// The `count` rows with the largest inner products, and their squared distances, nearest
/// first; the first one of equals.
fn nearest(
    products: impl Iterator<Item = f32>,
    except: Option<usize>,
    count: usize,
) -> Vec<(u32, f64)> {
    let mut best: Vec<(u32, f64)> = Vec::with_capacity(count + 1);
    for (j, product) in products.enumerate() {
        if Some(j) == except {
            continue;
        }
        let d2 = (2.0 - 2.0 * f64::from(product)).max(0.0);
        if best.len() == count && best.last().is_some_and(|last| d2 >= last.1) {
            continue;
        }
        let at = best.partition_point(|entry| entry.1 <= d2);
        best.insert(at, (j as u32, d2));
        best.truncate(count);
    }
    best
}

/// Distance to the last neighbour.
fn scale(list: &[(u32, f64)]) -> f64 {
    list.last().map_or(1.0, |last| last.1).max(SCALE_FLOOR).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_symmetric_and_a_constant_is_nearly_kept() {
        let rows = Array2::from_shape_fn((40, 3), |(i, j)| ((i * 7 + j * 3) as f32).sin());
        let rows = super::super::unit_rows(rows, &Array1::zeros(3));
        let graph = Graph::new(rows, 5);
        let weight = |i: usize, j: u32| {
            let edges = &graph.edges[graph.starts[i]..graph.starts[i + 1]];
            edges.iter().find(|edge| edge.0 == j).map(|edge| edge.1)
        };
        for i in 0..40u32 {
            let edges = &graph.edges[graph.starts[i as usize]..graph.starts[i as usize + 1]];
            assert!(edges.len() >= 5);
            for &(j, w) in edges {
                assert_ne!(i, j);
                assert_eq!(weight(j as usize, i), Some(w));
            }
        }
        // √D is the eigenvector of S with eigenvalue 1.
        let root = graph.inverse_roots.mapv(|v| 1.0 / v).insert_axis(Axis(1));
        let zero = Array2::zeros(root.dim());
        let moved = graph.step(&root, 1.0, &zero);
        assert!((moved - root).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn the_nearest_are_found_in_order() {
        let list = nearest([0.1f32, 0.9, 0.5, 0.9, -1.0].into_iter(), Some(2), 3);
        assert_eq!(list.iter().map(|entry| entry.0).collect::<Vec<_>>(), [1, 3, 0]);
    }
}
