//! Inputs cut into patches that do not overlap.

use offshoot_export::graph::{Dim, ElementType, Graph, Tensor, Value};

use super::layers::rows_of;
use crate::error::Result;

/// Mean and inverse standard deviation of each channel, which inputs are normalised with.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Normalization {
    /// Mean of each channel; of images, of samples from 0 to 255.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, each above 0.
    pub deviation: Vec<f32>,
}

impl Normalization {
    fn constants(&self, g: &mut Graph, dims: &[usize]) -> Result<(Value, Value)> {
        let mean = g.constant(Tensor::from_f32(dims, &self.mean))?;
        let inverse: Vec<f32> = self.deviation.iter().map(|d| 1.0 / d.max(1e-12)).collect();
        Ok((mean, g.constant(Tensor::from_f32(dims, &inverse))?))
    }

    /// Normalised float32 of `pixels`, uint8 `[batch, height, width, channels]`.
    pub(crate) fn pixels(&self, g: &mut Graph, pixels: Value) -> Result<Value> {
        let x = g.cast(pixels, ElementType::Float32)?;
        let (mean, inverse) = self.constants(g, &[self.mean.len()])?;
        let x = g.sub(x, mean)?;
        Ok(g.mul(x, inverse)?)
    }

    /// Normalised `signals`, float32 `[batch, channels, length]`.
    pub(crate) fn signals(&self, g: &mut Graph, signals: Value) -> Result<Value> {
        let (mean, inverse) = self.constants(g, &[self.mean.len(), 1])?;
        let x = g.sub(signals, mean)?;
        Ok(g.mul(x, inverse)?)
    }
}

/// `[batch, height, width, channels]` to `[batch, height/p, width/p, p·p·channels]`.
pub(crate) fn of_image(
    g: &mut Graph,
    x: Value,
    [height, width, channels]: [usize; 3],
    patch: usize,
) -> Result<Value> {
    let batch = rows_of(g, x)?;
    let (rows, columns) = (height / patch, width / patch);
    let cut = [rows, patch, columns, patch, channels].map(Dim::from);
    let x = g.reshape(x, [vec![batch.clone()], cut.to_vec()].concat())?;
    let x = g.transpose(x, &[0, 1, 3, 2, 4, 5])?;
    let out = vec![batch, rows.into(), columns.into(), (patch * patch * channels).into()];
    Ok(g.reshape(x, out)?)
}

/// `[batch, channels, length]` to `[batch, length/p, channels·p]`.
pub(crate) fn of_signal(
    g: &mut Graph,
    x: Value,
    [channels, length]: [usize; 2],
    patch: usize,
) -> Result<Value> {
    let batch = rows_of(g, x)?;
    let count = length / patch;
    let cut = vec![batch.clone(), channels.into(), count.into(), patch.into()];
    let x = g.reshape(x, cut)?;
    let x = g.transpose(x, &[0, 2, 1, 3])?;
    Ok(g.reshape(x, vec![batch, count.into(), (channels * patch).into()])?)
}
