//! The heads, one a file, and what they share.

pub(crate) mod auto;
mod discriminant;
mod logistic;
mod nearest_mean;
mod ridge;
mod scale;

pub use auto::{Auto, AutoHead, Choice};
pub use discriminant::{Discriminant, DiscriminantHead};
pub use logistic::{Logistic, LogisticHead};
pub use nearest_mean::{NearestMean, NearestMeanHead};
pub use ridge::{Ridge, RidgeHead};
