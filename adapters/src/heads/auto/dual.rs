//! Ridge regression and the regularised discriminant in the feature space of a kernel, with
//! exact leave-one-out scores for every penalty.
//!
//! Both are `fₖ(x) = Σᵢ κ(x, xᵢ) Aᵢₖ + bₖ`. Working with the kernel matrix alone, they cost
//! O(n³) once and O(n² K) a penalty, whatever the width of the embeddings.

use ndarray::{Array1, Array2, Axis};

use crate::examples::Examples;
use crate::numeric::Tridiagonal;

/// Least that is divided by where an example is left out.
const LEVERAGE_FLOOR: f64 = 1e-9;

/// One fitted function of the kernel.
pub(crate) struct DualFit {
    /// `A`, `[n, classes]`.
    pub(crate) coefficients: Array2<f64>,
    /// `b`, `[classes]`.
    pub(crate) intercepts: Array1<f64>,
    /// Scores of the examples, each part of the fit, `[n, classes]`.
    pub(crate) scores: Array2<f64>,
    /// Scores of each example by the fit without it, `[n, classes]`.
    pub(crate) left_out: Array2<f64>,
}

/// A centred kernel matrix, and what centring took away.
pub(crate) struct Centered {
    /// `[n, n]`.
    pub(crate) matrix: Array2<f64>,
    /// Mean of each row of the kernel matrix.
    rows: Array1<f64>,
}

impl Centered {
    pub(crate) fn new(mut kernel: Array2<f64>) -> Self {
        let n = kernel.nrows() as f64;
        let rows = kernel.sum_axis(Axis(1)) / n;
        let mean = rows.sum() / n;
        kernel -= &rows;
        kernel -= &rows.view().insert_axis(Axis(1));
        kernel += mean;
        Self { matrix: kernel, rows }
    }

    fn trace(&self) -> f64 {
        self.matrix.diag().sum().max(1e-300)
    }
}

/// Ridge regression on class indicators, reduced for any penalty.
pub(crate) struct DualRidge<'a> {
    centered: &'a Centered,
    reduced: Tridiagonal,
    /// Indicators `[n, classes]`, their means, and the centred ones in the reduced basis.
    indicators: Array2<f64>,
    shares: Array1<f64>,
    rotated: Array2<f64>,
    /// `Qᵀ`, a column an example.
    basis: Array2<f64>,
}

impl<'a> DualRidge<'a> {
    pub(crate) fn new(centered: &'a Centered, examples: &Examples) -> Self {
        let reduced = Tridiagonal::new(centered.matrix.clone());
        let mut indicators = Array2::zeros((examples.len(), examples.classes()));
        for (mut row, &class) in indicators.outer_iter_mut().zip(examples.y) {
            row[class] = 1.0;
        }
        let shares = indicators.sum_axis(Axis(0)) / examples.len() as f64;
        let rotated = reduced.q.t().dot(&(&indicators - &shares));
        let basis = reduced.q.t().as_standard_layout().into_owned();
        Self { centered, reduced, indicators, shares, rotated, basis }
    }

    /// The fit for the penalty `rho` times the trace of the centred kernel matrix.
    ///
    /// With `R = (G + αI)⁻¹`, the dual coefficients are `R (Y - ȳ)`, and leaving out example i
    /// errs by `(R (Y - ȳ))ᵢ / (Rᵢᵢ - 1/αn)`.
    pub(crate) fn fit(&self, rho: f64) -> Option<DualFit> {
        let n = self.indicators.nrows() as f64;
        let alpha = rho * self.centered.trace();
        let shifted = self.reduced.shifted(alpha)?;
        let mut solved = self.rotated.clone();
        shifted.solve(&mut solved);
        let coefficients = self.reduced.q.dot(&solved);
        let scores = &self.indicators - &(alpha * &coefficients);
        let mut left_out = coefficients.clone();
        let leverages = shifted.quadratics(&self.basis);
        for (mut row, leverage) in left_out.outer_iter_mut().zip(leverages) {
            let slack = alpha * leverage - 1.0 / n;
            row *= -alpha / slack.max(LEVERAGE_FLOOR);
        }
        left_out += &self.indicators;
        let intercepts = &self.shares - &self.centered.rows.dot(&coefficients);
        Some(DualFit { coefficients, intercepts, scores, left_out })
    }
}

/// The discriminant with the shared covariance `S/n + ρ tr(S/n) I`, S the scatter within
/// classes, reduced for any ρ.
pub(crate) struct DualDiscriminant<'a> {
    centered: &'a Centered,
    y: &'a [usize],
    counts: &'a [usize],
    /// `B = C G C` with C the centring within classes; `B = Q T Qᵀ`.
    reduced: Tridiagonal,
    trace: f64,
    /// `G C Q`, `[n, n]`: the inner products of examples with their deviations, rotated.
    cross: Array2<f64>,
    /// `cross` with a column an example.
    turned: Array2<f64>,
    /// Class means of `cross` and of `G`, `[classes, n]`, and of the latter, `[classes, classes]`.
    mean_cross: Array2<f64>,
    mean_products: Array2<f64>,
    mean_sizes: Array2<f64>,
}

