//! Dirichlet calibration.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use serde::Serialize;

use super::{LOG_FLOOR, Temperature};
use crate::error::{Error, Result};
use crate::examples::MEMORY_LIMIT;
use crate::numeric::{minimize, softmax_rows};
use crate::predictions::{check_probabilities, usable_logs};

/// Folds that choose the penalty.
const FOLDS: usize = 5;
/// Most steps of one fit.
const ITERATIONS: usize = 5_000;
/// Length of the gradient at which a fit is done.
const TOLERANCE: f64 = 1e-9;

/// Settings of Dirichlet calibration.
///
/// # Formula
///
/// `q = softmax(τ W ln p + b)`, where `τ` is the inverse [`Temperature`] of the n usable rows,
/// and `W` `[K, K]` and `b` `[K]` minimise
///
/// ```text
/// 1/n Σᵢ -ln q(yᵢ | xᵢ)  +  λ ( Σ_{k≠j} Wₖⱼ² / (K (K - 1)) + Σₖ (Wₖₖ - 1)² / K + Σₖ bₖ² / K )
/// ```
///
/// The penalties on the off-diagonal and the intercepts are the published ones (ODIR), with
/// one λ. The temperature and the penalty on the diagonal are ours: with a free diagonal,
/// separable left-out predictions, which are common from few labels, send it to infinity;
/// so a large λ gives temperature scaling. λ is the one of [`Dirichlet::penalties`] with the
/// smallest log loss over 5 folds (the first of equals); a fold holds every fifth usable row
/// of each class.
///
/// # Cost
///
/// n K² for each step of L-BFGS, some tens to hundreds of steps for each fold and penalty;
/// 20 numbers are kept for each of the K² + K parameters. Applying it costs K² a row. For
/// hundreds of classes use [`Temperature`].
///
/// # Source
///
/// Kull et al. 2019, arXiv:1910.12656.
#[derive(Clone, Debug, PartialEq)]
pub struct Dirichlet {
    /// Penalties λ to choose from, each > 0.
    pub penalties: Vec<f64>,
}

impl Default for Dirichlet {
    /// 1,000, 100, 10, 1, 0.1, 0.01.
    fn default() -> Self {
        Self { penalties: vec![1e3, 100.0, 10.0, 1.0, 1e-1, 1e-2] }
    }
}

impl Dirichlet {
    /// Fits it to leave-one-out log-probabilities `[examples, classes]`, the class of each
    /// example, and whether each row is usable. Without a usable row nothing is changed.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`], [`Error::NoExamples`], [`Error::PredictionCount`],
    /// [`Error::UnknownClass`], [`Error::FlagCount`], [`Error::NotLogProbability`],
    /// [`Error::TooLarge`].
    pub fn fit(
        &self,
        logs: ArrayView2<f64>,
        y: &[usize],
        usable: &[bool],
    ) -> Result<DirichletCalibration> {
        let bad = |value| Error::Setting {
            name: "penalties",
            value,
            expected: "give at least one penalty, each a positive number",
        };
        if let Some(&value) = self.penalties.iter().find(|p| !(**p > 0.0 && p.is_finite())) {
            return Err(bad(value));
        }
        let Some(&first) = self.penalties.first() else { return Err(bad(f64::NAN)) };
        let k = logs.ncols();
        let needed = 8 * (50 * (k as u128 + 1) * k as u128 + 6 * logs.len() as u128);
        if needed > u128::from(MEMORY_LIMIT) {
            return Err(Error::TooLarge {
                what: "Dirichlet calibration",
                examples: logs.nrows(),
                classes: k,
                dimensions: k,
                needed_mib: u64::try_from(needed >> 20).unwrap_or(u64::MAX),
                limit_mib: MEMORY_LIMIT >> 20,
            });
        }
        let temperature = Temperature::fit(logs, y, usable)?.inverse();
        let (logs, y) = usable_logs(logs, y, usable, LOG_FLOOR)?;
        if y.is_empty() {
            let (weights, intercepts) = (Array2::eye(k), Array1::zeros(k));
            return Ok(DirichletCalibration { weights, intercepts, penalty: first });
        }
        let logs = logs * temperature;
        let penalty = if self.penalties.len() == 1 { first } else { self.choose(&logs, &y) };
        let map = solve(&logs, &y, penalty);
        Ok(DirichletCalibration { weights: map.weights * temperature, ..map })
    }

