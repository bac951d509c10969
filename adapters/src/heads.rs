//! The heads, one a file, and what they share.

pub mod auto;
mod cache;
mod discriminant;
mod logistic;
mod nearest_mean;
mod nearest_neighbors;
mod ridge;
pub(crate) mod scale;

pub use auto::{Auto, AutoHead, Choice};
pub use cache::{Cache, CacheHead};
pub use discriminant::{Discriminant, DiscriminantHead};
pub use logistic::{ClassWeights, Logistic, LogisticHead};
pub use nearest_mean::{NearestMean, NearestMeanHead};
pub(crate) use nearest_neighbors::Keys;
pub use nearest_neighbors::{Metric, NearestNeighbors, NearestNeighborsHead};
pub(crate) use ridge::System;
pub use ridge::{Ridge, RidgeHead};

/// Rows in f64, of length 1; rows of zeros stay.
pub(crate) fn unit_rows(x: ndarray::ArrayView2<f32>) -> ndarray::Array2<f64> {
    let mut unit = x.mapv(f64::from);
    for mut row in unit.outer_iter_mut() {
        let length = row.dot(&row).sqrt();
        if length > 0.0 {
            row /= length;
        }
    }
    unit
}

/// Whether a loss is below another by more than rounding and fitted scales can tell, so that
/// the order of examples decides no choice.
fn clearly_below(loss: f64, other: f64) -> bool {
    loss < other && (other.is_infinite() || other - loss > 1e-6 * (1.0 + other.abs()))
}