impl<'a> DualDiscriminant<'a> {
    /// `None` where nothing varies within classes.
    pub(crate) fn new(centered: &'a Centered, examples: &'a Examples) -> Option<Self> {
        let (y, counts) = (examples.y, &examples.counts[..]);
        let products = &centered.matrix;
        let mean_products = class_means(products, y, counts);
        let mut deviations = products.clone();
        deviate(&mut deviations, &mean_products, y);
        let within = {
            // The same along the other axis: C (G C) = (C G) with its columns centred.
            let mut within = deviations.clone();
            let means = class_means(&deviations.t().to_owned(), y, counts);
            let mut turned = within.view_mut().reversed_axes();
            for (mut row, &class) in turned.outer_iter_mut().zip(y) {
                row -= &means.row(class);
            }
            within
        };
        let trace = within.diag().sum();
        if trace <= 1e-12 * centered.trace() {
            return None;
        }
        let reduced = Tridiagonal::new(within);
        let cross = deviations.t().dot(&reduced.q);
        let turned = cross.t().as_standard_layout().into_owned();
        let mean_cross = class_means(&cross, y, counts);
        let mean_sizes = class_means(&mean_products.t().to_owned(), y, counts);
        Some(Self {
            centered,
            y,
            counts,
            reduced,
            trace,
            cross,
            turned,
            mean_cross,
            mean_products,
            mean_sizes,
        })
    }

    /// The fit for ρ > 0, up to a factor that the scale of its scores takes up.
    ///
    /// With `W = (S/n + ρ tr I)⁻¹ tr = (I - Zᵀ (ZZᵀ + nρ tr I)⁻¹ Z) / ρ`, the score of class k is
    /// `-½ ‖x - μₖ‖²_W`. Leaving out example i of a class of nᵢ takes `r zzᵀ / n` from `S/n`, with
    /// z its deviation and `r = nᵢ / (nᵢ - 1)`: a rank-one downdate, so with `q = zᵀWz` and
    /// `t = r / tr S`
    ///
    /// ```text
    /// ‖x - μₖ‖² becomes ‖x - μₖ‖²_W + t (zᵀW(x - μₖ))² / (1 - tq),  and r² q / (1 - tq) for its own class
    /// ```
    pub(crate) fn fit(&self, rho: f64) -> Option<DualFit> {
        let shifted = self.reduced.shifted(rho * self.trace)?;
        let mut solved = self.mean_cross.t().to_owned();
        shifted.solve(&mut solved);
        // xᵢ W μₖ, μⱼ W μₖ and xᵢ W xᵢ.
        let with_means = (self.mean_products.t().to_owned() - self.cross.dot(&solved)) / rho;
        let between = (&self.mean_sizes - &self.mean_cross.dot(&solved)) / rho;
        let mean_sizes = between.diag().to_owned();
        let own: Array1<f64> = shifted
            .quadratics(&self.turned)
            .into_iter()
            .zip(self.centered.matrix.diag())
            .map(|(within, &size)| (size - within) / rho)
            .collect();

        let (n, classes) = with_means.dim();
        let mut scores = Array2::zeros((n, classes));
        let mut left_out = Array2::zeros((n, classes));
        for i in 0..n {
            let class = self.y[i];
            let count = self.counts[class] as f64;
            let r = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
            let t = r / self.trace;
            let q = own[i] - 2.0 * with_means[[i, class]] + mean_sizes[class];
            let slack = (1.0 - t * q).max(LEVERAGE_FLOOR);
            for k in 0..classes {
                let distance = own[i] - 2.0 * with_means[[i, k]] + mean_sizes[k];
                scores[[i, k]] = -0.5 * distance;
                let cross =
                    own[i] - with_means[[i, class]] - with_means[[i, k]] + between[[class, k]];
                let out = if k == class {
                    r * r * q / slack
                } else {
                    distance + t * cross * cross / slack
                };
                left_out[[i, k]] = -0.5 * out;
            }
        }

        // W μₖ as a combination of the examples: (pₖ - C R Nᵀ pₖ) / ρ, pₖ the mean of class k.
        let mut coefficients = -self.reduced.q.dot(&solved);
        let means = class_means(&coefficients, self.y, self.counts);
        deviate(&mut coefficients, &means, self.y);
        for (mut row, &class) in coefficients.outer_iter_mut().zip(self.y) {
            row[class] += 1.0 / self.counts[class] as f64;
        }
        coefficients /= rho;
        let intercepts = -0.5 * mean_sizes - self.centered.rows.dot(&coefficients);
        Some(DualFit { coefficients, intercepts, scores, left_out })
    }
}

/// Mean row of each class, `[classes, columns]`.
fn class_means(rows: &Array2<f64>, y: &[usize], counts: &[usize]) -> Array2<f64> {
    let mut means = Array2::zeros((counts.len(), rows.ncols()));
    for (row, &class) in rows.outer_iter().zip(y) {
        let mut mean = means.row_mut(class);
        mean += &row;
    }
    for (mut mean, &count) in means.outer_iter_mut().zip(counts) {
        mean /= count.max(1) as f64;
    }
    means
}

