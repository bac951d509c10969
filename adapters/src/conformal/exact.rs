//! Full conformal prediction with a ridge classifier, in closed form.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::{Rank, indicators, strangeness};
use crate::numeric::{Cholesky, gram};

/// The examples, and the inverse of their Gram matrix.
///
/// With `M = XXᵀ + 11ᵀ + λI` over n examples, `G = M⁻¹` and targets `T`, the leave-one-out
/// score of example i is `Tᵢ - (GT)ᵢ / Gᵢᵢ`. Adding x with `m = Xx + 1`, `u = Gm` and
/// `s = ‖x‖² + 1 + λ - m·u` gives (block inversion)
///
/// ```text
/// G' = [ G + uuᵀ/s   -u/s ]      (G'T')ᵢ = (GT)ᵢ + uᵢ (uᵀT - e_k) / s
///      [  -uᵀ/s       1/s ]       G'ᵢᵢ   = Gᵢᵢ + uᵢ² / s
/// ```
///
/// so the class k given to x moves one score of each example by `cᵢ = uᵢ / (s G'ᵢᵢ)`, and x
/// itself is scored by `uᵀT`, whatever its class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exact {
    /// Embeddings of unit length `[examples, dimensions]`.
    x: Array2<f64>,
    y: Vec<usize>,
    penalty: f64,
    /// `G`, `[examples, examples]`.
    inverse: Array2<f64>,
    targets: Array2<f64>,
    /// `GT`, `[examples, classes]`.
    solution: Array2<f64>,
    /// The first example of each class, if all have equally many and more than one.
    aside: Vec<usize>,
}

/// The scores of one example that decide its strangeness for any class of x.
struct Scores {
    own: f64,
    /// Best other class, its score, and the score of the next.
    first: (usize, f64),
    second: f64,
}

impl Exact {
    /// `None` if the matrix is not positive definite to working precision.
    pub(crate) fn new(x: Array2<f64>, y: Vec<usize>, classes: usize, penalty: f64) -> Option<Self> {
        let mut matrix = gram(x.view()) + 1.0;
        matrix.diag_mut().mapv_inplace(|v| v + penalty);
        let mut inverse = Array2::eye(y.len());
        Cholesky::new(matrix)?.solve(&mut inverse);
        let targets = indicators(&y, classes);
        let solution = inverse.dot(&targets);
        let finite = inverse.diag().iter().all(|v| v.is_finite() && *v > 0.0);
        let mut counts = vec![0usize; classes];
        y.iter().for_each(|&class| counts[class] += 1);
        let even = counts[0] > 1 && counts.iter().all(|&count| count == counts[0]);
        let first = |class| y.iter().position(|&label| label == class);
        let aside = if even { (0..classes).filter_map(first).collect() } else { Vec::new() };
        finite.then_some(Self { x, y, penalty, inverse, targets, solution, aside })
    }

    /// The embeddings, of unit length, and the class of each.
    pub(crate) fn examples(&self) -> (&Array2<f64>, &[usize]) {
        (&self.x, &self.y)
    }

    /// The p-value and the score of each class for an embedding of unit length.
    pub(super) fn p_values(
        &self,
        x: ArrayView1<f64>,
        draw: Option<f64>,
    ) -> (Array1<f64>, Array1<f64>) {
        let m = self.x.dot(&x) + 1.0;
        let u = self.inverse.dot(&m);
        let scores = u.dot(&self.targets);
        // Never below the penalty but for rounding.
        let s = (x.dot(&x) + 1.0 + self.penalty - m.dot(&u)).max(self.penalty);
        let rank = |(rank, n): (Rank, usize)| rank.p_value(n, draw);
        let n = self.y.len();
        let p = if self.aside.is_empty() {
            self.ranks(&u, s, &scores).into_iter().map(|found| rank((found, n))).collect()
        } else {
            let added = Added { u: &u, s, scores: &scores };
            (0..scores.len()).map(|class| rank((self.even_rank(&added, class), n - 1))).collect()
        };
        (p, scores)
    }

    /// The rank of x among all for each class, when each is scored by all others.
    fn ranks(&self, u: &Array1<f64>, s: f64, scores: &Array1<f64>) -> Vec<Rank> {
        let own: Vec<f64> = (0..scores.len()).map(|k| strangeness(scores.view(), k)).collect();
        let mut ranks = vec![Rank::default(); scores.len()];
        let rows = self.solution.axis_iter(Axis(0)).zip(self.targets.axis_iter(Axis(0)));
        let mut row = Array1::zeros(scores.len());
        for (i, (solution, targets)) in rows.enumerate() {
            let diagonal = self.inverse[[i, i]] + u[i] * u[i] / s;
            let (step, class) = (u[i] / s, self.y[i]);
            for (k, value) in row.iter_mut().enumerate() {
                *value = targets[k] - (solution[k] + step * scores[k]) / diagonal;
            }
            let left = Scores::new(row.view(), class);
            let shift = step / diagonal;
            for (k, (rank, &own)) in ranks.iter_mut().zip(&own).enumerate() {
                rank.meet(left.strangeness(row[k], k, class, shift), own);
            }
        }
        ranks
    }

