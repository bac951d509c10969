//! An example is nearer to one of its class than to another.

use offshoot_export::graph::{ElementType, Tensor, Value};
use offshoot_export::shape;

use super::{Batch, Draw, Feed, Objective, Preparation};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Triplet loss with the hardest of the batch (Schroff, Kalenichenko & Philbin, 2015,
/// arXiv:1503.03832; Hermans, Beyer & Leibe, 2017, arXiv:1703.07737, its soft margin): with
/// `d` the Euclidean distance of unit embeddings,
///
/// ```text
/// L = mean log(1 + exp(s (max_{same class} d - min_{other class} d)))
/// ```
///
/// over the examples that have both. It reads labels.
#[derive(Debug, Clone)]
pub struct Triplet {
    /// s, how sharp the margin is.
    pub sharpness: f32,
}

impl Default for Triplet {
    fn default() -> Self {
        Self { sharpness: 5.0 }
    }
}

impl Objective for Triplet {
    fn name(&self) -> &'static str {
        "triplet"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn needs_labels(&self) -> bool {
        true
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "triplet.", "batch")?;
        let labels = net.graph.input("triplet.labels", ElementType::Int64, shape!["batch"])?;
        let features = encoder.encode(net, input)?;
        let g = &mut *net.graph;
        let unit = g.unit_norm(features.pooled)?;
        let flipped = g.transpose(unit, &[1, 0])?;
        let cosines = g.matmul(unit, flipped)?;
        // ‖a - b‖² = 2 - 2 cos; the smallest distance keeps its root differentiable.
        let one = g.scalar(1.0)?;
        let rest = g.sub(one, cosines)?;
        let square = g.scaled(rest, 2.0)?;
        let least = g.scalar(1e-6)?;
        let square = g.max(square, least)?;
        let distance = g.sqrt(square)?;

        let (column, row) = (g.unsqueeze(labels, &[1])?, g.unsqueeze(labels, &[0])?);
        let same = g.equal(column, row)?;
        let same = g.cast(same, ElementType::Float32)?;
        let eye = g.op("EyeLike", &[cosines], vec![])?;
        let known = g.constant(Tensor::from_i64(&[], &[0]))?;
        let known = g.less_or_equal(known, labels)?;
        let known = g.cast(known, ElementType::Float32)?;
        let (column, row) = (g.unsqueeze(known, &[1])?, g.unsqueeze(known, &[0])?);
        let both = g.mul(column, row)?;
        let positive = g.sub(same, eye)?;
        let positive = g.mul(positive, both)?;
        let negative = g.sub(one, same)?;
        let negative = g.mul(negative, both)?;

        // Distances are at most 2: 4 keeps what is no candidate out of either choice.
        let far = g.scaled(positive, 4.0)?;
        let four = g.scalar(4.0)?;
        let hidden = g.sub(far, four)?;
        let furthest = g.add(distance, hidden)?;
        let furthest = g.reduce_max(furthest, 1)?;
        let away = g.sub(one, negative)?;
        let away = g.scaled(away, 4.0)?;
        let nearest = g.add(distance, away)?;
        let nearest = g.neg(nearest)?;
        let nearest = g.reduce_max(nearest, 1)?;
        let gap = g.add(furthest, nearest)?;
        let gap = g.scaled(gap, f64::from(self.sharpness))?;
        let each = g.op("Softplus", &[gap], vec![])?;

        let (has, other) = (g.reduce_max(positive, 1)?, g.reduce_max(negative, 1)?);
        let counted = g.mul(has, other)?;
        let counted = g.stop_gradient(counted)?;
        let each = g.mul(each, counted)?;
        let (sum, count) = (g.reduce_sum(each, 0)?, g.reduce_sum(counted, 0)?);
        let count = g.max(count, one)?;
        let mean = g.div(sum, count)?;
        Ok(g.reshape(mean, shape![])?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let mut feed = preparation.views(self.name(), batch, draw, 1)?;
        feed.push(super::feed::integers("triplet.labels", preparation.labels(batch)?));
        Ok(feed)
    }
}
