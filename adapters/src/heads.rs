//! The heads, one a file, and what they share.

mod discriminant;
mod logistic;
mod nearest_mean;
mod ridge;
mod scale;

pub use discriminant::{Discriminant, DiscriminantHead};
pub use logistic::{Logistic, LogisticHead};
pub use nearest_mean::{NearestMean, NearestMeanHead};
pub use ridge::{Ridge, RidgeHead};
