//! Transformers over patches: of images (Dosovitskiy et al., 2021, arXiv:2010.11929) and of
//! signals (Nie et al., 2023, arXiv:2211.14730, with all channels in one patch).

use offshoot_export::graph::{Dim, Value};

use super::layers::{Context, Layers, Network, mean_over_tokens, rows_of, transformer};
use super::{Features, Init, Normalization, patches};
use crate::error::Result;

/// Sizes of a transformer over patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PatchLayers {
    /// Width of a patch's vector.
    pub width: usize,
    /// Number of layers.
    pub layers: usize,
    /// Heads of attention; they divide the width.
    pub heads: usize,
    /// Width between the two linear layers after attention.
    pub hidden: usize,
}

/// Vision transformer: the embedding is the mean over the patches.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VisionTransformer {
    /// Height, width and channels of the images.
    pub size: [usize; 3],
    /// Side of a patch in pixels; it divides height and width.
    pub patch: usize,
    /// Sizes of the layers.
    pub layers: PatchLayers,
    /// What pixels are normalised with.
    pub normalization: Normalization,
}

/// Transformer over pieces of a signal: the embedding is the mean over the pieces.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SignalTransformer {
    /// Channels and length of the signals.
    pub size: [usize; 2],
    /// Length of a piece; it divides the length.
    pub patch: usize,
    /// Sizes of the layers.
    pub layers: PatchLayers,
    /// What samples are normalised with.
    pub normalization: Normalization,
}

/// Rows of patches to look at: flat positions into `[batch · patches]`, int64
/// `[batch · kept]`, and how many a row keeps.
#[derive(Debug, Clone, Copy)]
pub struct Visible {
    /// Flat positions.
    pub positions: Value,
    /// Patches that are kept of each row.
    pub kept: usize,
}

/// An encoder whose input is a row of patches.
pub trait Patched {
    /// Number of patches of a row and numbers of a patch.
    fn patches(&self) -> [usize; 2];

    /// Sizes of the layers.
    fn layers(&self) -> &PatchLayers;

    /// Normalised patches `[batch, patches, numbers]` of a batch of inputs.
    ///
    /// # Errors
    /// Those of the graph.
    fn cut(&self, net: &mut Network<'_>, input: Value) -> Result<Value>;

    /// Encodes patches that [`Self::cut`] gave; of each row only those that are visible.
    ///
    /// # Errors
    /// Those of the graph.
    fn encode_patches(
        &self,
        net: &mut Network<'_>,
        cut: Value,
        visible: Option<Visible>,
    ) -> Result<Features> {
        let [count, numbers] = self.patches();
        let PatchLayers { width, layers, heads, hidden } = *self.layers();
        let mut x = net.linear("patches", cut, [numbers, width], true)?;
        let positions = net.weight("positions.weight", &[count, width], Init::Normal(0.02))?;
        x = net.graph.add(x, positions)?;
        if let Some(Visible { positions, kept }) = visible {
            let batch = rows_of(net.graph, x)?;
            let flat = rows_times(&batch, count);
            x = net.graph.reshape(x, vec![flat, width.into()])?;
            x = net.graph.gather(x, positions, 0)?;
            x = net.graph.reshape(x, vec![batch, kept.into(), width.into()])?;
        }
        let layers = Layers { count: layers, width, heads, hidden };
        let tokens = transformer(net, "layers", x, &layers, &Context::open())?;
        let pooled = mean_over_tokens(net.graph, tokens)?;
        Ok(Features { tokens, pooled, width })
    }
}

/// `batch · count`.
pub(crate) fn rows_times(batch: &Dim, count: usize) -> Dim {
    batch.times(&count.into()).unwrap_or_else(|| batch.clone())
}

impl Patched for VisionTransformer {
    fn patches(&self) -> [usize; 2] {
        let [height, width, channels] = self.size;
        [(height / self.patch) * (width / self.patch), self.patch * self.patch * channels]
    }

    fn layers(&self) -> &PatchLayers {
        &self.layers
    }

    fn cut(&self, net: &mut Network<'_>, pixels: Value) -> Result<Value> {
        let x = self.normalization.pixels(net.graph, pixels)?;
        let x = patches::of_image(net.graph, x, self.size, self.patch)?;
        let batch = rows_of(net.graph, x)?;
        Ok(net.graph.reshape(x, [vec![batch], self.patches().map(Dim::from).to_vec()].concat())?)
    }
}

impl Patched for SignalTransformer {
    fn patches(&self) -> [usize; 2] {
        let [channels, length] = self.size;
        [length / self.patch, channels * self.patch]
    }

    fn layers(&self) -> &PatchLayers {
        &self.layers
    }

    fn cut(&self, net: &mut Network<'_>, signals: Value) -> Result<Value> {
        let x = self.normalization.signals(net.graph, signals)?;
        patches::of_signal(net.graph, x, self.size, self.patch)
    }
}
