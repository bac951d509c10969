//! Convolution and its transpose, over any number of spatial dimensions.
//!
//! Both operators are the same sum of products of a large tensor, a small one and a
//! weight, so each one's gradients are made of three functions: the operator itself,
//! [`spread`] (from small to large) and [`weight::gradient`].

mod spread;
mod weight;

pub(super) use spread::spread;

use super::super::backward::Backward;
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::infer::Window;
use crate::graph::{Attribute, Attributes, Dim, TensorType, Value};

pub(super) const RULES: &[Rule] = &[
    rule(
        "Conv",
        "dx = dy convolved with the flipped weight (stride 1), or its transposed convolution; dw = \
         dy·unfold(x)ᵀ; dbias = Σ dy",
        convolution,
    ),
    rule(
        "ConvTranspose",
        "dx = dy convolved with the weight; dw = x·unfold(dy)ᵀ; dbias = Σ dy",
        transposed,
    ),
];

/// A window with weights: `[outer, inner of a group, kernel…]`.
pub(super) struct Layer {
    pub(super) window: Window,
    pub(super) groups: usize,
    /// Channels of the small tensor.
    pub(super) outer: usize,
    /// Channels of the large tensor.
    pub(super) inner: usize,
}

impl Layer {
    /// The layer of an operator with the weight `w`, over a large tensor of the shape
    /// `large`.
    fn new(b: &Backward<'_>, w: &TensorType, large: &[Dim]) -> Result<Self> {
        let sizes: Option<Vec<usize>> = w.shape.iter().map(Dim::fixed).collect();
        let groups = usize::try_from(b.attributes().int("group", 1)).ok().filter(|&n| n > 0);
        let (Some(groups), Some([outer, inner, kernel @ ..])) = (groups, sizes.as_deref()) else {
            return Err(b.unsupported("needs a weight of known sizes"));
        };
        let kernel = kernel.iter().map(|&n| n as i64).collect();
        let window = Window::new(b.g, b.operator(), &b.attributes(), kernel, large)?;
        Ok(Self { window, groups, outer: *outer, inner: inner * groups })
    }

    fn spatial(&self) -> usize {
        self.window.kernel.len()
    }
}

impl Window {
    /// Elements from the first that a window covers to the last, for each dimension.
    pub(super) fn reach(&self) -> Vec<i64> {
        self.kernel.iter().zip(&self.dilations).map(|(k, d)| (k - 1) * d + 1).collect()
    }

    /// Padding before and after each dimension.
    pub(super) fn padding(&self) -> (Vec<i64>, Vec<i64>) {
        let (before, after) = self.pads.split_at(self.pads.len() / 2);
        (before.to_vec(), after.to_vec())
    }

    /// As the attributes of an operator.
    pub(super) fn attributes(&self, groups: usize) -> Vec<onnx_protobuf::AttributeProto> {
        vec![
            Attribute::ints("kernel_shape", self.kernel.clone()),
            Attribute::ints("strides", self.strides.clone()),
            Attribute::ints("dilations", self.dilations.clone()),
            Attribute::ints("pads", self.pads.clone()),
            Attribute::int("group", groups as i64),
        ]
    }
}

/// Gives the gradient of a bias `[channels]`.
fn bias(b: &mut Backward<'_>) -> Result<()> {
    if !b.wants(2) {
        return Ok(());
    }
    let dy = b.gradient()?;
    let rank = b.g.tensor_type(dy)?.rank() as i64;
    let axes: Vec<i64> = (0..rank).filter(|&at| at != 1).collect();
    let axes = b.g.integers(&axes)?;
    let sum = b.g.op("ReduceSum", &[dy, axes], vec![Attribute::int("keepdims", 0)])?;
    b.give(2, sum)
}

fn convolution(b: &mut Backward<'_>) -> Result<()> {
    let (x, w, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let layer = Layer::new(b, &b.kind(1)?, &b.kind(0)?.shape)?;
    bias(b)?;
    if b.wants(0) {
        let gradient = spread(b, dy, w, &layer, x)?;
        b.give(0, gradient)?;
    }
    if b.wants(1) {
        let gradient = weight::gradient(b, &layer, x, dy, w)?;
        b.give(1, gradient)?;
    }
    Ok(())
}

fn transposed(b: &mut Backward<'_>) -> Result<()> {
    let attributes = b.attributes();
    let automatic = attributes.string("auto_pad").starts_with("SAME");
    if attributes.find("output_shape").is_some() || automatic {
        return Err(b.unsupported("has padding that follows from its output; state `pads`"));
    }
    let (x, w, dy) = (b.input(0)?, b.input(1)?, b.gradient()?);
    let large = b.g.shape(dy)?;
    let layer = Layer::new(b, &b.kind(1)?, &large)?;
    let extra = Attributes::ints(&attributes, "output_padding").unwrap_or_default();
    if extra.iter().zip(&layer.window.strides).any(|(extra, stride)| extra >= stride) {
        return Err(b.unsupported("has an output padding of a stride or more"));
    }
    bias(b)?;
    if b.wants(0) {
        let kind = TensorType::new(b.g.tensor_type(dy)?.element, b.kind(0)?.shape);
        let settings = layer.window.attributes(layer.groups);
        let gradient = b.g.push("Conv", &[dy, w], settings, kind)?;
        b.give(0, gradient)?;
    }
    if b.wants(1) {
        let gradient = weight::gradient(b, &layer, dy, x, w)?;
        b.give(1, gradient)?;
    }
    Ok(())
}

/// `[batch, channels, …]` as `[channels, batch, …]`.
fn channels_first(b: &mut Backward<'_>, x: Value) -> Result<Value> {
    let rank = b.g.tensor_type(x)?.rank();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(0, 1);
    b.g.transpose(x, &order)
}
