//! Every member of the mixture on one set of examples, and its weight.

use ndarray::{Array1, Array2};

use super::candidates::{DISCRIMINANT, Method, RIDGE, log_prior};
use super::dual::{Centered, DualDiscriminant, DualFit, DualRidge};
use super::kernel::{FeatureMap, Products, inverse_deviations, to_unit};
use super::{AutoHead, Member, sharpen};
use crate::classes::Classes;
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::heads::RidgeHead;
use crate::heads::scale::fit_scale;
use crate::numeric::softmax_rows;

/// Members with less weight than this are left out.
const WEIGHT_FLOOR: f64 = 5e-3;
/// Maps that go on to all examples when there are more than all of them are tried on.
const FINALISTS: usize = 2;

/// The maps whose members have the most weight together.
pub(super) fn finalists(fits: &Fits) -> Vec<FeatureMap> {
    let mut totals: Vec<(FeatureMap, f64)> = Vec::new();
    for (fit, weight) in fits.fits.iter().zip(fits.weights()) {
        match totals.iter_mut().find(|(map, _)| *map == fit.map) {
            Some((_, total)) => *total += weight,
            None => totals.push((fit.map, weight)),
        }
    }
    totals.sort_by(|a, b| b.1.total_cmp(&a.1));
    totals.into_iter().take(FINALISTS).map(|(map, _)| map).collect()
}

/// One member before the weights are known.
pub(super) struct Fit {
    pub(super) map: FeatureMap,
    pub(super) method: Method,
    pub(super) penalty: f64,
    pub(super) spread: f64,
    pub(super) scale: f64,
    /// Logarithm of prior times leave-one-out likelihood.
    pub(super) log_weight: f64,
    pub(super) dual: DualFit,
}

/// All members on one set of examples.
pub(super) struct Fits {
    mean: Array1<f64>,
    inverse_deviations: Array1<f64>,
    fits: Vec<Fit>,
}

impl Fits {
    pub(super) fn new(examples: &Examples, maps: &[FeatureMap]) -> Result<Self> {
        let mean = examples.mean();
        let rows = examples.centered(&mean);
        let inverse_deviations = inverse_deviations(&rows);
        let mut fits = Vec::new();
        for standardized in [false, true] {
            for unit in [false, true] {
                let here: Vec<FeatureMap> = maps
                    .iter()
                    .copied()
                    .filter(|m| m.standardized == standardized && m.kernel.is_unit() == unit)
                    .collect();
                if here.is_empty() {
                    continue;
                }
                let scaled = if standardized { &rows * &inverse_deviations } else { rows.clone() };
                let scaled = if unit { to_unit(scaled) } else { scaled };
                let products = Products::new(scaled.view());
                for map in here {
                    fit_map(map, &products, examples, &mut fits);
                }
            }
        }
        if fits.is_empty() {
            return Err(Error::Scale("the automatic head"));
        }
        Ok(Self { mean, inverse_deviations, fits })
    }

    /// Weights that sum to 1.
    fn weights(&self) -> Vec<f64> {
        let largest = self.fits.iter().fold(f64::NEG_INFINITY, |m, fit| m.max(fit.log_weight));
        let mut weights: Vec<f64> =
            self.fits.iter().map(|fit| (fit.log_weight - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        weights
    }

    pub(super) fn into_head(self, examples: &Examples, classes: Classes) -> AutoHead {
        let mut weights = self.weights();
        let floor = WEIGHT_FLOOR.min(weights.iter().fold(0.0, |m, &w| w.max(m)));
        weights.iter_mut().filter(|w| **w < floor).for_each(|w| *w = 0.0);
        let total: f64 = weights.iter().sum();
        let (n, k) = (examples.len(), examples.classes());
        let mut left_out = Array2::zeros((n, k));
        let rows = examples.centered(&self.mean);
        let mut members = Vec::new();
        let inverse_deviations = self.inverse_deviations;
        for (fit, weight) in self.fits.into_iter().zip(weights).filter(|(_, w)| *w > 0.0) {
            let weight = weight / total;
            let mut proba = &fit.dual.left_out * fit.scale;
            softmax_rows(&mut proba);
            left_out.scaled_add(weight, &proba);
            members.push(Member::new(fit, weight, &rows, &inverse_deviations));
        }
        sharpen(&mut left_out);
        softmax_rows(&mut left_out);
        let curved = members.iter().any(|member| !member.map.kernel.is_linear());
        let examples =
            if curved { examples.x.to_owned() } else { Array2::zeros((0, rows.ncols())) };
        AutoHead { classes, mean: self.mean, inverse_deviations, examples, members, left_out }
    }
}

/// Fits every method and penalty under one map.
fn fit_map(map: FeatureMap, products: &Products, examples: &Examples, fits: &mut Vec<Fit>) {
    let centered = Centered::new(products.kernel(map.kernel));
    let usable = |class: usize| examples.counts[class] > 1;
    let mut push = |method, penalty, dual: Option<DualFit>| {
        let Some(dual) = dual else { return };
        let margin = margin(&dual.scores, examples.y);
        let scale = fit_scale(&dual.left_out, examples.y, usable, RidgeHead::prior_scale(margin));
        let likelihood = log_likelihood(&dual.left_out, examples.y, usable, scale);
        let log_weight = log_prior(map, penalty) + likelihood;
        if log_weight.is_finite() && dual.coefficients.iter().all(|v| v.is_finite()) {
            let spread = products.spread;
            fits.push(Fit { map, method, penalty, spread, scale, log_weight, dual });
        }
    };
    let ridge = DualRidge::new(&centered, examples);
    for penalty in RIDGE {
        push(Method::Ridge, penalty, ridge.fit(penalty));
    }
    drop(ridge);
    if examples.len() > examples.classes()
        && let Some(discriminant) = DualDiscriminant::new(&centered, examples)
    {
        for penalty in DISCRIMINANT {
            push(Method::Discriminant, penalty, discriminant.fit(penalty));
        }
    }
}

/// Mean lead of an example's own class over the mean of the others.
fn margin(scores: &Array2<f64>, y: &[usize]) -> f64 {
    let (n, k) = scores.dim();
    let lead: f64 = scores
        .outer_iter()
        .zip(y)
        .map(|(row, &class)| row[class] - (row.sum() - row[class]) / (k - 1) as f64)
        .sum();
    lead / n as f64
}

/// `Σ ln softmax(τ scores)[y]` over the rows of usable classes.
fn log_likelihood(
    scores: &Array2<f64>,
    y: &[usize],
    usable: impl Fn(usize) -> bool,
    scale: f64,
) -> f64 {
    let mut total = 0.0;
    for (row, &class) in scores.outer_iter().zip(y).filter(|(_, class)| usable(**class)) {
        let largest = row.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        let sum: f64 = row.iter().map(|v| (scale * (v - largest)).exp()).sum();
        total += scale * (row[class] - largest) - sum.ln();
    }
    total
}
