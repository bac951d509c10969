//! Discriminant scores of each example without it, for any penalty.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

use crate::error::Result;
use crate::examples::Examples;
use crate::numeric::{ROWS, Tridiagonal, gram, scatter};

/// Penalties that may be tried at once, each with its own scores.
const THREADS: u128 = 8;

/// The reduced scatter within classes, ready for any penalty.
///
/// With residuals R (rows rᵢ), means M around the mean of all and `A = RᵀR + αI`, everything
/// needed is made of `hᵢ = rᵢᵀA⁻¹rᵢ`, `B = R A⁻¹ Mᵀ` and `C = M A⁻¹ Mᵀ`. Leaving out example i
/// of a class c of nᶜ, with `a = nᶜ / (nᶜ - 1)`, turns A into `A - a rᵢrᵢᵀ` and μᶜ into
/// `μᶜ - rᵢ / (nᶜ - 1)`, so by Sherman and Morrison its squared distances become
///
/// ```text
/// to its class   a² h / (1 - a h)
/// to class k     q + a b² / (1 - a h),  b = h + Bᵢᶜ - Bᵢₖ,  q = h + 2 (Bᵢᶜ - Bᵢₖ) + Cᶜᶜ - 2 Cᶜᵏ + Cᵏᵏ
/// ```
pub(crate) struct LeftOut<'a> {
    examples: &'a Examples<'a>,
    /// Mean of all examples.
    mean: Array1<f64>,
    /// Class means around it, `[classes, dimensions]`.
    means: Array2<f64>,
    /// Residuals `[examples, dimensions]`.
    residuals: Array2<f64>,
    /// What a penalty of 1 adds to the scatter: its trace.
    unit: f64,
    reduced: Tridiagonal,
    /// The examples in the reduced basis, in parts of `[m, ROWS]` columns: `QᵀRᵀ`, or `Qᵀ`
    /// on the dual side.
    parts: Vec<Array2<f64>>,
    side: Side,
}

/// The side that is reduced.
enum Side {
    /// `RRᵀ = QTQᵀ`, with `RMᵀ` and `QᵀRMᵀ`, both `[examples, classes]`, and `MMᵀ`.
    Dual { turned: Array2<f64>, products: Array2<f64> },
    /// `RᵀR = QTQᵀ`, with `QᵀMᵀ` `[dimensions, classes]`.
    Primal { means: Array2<f64> },
}

/// h, B and C at one penalty.
pub(crate) struct Solution {
    /// α, which is added to the scatter.
    alpha: f64,
    /// `1 - h`, which is the smaller of the two where it matters, `[examples]`.
    rest: Vec<f64>,
    /// B, `[examples, classes]`.
    cross: Array2<f64>,
    /// C, `[classes, classes]`.
    products: Array2<f64>,
    /// The solution in the reduced basis.
    solved: Array2<f64>,
}

impl<'a> LeftOut<'a> {
    pub(crate) fn new(examples: &'a Examples<'a>) -> Result<Self> {
        let [n, d, k] =
            [examples.len(), examples.dimensions(), examples.classes()].map(|v| v as u128);
        let m = n.min(d);
        let values = [2 * n * d, 2 * m * m, 2 * k * d, THREADS * (5 * n * k + 2 * k * k)];
        examples.check_memory("the linear discriminant", &values)?;
        let mean = examples.mean();
        let means = examples.class_means() - &mean;
        let mut residuals = examples.centered(&mean);
        let size = residuals.iter().map(|v| v * v).sum::<f64>();
        for (mut row, &class) in residuals.outer_iter_mut().zip(examples.y) {
            row -= &means.row(class);
        }
        let within = residuals.iter().map(|v| v * v).sum::<f64>();
        let unit = if within > 1e-12 * size {
            within
        } else {
            // Nothing but rounding: every direction counts the same.
            residuals.fill(0.0);
            if size > 0.0 { size } else { 1.0 }
        };
        let (reduced, side) = if n < d {
            let reduced = Tridiagonal::new(gram(residuals.view()));
            let turned = reduced.q.t().dot(&residuals.dot(&means.t()));
            let products = means.dot(&means.t());
            (reduced, Side::Dual { turned, products })
        } else {
            let reduced = Tridiagonal::new(scatter(residuals.view()));
            let turned = reduced.q.t().dot(&means.t());
            (reduced, Side::Primal { means: turned })
        };
        let parts = match side {
            Side::Dual { .. } => reduced.in_basis(None),
            Side::Primal { .. } => reduced.in_basis(Some(&residuals)),
        };
        Ok(Self { examples, mean, means, residuals, unit, reduced, parts, side })
    }

