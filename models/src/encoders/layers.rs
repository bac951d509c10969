//! Layers that several encoders share.

use offshoot_export::graph::blocks::{AttentionMask, QueryKeyValue, Rotary};
use offshoot_export::graph::ops::Gelu;
use offshoot_export::graph::{Dim, Graph, Value};

use super::{Init, Weights};
use crate::error::Result;

/// Added to the variance by layer normalisation.
pub(crate) const EPSILON: f32 = 1e-5;

/// A graph under construction with the weights of what is built on it.
#[derive(Debug)]
pub struct Network<'a> {
    /// The graph.
    pub graph: &'a mut Graph,
    /// The weights.
    pub weights: &'a mut Weights,
}

impl Network<'_> {
    /// A weight, see [`Weights::get`].
    ///
    /// # Errors
    /// Those of [`Weights::get`].
    pub fn weight(&mut self, name: &str, dims: &[usize], init: Init) -> Result<Value> {
        self.weights.get(self.graph, name, dims, init)
    }

    /// `x · W + b`, `[…, inputs]` to `[…, outputs]`.
    ///
    /// # Errors
    /// Those of the graph, so for every layer.
    pub fn linear(&mut self, name: &str, x: Value, sizes: [usize; 2], bias: bool) -> Result<Value> {
        let [inputs, outputs] = sizes;
        let init = Init::Glorot { inputs, outputs };
        let weight = self.weight(&format!("{name}.weight"), &[inputs, outputs], init)?;
        let bias = match bias {
            true => Some(self.weight(&format!("{name}.bias"), &[outputs], Init::Zeros)?),
            false => None,
        };
        Ok(self.graph.linear(x, weight, bias)?)
    }

    /// Layer normalisation over the last dimension, of `width`.
    ///
    /// # Errors
    /// As [`Self::linear`].
    pub fn layer_norm(&mut self, name: &str, x: Value, width: usize) -> Result<Value> {
        let scale = self.weight(&format!("{name}.weight"), &[width], Init::Ones)?;
        let bias = self.weight(&format!("{name}.bias"), &[width], Init::Zeros)?;
        Ok(self.graph.layer_norm(x, scale, Some(bias), EPSILON)?)
    }

    /// Two linear layers with a GELU between.
    ///
    /// # Errors
    /// As [`Self::linear`].
    pub fn feed_forward(
        &mut self,
        name: &str,
        x: Value,
        width: usize,
        hidden: usize,
    ) -> Result<Value> {
        let up = self.linear(&format!("{name}.up"), x, [width, hidden], true)?;
        let up = self.graph.gelu(up, Gelu::Tanh)?;
        self.linear(&format!("{name}.down"), up, [hidden, width], true)
    }
}

impl Network<'_> {
    /// Normalisation of each number over the rows of a batch, `[rows, width]` (Ioffe & Szegedy,
    /// 2015, arXiv:1502.03167). It belongs to heads that only training has: there are no
    /// running means.
    ///
    /// # Errors
    /// Those of the graph; so for every layer of this file.
    pub fn batch_norm(&mut self, name: &str, x: Value, width: usize) -> Result<Value> {
        let scale = self.weight(&format!("{name}.weight"), &[width], Init::Ones)?;
        let bias = self.weight(&format!("{name}.bias"), &[width], Init::Zeros)?;
        let g = &mut *self.graph;
        let mean = g.reduce_mean(x, 0)?;
        let centred = g.sub(x, mean)?;
        let square = g.mul(centred, centred)?;
        let variance = g.reduce_mean(square, 0)?;
        let epsilon = g.scalar(EPSILON)?;
        let variance = g.add(variance, epsilon)?;
        let deviation = g.sqrt(variance)?;
        let normed = g.div(centred, deviation)?;
        let scaled = g.mul(normed, scale)?;
        Ok(g.add(scaled, bias)?)
    }

    /// A projector, as contrastive methods put behind an encoder: linear layers to each of the
    /// widths, normalisation over the batch and a ReLU between them.
    ///
    /// # Errors
    /// As [`Self::batch_norm`].
    pub fn projector(&mut self, name: &str, mut x: Value, widths: &[usize]) -> Result<Value> {
        for (layer, sizes) in widths.windows(2).enumerate() {
            let last = layer + 2 == widths.len();
            let name = format!("{name}.{layer}");
            x = self.linear(&name, x, [sizes[0], sizes[1]], last)?;
            if !last {
                x = self.batch_norm(&format!("{name}.norm"), x, sizes[1])?;
                x = self.graph.relu(x)?;
            }
        }
        Ok(x)
    }

    /// Runs `build` with another set of the same weights, see [`Weights::with_suffix`].
    ///
    /// # Errors
    /// Those of `build`.
    pub fn with_suffix<T>(
        &mut self,
        suffix: &'static str,
        build: impl FnOnce(&mut Network<'_>) -> Result<T>,
    ) -> Result<T> {
        let graph = &mut *self.graph;
        self.weights.with_suffix(suffix, |weights| build(&mut Network { graph, weights }))
    }

    /// Runs `build` with weights of other names, see [`Weights::with_prefix`].
    ///
    /// # Errors
    /// Those of `build`.
    pub fn with_prefix<T>(
        &mut self,
        prefix: &str,
        build: impl FnOnce(&mut Network<'_>) -> Result<T>,
    ) -> Result<T> {
        let graph = &mut *self.graph;
        self.weights.with_prefix(prefix, |weights| build(&mut Network { graph, weights }))
    }
}

/// Sizes of a stack of transformer layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layers {
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) hidden: usize,
}

