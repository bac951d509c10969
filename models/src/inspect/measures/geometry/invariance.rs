//! What moves an embedding, and how far.

use ndarray::{ArrayView2, Axis};

use crate::inspect::Interval;
use crate::inspect::numeric::interval::bootstrap_mean;
use crate::inspect::numeric::neighbors::Neighbors;
use crate::inspect::numeric::products::unit_rows;
use crate::inspect::numeric::statistics::mean;

/// The answer of an encoder to one change of its inputs at one strength.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Response {
    /// Strength of the change, from 0 (none) to 1.
    pub strength: f64,
    /// Mean of `‖x - x'‖ / d` of unit embeddings before and after, with d the mean distance of
    /// unrelated examples: 0 is invariance, 1 is another example altogether.
    pub distance: f64,
    /// Its interval, over the examples.
    pub interval: Option<Interval>,
    /// Share of the changed examples whose nearest among all unchanged ones is their own.
    pub found: f64,
    /// `‖mean Δ‖² / mean ‖Δ‖²` of the displacements `Δ = x' - x`: 1 where the change moves all
    /// embeddings alike (a linear factor), `1 / n` where each moves its own way.
    pub consistency: f64,
    /// Accuracy of the 10 nearest unchanged neighbours of the changed examples, of other
    /// examples than their own, where there are labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

/// Compares changed embeddings with `base`, the unchanged ones of all examples; `own[i]` is the
/// number of the unchanged example of row i. `None` of fewer than 3 examples or equal ones.
pub fn response(
    base: ArrayView2<'_, f32>,
    changed: ArrayView2<'_, f32>,
    own: &[usize],
    labels: Option<&[usize]>,
    strength: f64,
    seed: u64,
) -> Option<Response> {
    let (base, changed) = (unit_rows(base), unit_rows(changed));
    let before = base.select(Axis(0), own);
    let n = own.len();
    if n < 3 {
        return None;
    }
    // Each with the next of the others: unrelated pairs.
    let apart = |a: usize, b: usize| distance(before.row(a), before.row(b));
    let reference = mean(&(0..n).map(|i| apart(i, (i + n / 2) % n)).collect::<Vec<_>>());
    if reference <= 1e-9 {
        return None;
    }
    let distances: Vec<f64> =
        (0..n).map(|i| distance(before.row(i), changed.row(i)) / reference).collect();
    let displacement = (&changed - &before).mapv(f64::from);
    let squares = displacement.mapv(|v| v * v).sum() / n as f64;
    let common = displacement.sum_axis(Axis(0)) / n as f64;
    let consistency = if squares > 1e-18 { common.dot(&common) / squares } else { 0.0 };
    let nearest = Neighbors::of(changed.view(), base.view(), 11);
    let found = nearest.rows.outer_iter().zip(own).filter(|(r, o)| r[0] as usize == **o).count();
    let accuracy = labels.map(|labels| {
        let right = nearest.rows.outer_iter().zip(own).filter(|(rows, own)| {
            let others = rows.iter().map(|&j| j as usize).filter(|j| j != *own).take(10);
            vote(others.map(|j| labels[j])) == Some(labels[**own])
        });
        right.count() as f64 / n as f64
    });
    Some(Response {
        strength,
        distance: mean(&distances),
        interval: bootstrap_mean(&distances, seed),
        found: found as f64 / n as f64,
        consistency,
        accuracy,
    })
}

fn distance(a: ndarray::ArrayView1<'_, f32>, b: ndarray::ArrayView1<'_, f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

/// The most frequent class; of equally frequent ones the one that came first, the nearest.
pub(crate) fn vote<C: PartialEq>(classes: impl Iterator<Item = C>) -> Option<C> {
    let mut votes: Vec<(C, usize)> = Vec::new();
    for class in classes {
        match votes.iter_mut().find(|(c, _)| *c == class) {
            Some((_, count)) => *count += 1,
            None => votes.push((class, 1)),
        }
    }
    // `max_by_key` takes the last of equals.
    votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn no_change_a_common_shift_and_another_example() {
        let mut random = SplitMix64::new(1);
        let base = Array2::from_shape_simple_fn((60, 16), || random.normal());
        let own: Vec<usize> = (0..30).collect();
        let same = base.select(Axis(0), &own);
        let still = response(base.view(), same.view(), &own, None, 0.0, 1).unwrap();
        assert_eq!((still.distance, still.found, still.accuracy), (0.0, 1.0, None));

        let mut shifted = unit_rows(same.view());
        shifted.column_mut(0).mapv_inplace(|v| v + 0.05);
        let moved = response(base.view(), shifted.view(), &own, None, 0.5, 1).unwrap();
        assert!(moved.consistency > 0.8 && moved.found == 1.0, "{moved:?}");

        let other = base.select(Axis(0), &(30..60).collect::<Vec<_>>());
        let lost = response(base.view(), other.view(), &own, None, 1.0, 1).unwrap();
        assert!((lost.distance - 1.0).abs() < 0.1 && lost.found == 0.0, "{lost:?}");
        assert!(lost.consistency < 0.2);
        assert_eq!(vote([3, 1, 1, 3].into_iter()), Some(3));
    }
}
