//! The sums as floating-point numbers.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

use super::Statistics;
use super::grid::ONE;
use crate::numeric::{dot, multiply};

impl Statistics {
    /// Number of examples of each class, `[classes]`.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        self.classes.iter().map(|class| class.count).collect()
    }

    /// Total weight of the examples of each class, `[classes]`.
    #[must_use]
    pub fn weights(&self) -> Array1<f64> {
        self.classes.iter().map(|class| class.weight as f64 / ONE).collect()
    }

    /// `Σ w x` of each class, `[classes, dimensions]`.
    #[must_use]
    pub fn sums(&self) -> Array2<f64> {
        let mut sums = Array2::zeros((self.classes.len(), self.dimensions));
        let step = self.unit() / ONE;
        for (mut row, class) in sums.outer_iter_mut().zip(&self.classes) {
            row.iter_mut().zip(&class.sum).for_each(|(to, &from)| *to = from as f64 * step);
        }
        sums
    }

    /// Mean embedding of each class, `[classes, dimensions]`.
    #[must_use]
    pub fn means(&self) -> Array2<f64> {
        let mut means = self.sums();
        for (mut row, &weight) in means.outer_iter_mut().zip(&self.weights()) {
            row /= weight;
        }
        means
    }

    /// Mean embedding of all examples, `[dimensions]`; zeros if there are none.
    #[must_use]
    pub fn mean(&self) -> Array1<f64> {
        let weight = if self.all.weight == 0 { 1.0 } else { self.all.weight as f64 };
        self.all.sum.iter().map(|&sum| sum as f64 / weight * self.unit()).collect()
    }

    /// Total weight of all examples.
    #[must_use]
    pub fn total_weight(&self) -> f64 {
        self.all.weight as f64 / ONE
    }

    /// `Σ w x xᵀ` over all examples, `[dimensions, dimensions]`.
    #[must_use]
    pub fn scatter(&self) -> Array2<f64> {
        let d = self.dimensions;
        let step = self.unit() * self.unit() / ONE;
        let mut scatter = Array2::zeros((d, d));
        let mut entries = self.scatter.iter().map(|&entry| entry as f64 * step);
        for i in 0..d {
            for (j, value) in entries.by_ref().take(i + 1).enumerate() {
                scatter[[i, j]] = value;
                scatter[[j, i]] = value;
            }
        }
        scatter
    }

    /// `Σ w (x - m)` of each class around the mean m of all, `[classes, dimensions]`.
    pub(crate) fn moments(&self) -> Array2<f64> {
        let (mut moments, mean) = (self.sums(), self.mean());
        for (mut row, &weight) in moments.outer_iter_mut().zip(&self.weights()) {
            row.scaled_add(-weight, &mean);
        }
        moments
    }

    /// One row of [`Statistics::moments`].
    pub(crate) fn moment(&self, class: usize) -> Vec<f64> {
        let (class, step) = (&self.classes[class], self.unit() / ONE);
        let weight = class.weight as f64 / ONE;
        let rows = class.sum.iter().zip(self.mean());
        rows.map(|(&sum, mean)| sum as f64 * step - weight * mean).collect()
    }

    /// The product of [`Statistics::centered_scatter`] with `v`, without making it. O(d²).
    pub(crate) fn scatter_times(&self, v: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.dimensions];
        multiply(&self.scatter, |entry| entry as f64, v, &mut product);
        let mean = self.mean().to_vec();
        let along = self.total_weight() * dot(&mean, v);
        let step = self.unit() * self.unit() / ONE;
        product.iter_mut().zip(mean).for_each(|(p, mean)| *p = *p * step - along * mean);
        product
    }

    /// `Σ w ‖x‖²` over all examples.
    pub(crate) fn diagonal_sum(&self) -> f64 {
        let diagonal = (0..self.dimensions).map(|i| self.scatter[i * (i + 3) / 2] as f64);
        diagonal.sum::<f64>() * self.unit() * self.unit() / ONE
    }

    /// `Σ w (x - m)(x - m)ᵀ` around the mean m of all examples, `[dimensions, dimensions]`.
    #[must_use]
    pub fn centered_scatter(&self) -> Array2<f64> {
        let mean = self.mean().insert_axis(Axis(0)) * self.weights().sum().sqrt();
        self.scatter_less(&mean)
    }

    /// `Σ w (x - cₖ)(x - cₖ)ᵀ` around the mean cₖ of each example's class, `[dimensions,
    /// dimensions]`.
    #[must_use]
    pub fn within_scatter(&self) -> Array2<f64> {
        let mut means = self.sums();
        for (mut row, weight) in means.outer_iter_mut().zip(&self.weights()) {
            row /= weight.sqrt();
        }
        self.scatter_less(&means)
    }

    /// The scatter without `rowsᵀ rows`.
    fn scatter_less(&self, rows: &Array2<f64>) -> Array2<f64> {
        let mut scatter = self.scatter();
        general_mat_mul(-1.0, &rows.t(), rows, 1.0, &mut scatter);
        scatter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn moments_by_hand() {
        let mut statistics = Statistics::with_largest_norm(2, 4.0).unwrap();
        statistics.add(array![1f32, 2.0].view(), "b", 1.0).unwrap();
        statistics.add(array![3f32, 0.0].view(), "b", 3.0).unwrap();
        statistics.add(array![-1f32, 1.0].view(), "a", 0.5).unwrap();
        assert_eq!(statistics.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(statistics.counts(), [1, 2]);
        assert_eq!(statistics.weights(), array![0.5, 4.0]);
        assert_eq!(statistics.sums(), array![[-0.5, 0.5], [10.0, 2.0]]);
        assert_eq!(statistics.means(), array![[-1.0, 1.0], [2.5, 0.5]]);
        assert_eq!(statistics.mean(), array![9.5 / 4.5, 2.5 / 4.5]);
        assert_eq!(statistics.scatter(), array![[28.5, 1.5], [1.5, 4.5]]);
        let near = |a: Array2<f64>, b: Array2<f64>| (a - b).iter().all(|d| d.abs() < 1e-13);
        assert!(near(statistics.within_scatter(), array![[3.0, -3.0], [-3.0, 3.0]]));
        let (x, y) = (9.5, 2.5);
        let centered =
            array![[28.5 - x * x / 4.5, 1.5 - x * y / 4.5], [1.5 - x * y / 4.5, 4.5 - y * y / 4.5]];
        assert!(near(statistics.centered_scatter(), centered));
    }
}
