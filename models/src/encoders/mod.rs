//! Encoders to pretrain, each a short definition on the graph builder.
//!
//! An encoder is built on any graph any number of times: for training with standard operators
//! and weights drawn at random, for use with the engine's own operators and trained weights.

mod configured;
mod convolution;
mod imported;
mod layers;
mod patch_transformer;
mod patches;
mod presets;
mod shift_mixer;
mod token_transformer;
mod weights;

use offshoot_export::graph::{Dim, ElementType, Value};
use offshoot_export::shape;
use serde::{Deserialize, Serialize};

pub use self::convolution::{ResidualNetwork, SignalNetwork};
pub use self::imported::Imported;
pub use self::layers::Network;
pub(crate) use self::layers::rows_of;
pub(crate) use self::layers::{Context, Layers, transformer};
pub(crate) use self::patch_transformer::rows_times;
pub use self::patch_transformer::{
    PatchLayers, Patched, SignalTransformer, Visible, VisionTransformer,
};
pub use self::patches::Normalization;
pub use self::presets::{Family, Size};
pub use self::shift_mixer::ShiftMixer;
pub use self::token_transformer::{Positions, TokenTransformer};
pub use self::weights::{Init, Weights};
use crate::data::Kind;
use crate::error::{Error, Result};

/// An encoder's definition: what it reads and its sizes, and no weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "kebab-case")]
pub enum Architecture {
    /// Transformer for tokens.
    TokenTransformer(TokenTransformer),
    /// Vision transformer.
    VisionTransformer(VisionTransformer),
    /// Residual convolutional network for images.
    ResidualNetwork(ResidualNetwork),
    /// Products and shifts, for images.
    ShiftMixer(ShiftMixer),
    /// Transformer for signals.
    SignalTransformer(SignalTransformer),
    /// Residual convolutional network for signals.
    SignalNetwork(SignalNetwork),
    /// An imported encoder of texts, which only a run that begins with its bundle has.
    Imported(Imported),
}

/// A batch as an encoder's graph is given it.
#[derive(Debug, Clone, Copy)]
pub enum Input {
    /// Token ids and their mask, int64 `[batch, tokens]`, and perhaps factors
    /// `[batch, 2·layers + 1, width]` for the outputs of sub-layers.
    Tokens {
        /// Token ids.
        ids: Value,
        /// 1 for real tokens.
        mask: Value,
        /// Factors that stand for dropout.
        dropout: Option<Value>,
    },
    /// uint8 `[batch, height, width, channels]`.
    Pixels(Value),
    /// float32 `[batch, channels, length]`.
    Signals(Value),
}

/// An unknown size of inputs whose names begin with `prefix`: it differs between objectives.
pub(crate) fn own_dim(prefix: &str, name: &str) -> Dim {
    Dim::symbol(&format!("{}{name}", prefix.replace(['.', '-'], "_")))
}

/// What an encoder makes of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Features {
    /// A vector a token, patch or place, `[batch, tokens, width]`.
    pub tokens: Value,
    /// A vector a row, the embedding, `[batch, width]`.
    pub pooled: Value,
    /// Width of both.
    pub width: usize,
}