/// What a stack of layers is given besides the tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) mask: AttentionMask,
    pub(crate) rotary: Option<Rotary>,
    /// Factors `[rows, 2·layers, width]` that the outputs of sub-layers are multiplied by.
    pub(crate) dropout: Option<Value>,
}

impl Context {
    /// All tokens see all.
    pub(crate) fn open() -> Self {
        Self { mask: AttentionMask::of_bias(None), rotary: None, dropout: None }
    }
}

/// Transformer layers with the normalisation before each sub-layer (Xiong et al., 2020,
/// arXiv:2002.04745), and one after the last: `x` `[batch, tokens, width]`.
pub(crate) fn transformer(
    net: &mut Network<'_>,
    name: &str,
    mut x: Value,
    layers: &Layers,
    context: &Context,
) -> Result<Value> {
    let width = layers.width;
    for layer in 0..layers.count {
        let name = format!("{name}.{layer}");
        let normed = net.layer_norm(&format!("{name}.attention.norm"), x, width)?;
        let init = Init::Glorot { inputs: width, outputs: width };
        let qkv = QueryKeyValue {
            weight: net.weight(
                &format!("{name}.attention.qkv.weight"),
                &[width, 3 * width],
                init,
            )?,
            bias: Some(net.weight(
                &format!("{name}.attention.qkv.bias"),
                &[3 * width],
                Init::Zeros,
            )?),
        };
        let mixed =
            net.graph.self_attention(normed, qkv, layers.heads, context.mask, context.rotary)?;
        let out = net.linear(&format!("{name}.attention.out"), mixed, [width, width], true)?;
        let out = dropped(net, out, context, 2 * layer)?;
        x = net.graph.add(x, out)?;
        let normed = net.layer_norm(&format!("{name}.mlp.norm"), x, width)?;
        let out = net.feed_forward(&format!("{name}.mlp"), normed, width, layers.hidden)?;
        let out = dropped(net, out, context, 2 * layer + 1)?;
        x = net.graph.add(x, out)?;
    }
    net.layer_norm(&format!("{name}.norm"), x, width)
}

/// `x` times the row's factors of one sub-layer.
fn dropped(net: &mut Network<'_>, x: Value, context: &Context, at: usize) -> Result<Value> {
    let Some(factors) = context.dropout else { return Ok(x) };
    let part = net.graph.slice(factors, 1, at, at + 1)?;
    Ok(net.graph.mul(x, part)?)
}

/// The mean over the tokens, `[batch, tokens, width]` to `[batch, width]`.
pub(crate) fn mean_over_tokens(g: &mut Graph, x: Value) -> Result<Value> {
    let mean = g.reduce_mean(x, 1)?;
    Ok(g.squeeze(mean, 1)?)
}

/// The first dimension of a value.
pub(crate) fn rows_of(g: &Graph, x: Value) -> Result<Dim> {
    let shape = &g.tensor_type(x)?.shape;
    Ok(shape.first().cloned().unwrap_or_else(|| 1.into()))
}
