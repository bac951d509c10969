//! In which order a signal runs.

use ndarray::{Array2, Axis, concatenate};
use offshoot_export::graph::{ElementType, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, only};
use crate::data::Kind;
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Order prediction (the arrow of time: Wei et al., 2018; shuffled pieces: Saeed, Ozcelebi &
/// Lukkien, 2019, arXiv:1907.11879): each signal is left as it is, reversed in time, has its
/// halves exchanged, or both, and a linear layer on the embedding tells which; cross-entropy.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Order {}

impl Objective for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        only(self.name(), encoder, &[Kind::Signal])
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "order.", "batch")?;
        let labels = net.graph.input("order.labels", ElementType::Int64, shape!["batch"])?;
        let features = encoder.encode(net, input)?;
        let logits = net.linear("order.head", features.pooled, [features.width, 4], true)?;
        Ok(losses::cross_entropy(net.graph, logits, labels, &Default::default())?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let mut labels = Vec::with_capacity(batch.len());
        let mut feed = preparation.signals("order.", batch, &mut |row, signal| {
            let order = draw.stream("order", &[row as u64]).below(4);
            labels.push(order as i64);
            Ok(reordered(signal, order))
        })?;
        feed.push(super::feed::integers("order.labels", labels));
        Ok(feed)
    }
}

/// A signal `[channels, length]` reversed where the lowest bit of `order` is set, its halves
/// exchanged where the next is.
fn reordered(signal: Array2<f32>, order: usize) -> Array2<f32> {
    let mut signal = signal;
    if order & 1 == 1 {
        signal.invert_axis(Axis(1));
    }
    if order & 2 == 2 {
        let half = signal.ncols() / 2;
        let (first, second) = signal.view().split_at(Axis(1), half);
        if let Ok(exchanged) = concatenate(Axis(1), &[second, first]) {
            signal = exchanged;
        }
    }
    signal.as_standard_layout().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn four_orders() {
        let signal = array![[1.0, 2.0, 3.0, 4.0]];
        assert_eq!(reordered(signal.clone(), 0), signal);
        assert_eq!(reordered(signal.clone(), 1), array![[4.0, 3.0, 2.0, 1.0]]);
        assert_eq!(reordered(signal.clone(), 2), array![[3.0, 4.0, 1.0, 2.0]]);
        assert_eq!(reordered(signal, 3), array![[2.0, 1.0, 4.0, 3.0]]);
    }
}
