//! Ridge regression on continuous targets.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::classifier::linear_scores;
use crate::error::{Error, Result};
use crate::examples::{MEMORY_LIMIT, check_finite};
use crate::heads::System;

/// Settings of ridge regression, in closed form.
///
/// # Formula
///
/// The coefficients minimise `Σᵢ (wⱼ·xᵢ + bⱼ - tᵢⱼ)² + α ‖wⱼ‖²` for each output j, intercepts
/// not penalised. The penalty α, one for all outputs, is the one of [`Regression::penalties`]
/// with the smallest mean squared leave-one-out error over all outputs (the first of equals),
/// which is exact; see [`Ridge`](crate::Ridge). This is scikit-learn's `RidgeCV`. Outputs of
/// very different scale should be scaled alike first, or fitted one by one: the largest
/// decides the penalty.
///
/// Prediction intervals are the prediction plus and minus the `⌈(n + 1) c⌉`-th smallest
/// absolute leave-one-out residual for coverage c (the jackknife). They cover c in the limit
/// and nearly so in practice; no guarantee holds for every distribution. With too few
/// examples for the rank (fewer than 9 for 90 %) they are infinite.
///
/// # Cost
///
/// That of [`Ridge`](crate::Ridge), with outputs in place of classes.
///
/// # Source
///
/// Hoerl and Kennard 1970, *Technometrics* 12; leave-one-out: Rifkin and Lippert 2007,
/// MIT-CSAIL-TR-2007-025; intervals: Barber et al. 2021, *Ann. Statist.* 49.
///
/// ```
/// use ndarray::array;
/// use offshoot_adapters::Regression;
///
/// let x = array![[0f32, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0]];
/// let targets = array![[0.0], [2.0], [4.0], [6.0], [8.0]];
/// let head = Regression { penalties: vec![1e-6] }.fit(x.view(), targets.view())?;
/// let predicted = head.predict(array![[5f32, 0.0]].view())?;
/// assert!((predicted[[0, 0]] - 10.0).abs() < 1e-4);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// Penalties to choose from, each > 0.
    pub penalties: Vec<f64>,
}

impl Default for Regression {
    /// 13 penalties from 1e-3 to 1e3, two a decade, which suit embeddings of unit length.
    fn default() -> Self {
        Self { penalties: crate::Ridge::default().penalties }
    }
}

impl Regression {
    /// Fits a head to embeddings `[examples, dimensions]` and targets `[examples, outputs]`.
    ///
    /// # Errors
    ///
    /// [`Error::NoExamples`] for fewer than 2, [`Error::NoDimensions`], [`Error::LabelCount`],
    /// [`Error::NotFinite`], [`Error::Target`], [`Error::Setting`] for penalties or no outputs,
    /// [`Error::TooLarge`], [`Error::Scale`].
    pub fn fit(&self, x: ArrayView2<f32>, targets: ArrayView2<f64>) -> Result<RegressionHead> {
        let Fit { coefficients, intercepts, penalty, residuals, error } =
            fit(x, targets, &self.penalties, "ridge regression")?;
        let mut sizes = residuals.mapv(f64::abs).reversed_axes().as_standard_layout().to_owned();
        for mut row in sizes.outer_iter_mut() {
            let mut sorted = row.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            row.iter_mut().zip(sorted).for_each(|(to, from)| *to = from);
        }
        Ok(RegressionHead {
            coefficients,
            intercepts,
            penalty,
            leave_one_out_error: error,
            residuals: sizes,
        })
    }
}

/// What a fit gives.
pub(crate) struct Fit {
    /// `[outputs, dimensions]`.
    pub(crate) coefficients: Array2<f64>,
    /// `[outputs]`.
    pub(crate) intercepts: Array1<f64>,
    pub(crate) penalty: f64,
    /// Targets minus leave-one-out predictions `[examples, outputs]`.
    pub(crate) residuals: Array2<f64>,
    /// Their mean square.
    pub(crate) error: f64,
}

