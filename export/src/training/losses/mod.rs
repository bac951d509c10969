//! Losses as graphs: what training makes small. Each gives one number, the mean over the
//! batch, unless it says otherwise.

mod classification;
mod contrastive;
mod redundancy;
mod regression;

pub use classification::{CrossEntropy, cross_entropy};
pub use contrastive::{
    info_nce, multiple_negatives_ranking, nt_xent, supervised_contrastive, triplet,
};
pub use redundancy::{BarlowTwins, Vicreg, barlow_twins, vicreg};
pub use regression::{cosine, huber, mean_squared_error};

use crate::error::Result;
use crate::graph::{Attribute, Graph, Value};

/// The mean of all elements, of no dimensions.
///
/// # Errors
/// [`Error::Operator`](crate::Error::Operator) when they are not numbers.
pub fn mean(g: &mut Graph, x: Value) -> Result<Value> {
    g.op("ReduceMean", &[x], vec![Attribute::int("keepdims", 0)])
}

/// The sum of all elements, of no dimensions.
fn total(g: &mut Graph, x: Value) -> Result<Value> {
    g.op("ReduceSum", &[x], vec![Attribute::int("keepdims", 0)])
}
