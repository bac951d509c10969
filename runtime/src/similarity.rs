//! Similarity of embeddings, and the nearest of many.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

/// Cosine of the angle between each row of `a` `[m, dimensions]` and each row of
/// `b` `[n, dimensions]`: `[m, n]`. A row of zeros has cosine 0 with everything.
///
/// # Panics
/// When the numbers of dimensions differ.
pub fn cosine(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut products = a.dot(&b.t());
    let norms = |x: ArrayView2<'_, f32>| x.map_axis(Axis(1), |row| row.dot(&row).sqrt());
    let (rows, columns) = (norms(a), norms(b));
    for ((i, j), value) in products.indexed_iter_mut() {
        let norm = rows[i] * columns[j];
        *value = if norm > 0.0 { (*value / norm).clamp(-1.0, 1.0) } else { 0.0 };
    }
    products
}

/// Dot product of each row of `a` `[m, dimensions]` with each row of `b`
/// `[n, dimensions]`: `[m, n]`. For unit vectors this is the cosine.
///
/// # Panics
/// When the numbers of dimensions differ.
pub fn dot(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    a.dot(&b.t())
}

/// Number of bits in which two packed rows ([`to_bits`](crate::to_bits)) differ.
/// Bytes that only one has are left out.
pub fn hamming(a: ArrayView1<'_, u8>, b: ArrayView1<'_, u8>) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// A row and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Position of the row.
    pub row: usize,
    /// Its score.
    pub score: f32,
}

/// The `k` largest scores, largest first; of equal ones the earlier row. A score
/// that is not a number is never among them.
pub fn top_k(scores: ArrayView1<'_, f32>, k: usize) -> Vec<Match> {
    let mut best: BinaryHeap<WorstFirst> = BinaryHeap::with_capacity(k.min(scores.len()) + 1);
    for (row, &score) in scores.iter().enumerate() {
        if score.is_nan() {
            continue;
        }
        best.push(WorstFirst(Match { row, score }));
        if best.len() > k {
            best.pop();
        }
    }
    let mut best: Vec<Match> = best.into_iter().map(|entry| entry.0).collect();
    best.sort_by(order);
    best
}

/// Better matches first.
fn order(a: &Match, b: &Match) -> Ordering {
    b.score.total_cmp(&a.score).then(a.row.cmp(&b.row))
}

#[derive(PartialEq)]
struct WorstFirst(Match);

impl Eq for WorstFirst {}

impl PartialOrd for WorstFirst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WorstFirst {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn cosines_of_known_angles() {
        let a = array![[1.0f32, 0.0], [3.0, 4.0], [0.0, 0.0]];
        let c = cosine(a.view(), a.view());
        assert_eq!(c, array![[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 0.0]]);
        assert_eq!(dot(a.view(), a.view())[[1, 1]], 25.0);
    }

    #[test]
    fn top_k_is_the_head_of_the_sorted_scores() {
        let scores = array![0.1f32, 0.9, f32::NAN, 0.9, -1.0, 0.5];
        let rows: Vec<usize> = top_k(scores.view(), 3).iter().map(|m| m.row).collect();
        assert_eq!(rows, [1, 3, 5]);
        assert_eq!(top_k(scores.view(), 99).len(), 5);
        assert!(top_k(scores.view(), 0).is_empty());
    }

    #[test]
    fn hamming_counts_bits() {
        assert_eq!(hamming(array![0b1010u8, 1].view(), array![0b0110u8, 0].view()), 3);
    }
}