/// Fits checked data by the penalty of the smallest leave-one-out error.
pub(crate) fn fit(
    x: ArrayView2<f32>,
    targets: ArrayView2<f64>,
    penalties: &[f64],
    what: &'static str,
) -> Result<Fit> {
    let bad = |name, value, expected| Error::Setting { name, value, expected };
    let expected = "give at least one penalty, each a positive number";
    if let Some(&value) = penalties.iter().find(|p| !(**p > 0.0 && p.is_finite())) {
        return Err(bad("penalties", value, expected));
    }
    if penalties.is_empty() {
        return Err(bad("penalties", f64::NAN, expected));
    }
    if x.nrows() != targets.nrows() {
        return Err(Error::LabelCount { rows: x.nrows(), labels: targets.nrows() });
    }
    if targets.ncols() == 0 {
        return Err(bad("outputs", 0.0, "give at least one column of targets"));
    }
    if x.nrows() < 2 {
        return Err(Error::NoExamples);
    }
    if x.ncols() == 0 {
        return Err(Error::NoDimensions);
    }
    let [n, d, k] = [x.nrows(), x.ncols(), targets.ncols()].map(|v| v as u128);
    let m = n.min(d);
    let needed = 8 * (2 * n * d + 2 * m * m + 6 * n * k);
    if needed > u128::from(MEMORY_LIMIT) {
        return Err(Error::TooLarge {
            what,
            examples: x.nrows(),
            classes: targets.ncols(),
            dimensions: x.ncols(),
            needed_mib: u64::try_from(needed >> 20).unwrap_or(u64::MAX),
            limit_mib: MEMORY_LIMIT >> 20,
        });
    }
    check_finite(x)?;
    if let Some(((row, column), &value)) = targets.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(Error::Target { row, column, value });
    }
    let rows = x.nrows() as f64;
    let mut z = x.mapv(f64::from);
    let mean = z.sum_axis(Axis(0)) / rows;
    z -= &mean;
    let level = targets.sum_axis(Axis(0)) / rows;
    let system = System::new(&z, &targets - &level);
    let (penalty, error, best) = system.choose(penalties).ok_or(Error::Scale(what))?;
    let coefficients = system.coefficients(&z, &best.solution);
    let intercepts = level - coefficients.dot(&mean);
    Ok(Fit { coefficients, intercepts, penalty, residuals: best.errors, error })
}

/// A fitted regression.
#[derive(Clone, Debug, PartialEq)]
pub struct RegressionHead {
    pub(crate) coefficients: Array2<f64>,
    pub(crate) intercepts: Array1<f64>,
    pub(crate) penalty: f64,
    pub(crate) leave_one_out_error: f64,
    /// Absolute leave-one-out residuals `[outputs, examples]`, rising.
    pub(crate) residuals: Array2<f64>,
}

impl RegressionHead {
    /// Coefficients `[outputs, dimensions]`.
    #[must_use]
    pub fn coefficients(&self) -> &Array2<f64> {
        &self.coefficients
    }

    /// Intercepts `[outputs]`.
    #[must_use]
    pub fn intercepts(&self) -> &Array1<f64> {
        &self.intercepts
    }

    /// The chosen penalty.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// Mean squared leave-one-out error over examples and outputs.
    #[must_use]
    pub fn leave_one_out_error(&self) -> f64 {
        self.leave_one_out_error
    }

    /// Predictions `[examples, outputs]`.
    ///
    /// # Errors
    ///
    /// [`Error::Width`], [`Error::NotFinite`].
    pub fn predict(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        linear_scores(x, &self.coefficients, &self.intercepts)
    }

    /// Half the width of the interval of each output `[outputs]` at the wanted coverage (0.9
    /// for 90 %), infinite from too few examples.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a coverage that is not between 0 and 1.
    pub fn half_widths(&self, coverage: f64) -> Result<Array1<f64>> {
        if !(coverage > 0.0 && coverage < 1.0) {
            let expected = "a coverage must lie between 0 and 1, such as 0.9";
            return Err(Error::Setting { name: "coverage", value: coverage, expected });
        }
        let n = self.residuals.ncols();
        // Not pushed to the next rank by rounding of the product.
        let rank = ((n as f64 + 1.0) * coverage - 1e-9).ceil().max(1.0) as usize;
        let width =
            |row: ndarray::ArrayView1<f64>| row.get(rank - 1).copied().unwrap_or(f64::INFINITY);
        Ok(self.residuals.outer_iter().map(width).collect())
    }

