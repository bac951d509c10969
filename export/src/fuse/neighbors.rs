//! Heads that compare with the examples that they keep, in 64-bit floating point: small distances
//! are what is left of long vectors.

use ndarray::Array1;
use offshoot::adapters::{CacheHead, Classifier, Metric, NearestNeighborsHead};

use super::numbers::{matrix, number, one_hot, row, sizes, unary, unit};
use crate::error::{Error, Result};
use crate::graph::{Attribute, ElementType, Graph, Value};

/// Squared distances below this share of the squared sizes are rounding error, as in the head.
const ZERO: f64 = 1e-12;
/// Distances that differ by less than this share are equal, as in the head.
const TIE: f64 = 1e-9;
/// Shortest length that is divided by.
const LENGTH_FLOOR: f64 = f64::MIN_POSITIVE;

/// Probabilities `[batch, classes]`, float64, of embeddings `x` `[batch, dimensions]`: the votes
/// of the nearest examples, and all as near as the last of them.
pub(super) fn votes(g: &mut Graph, x: Value, head: &NearestNeighborsHead) -> Result<Value> {
    let distances = distances(g, x, head)?;
    let neighbors = head.neighbors().clamp(1, head.labels().len());
    let (first, last) = bounds(g, distances, neighbors)?;
    let slack = number(g, 1.0 + TIE)?;
    let limit = g.mul(last, slack)?;
    let (zero, one) = (number(g, 0.0)?, number(g, 1.0)?);
    // Relative to the nearest one's vote; where that is at no distance, only its like vote.
    let nearest = g.equal(distances, first)?;
    let weights = g.div(first, distances)?;
    let weights = g.select(nearest, one, weights)?;
    let near = g.less_or_equal(distances, limit)?;
    let weights = g.select(near, weights, zero)?;
    let classes = head.classes().len();
    let labels = one_hot(g, "labels", head.labels(), classes)?;
    let votes = g.matmul(weights, labels)?;
    let total = g.reduce_sum(votes, -1)?;
    let k = head.neighbors() as f64;
    let counted = number(g, k / (k + 1.0))?;
    let spread = number(g, 1.0 / (classes as f64 * (k + 1.0)))?;
    let shares = g.div(votes, total)?;
    let shares = g.mul(shares, counted)?;
    g.add(shares, spread)
}

/// Distances `[batch, examples]` as the head has them.
fn distances(g: &mut Graph, x: Value, head: &NearestNeighborsHead) -> Result<Value> {
    let x = g.cast(x, ElementType::Float64)?;
    let cosine = head.metric() == Metric::Cosine;
    let x = if cosine { unit(g, x, LENGTH_FLOOR)? } else { x };
    let examples = head.examples();
    let lengths: Array1<f64> = examples.outer_iter().map(|key| key.dot(&key)).collect();
    let own = sizes(g, x)?;
    let keys = matrix(g, "examples", &examples.t().to_owned())?;
    let others = row(g, "sizes", &lengths)?;
    let sums = g.add(own, others)?;
    let products = g.matmul(x, keys)?;
    let two = number(g, 2.0)?;
    let products = g.mul(products, two)?;
    let squared = g.sub(sums, products)?;
    let (zero, one) = (number(g, 0.0)?, number(g, 1.0)?);
    let rounding = number(g, ZERO)?;
    let rounding = g.mul(sums, rounding)?;
    let none = g.less_or_equal(squared, rounding)?;
    let squared = g.select(none, zero, squared)?;
    if !cosine {
        return g.sqrt(squared);
    }
    let half = number(g, 0.5)?;
    let distances = g.mul(squared, half)?;
    // A vector of zeros has no direction: it is at right angles to all.
    let undirected = g.equal(own, zero)?;
    let distances = g.select(undirected, one, distances)?;
    if lengths.iter().all(|&length| length != 0.0) {
        return Ok(distances);
    }
    let undirected = g.equal(others, zero)?;
    g.select(undirected, one, distances)
}

/// The smallest and the `k`-th smallest element of each row, each `[batch, 1]`.
fn bounds(g: &mut Graph, rows: Value, k: usize) -> Result<(Value, Value)> {
    let count = g.integers(&[k as i64])?;
    let attributes =
        vec![Attribute::int("axis", -1), Attribute::int("largest", 0), Attribute::int("sorted", 1)];
    let sorted = g.op_outputs("TopK", &[Some(rows), Some(count)], attributes, 2)?;
    let Some(&sorted) = sorted.first() else {
        return Err(Error::Head("its neighbours cannot be sorted".to_owned()));
    };
    Ok((g.slice(sorted, 1, 0, 1)?, g.slice(sorted, 1, k - 1, k)?))
}

/// Probabilities `[batch, classes]`, float64, of embeddings `x` `[batch, dimensions]`: the cosine
/// to each class mean and the mean affinity to the examples of the class.
pub(super) fn cache(g: &mut Graph, x: Value, head: &CacheHead) -> Result<Value> {
    let x = g.cast(x, ElementType::Float64)?;
    let x = unit(g, x, LENGTH_FLOOR)?;
    let means = matrix(g, "means", &head.means().t().to_owned())?;
    let means = g.matmul(x, means)?;
    let keys = matrix(g, "examples", &head.examples().t().to_owned())?;
    let cosines = g.matmul(x, keys)?;
    // exp(-β (1 - cos)), by one product and one sum.
    let sharpness = number(g, head.beta())?;
    let shift = number(g, -head.beta())?;
    let scaled = g.mul(cosines, sharpness)?;
    let exponents = g.add(scaled, shift)?;
    let affinities = unary(g, "Exp", exponents)?;
    let labels = one_hot(g, "labels", head.labels(), head.classes().len())?;
    let sums = g.matmul(affinities, labels)?;
    let mut counts = vec![0u32; head.classes().len()];
    for &class in head.labels() {
        if let Some(count) = counts.get_mut(class) {
            *count += 1;
        }
    }
    let shares = counts.into_iter().map(|count| head.alpha() / f64::from(count)).collect();
    let shares = row(g, "shares", &shares)?;
    let affinities = g.mul(sums, shares)?;
    let scores = g.add(means, affinities)?;
    let scale = number(g, head.scale())?;
    let logits = g.mul(scores, scale)?;
    g.softmax(logits, -1)
}
