//! What embeddings are worth, told while they are trained: figures that need no labels, and
//! one that does.

use ndarray::{Array2, ArrayView2, Axis};

use crate::inspect::measures::geometry::invariance::vote;
use crate::inspect::measures::geometry::uniformity::uniformity;
use crate::inspect::measures::information::rank::participation;
use crate::inspect::numeric::neighbors::Neighbors;

/// Figures of embeddings of held-out examples.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quality {
    /// Number of directions that the embeddings take up: `(Σλ)² / Σλ²` over the variances λ of
    /// their principal components (the participation ratio). 1 when all lie on a line.
    pub effective_rank: f64,
    /// `log mean exp(-2 ‖a - b‖²)` over pairs of unit embeddings, after the mean was taken away
    /// (Wang & Isola, 2020, arXiv:2005.10242); the lower, the more evenly spread, -4 at best.
    pub uniformity: f64,
    /// Root of the mean variance of the unit embeddings' numbers times the root of their width:
    /// 1 when evenly spread, 0 when all are the same.
    pub spread: f64,
    /// Accuracy of the 10 nearest neighbours among the others, where there are labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_neighbors: Option<f64>,
}

/// Neighbours that vote.
const NEIGHBORS: usize = 10;

impl Quality {
    /// The figures of embeddings `[rows, width]`; `labels` are -1 where there is none.
    pub fn of(embeddings: ArrayView2<'_, f32>, labels: &[i64]) -> Self {
        let x = embeddings.mapv(f64::from);
        let rows = x.nrows().max(1) as f64;
        let unit = unit_rows(&x);
        let mean = unit.sum_axis(Axis(0)) / rows;
        let variance = (&unit - &mean).mapv(|v| v * v).sum() / rows;

        let centred = &x - &(x.sum_axis(Axis(0)) / rows);
        // The smaller of the two products has the same trace and the same sum of squares.
        let gram = if x.nrows() < x.ncols() {
            centred.dot(&centred.t())
        } else {
            centred.t().dot(&centred)
        };
        let trace = gram.diag().sum();
        let squares = gram.mapv(|v| v * v).sum();
        let ratio = participation(trace, squares);
        let effective_rank = if squares > 0.0 || squares.is_nan() { ratio } else { 0.0 };

        let spread_out = unit_rows(&centred).mapv(|v| v as f32);
        Self {
            effective_rank,
            uniformity: uniformity(spread_out.view()),
            spread: variance.sqrt(),
            nearest_neighbors: nearest_neighbors(&spread_out, labels),
        }
    }

    /// Why the embeddings are of no use, where they are not.
    pub fn collapse(&self) -> Option<String> {
        if !(self.spread.is_finite() && self.effective_rank.is_finite()) {
            return Some("embeddings are not finite".into());
        }
        if self.spread < 0.01 {
            return Some(format!("all embeddings are nearly the same (spread {:.4})", self.spread));
        }
        if self.effective_rank < 1.5 {
            return Some(format!(
                "embeddings lie nearly on a line (effective rank {:.2})",
                self.effective_rank
            ));
        }
        None
    }
}

fn unit_rows(x: &Array2<f64>) -> Array2<f64> {
    let mut unit = x.clone();
    for mut row in unit.outer_iter_mut() {
        let norm = row.dot(&row).sqrt().max(1e-12);
        row.mapv_inplace(|v| v / norm);
    }
    unit
}

/// Leave-one-out accuracy of the majority among the nearest by cosine.
fn nearest_neighbors(unit: &Array2<f32>, labels: &[i64]) -> Option<f64> {
    let known: Vec<usize> =
        (0..unit.nrows().min(labels.len())).filter(|&i| labels[i] >= 0).collect();
    let first = labels.get(*known.first()?)?;
    if known.len() < 2 * NEIGHBORS || known.iter().all(|&i| labels[i] == *first) {
        return None;
    }
    let x = unit.select(Axis(0), &known);
    let nearest = Neighbors::among(x.view(), NEIGHBORS);
    let right = nearest.rows.outer_iter().zip(&known).filter(|(rows, own)| {
        vote(rows.iter().map(|&j| labels[known[j as usize]])) == Some(labels[**own])
    });
    let right = right.count();
    Some(right as f64 / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn figures_of_known_clouds() {
        let mut random = SplitMix64::new(1);
        let cloud = Array2::from_shape_simple_fn((4000, 8), || random.normal());
        let even = Quality::of(cloud.view(), &[]);
        assert!((even.effective_rank - 8.0).abs() < 0.1, "{even:?}");
        assert!((even.spread - 1.0).abs() < 0.01, "{even:?}");
        assert!(even.uniformity < -2.5 && even.collapse().is_none(), "{even:?}");

        let mut line = cloud.clone();
        line.axis_iter_mut(Axis(1)).skip(1).for_each(|mut column| column.fill(0.0));
        let line = Quality::of(line.view(), &[]);
        assert!((line.effective_rank - 1.0).abs() < 1e-9 && line.collapse().is_some());

        let same = Array2::from_elem((100, 8), 1.0);
        assert!(Quality::of(same.view(), &[]).collapse().is_some());
    }

    #[test]
    fn neighbours_of_two_clouds_agree() {
        let mut random = SplitMix64::new(2);
        let labels: Vec<i64> = (0..200).map(|i| i % 2).collect();
        let x = Array2::from_shape_fn((200, 4), |(i, j)| {
            random.normal() + if j == 0 { 10.0 * (i % 2) as f32 } else { 0.0 }
        });
        assert!(Quality::of(x.view(), &labels).nearest_neighbors.unwrap() > 0.99);
        assert!(Quality::of(x.view(), &[0; 200]).nearest_neighbors.is_none());
    }
}
