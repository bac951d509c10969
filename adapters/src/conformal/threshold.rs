//! Conformal prediction of many examples: leave-one-out scores without the new input.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::{Rank, TIE, strangeness};
use crate::numeric::{Cholesky, scatter};

/// Rows scored at once.
const ROWS: usize = 256;

/// The ridge classifier of all examples, and how strange each is when left out.
///
/// With `A = ZᵀZ + λI`, `Z` the embeddings with a column of ones, leaving out example i moves
/// its scores from `f` to `t - (t - f) / (1 - hᵢ)`, `hᵢ = zᵢ·A⁻¹zᵢ`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    /// Coefficients `[dimensions, classes]`.
    pub(crate) weights: Array2<f64>,
    /// Intercepts `[classes]`.
    pub(crate) bias: Array1<f64>,
    /// Strangeness of the left-out examples, rising.
    pub(crate) strange: Vec<f64>,
}

impl Threshold {
    /// `None` if the matrix is not positive definite to working precision.
    pub(super) fn new(x: &Array2<f64>, y: &[usize], classes: usize, penalty: f64) -> Option<Self> {
        let (n, d) = x.dim();
        let mut matrix = Array2::zeros((d + 1, d + 1));
        for (mut to, from) in matrix.outer_iter_mut().zip(scatter(x.view()).outer_iter()) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        let sums = x.sum_axis(Axis(0));
        for (column, &sum) in sums.iter().enumerate() {
            matrix[[d, column]] = sum;
            matrix[[column, d]] = sum;
        }
        matrix[[d, d]] = n as f64;
        matrix.diag_mut().mapv_inplace(|v| v + penalty);
        let factor = Cholesky::new(matrix)?;

        let mut all = Array2::zeros((d + 1, classes));
        for (row, &class) in x.outer_iter().zip(y) {
            for (j, &value) in row.iter().enumerate() {
                all[[j, class]] += value;
            }
            all[[d, class]] += 1.0;
        }
        factor.solve(&mut all);
        let (weights, bias) = all.view().split_at(Axis(0), d);
        let (weights, bias) = (weights.to_owned(), bias.row(0).to_owned());

        let mut strange = Vec::with_capacity(n);
        // Chunks small enough that many classes do not cost memory.
        let rows = ROWS.min((1 << 20) / classes.max(1)).max(1);
        for (part, chunk) in x.axis_chunks_iter(Axis(0), rows).enumerate() {
            let mut z = Array2::ones((d + 1, chunk.nrows()));
            for (mut to, from) in z.outer_iter_mut().zip(chunk.t().outer_iter()) {
                to.assign(&from);
            }
            let mut solved = z.clone();
            factor.solve(&mut solved);
            let mut scores = chunk.dot(&weights) + &bias;
            for (offset, mut row) in scores.outer_iter_mut().enumerate() {
                let class = y[part * rows + offset];
                let left = 1.0 - z.column(offset).dot(&solved.column(offset));
                if left <= f64::EPSILON {
                    return None;
                }
                for (k, score) in row.iter_mut().enumerate() {
                    let target = f64::from(u8::from(k == class));
                    *score = target - (target - *score) / left;
                }
                strange.push(strangeness(row.view(), class));
            }
        }
        strange.sort_unstable_by(f64::total_cmp);
        strange.iter().all(|v| v.is_finite()).then_some(Self { weights, bias, strange })
    }

    /// The p-value and the score of each class for an embedding of unit length.
    pub(super) fn p_values(
        &self,
        x: ArrayView1<f64>,
        draw: Option<f64>,
    ) -> (Array1<f64>, Array1<f64>) {
        let scores = x.dot(&self.weights) + &self.bias;
        let n = self.strange.len();
        // The largest and the second largest score give every strangeness.
        let (mut first, mut second) = ((0, f64::NEG_INFINITY), f64::NEG_INFINITY);
        for (k, &score) in scores.iter().enumerate() {
            if score > first.1 {
                (first, second) = ((k, score), first.1);
            } else if score > second {
                second = score;
            }
        }
        let p = scores.iter().enumerate().map(|(k, &score)| {
            let own = if k == first.0 { second } else { first.1 } - score;
            let above = n - self.strange.partition_point(|&a| a <= own + TIE);
            let ties = n - above - self.strange.partition_point(|&a| a < own - TIE);
            Rank { above, ties }.p_value(n, draw)
        });
        (p.collect(), scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformal::exact::Exact;
    use crate::heads::unit_rows;

    /// One new input among many examples hardly moves them.
    #[test]
    fn agrees_with_the_exact_p_values() {
        let raw = Array2::from_shape_fn((420, 6), |(i, j)| {
            ((i * i * 3 + j * 7) as f32).sin() + 0.5 * f32::from(u8::from(i % 3 == j))
        });
        let unit = unit_rows(raw.view());
        let y: Vec<usize> = (0..400).map(|i| i % 3).collect();
        let train = unit.select(Axis(0), &(0..400).collect::<Vec<_>>());
        let threshold = Threshold::new(&train, &y, 3, 1.0).unwrap();
        let exact = Exact::new(train, y, 3, 1.0).unwrap();
        for i in 400..420 {
            let (a, scores) = exact.p_values(unit.row(i), None);
            let (b, same) = threshold.p_values(unit.row(i), None);
            assert!((&scores - &same).iter().all(|d| d.abs() < 1e-10));
            assert!((&a - &b).iter().all(|d| d.abs() < 0.02), "{a} {b}");
        }
    }
}
