//! The image encoder made for this engine: matrix products and shifts.

use offshoot_export::graph::Value;

use super::layers::{Network, rows_of};
use super::{Features, Init, Normalization, patches};
use crate::error::Result;

/// Patches, products and shifts. Each block shifts a quarter of the channels by one place to
/// each side (Yu et al., 2022, arXiv:2106.07477) and mixes channels by products; between stages
/// two by two places become one. All is laid out with the channels last, so that every
/// product is one large matrix product and nothing else has to be transposed; activations are
/// rectified, since the gradient of any other costs as much time as the products. The embedding is
/// the mean over the places of the last stage.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ShiftMixer {
    /// Height, width and channels of the images.
    pub size: [usize; 3],
    /// Side of a patch in pixels; it divides height and width.
    pub patch: usize,
    /// Width of each stage, multiples of 4.
    pub stages: Vec<usize>,
    /// Blocks of each stage.
    pub blocks: Vec<usize>,
    /// Factor of the width between the two products of a block.
    pub expansion: usize,
    /// What pixels are normalised with.
    pub normalization: Normalization,
}

impl ShiftMixer {
    /// Encodes `pixels`, uint8 `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn encode(&self, net: &mut Network<'_>, pixels: Value) -> Result<Features> {
        let x = self.normalization.pixels(net.graph, pixels)?;
        let [mut rows, mut columns, channels] = self.size;
        let mut x = patches::of_image(net.graph, x, self.size, self.patch)?;
        (rows, columns) = (rows / self.patch, columns / self.patch);
        let mut numbers = self.patch * self.patch * channels;
        for (stage, (&width, &blocks)) in self.stages.iter().zip(&self.blocks).enumerate() {
            if stage > 0 {
                x = padded(net, x, [&mut rows, &mut columns])?;
                x = patches::of_image(net.graph, x, [rows, columns, numbers], 2)?;
                (rows, columns) = (rows / 2, columns / 2);
                numbers *= 4;
                x = net.layer_norm(&format!("merge.{stage}.norm"), x, numbers)?;
            }
            x = net.linear(&format!("merge.{stage}"), x, [numbers, width], true)?;
            if stage == 0 {
                let positions =
                    net.weight("positions.weight", &[rows, columns, width], Init::Normal(0.02))?;
                x = net.graph.add(x, positions)?;
            }
            for block in 0..blocks {
                let name = format!("stages.{stage}.{block}");
                x = self.block(net, &name, x, [rows, columns, width])?;
            }
            numbers = width;
        }
        let width = numbers;
        let x = net.layer_norm("norm", x, width)?;
        let batch = rows_of(net.graph, x)?;
        let shape = vec![batch, (rows * columns).into(), width.into()];
        let tokens = net.graph.reshape(x, shape)?;
        let pooled = super::layers::mean_over_tokens(net.graph, tokens)?;
        Ok(Features { tokens, pooled, width })
    }

    fn block(
        &self,
        net: &mut Network<'_>,
        name: &str,
        x: Value,
        size: [usize; 3],
    ) -> Result<Value> {
        let width = size[2];
        let normed = net.layer_norm(&format!("{name}.mix.norm"), x, width)?;
        let up = net.linear(&format!("{name}.mix.in"), normed, [width, width], true)?;
        let up = net.graph.relu(up)?;
        let moved = shifted(net, up, size)?;
        let out = net.linear(&format!("{name}.mix.out"), moved, [width, width], true)?;
        let x = net.graph.add(x, out)?;
        let normed = net.layer_norm(&format!("{name}.mlp.norm"), x, width)?;
        let hidden = self.expansion * width;
        let up = net.linear(&format!("{name}.mlp.up"), normed, [width, hidden], true)?;
        let up = net.graph.relu(up)?;
        let out = net.linear(&format!("{name}.mlp.down"), up, [hidden, width], true)?;
        Ok(net.graph.add(x, out)?)
    }
}

/// A quarter of the channels from each of the four neighbours; the outermost places keep
/// their own.
fn shifted(net: &mut Network<'_>, x: Value, [rows, columns, width]: [usize; 3]) -> Result<Value> {
    let g = &mut *net.graph;
    let quarter = width / 4;
    let parts = g.split(x, 3, &[quarter, quarter, quarter, width - 3 * quarter])?;
    let mut moved = Vec::with_capacity(4);
    for (i, part) in parts.into_iter().enumerate() {
        let (axis, count) = if i < 2 { (1, rows) } else { (2, columns) };
        if count < 2 {
            moved.push(part);
            continue;
        }
        moved.push(if i % 2 == 0 {
            let first = g.slice(part, axis, 0, 1)?;
            let rest = g.slice(part, axis, 0, count - 1)?;
            g.concat(&[first, rest], axis)?
        } else {
            let rest = g.slice(part, axis, 1, count)?;
            let last = g.slice(part, axis, count - 1, count)?;
            g.concat(&[rest, last], axis)?
        });
    }
    Ok(g.concat(&moved, 3)?)
}

/// A row and a column of zeros where their number is odd.
fn padded(net: &mut Network<'_>, x: Value, [rows, columns]: [&mut usize; 2]) -> Result<Value> {
    let (below, beside) = (*rows % 2, *columns % 2);
    if below + beside == 0 {
        return Ok(x);
    }
    *rows += below;
    *columns += beside;
    let pads = net.graph.integers(&[0, 0, 0, 0, 0, below as i64, beside as i64, 0])?;
    Ok(net.graph.op("Pad", &[x, pads], vec![])?)
}