    /// The penalty with the smallest log loss on what a fold leaves out.
    fn choose(&self, logs: &Array2<f64>, y: &[usize]) -> f64 {
        let fold = folds(y, logs.ncols());
        let mut losses = vec![0.0; self.penalties.len()];
        for left in 0..FOLDS {
            let rows = |inside: bool| -> Vec<usize> {
                (0..y.len()).filter(|&i| (fold[i] == left) == inside).collect()
            };
            let (test, train) = (rows(true), rows(false));
            if test.is_empty() || train.is_empty() {
                continue;
            }
            let labels = |rows: &[usize]| -> Vec<usize> { rows.iter().map(|&i| y[i]).collect() };
            let (train_logs, train_y) = (logs.select(Axis(0), &train), labels(&train));
            let (test_logs, test_y) = (logs.select(Axis(0), &test), labels(&test));
            for (loss, &penalty) in losses.iter_mut().zip(&self.penalties) {
                let map = solve(&train_logs, &train_y, penalty);
                let q = map.of_logs(&test_logs);
                *loss += test_y
                    .iter()
                    .enumerate()
                    .map(|(i, &class)| -q[[i, class]].max(f64::MIN_POSITIVE).ln())
                    .sum::<f64>();
            }
        }
        let best = losses.iter().zip(&self.penalties);
        best.fold((f64::INFINITY, self.penalties[0]), |best, (&loss, &penalty)| {
            if loss < best.0 { (loss, penalty) } else { best }
        })
        .1
    }
}

/// The fold of each row: the rows of a class take turns.
fn folds(y: &[usize], classes: usize) -> Vec<usize> {
    let mut seen = vec![0; classes];
    y.iter()
        .map(|&class| {
            // Classes start at different folds, so that single examples spread.
            let fold = (seen[class] + class) % FOLDS;
            seen[class] += 1;
            fold
        })
        .collect()
}

/// The optimum for one penalty.
fn solve(logs: &Array2<f64>, y: &[usize], penalty: f64) -> DirichletCalibration {
    let (n, k) = (y.len() as f64, logs.ncols());
    let off = if k > 1 { penalty / (k * (k - 1)) as f64 } else { 0.0 };
    let shift = penalty / k as f64;
    // Parameters are `W - I`, row by row, then `b`.
    let objective = |parameters: &Array1<f64>| {
        let (weights, intercepts) = unpack(parameters.view(), k);
        let mut scores = logs + &logs.dot(&weights.t()) + intercepts;
        let mut value = 0.0;
        for (mut row, &class) in scores.outer_iter_mut().zip(y) {
            let largest = row.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
            value += largest - row[class];
            row.mapv_inplace(|score| (score - largest).exp());
            let total = row.sum();
            value += total.ln();
            row /= total * n;
            row[class] -= 1.0 / n;
        }
        value /= n;
        let mut gradient = Array1::zeros(parameters.len());
        let slopes = scores.t().dot(logs);
        for ((place, &slope), &weight) in slopes.indexed_iter().zip(&weights) {
            let strength = if place.0 == place.1 { shift } else { off };
            value += strength * weight * weight;
            gradient[place.0 * k + place.1] = slope + 2.0 * strength * weight;
        }
        let totals = scores.sum_axis(Axis(0));
        for (class, &b) in intercepts.iter().enumerate() {
            value += shift * b * b;
            gradient[k * k + class] = totals[class] + 2.0 * shift * b;
        }
        (value, gradient)
    };
    let (parameters, _) = minimize(Array1::zeros(k * k + k), TOLERANCE, ITERATIONS, objective);
    let (weights, intercepts) = unpack(parameters.view(), k);
    DirichletCalibration {
        weights: &weights + &Array2::<f64>::eye(k),
        intercepts: intercepts.to_owned(),
        penalty,
    }
}