impl Architecture {
    /// Its family's name, as files and commands write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TokenTransformer(t) if t.causal => "causal-transformer",
            Self::TokenTransformer(_) => "transformer",
            Self::VisionTransformer(_) => "vision-transformer",
            Self::ResidualNetwork(_) => "residual-network",
            Self::ShiftMixer(_) => "shift-mixer",
            Self::SignalTransformer(_) => "signal-transformer",
            Self::SignalNetwork(_) => "signal-network",
            Self::Imported(_) => "imported encoder",
        }
    }

    /// What it reads.
    pub fn kind(&self) -> Kind {
        match self {
            Self::TokenTransformer(_) | Self::Imported(_) => Kind::Text,
            Self::VisionTransformer(_) | Self::ResidualNetwork(_) | Self::ShiftMixer(_) => {
                Kind::Image
            }
            Self::SignalTransformer(_) | Self::SignalNetwork(_) => Kind::Signal,
        }
    }

    /// Width of an embedding.
    pub fn width(&self) -> usize {
        match self {
            Self::TokenTransformer(t) => t.width,
            Self::Imported(i) => i.width,
            Self::VisionTransformer(t) => t.layers.width,
            Self::SignalTransformer(t) => t.layers.width,
            Self::ResidualNetwork(n) => n.stages.last().copied().unwrap_or(0),
            Self::SignalNetwork(n) => n.stages.last().copied().unwrap_or(0),
            Self::ShiftMixer(m) => m.stages.last().copied().unwrap_or(0),
        }
    }

    /// Height, width and channels of its images, where it reads images.
    pub fn image_size(&self) -> Option<[usize; 3]> {
        match self {
            Self::VisionTransformer(t) => Some(t.size),
            Self::ResidualNetwork(n) => Some(n.size),
            Self::ShiftMixer(m) => Some(m.size),
            _ => None,
        }
    }

    /// Channels and length of its signals, where it reads signals.
    pub fn signal_size(&self) -> Option<[usize; 2]> {
        match self {
            Self::SignalTransformer(t) => Some(t.size),
            Self::SignalNetwork(n) => Some(n.size),
            _ => None,
        }
    }

    /// What its numbers are normalised with, where it reads numbers.
    pub fn normalization(&self) -> Option<&Normalization> {
        match self {
            Self::TokenTransformer(_) | Self::Imported(_) => None,
            Self::VisionTransformer(t) => Some(&t.normalization),
            Self::SignalTransformer(t) => Some(&t.normalization),
            Self::ResidualNetwork(n) => Some(&n.normalization),
            Self::SignalNetwork(n) => Some(&n.normalization),
            Self::ShiftMixer(m) => Some(&m.normalization),
        }
    }

    /// It as a row of patches, where it is a transformer of patches.
    pub fn patched(&self) -> Option<&dyn Patched> {
        match self {
            Self::VisionTransformer(t) => Some(t),
            Self::SignalTransformer(t) => Some(t),
            _ => None,
        }
    }

    /// Builds it on the network's graph.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when the input is of another kind; those of the graph.
    pub fn encode(&self, net: &mut Network<'_>, input: Input) -> Result<Features> {
        match (self, input) {
            (Self::TokenTransformer(t), Input::Tokens { ids, mask, dropout }) => {
                t.encode(net, ids, mask, dropout)
            }
            (Self::Imported(i), Input::Tokens { ids, mask, dropout: None }) => {
                i.encode(net, ids, mask)
            }
            (Self::VisionTransformer(t), Input::Pixels(pixels)) => {
                let cut = t.cut(net, pixels)?;
                t.encode_patches(net, cut, None)
            }
            (Self::SignalTransformer(t), Input::Signals(signals)) => {
                let cut = t.cut(net, signals)?;
                t.encode_patches(net, cut, None)
            }
            (Self::ResidualNetwork(n), Input::Pixels(pixels)) => n.encode(net, pixels),
            (Self::ShiftMixer(m), Input::Pixels(pixels)) => m.encode(net, pixels),
            (Self::SignalNetwork(n), Input::Signals(signals)) => n.encode(net, signals),
            _ => {
                Err(Error::Pretrain(format!("a {} does not read this kind of input", self.name())))
            }
        }
    }

    /// Rows and columns of its token table, where the vectors of tokens are as wide as it.
    pub fn token_table(&self) -> Option<[usize; 2]> {
        match self {
            Self::TokenTransformer(t) => Some([t.vocabulary, t.width]),
            Self::Imported(i) => i.table,
            _ => None,
        }
    }

    /// Adds the inputs of a batch of `rows`, whose names begin with `prefix`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn input(
        &self,
        net: &mut Network<'_>,
        prefix: &str,
        rows: impl Into<Dim>,
    ) -> Result<Input> {
        let rows = rows.into();
        let g = &mut *net.graph;
        if let Some([height, width, channels]) = self.image_size() {
            let shape = shape![rows, height, width, channels];
            let name = format!("{prefix}pixels");
            return Ok(Input::Pixels(g.input(&name, ElementType::Uint8, shape)?));
        }
        if let Some([channels, length]) = self.signal_size() {
            let shape = shape![rows, channels, length];
            let name = format!("{prefix}signals");
            return Ok(Input::Signals(g.input(&name, ElementType::Float32, shape)?));
        }
        let int = ElementType::Int64;
        let tokens = own_dim(prefix, "tokens");
        let shape = shape![rows, tokens];
        let ids = g.input(&format!("{prefix}input_ids"), int, shape.clone())?;
        let mask = g.input(&format!("{prefix}attention_mask"), int, shape)?;
        Ok(Input::Tokens { ids, mask, dropout: None })
    }

    /// Whether its sizes fit together.
    ///
    /// # Errors
    /// [`Error::Pretrain`] that names the size.
    pub fn check(&self) -> Result<()> {
        let bad = |reason: String| Err(Error::Pretrain(format!("a {}: {reason}", self.name())));
        let heads = |width: usize, heads: usize| {
            if heads == 0 || width == 0 || !width.is_multiple_of(2 * heads) {
                return bad(format!("the width {width} is no even multiple of {heads} heads"));
            }
            Ok(())
        };
        match self {
            Self::TokenTransformer(t) => {
                if t.vocabulary == 0 || t.max_tokens == 0 {
                    return bad("it needs a vocabulary and at least one position".into());
                }
                if t.window == 0 || !t.causal && t.window.is_multiple_of(2) {
                    return bad(format!("a window of {} tokens has no middle", t.window));
                }
                heads(t.width, t.heads)
            }
            Self::Imported(_) => Ok(()),
            Self::VisionTransformer(VisionTransformer { size, patch, layers, normalization }) => {
                if *patch == 0 || size[0] % patch != 0 || size[1] % patch != 0 {
                    return bad(format!(
                        "patches of {patch} do not divide images of {} by {}",
                        size[1], size[0]
                    ));
                }
                self.check_channels(size[2], normalization)?;
                heads(layers.width, layers.heads)
            }
            Self::ShiftMixer(m) => {
                if m.patch == 0 || m.size[0] % m.patch != 0 || m.size[1] % m.patch != 0 {
                    return bad(format!(
                        "patches of {} do not divide images of {} by {}",
                        m.patch, m.size[1], m.size[0]
                    ));
                }
                if m.stages.is_empty()
                    || m.stages.len() != m.blocks.len()
                    || m.stages.iter().any(|&w| w == 0 || w % 4 != 0)
                {
                    return bad(
                        "each stage needs blocks and a width that is a multiple of 4".into()
                    );
                }
                self.check_channels(m.size[2], &m.normalization)
            }
            Self::ResidualNetwork(n) => {
                self.check_stages(&n.stages)?;
                self.check_channels(n.size[2], &n.normalization)
            }
            Self::SignalNetwork(n) => {
                if n.window % 2 == 0 {
                    return bad(format!("its windows have the even width {}", n.window));
                }
                self.check_stages(&n.stages)?;
                self.check_channels(n.size[0], &n.normalization)
            }
            Self::SignalTransformer(SignalTransformer { size, patch, layers, normalization }) => {
                if *patch == 0 || size[1] % patch != 0 {
                    return bad(format!("pieces of {patch} do not divide a length of {}", size[1]));
                }
                self.check_channels(size[0], normalization)?;
                heads(layers.width, layers.heads)
            }
        }
    }

    fn check_stages(&self, stages: &[usize]) -> Result<()> {
        if stages.is_empty() || stages.iter().any(|&w| w == 0 || w % 8 != 0) {
            return Err(Error::Pretrain(format!(
                "a {}: it needs stages, each a multiple of 8 channels",
                self.name()
            )));
        }
        Ok(())
    }

    fn check_channels(&self, channels: usize, normalization: &Normalization) -> Result<()> {
        if normalization.mean.len() != channels || normalization.deviation.len() != channels {
            return Err(Error::Pretrain(format!(
                "a {}: {channels} channels are normalised with {} means and {} deviations",
                self.name(),
                normalization.mean.len(),
                normalization.deviation.len()
            )));
        }
        Ok(())
    }
}
