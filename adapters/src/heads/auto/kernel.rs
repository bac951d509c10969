//! Feature maps: how two embeddings are compared.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::numeric::gram;

/// Variances below this part of the mean one are rounding, and are left out.
const VARIANCE_FLOOR: f64 = 1e-20;
/// Shortest length that is divided by.
const LENGTH_FLOOR: f64 = 1e-12;

/// What a map does with the inner products of centred embeddings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernel {
    /// `a·b`.
    Linear,
    /// `a·b / ‖a‖‖b‖`.
    Cosine,
    /// `exp(-γ ‖a - b‖² / s)`, with s the mean squared distance of two examples.
    Gaussian(f64),
    /// `exp(-γ ‖a - b‖ / √s)`.
    Laplace(f64),
    /// [`Kernel::Gaussian`] of the embeddings scaled to unit length.
    CosineGaussian(f64),
}

/// A feature map: what the embeddings are divided by, and how they are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FeatureMap {
    pub(crate) kernel: Kernel,
    /// Whether each dimension is divided by its standard deviation first.
    pub(crate) standardized: bool,
}

impl Kernel {
    /// Whether rows are scaled to unit length before they are compared.
    pub(crate) fn is_unit(self) -> bool {
        matches!(self, Self::Cosine | Self::CosineGaussian(_))
    }

    /// Whether it is an inner product of (scaled) embeddings.
    pub(crate) fn is_linear(self) -> bool {
        matches!(self, Self::Linear | Self::Cosine)
    }

    /// Turns inner products `[rows, examples]` of rows with squared lengths into kernel values.
    pub(crate) fn apply(
        self,
        products: &mut Array2<f64>,
        rows: &Array1<f64>,
        examples: &Array1<f64>,
        spread: f64,
    ) {
        let of_distance: &dyn Fn(f64) -> f64 = match self {
            Self::Linear | Self::Cosine => return,
            Self::Gaussian(gamma) | Self::CosineGaussian(gamma) => {
                &move |d2: f64| (-gamma * d2 / spread).exp()
            }
            Self::Laplace(gamma) => &move |d2: f64| (-gamma * (d2 / spread).sqrt()).exp(),
        };
        for (mut row, &size) in products.outer_iter_mut().zip(rows) {
            row.zip_mut_with(examples, |v, &other| {
                *v = of_distance((size + other - 2.0 * *v).max(0.0));
            });
        }
    }
}

/// Divides rows by their lengths.
pub(crate) fn to_unit(mut rows: Array2<f64>) -> Array2<f64> {
    for mut row in rows.outer_iter_mut() {
        let length = row.dot(&row).sqrt().max(LENGTH_FLOOR);
        row /= length;
    }
    rows
}

/// Squared length of each row.
pub(crate) fn sizes(rows: ArrayView2<f64>) -> Array1<f64> {
    rows.map_axis(Axis(1), |row| row.dot(&row))
}

/// One over the standard deviation of each dimension of centred examples; 0 where it does not
/// vary.
pub(crate) fn inverse_deviations(centered: &Array2<f64>) -> Array1<f64> {
    let sums = centered.map_axis(Axis(0), |column| column.dot(&column));
    let floor = VARIANCE_FLOOR * sums.mean().unwrap_or(0.0).max(f64::MIN_POSITIVE);
    let freedom = (centered.nrows() as f64 - 1.0).max(1.0);
    sums.mapv(|sum| if sum > floor { (freedom / sum).sqrt() } else { 0.0 })
}

/// Inner products of the examples under one scaling, from which all its kernels are made.
pub(crate) struct Products {
    products: Array2<f64>,
    /// Mean squared distance of two different examples, > 0.
    pub(crate) spread: f64,
}

impl Products {
    /// From examples `[n, d]`, centred, scaled as the map says; n ≥ 2.
    pub(crate) fn new(rows: ArrayView2<f64>) -> Self {
        let products = gram(rows);
        let n = products.nrows() as f64;
        let squares = products.diag().sum();
        // Σ‖a-b‖² over ordered pairs is 2 n Σ‖a‖² - 2 ‖Σa‖².
        let total = 2.0 * (n * squares - products.sum()).max(0.0);
        let spread = (total / (n * (n - 1.0))).max(1e-300);
        Self { products, spread }
    }

    /// The kernel matrix `[n, n]`.
    pub(crate) fn kernel(&self, kernel: Kernel) -> Array2<f64> {
        let mut values = self.products.clone();
        let sizes = self.products.diag().to_owned();
        kernel.apply(&mut values, &sizes, &sizes, self.spread);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn kernels_by_hand() {
        let rows = array![[3.0, 0.0], [0.0, 4.0], [-3.0, -4.0]];
        let products = Products::new(rows.view());
        // Squared distances 25, 52, 73, each pair twice.
        assert!((products.spread - 50.0).abs() < 1e-12);
        let gaussian = products.kernel(Kernel::Gaussian(2.0));
        assert!((gaussian[[0, 1]] - (-1.0f64).exp()).abs() < 1e-15);
        assert!((gaussian[[2, 2]] - 1.0).abs() < 1e-15);
        let laplace = products.kernel(Kernel::Laplace(1.0));
        assert!((laplace[[0, 2]] - (-(52f64 / 50.0).sqrt()).exp()).abs() < 1e-15);
        let unit = to_unit(rows);
        assert!((Products::new(unit.view()).kernel(Kernel::Cosine)[[0, 2]] + 0.6).abs() < 1e-15);
    }

    #[test]
    fn a_dimension_that_does_not_vary_is_left_out() {
        let centered = array![[1.0, 0.0], [-1.0, 0.0]];
        let inverse = inverse_deviations(&centered);
        assert!((inverse[0] - 0.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(inverse[1], 0.0);
        assert_eq!(inverse_deviations(&Array2::zeros((3, 2))), array![0.0, 0.0]);
    }
}