/// The matrix `[k, k]` and the intercepts `[k]` that follow each other in `parameters`.
fn unpack(parameters: ArrayView1<f64>, k: usize) -> (Array2<f64>, ArrayView1<f64>) {
    let (matrix, intercepts) = parameters.split_at(Axis(0), k * k);
    (Array2::from_shape_fn((k, k), |(i, j)| matrix[i * k + j]), intercepts)
}

/// A fitted Dirichlet calibration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DirichletCalibration {
    #[serde(serialize_with = "rows")]
    weights: Array2<f64>,
    #[serde(serialize_with = "values")]
    intercepts: Array1<f64>,
    penalty: f64,
}

fn rows<S: serde::Serializer>(a: &Array2<f64>, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(a.outer_iter().map(|row| row.to_vec()))
}

fn values<S: serde::Serializer>(a: &Array1<f64>, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(a)
}

impl DirichletCalibration {
    /// `τ W`, `[classes, classes]`.
    #[must_use]
    pub fn weights(&self) -> &Array2<f64> {
        &self.weights
    }

    /// `b`, `[classes]`.
    #[must_use]
    pub fn intercepts(&self) -> &Array1<f64> {
        &self.intercepts
    }

    /// The chosen λ.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// Calibrates probabilities `[examples, classes]`.
    ///
    /// # Errors
    ///
    /// [`Error::Columns`], [`Error::NotProbability`], [`Error::ProbabilitySum`].
    pub fn apply(&self, probabilities: ArrayView2<f64>) -> Result<Array2<f64>> {
        let expected = self.intercepts.len();
        if probabilities.ncols() != expected {
            return Err(Error::Columns { found: probabilities.ncols(), expected });
        }
        check_probabilities(probabilities)?;
        let least = LOG_FLOOR.exp();
        Ok(self.of_logs(&probabilities.mapv(|p| p.max(least).ln())))
    }

    fn of_logs(&self, logs: &Array2<f64>) -> Array2<f64> {
        let mut scores = logs.dot(&self.weights.t()) + &self.intercepts;
        softmax_rows(&mut scores);
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn nothing_usable_changes_nothing() {
        let p = array![[0.9, 0.1], [0.4, 0.6]];
        let map =
            Dirichlet::default().fit(p.mapv(f64::ln).view(), &[0, 1], &[false, false]).unwrap();
        assert!((map.apply(p.view()).unwrap() - p).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn separable_predictions_stay_finite() {
        let logs = array![[0.0, f64::NEG_INFINITY], [f64::NEG_INFINITY, 0.0]];
        for y in [[0, 1], [1, 0], [0, 0]] {
            let map = Dirichlet::default().fit(logs.view(), &y, &[true, true]).unwrap();
            assert!(map.weights().iter().all(|w| w.is_finite() && w.abs() < 10.0), "{map:?}");
            let q = map.apply(array![[1.0, 0.0], [0.5, 0.5]].view()).unwrap();
            assert!(q.outer_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
        }
    }

    #[test]
    fn bad_input_is_refused() {
        let logs = array![[-0.1, -2.0], [-2.0, f64::NAN]];
        let all = [true, true];
        let error = Dirichlet::default().fit(logs.view(), &[0, 1], &all).unwrap_err();
        assert!(matches!(error, Error::NotLogProbability { row: 1, class: 1, .. }), "{error}");
        for penalties in [vec![], vec![0.0], vec![f64::NAN]] {
            let error = Dirichlet { penalties }.fit(logs.view(), &[0, 1], &all).unwrap_err();
            assert!(matches!(error, Error::Setting { name: "penalties", .. }), "{error}");
        }
        let wide = Array2::from_elem((2, 10_000), -9.2);
        let error = Dirichlet::default().fit(wide.view(), &[0, 1], &all).unwrap_err();
        assert!(matches!(error, Error::TooLarge { classes: 10_000, .. }), "{error}");
        let map = Dirichlet::default().fit(logs.view(), &[0, 1], &[true, false]).unwrap();
        let error = map.apply(array![[1.0]].view()).unwrap_err();
        assert!(matches!(error, Error::Columns { found: 1, expected: 2 }), "{error}");
    }
}
