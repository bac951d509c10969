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
fn mean(g: &mut Graph, x: Value) -> Result<Value> {
    g.op("ReduceMean", &[x], vec![Attribute::int("keepdims", 0)])
}

/// The sum of all elements, of no dimensions.
fn total(g: &mut Graph, x: Value) -> Result<Value> {
    g.op("ReduceSum", &[x], vec![Attribute::int("keepdims", 0)])
}

/// `x · number`.
fn scaled(g: &mut Graph, x: Value, number: f64) -> Result<Value> {
    let element = g.tensor_type(x)?.element;
    let number = g.scalar_of(element, number)?;
    g.mul(x, number)
}

/// A mean over one dimension, kept with size 1.
fn mean_over(g: &mut Graph, x: Value, axis: i64) -> Result<Value> {
    g.reduce_mean(x, axis)
}

/// Rows divided by their Euclidean norm, which is taken as at least 1e-12.
fn normalized(g: &mut Graph, x: Value) -> Result<Value> {
    let norm = g.reduce_l2(x, -1)?;
    let element = g.tensor_type(x)?.element;
    let least = g.scalar_of(element, 1e-12)?;
    let norm = g.max(norm, least)?;
    g.div(x, norm)
}
