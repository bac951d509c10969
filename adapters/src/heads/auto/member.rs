//! One member of the mixture, ready to predict.

use ndarray::{Array1, Array2};

use super::candidates::Method;
use super::fits::Fit;
use super::kernel::{FeatureMap, Kernel, sizes, to_unit};
use super::{AutoHead, Choice};

/// `softmax(κ(x, ·) A + b)`, the scale τ taken into `A` and `b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The feature map.
    pub map: FeatureMap,
    /// How it was fitted.
    pub method: Method,
    /// Its penalty, in the units of its method.
    pub penalty: f64,
    /// Its share of the mixture; all sum to 1.
    pub weight: f64,
    /// Mean squared distance of two examples under the map's scaling.
    pub spread: f64,
    /// `[dimensions, classes]` for a linear map, else `[examples, classes]`.
    pub coefficients: Array2<f64>,
    /// `[classes]`.
    pub intercepts: Array1<f64>,
}

impl Member {
    /// From a fit on the centred examples `rows` `[n, d]`.
    pub(super) fn new(
        fit: Fit,
        weight: f64,
        rows: &Array2<f64>,
        inverse_deviations: &Array1<f64>,
    ) -> Self {
        let mut coefficients = fit.dual.coefficients * fit.scale;
        if fit.map.kernel.is_linear() {
            let scaled = scaled(rows, fit.map, inverse_deviations);
            coefficients = scaled.t().dot(&coefficients);
        }
        Self {
            map: fit.map,
            method: fit.method,
            penalty: fit.penalty,
            weight,
            spread: fit.spread,
            coefficients,
            intercepts: fit.dual.intercepts * fit.scale,
        }
    }

    /// Log-odds `[rows, classes]` of centred embeddings.
    pub(super) fn logits(
        &self,
        rows: &Array2<f64>,
        inverse_deviations: &Array1<f64>,
        mean: &Array1<f64>,
        examples: &Array2<f32>,
    ) -> Array2<f64> {
        let rows = scaled(rows, self.map, inverse_deviations);
        if self.map.kernel.is_linear() {
            return rows.dot(&self.coefficients) + &self.intercepts;
        }
        let examples = scaled(&(examples.mapv(f64::from) - mean), self.map, inverse_deviations);
        let mut kernel = rows.dot(&examples.t());
        self.map.kernel.apply(
            &mut kernel,
            &sizes(rows.view()),
            &sizes(examples.view()),
            self.spread,
        );
        kernel.dot(&self.coefficients) + &self.intercepts
    }

    /// The examples as its kernel compares them, `[examples, dimensions]`.
    #[must_use]
    pub fn keys(&self, head: &AutoHead) -> Array2<f64> {
        let centered = head.examples.mapv(f64::from) - &head.mean;
        scaled(&centered, self.map, &head.inverse_deviations)
    }

    pub(super) fn choice(&self) -> Choice {
        Choice {
            weight: self.weight,
            method: match self.method {
                Method::Ridge => "ridge",
                Method::Discriminant => "discriminant",
            },
            map: match self.map.kernel {
                Kernel::Linear => "linear",
                Kernel::Cosine => "cosine",
                Kernel::Gaussian(_) => "gaussian",
                Kernel::Laplace(_) => "laplace",
                Kernel::CosineGaussian(_) => "cosine-gaussian",
            },
            standardized: self.map.standardized,
            penalty: self.penalty,
        }
    }
}

/// Centred rows as a map's kernel takes them.
fn scaled(rows: &Array2<f64>, map: FeatureMap, inverse_deviations: &Array1<f64>) -> Array2<f64> {
    let rows = if map.standardized { rows * inverse_deviations } else { rows.clone() };
    if map.kernel.is_unit() { to_unit(rows) } else { rows }
}