    /// The lower and the upper ends of prediction intervals, each `[examples, outputs]`.
    ///
    /// # Errors
    ///
    /// Those of [`RegressionHead::predict`] and [`RegressionHead::half_widths`].
    pub fn predict_intervals(
        &self,
        x: ArrayView2<f32>,
        coverage: f64,
    ) -> Result<(Array2<f64>, Array2<f64>)> {
        let (predicted, half) = (self.predict(x)?, self.half_widths(coverage)?);
        Ok((&predicted - &half, predicted + half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn line(n: usize) -> (Array2<f32>, Array2<f64>) {
        let x = Array2::from_shape_fn((n, 3), |(i, j)| ((i * 7 + j * 5) as f32).sin());
        let targets = Array2::from_shape_fn((n, 2), |(i, j)| {
            f64::from(x[[i, j]]) * 3.0 + ((i * i * 11) as f64).cos()
        });
        (x, targets)
    }

    /// Residuals are those of refitting without each example.
    #[test]
    fn residuals_are_left_out() {
        for (n, d) in [(9, 3), (3, 3)] {
            let (x, targets) = line(n);
            let x = x.slice_axis(Axis(1), (0..d).into());
            let found = fit(x, targets.view(), &[0.3], "test").unwrap();
            for left in 0..n {
                let rest: Vec<usize> = (0..n).filter(|&i| i != left).collect();
                let settings = Regression { penalties: vec![0.3] };
                let some = targets.select(Axis(0), &rest);
                let head = settings.fit(x.select(Axis(0), &rest).view(), some.view()).unwrap();
                let predicted = head.predict(x.select(Axis(0), &[left]).view()).unwrap();
                for output in 0..2 {
                    let expected = targets[[left, output]] - predicted[[0, output]];
                    assert!((found.residuals[[left, output]] - expected).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn intervals_hold_the_rank() {
        let (x, targets) = line(19);
        let head = Regression::default().fit(x.view(), targets.view()).unwrap();
        let half = head.half_widths(0.9).unwrap();
        let within = head.residuals.row(0).iter().filter(|r| **r <= half[0]).count();
        assert_eq!(within, 18);
        assert!(head.half_widths(0.96).unwrap().iter().all(|w| *w == f64::INFINITY));
        let (low, high) = head.predict_intervals(x.view(), 0.5).unwrap();
        assert!(low.iter().zip(&high).all(|(low, high)| low < high));
        for coverage in [0.0, 1.0, f64::NAN] {
            assert!(head.half_widths(coverage).is_err());
        }
    }

    #[test]
    fn identical_examples_predict_the_mean() {
        let x = Array2::from_elem((4, 3), 0.7f32);
        let targets = array![[1.0], [2.0], [3.0], [6.0]];
        let head = Regression::default().fit(x.view(), targets.view()).unwrap();
        assert!((head.predict(x.view()).unwrap() - 3.0).iter().all(|d| d.abs() < 1e-9));
    }

    #[test]
    fn bad_input_is_refused() {
        let (x, targets) = line(5);
        let fit = |x: &Array2<f32>, targets: &Array2<f64>| {
            Regression::default().fit(x.view(), targets.view()).unwrap_err()
        };
        let one = Array2::zeros((1, 1));
        assert!(matches!(fit(&Array2::zeros((1, 3)), &one), Error::NoExamples));
        assert!(matches!(fit(&Array2::zeros((0, 3)), &Array2::zeros((0, 1))), Error::NoExamples));
        assert!(matches!(fit(&x, &one), Error::LabelCount { rows: 5, labels: 1 }));
        assert!(matches!(fit(&Array2::zeros((5, 0)), &targets), Error::NoDimensions));
        let none = Array2::zeros((5, 0));
        assert!(matches!(fit(&x, &none), Error::Setting { name: "outputs", .. }));
        let (mut nan, mut hole) = (targets.clone(), x.clone());
        nan[[3, 1]] = f64::NAN;
        hole[[2, 0]] = f32::INFINITY;
        assert!(matches!(fit(&x, &nan), Error::Target { row: 3, column: 1, .. }));
        assert!(matches!(fit(&hole, &targets), Error::NotFinite { row: 2, column: 0, .. }));
        for penalties in [vec![], vec![-1.0]] {
            let error = Regression { penalties }.fit(x.view(), targets.view()).unwrap_err();
            assert!(matches!(error, Error::Setting { name: "penalties", .. }));
        }
        let head = Regression::default().fit(x.view(), targets.view()).unwrap();
        assert!(matches!(head.predict(one.mapv(|v| v as f32).view()), Err(Error::Width { .. })));
        let many = Array2::zeros((5, 30_000_000));
        assert!(matches!(fit(&x, &many), Error::TooLarge { .. }));
    }
}