    /// The rank of x as one of class k in the place of the example that stands aside.
    ///
    /// Without row r, `G` is `G - gᵣ gᵣᵀ / Gᵣᵣ`, and `GT`, `u`, `uᵀT` and `s` follow.
    fn even_rank(&self, added: &Added, class: usize) -> Rank {
        let r = self.aside[class];
        let g = self.inverse.row(r);
        let (base, step) = (self.solution.row(r), added.u[r] / g[r]);
        let mut scores = added.scores.clone();
        scores.scaled_add(-step, &base);
        let own = strangeness(scores.view(), class);
        scores[class] -= 1.0;
        let s = added.s + added.u[r] * step;
        let mut rank = Rank::default();
        let mut row = Array1::zeros(scores.len());
        for (i, &label) in self.y.iter().enumerate().filter(|(i, _)| *i != r) {
            let u = added.u[i] - g[i] * step;
            let diagonal = self.inverse[[i, i]] - g[i] * g[i] / g[r] + u * u / s;
            row.assign(&self.solution.row(i));
            row.scaled_add(-g[i] / g[r], &base);
            row.scaled_add(u / s, &scores);
            row *= -1.0 / diagonal;
            row[label] += 1.0;
            rank.meet(strangeness(row.view(), label), own);
        }
        rank
    }
}

/// The new input against the examples.
struct Added<'a> {
    u: &'a Array1<f64>,
    s: f64,
    scores: &'a Array1<f64>,
}

impl Scores {
    fn new(row: ArrayView1<f64>, class: usize) -> Self {
        let (mut first, mut second) = ((usize::MAX, f64::NEG_INFINITY), f64::NEG_INFINITY);
        for (k, &score) in row.iter().enumerate().filter(|(k, _)| *k != class) {
            if score > first.1 {
                (first, second) = ((k, score), first.1);
            } else if score > second {
                second = score;
            }
        }
        Self { own: row[class], first, second }
    }

    /// The strangeness when the score of class k, before it `score`, moves by `shift`.
    fn strangeness(&self, score: f64, k: usize, class: usize, shift: f64) -> f64 {
        if k == class {
            return self.first.1 - (self.own + shift);
        }
        let others = if k == self.first.0 { self.second } else { self.first.1 };
        others.max(score + shift) - self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::unit_rows;

    /// Scores of row `row` by ridge regression on the rows `rest`, solved plainly.
    fn refitted(
        x: &Array2<f64>,
        y: &[usize],
        classes: usize,
        rest: &[usize],
        row: usize,
    ) -> Array1<f64> {
        let bias = |x: Array2<f64>| {
            let mut wide = Array2::ones((x.nrows(), x.ncols() + 1));
            for (mut to, from) in wide.outer_iter_mut().zip(x.outer_iter()) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            wide
        };
        let z = bias(x.select(Axis(0), rest));
        let labels: Vec<usize> = rest.iter().map(|&i| y[i]).collect();
        let mut normal = z.t().dot(&z);
        normal.diag_mut().mapv_inplace(|v| v + PENALTY);
        let mut weights = z.t().dot(&indicators(&labels, classes));
        Cholesky::new(normal).unwrap().solve(&mut weights);
        bias(x.select(Axis(0), &[row])).dot(&weights).row(0).to_owned()
    }

    const PENALTY: f64 = 0.4;

    fn inputs() -> Array2<f64> {
        unit_rows(
            Array2::from_shape_fn((13, 5), |(i, j)| ((i * i * 3 + j * 7) as f32).sin()).view(),
        )
    }

    /// p-values of row 12 with the strangeness of each row given by `strange`.
    fn check(
        y: &[usize],
        even: bool,
        strange: impl Fn(&Array2<f64>, &[usize], usize, usize) -> f64,
    ) {
        let (unit, n, classes) = (inputs(), 12, 3);
        let train = unit.select(Axis(0), &(0..n).collect::<Vec<_>>());
        let exact = Exact::new(train, y.to_vec(), classes, PENALTY).unwrap();
        let (p, _) = exact.p_values(unit.row(n), None);
        for k in 0..classes {
            let labels: Vec<usize> = y.iter().copied().chain([k]).collect();
            let aside = if even { y.iter().position(|&label| label == k) } else { None };
            let used = (0..=n).filter(|i| Some(*i) != aside);
            let all: Vec<f64> = used.map(|i| strange(&unit, &labels, k, i)).collect();
            let own = all[all.len() - 1];
            let count = all.iter().filter(|&&a| a >= own - 1e-9).count();
            assert_eq!(p[k], count as f64 / all.len() as f64, "class {k}");
        }
    }

    #[test]
    fn equals_refitting_without_each_example() {
        let y = [0, 1, 0, 1, 1, 2, 0, 1, 0, 0, 1, 0];
        check(&y, false, |x, y, _, i| {
            let rest: Vec<usize> = (0..y.len()).filter(|&j| j != i).collect();
            strangeness(refitted(x, y, 3, &rest, i).view(), y[i])
        });
    }

    #[test]
    fn with_even_classes_the_first_of_the_class_stands_aside() {
        let y: Vec<usize> = (0..12).map(|i| (i * 5) % 3).collect();
        check(&y, true, |x, y, class, i| {
            let aside = y.iter().position(|&label| label == class).unwrap();
            let rest: Vec<usize> = (0..y.len()).filter(|&j| j != i && j != aside).collect();
            strangeness(refitted(x, y, 3, &rest, i).view(), y[i])
        });
    }
}