/// Takes from each row the mean of its class.
fn deviate(rows: &mut Array2<f64>, means: &Array2<f64>, y: &[usize]) {
    for (mut row, &class) in rows.outer_iter_mut().zip(y) {
        row -= &means.row(class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::Classes;
    use crate::heads::auto::kernel::{Kernel, Products};

    const N: usize = 14;

    fn data() -> (Array2<f32>, Vec<usize>, Classes) {
        let x = Array2::from_shape_fn((N, 6), |(i, j)| {
            ((i * 31 + j * 17 + i * j) as f32).sin() + if i % 3 == j { 1.0 } else { 0.0 }
        });
        let labels: Vec<String> = (0..N).map(|i| (i % 3).to_string()).collect();
        let (classes, y) = Classes::from_labels(&labels).unwrap();
        (x, y, classes)
    }

    fn without(x: &Array2<f32>, y: &[usize], i: usize) -> (Array2<f32>, Vec<usize>) {
        let kept: Vec<usize> = (0..N).filter(|&j| j != i).collect();
        (x.select(Axis(0), &kept), kept.iter().map(|&j| y[j]).collect())
    }

    /// Scores of row `i` of `x` by a fit on `rows`, through the kernel of the rows themselves.
    fn score(rows: &Array2<f64>, fit: &DualFit, x: &Array1<f64>) -> Array1<f64> {
        rows.dot(x).dot(&fit.coefficients) + &fit.intercepts
    }

    fn softened(scores: &Array1<f64>) -> Array1<f64> {
        scores - scores.mean().unwrap()
    }

    #[test]
    fn leaving_out_equals_fitting_without() {
        let (x, y, classes) = data();
        // Penalties relative to the trace change when an example leaves: the check holds the
        // penalty itself.
        let rows = x.mapv(f64::from);
        let examples = Examples::new(x.view(), &y, &classes).unwrap();
        let centered = Centered::new(Products::new(rows.view()).kernel(Kernel::Linear));
        let ridge = DualRidge::new(&centered, &examples).fit(0.05).unwrap();
        let alpha = 0.05 * centered.trace();
        let discriminant = DualDiscriminant::new(&centered, &examples).unwrap();
        let lda = discriminant.fit(0.2).unwrap();
        for i in 0..N {
            let (x, y) = without(&x, &y, i);
            let rest = x.mapv(f64::from);
            let examples = Examples::new(x.view(), &y, &classes).unwrap();
            let centered = Centered::new(Products::new(rest.view()).kernel(Kernel::Linear));
            let again = DualRidge::new(&centered, &examples).fit(alpha / centered.trace()).unwrap();
            let row = rows.row(i).to_owned();
            let difference = &score(&rest, &again, &row) - &ridge.left_out.row(i);
            assert!(difference.iter().all(|d| d.abs() < 1e-9), "ridge, row {i}: {difference}");

            // S/n + ρ tr(S)/n I: n stays that of all examples, so do the penalty and the factor.
            let less = DualDiscriminant::new(&centered, &examples).unwrap();
            let rho = 0.2 * discriminant.trace / less.trace;
            let again = less.fit(rho).unwrap();
            let factor = discriminant.trace / less.trace;
            let difference = softened(&(score(&rest, &again, &row) * factor))
                - softened(&lda.left_out.row(i).to_owned());
            assert!(difference.iter().all(|d| d.abs() < 1e-8), "row {i}: {difference}");
        }
    }

    #[test]
    fn coefficients_give_the_scores() {
        let (x, y, classes) = data();
        let rows = x.mapv(f64::from);
        let examples = Examples::new(x.view(), &y, &classes).unwrap();
        let centered = Centered::new(Products::new(rows.view()).kernel(Kernel::Linear));
        let ridge = DualRidge::new(&centered, &examples).fit(0.01).unwrap();
        let lda = DualDiscriminant::new(&centered, &examples).unwrap().fit(0.03).unwrap();
        for i in 0..N {
            let row = rows.row(i).to_owned();
            let difference = &score(&rows, &ridge, &row) - &ridge.scores.row(i);
            assert!(difference.iter().all(|d| d.abs() < 1e-10));
            let difference =
                softened(&score(&rows, &lda, &row)) - softened(&lda.scores.row(i).to_owned());
            assert!(difference.iter().all(|d| d.abs() < 1e-9));
        }
    }

    #[test]
    fn single_examples_have_no_discriminant() {
        let x = ndarray::array![[1f32, 0.0], [0.0, 1.0]];
        let (classes, y) = Classes::from_labels(&["a", "b"]).unwrap();
        let examples = Examples::new(x.view(), &y, &classes).unwrap();
        let kernel = Products::new(x.mapv(f64::from).view()).kernel(Kernel::Linear);
        let centered = Centered::new(kernel);
        assert!(DualDiscriminant::new(&centered, &examples).is_none());
        assert!(DualRidge::new(&centered, &examples).fit(0.1).is_some());
    }
}