    /// Size of the reduced matrix.
    pub(crate) fn rank(&self) -> usize {
        self.reduced.q.nrows()
    }

    /// Solves for one penalty, relative to the total variance within classes; `None` if it is
    /// lost beside the scatter.
    pub(crate) fn solve(&self, penalty: f64) -> Option<Solution> {
        let alpha = penalty * self.unit;
        let shifted = self.reduced.shifted(alpha)?;
        let mut solved = match &self.side {
            Side::Primal { means } => means.clone(),
            Side::Dual { turned, .. } => turned.clone(),
        };
        shifted.solve(&mut solved);
        let mut cross = Array2::zeros((self.examples.len(), solved.ncols()));
        let mut rest = Vec::with_capacity(cross.nrows());
        for (part, to) in self.parts.iter().zip(cross.axis_chunks_iter_mut(Axis(0), ROWS)) {
            rest.extend(shifted.quadratics(part));
            let mut to = to;
            general_mat_mul(1.0, &part.t(), &solved, 0.0, &mut to);
        }
        let products = match &self.side {
            Side::Primal { means } => {
                rest.iter_mut().for_each(|h| *h = 1.0 - *h);
                means.t().dot(&solved)
            }
            Side::Dual { turned, products } => {
                rest.iter_mut().for_each(|h| *h *= alpha);
                (products - &turned.t().dot(&solved)) / alpha
            }
        };
        products.iter().all(|v| v.is_finite()).then_some(Solution {
            alpha,
            rest,
            cross,
            products,
            solved,
        })
    }

    /// The scores of each example, left out, `[examples, classes]`, less what they have in
    /// common; those of an example that is alone in its class are as if it were not left out.
    /// `None` where rounding leaves no digit of one.
    pub(crate) fn scores(&self, solution: &Solution) -> Option<Array2<f64>> {
        let Solution { rest, cross, products, .. } = solution;
        let counts = &self.examples.counts;
        let n = self.examples.len() as f64;
        let mut scores = Array2::zeros(cross.dim());
        for (i, mut row) in scores.outer_iter_mut().enumerate() {
            let own = self.examples.y[i];
            let count = counts[own] as f64;
            let (h, alone) = (1.0 - rest[i], counts[own] == 1);
            // 1 - a h, from 1 - h.
            let (factor, left) = if alone {
                (0.0, 1.0)
            } else {
                (count / (count - 1.0), (count * rest[i] - 1.0) / (count - 1.0))
            };
            if left <= f64::EPSILON {
                return None;
            }
            let weight = if alone { n } else { n - 1.0 };
            for (k, score) in row.iter_mut().enumerate() {
                let apart = cross[[i, own]] - cross[[i, k]];
                let (distance, others) = if k == own {
                    (factor * factor * h / left, if alone { 1.0 } else { count - 1.0 })
                } else {
                    let between =
                        products[[own, own]] - 2.0 * products[[own, k]] + products[[k, k]];
                    let along = h + apart;
                    let plain = h + 2.0 * apart + between;
                    (plain + factor * along * along / left, counts[k] as f64)
                };
                *score = -0.5 * weight * distance + (others / weight).ln();
            }
        }
        Some(scores)
    }

    /// Mean lead of an example's own class over the mean of the others, none left out.
    pub(crate) fn margin(&self, solution: &Solution) -> f64 {
        // Linear in x, so the residuals of a class, which add up to 0, do not matter.
        let (counts, c) = (&self.examples.counts, &solution.products);
        let (n, k) = (self.examples.len() as f64, counts.len() as f64);
        let score = |own: usize, other: usize| {
            n * (c[[own, other]] - 0.5 * c[[other, other]]) + (counts[other] as f64 / n).ln()
        };
        let lead = |own: usize| {
            let all: f64 = (0..counts.len()).map(|other| score(own, other)).sum();
            let mine = score(own, own);
            counts[own] as f64 * (mine - (all - mine) / (k - 1.0))
        };
        (0..counts.len()).map(lead).sum::<f64>() / n
    }

