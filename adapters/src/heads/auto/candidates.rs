//! What is averaged, and how plausible each is before any label was seen.

use super::kernel::{FeatureMap, Kernel};

/// How a member of the mixture is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Method {
    /// Ridge regression on class indicators.
    Ridge,
    /// Shared-covariance Gaussian discriminant.
    Discriminant,
}

/// Penalties of ridge, in units of the trace of the centred kernel matrix.
pub(crate) const RIDGE: [f64; 6] = [1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0];
/// Penalties of the discriminant, in units of the trace of the scatter within classes.
pub(crate) const DISCRIMINANT: [f64; 4] = [3e-3, 1e-2, 3e-2, 0.1];

/// The feature maps.
pub(crate) const MAPS: [FeatureMap; 10] = [
    plain(Kernel::Linear),
    plain(Kernel::Cosine),
    standardized(Kernel::Linear),
    standardized(Kernel::Cosine),
    plain(Kernel::Gaussian(0.5)),
    plain(Kernel::Gaussian(1.0)),
    plain(Kernel::Gaussian(2.0)),
    plain(Kernel::CosineGaussian(0.5)),
    plain(Kernel::Laplace(1.0)),
    plain(Kernel::Laplace(2.0)),
];

const fn plain(kernel: Kernel) -> FeatureMap {
    FeatureMap { kernel, standardized: false }
}

const fn standardized(kernel: Kernel) -> FeatureMap {
    FeatureMap { kernel, standardized: true }
}

/// Logarithm of the prior weight. Encoders are trained so that a plain linear map is enough:
/// each departure from it, and a penalty at either end, must earn e² or e of likelihood.
pub(crate) fn log_prior(map: FeatureMap, penalty: f64) -> f64 {
    let curved = match map.kernel {
        Kernel::Linear | Kernel::Cosine => 0.0,
        Kernel::Gaussian(gamma) | Kernel::Laplace(gamma) | Kernel::CosineGaussian(gamma) => {
            if gamma >= 2.0 { -3.0 } else { -2.0 }
        }
    };
    let scaled = if map.standardized { -2.0 } else { 0.0 };
    let end = if penalty <= 3e-3 {
        -2.0
    } else if penalty >= 0.3 {
        -1.0
    } else {
        0.0
    };
    curved + scaled + end
}
