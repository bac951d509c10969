//! Ridge regression from the sums.

use ndarray::{Array1, Array2};

use super::Statistics;
use crate::classes::Classes;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::heads::{Ridge, RidgeHead};
use crate::numeric::Tridiagonal;

impl Statistics {
    /// The ridge classifier of these examples: [`Ridge`] from sums.
    ///
    /// # Formula
    ///
    /// With S the scatter around the mean m and `rₖ = Σ w x` of class k less `wₖ m`, the
    /// coefficients that minimise `Σ w (wₖ·x + bₖ - t)² + α ‖wₖ‖²` for targets of ±1 are
    /// `2 (S + αI)⁻¹ rₖ`: the same as from the examples, where every weight is 1.
    ///
    /// With one penalty it is taken as given. From several, the one with the smallest
    /// generalised cross-validation error is chosen, the first of equals:
    ///
    /// ```text
    /// GCV(α) = mean squared error / (1 - h)²,   h = (1 + tr S (S + αI)⁻¹) / n
    /// ```
    ///
    /// This is the leave-one-out error if every example had the mean leverage h, and all it
    /// needs is sums. [`RidgeHead::leave_one_out_error`] of the head is that estimate.
    /// Probabilities are `softmax(τ f(x))` with τ = 4 / m, m the mean margin by which an
    /// example's own class leads the mean of the others, which is linear in the sums: the centre
    /// of the prior that the fit from examples uses.
    ///
    /// # Cost
    ///
    /// 4/3 d³ multiply-adds to reduce S to tridiagonal form, then 2 d K a penalty, then d² K:
    /// the number of examples does not matter.
    ///
    /// # Source
    ///
    /// Golub, Heath and Wahba 1979, *Technometrics* 21.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`], [`Error::OneClass`], [`Error::Setting`], [`Error::Scale`].
    pub fn ridge(&self, settings: &Ridge) -> Result<Head> {
        settings.check()?;
        let sums = Sums::new(self)?;
        let reduced = Tridiagonal::new(self.centered_scatter());
        let rotated = reduced.q.t().dot(&sums.moments.t());
        let fit = |penalty: f64| {
            let shifted = reduced.shifted(penalty)?;
            let mut solution = rotated.clone();
            shifted.solve(&mut solution);
            let fitted = rotated.iter().zip(&solution).map(|(a, b)| a * b).sum();
            let size = solution.iter().map(|u| u * u).sum();
            let trace = shifted.trace_of_inverse(&reduced);
            let error = sums.error(penalty, trace, fitted, size);
            error.is_finite().then_some((penalty, error, solution))
        };
        let (penalty, error, solution) = settings
            .penalties
            .iter()
            .filter_map(|&penalty| fit(penalty))
            .reduce(|best, next| if next.1 < best.1 { next } else { best })
            .ok_or(Error::Scale("ridge regression"))?;
        let solution = reduced.q.dot(&solution).reversed_axes();
        Ok(Head::Ridge(sums.head(penalty, error, solution)))
    }
}

/// What ridge regression needs besides the inverse of the scatter.
pub(crate) struct Sums {
    classes: Classes,
    /// Number of examples.
    examples: f64,
    /// Their total weight.
    weight: f64,
    /// Part of the weight that each class has.
    shares: Array1<f64>,
    /// Mean of all examples.
    pub(crate) mean: Array1<f64>,
    /// `Σ w (x - mean)` of each class, `[classes, dimensions]`.
    pub(crate) moments: Array2<f64>,
}

impl Sums {
    pub(crate) fn new(statistics: &Statistics) -> Result<Self> {
        let classes = statistics.two_classes()?;
        let weight = statistics.total_weight();
        Ok(Self {
            classes,
            examples: statistics.examples() as f64,
            weight,
            shares: statistics.weights() / weight,
            mean: statistics.mean(),
            moments: statistics.moments(),
        })
    }

    /// The generalised cross-validation error, a target and an example; infinite where the
    /// fit leaves no degree of freedom.
    ///
    /// From `tr (S + αI)⁻¹`, `Σ rₖ·uₖ` and `Σ uₖ·uₖ` of the moments rₖ and the solutions
    /// `uₖ = (S + αI)⁻¹ rₖ`.
    pub(crate) fn error(&self, penalty: f64, trace: f64, fitted: f64, size: f64) -> f64 {
        let (d, k) = (self.mean.len() as f64, self.shares.len() as f64);
        let targets: f64 = self.shares.iter().map(|share| share * (1.0 - share)).sum();
        let residual = 4.0 * (targets - (fitted + penalty * size) / self.weight) / k;
        let left = 1.0 - (1.0 + d - penalty * trace) / self.examples;
        if left > 1e-9 { residual.max(0.0) / (left * left) } else { f64::INFINITY }
    }

