//! The plane of compression and prediction, layer by layer (Tishby and Zaslavsky, 2015,
//! arXiv:1503.02406), by what a linear decoder reads.

use ndarray::Axis;

use super::{Layer, Sample};
use crate::inspect::measures::information::readable::{input_share, label_share};

/// What is readable of the input and the label after each block.
pub(super) fn readable(sample: &Sample) -> Vec<Layer> {
    let rows = &sample.layer_rows;
    let raw = sample.raw.as_ref().map(|raw| raw.select(Axis(0), rows));
    let labels = sample.labels.as_ref();
    let labels: Option<Vec<usize>> = labels.map(|all| rows.iter().map(|&i| all[i]).collect());
    let each = sample.layers.iter().zip(1..).map(|(x, block)| {
        let input = raw.as_ref().and_then(|raw| input_share(x.view(), raw.view()));
        let label = labels.as_ref().and_then(|labels| label_share(x.view(), labels));
        Layer {
            block,
            input: input.map(|share| share.0),
            input_interval: input.and_then(|share| share.1),
            label: label.map(|share| share.0),
            label_interval: label.and_then(|share| share.1),
        }
    });
    each.collect()
}
