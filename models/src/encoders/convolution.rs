//! Convolutional encoders: residual networks for images (He et al., 2016, arXiv:1512.03385)
//! and for signals (Wang, Yan & Oates, 2017, arXiv:1611.06455).

use offshoot_export::graph::{Attribute, Dim, Graph, Value};

use super::layers::{EPSILON, Network, rows_of};
use super::{Features, Init, Normalization};
use crate::error::Result;

/// Channels of a group that are normalised together.
const GROUP: usize = 8;

/// Residual network for images. Normalisation is by groups of 8 channels (Wu & He, 2018,
/// arXiv:1803.08494), which does the same in training and in use. The embedding is the mean over
/// the places of the last stage.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ResidualNetwork {
    /// Height, width and channels of the images.
    pub size: [usize; 3],
    /// Channels of each stage, multiples of 8; each but the first halves height and width.
    pub stages: Vec<usize>,
    /// Residual blocks of a stage.
    pub blocks: usize,
    /// What pixels are normalised with.
    pub normalization: Normalization,
}

/// Residual network for signals, of the same blocks in one dimension.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SignalNetwork {
    /// Channels and length of the signals.
    pub size: [usize; 2],
    /// Channels of each stage, multiples of 8; each but the first halves the length.
    pub stages: Vec<usize>,
    /// Residual blocks of a stage.
    pub blocks: usize,
    /// Width of the windows, an odd number.
    pub window: usize,
    /// What samples are normalised with.
    pub normalization: Normalization,
}

impl ResidualNetwork {
    /// Encodes `pixels`, uint8 `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn encode(&self, net: &mut Network<'_>, pixels: Value) -> Result<Features> {
        let x = self.normalization.pixels(net.graph, pixels)?;
        let x = net.graph.transpose(x, &[0, 3, 1, 2])?;
        let [height, width, channels] = self.size;
        Stack { window: 3, space: vec![height, width] }.run(
            net,
            x,
            channels,
            &self.stages,
            self.blocks,
        )
    }
}

impl SignalNetwork {
    /// Encodes `signals`, float32 `[batch, channels, length]`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn encode(&self, net: &mut Network<'_>, signals: Value) -> Result<Features> {
        let x = self.normalization.signals(net.graph, signals)?;
        let [channels, length] = self.size;
        Stack { window: self.window, space: vec![length] }.run(
            net,
            x,
            channels,
            &self.stages,
            self.blocks,
        )
    }
}

/// Convolutions over one or two dimensions, `[batch, channels, …]`.
struct Stack {
    window: usize,
    /// Size of each dimension, at the stage that is built.
    space: Vec<usize>,
}

impl Stack {
    fn run(
        mut self,
        net: &mut Network<'_>,
        x: Value,
        channels: usize,
        stages: &[usize],
        blocks: usize,
    ) -> Result<Features> {
        let first = stages.first().copied().unwrap_or(GROUP);
        let x = self.convolution(net, "stem", x, [channels, first], self.window, 1)?;
        let mut x = self.norm(net, "stem.norm", x, first)?;
        x = net.graph.relu(x)?;
        let mut width = first;
        for (stage, &next) in stages.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x =
                    self.block(net, &format!("stages.{stage}.{block}"), x, [width, next], stride)?;
                width = next;
            }
        }
        let places = self.space.iter().product::<usize>();
        let batch = rows_of(net.graph, x)?;
        let x = net.graph.reshape(x, vec![batch, width.into(), places.into()])?;
        let tokens = net.graph.transpose(x, &[0, 2, 1])?;
        let pooled = net.graph.reduce_mean(x, 2)?;
        let pooled = net.graph.squeeze(pooled, 2)?;
        Ok(Features { tokens, pooled, width })
    }

    fn block(
        &mut self,
        net: &mut Network<'_>,
        name: &str,
        x: Value,
        [inputs, outputs]: [usize; 2],
        stride: usize,
    ) -> Result<Value> {
        let before = self.space.clone();
        let y =
            self.convolution(net, &format!("{name}.1"), x, [inputs, outputs], self.window, stride)?;
        let y = self.norm(net, &format!("{name}.1.norm"), y, outputs)?;
        let y = net.graph.relu(y)?;
        let y =
            self.convolution(net, &format!("{name}.2"), y, [outputs, outputs], self.window, 1)?;
        let y = self.norm(net, &format!("{name}.2.norm"), y, outputs)?;
        let skip = if stride == 1 && inputs == outputs {
            x
        } else {
            let after = std::mem::replace(&mut self.space, before);
            let skip =
                self.convolution(net, &format!("{name}.skip"), x, [inputs, outputs], 1, stride)?;
            self.space = after;
            skip
        };
        let sum = net.graph.add(y, skip)?;
        Ok(net.graph.relu(sum)?)
    }

    fn convolution(
        &mut self,
        net: &mut Network<'_>,
        name: &str,
        x: Value,
        [inputs, outputs]: [usize; 2],
        window: usize,
        stride: usize,
    ) -> Result<Value> {
        let rank = self.space.len();
        let mut dims = vec![outputs, inputs];
        dims.extend(std::iter::repeat_n(window, rank));
        let init = Init::He { inputs: inputs * window.pow(rank as u32) };
        let weight = net.weight(&format!("{name}.weight"), &dims, init)?;
        let pad = (window / 2) as i64;
        for size in &mut self.space {
            *size = size.div_ceil(stride);
        }
        let attributes = vec![
            Attribute::ints("kernel_shape", vec![window as i64; rank]),
            Attribute::ints("strides", vec![stride as i64; rank]),
            Attribute::ints("pads", vec![pad; 2 * rank]),
        ];
        Ok(net.graph.op("Conv", &[x, weight], attributes)?)
    }

    /// Normalisation of groups of channels, each over all its places.
    fn norm(&self, net: &mut Network<'_>, name: &str, x: Value, width: usize) -> Result<Value> {
        let scale = net.weight(&format!("{name}.weight"), &[width], Init::Ones)?;
        let bias = net.weight(&format!("{name}.bias"), &[width], Init::Zeros)?;
        let places = self.space.iter().product::<usize>();
        let groups = (width / GROUP).max(1);
        let batch = rows_of(net.graph, x)?;
        let g: &mut Graph = net.graph;
        let members = width / groups * places;
        let flat = g.reshape(x, vec![batch.clone(), groups.into(), members.into()])?;
        let ones =
            g.constant(offshoot_export::graph::Tensor::from_f32(&[members], &vec![1.0; members]))?;
        let normed = g.layer_norm(flat, ones, None, EPSILON)?;
        let mut shape = vec![batch, width.into()];
        shape.extend(self.space.iter().map(|&size| Dim::from(size)));
        let normed = g.reshape(normed, shape)?;
        let mut spread = vec![width.into()];
        spread.extend(self.space.iter().map(|_| Dim::from(1)));
        let scale = g.reshape(scale, spread.clone())?;
        let bias = g.reshape(bias, spread)?;
        let scaled = g.mul(normed, scale)?;
        Ok(g.add(scaled, bias)?)
    }
}