    /// Coefficients `[classes, dimensions]` and intercepts `[classes]`, none left out.
    pub(crate) fn coefficients(&self, solution: &Solution) -> (Array2<f64>, Array1<f64>) {
        let n = self.examples.len() as f64;
        let coefficients = match &self.side {
            Side::Primal { .. } => self.reduced.q.dot(&solution.solved).reversed_axes() * n,
            Side::Dual { .. } => {
                (&self.means - &solution.cross.t().dot(&self.residuals)) * (n / solution.alpha)
            }
        };
        let shares: Array1<f64> =
            self.examples.counts.iter().map(|&count| (count as f64 / n).ln()).collect();
        let center = &self.means * 0.5 + &self.mean;
        let offsets = (&coefficients * &center).sum_axis(Axis(1));
        (coefficients, shares - offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::Classes;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn classes(k: usize) -> Classes {
        Classes::new((0..k).map(|i| i.to_string()).collect()).unwrap()
    }

    /// Scores of `test` from its definition, with `alpha` added to the scatter.
    fn plain(
        x: &Array2<f32>,
        y: &[usize],
        k: usize,
        alpha: f64,
        test: &Array1<f64>,
    ) -> Array1<f64> {
        let classes = classes(k);
        let examples = Examples::new(x.view(), y, &classes).unwrap();
        let means = examples.class_means();
        let mut residuals = x.mapv(f64::from);
        for (mut row, &class) in residuals.outer_iter_mut().zip(y) {
            row -= &means.row(class);
        }
        let mut a = residuals.t().dot(&residuals);
        a.diag_mut().mapv_inplace(|v| v + alpha);
        let factor = crate::numeric::Cholesky::new(a).unwrap();
        let n = y.len() as f64;
        (0..k)
            .map(|class| {
                let apart = (test - &means.row(class)).insert_axis(Axis(1));
                let mut solved = apart.clone();
                factor.solve(&mut solved);
                let distance = n * (&apart * &solved).sum();
                (examples.counts[class] as f64 / n).ln() - 0.5 * distance
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn left_out_scores_are_those_of_a_refit(
            k in 2usize..4, d in 1usize..14, extra in 0usize..9, seed in any::<u32>(),
            log_penalty in -2f64..0.5,
        ) {
            let n = 2 * k + extra;
            let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_769).wrapping_add(seed)) as f32;
            let x = Array2::from_shape_fn((n, d), |(i, j)| (noise(i * d + j) * 1e-3).sin());
            let y: Vec<usize> = (0..n).map(|i| i % k).collect();
            let classes = classes(k);
            let examples = Examples::new(x.view(), &y, &classes).unwrap();
            let system = LeftOut::new(&examples).unwrap();
            let solution = system.solve(10f64.powf(log_penalty)).unwrap();
            let scores = system.scores(&solution).unwrap();
            for left in 0..n {
                let rest: Vec<usize> = (0..n).filter(|&i| i != left).collect();
                let labels: Vec<usize> = rest.iter().map(|&i| y[i]).collect();
                let expected = plain(
                    &x.select(Axis(0), &rest),
                    &labels,
                    k,
                    solution.alpha,
                    &x.row(left).mapv(f64::from),
                );
                let size = expected.fold(1.0, |m: f64, v| m.max(v.abs()));
                for class in 0..k {
                    let (a, b) = (scores[[left, class]], expected[class]);
                    prop_assert!((a - b).abs() < 1e-7 * size, "{left} {class}: {a}, not {b}");
                }
            }
            // None left out: the coefficients and the margin.
            let (coefficients, intercepts) = system.coefficients(&solution);
            let all = x.mapv(f64::from).dot(&coefficients.t()) + &intercepts;
            let mut margin = 0.0;
            for (i, row) in all.outer_iter().enumerate() {
                margin += (row[y[i]] - (row.sum() - row[y[i]]) / (k - 1) as f64) / n as f64;
                let expected = plain(&x, &y, k, solution.alpha, &x.row(i).mapv(f64::from));
                let size = expected.fold(1.0, |m: f64, v| m.max(v.abs()));
                for class in 1..k {
                    let (a, b) = (row[class] - row[0], expected[class] - expected[0]);
                    prop_assert!((a - b).abs() < 1e-7 * size, "{i} {class}: {a}, not {b}");
                }
            }
            prop_assert!((system.margin(&solution) - margin).abs() < 1e-7 * margin.abs().max(1.0));
        }
    }
}