    /// The head of the solutions uₖ, `[classes, dimensions]`.
    pub(crate) fn head(self, penalty: f64, error: f64, solution: Array2<f64>) -> RidgeHead {
        let coefficients = solution * 2.0;
        let own: f64 = coefficients.iter().zip(&self.moments).map(|(a, b)| a * b).sum();
        let own = own / self.weight + 2.0 * self.shares.dot(&self.shares);
        // Values plus one add up to 2 over the classes, on average over examples.
        let margin = own - (2.0 - own) / (self.shares.len() as f64 - 1.0);
        let intercepts = self.shares.mapv(|share| 2.0 * share - 1.0) - coefficients.dot(&self.mean);
        RidgeHead {
            classes: self.classes,
            coefficients,
            intercepts,
            penalty,
            leave_one_out_error: error,
            scale: RidgeHead::prior_scale(margin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::Classifier;
    use ndarray::Array2;

    fn data() -> (Array2<f32>, Vec<usize>) {
        let x = Array2::from_shape_fn((30, 5), |(i, j)| ((i * 7 + j * 3 + i * j) as f32).sin());
        (x, (0..30).map(|i| i * i % 7 % 3).collect())
    }

    fn statistics(x: &Array2<f32>, y: &[usize], weights: &[f64]) -> Statistics {
        let mut statistics = Statistics::new(x.ncols()).unwrap();
        for ((x, y), &weight) in x.outer_iter().zip(y).zip(weights) {
            statistics.add(x, &y.to_string(), weight).unwrap();
        }
        statistics
    }

    fn ridge(head: Head) -> RidgeHead {
        let Head::Ridge(head) = head else { panic!("another head") };
        head
    }

    #[test]
    fn equals_the_fit_from_examples_at_one_penalty() {
        let (x, y) = data();
        let statistics = statistics(&x, &y, &[1.0; 30]);
        for penalty in [1e-3, 0.3, 100.0] {
            let settings = Ridge { penalties: vec![penalty] };
            let a = ridge(statistics.ridge(&settings).unwrap());
            let b = ridge(settings.fit(x.view(), &y, statistics.classes().unwrap()).unwrap());
            let difference = |a: &Array2<f64>, b: &Array2<f64>| (a - b).mapv(f64::abs).sum();
            assert!(difference(a.coefficients(), b.coefficients()) < 1e-9);
            assert!((a.intercepts() - b.intercepts()).mapv(f64::abs).sum() < 1e-9);
            // The leave-one-out error to within the spread of the leverages.
            let ratio = a.leave_one_out_error() / b.leave_one_out_error();
            assert!((0.9..1.1).contains(&ratio), "{penalty}: {ratio}");
        }
    }

    /// The error, written out example by example with the leverages averaged.
    #[test]
    fn generalised_cross_validation_is_its_definition() {
        let (x, y) = data();
        let (n, k) = (30.0, 3.0);
        let statistics = statistics(&x, &y, &[1.0; 30]);
        let settings = Ridge { penalties: vec![0.5, 2.0, 8.0] };
        let mut errors = Vec::new();
        for &penalty in &settings.penalties {
            let head = ridge(statistics.ridge(&Ridge { penalties: vec![penalty] }).unwrap());
            let scores = head.decision_function(x.view()).unwrap();
            let squares: f64 = scores
                .indexed_iter()
                .map(|((i, class), f)| (f - if y[i] == class { 1.0 } else { -1.0 }).powi(2))
                .sum();
            // Leverage of an example: how far its own target moves its fitted value.
            let s = statistics.centered_scatter();
            let mut inverse = Array2::eye(5);
            crate::numeric::Cholesky::new(&s + Array2::eye(5) * penalty)
                .unwrap()
                .solve(&mut inverse);
            let leverage = 1.0 + inverse.dot(&s).diag().sum();
            let error = squares / (n * k) / (1.0 - leverage / n).powi(2);
            assert!((head.leave_one_out_error() / error - 1.0).abs() < 1e-9);
            errors.push(error);
        }
        let chosen = ridge(statistics.ridge(&settings).unwrap());
        let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
        assert!((chosen.leave_one_out_error() / least - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_weight_of_two_is_the_example_twice() {
        let (x, y) = data();
        let weights: Vec<f64> = (0..30).map(|i| if i % 3 == 0 { 2.0 } else { 1.0 }).collect();
        let weighted = statistics(&x, &y, &weights);
        let mut twice = statistics(&x, &y, &[1.0; 30]);
        for i in (0..30).step_by(3) {
            twice.add(x.row(i), &y[i].to_string(), 1.0).unwrap();
        }
        let settings = Ridge { penalties: vec![0.7] };
        let a = ridge(weighted.ridge(&settings).unwrap());
        let b = ridge(twice.ridge(&settings).unwrap());
        assert!((a.coefficients() - b.coefficients()).iter().all(|d| d.abs() < 1e-9));
        assert!((a.scale() - b.scale()).abs() < 1e-9 * a.scale());
    }

    #[test]
    fn one_class_or_none_is_refused() {
        let mut statistics = Statistics::new(1).unwrap();
        assert!(matches!(statistics.ridge(&Ridge::default()), Err(Error::NoExamples)));
        statistics.add(ndarray::array![1f32].view(), "a", 1.0).unwrap();
        let error = statistics.ridge(&Ridge::default()).unwrap_err();
        assert!(matches!(error, Error::OneClass { .. }));
        assert!(matches!(statistics.nearest_mean(), Err(Error::OneClass { .. })));
        statistics.add(ndarray::array![0f32].view(), "b", 1.0).unwrap();
        let none = statistics.ridge(&Ridge { penalties: vec![] });
        assert!(matches!(none, Err(Error::Setting { name: "penalties", .. })));
        assert!(statistics.ridge(&Ridge::default()).is_ok());
    }
}
