//! Encoders by name and size.

use crate::data::Kind;

use super::{
    Architecture, Normalization, PatchLayers, Positions, ResidualNetwork, ShiftMixer,
    SignalNetwork, SignalTransformer, TokenTransformer, VisionTransformer,
};

/// Families of encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Bidirectional transformer over tokens.
    Transformer,
    /// Causal transformer over tokens.
    CausalTransformer,
    /// Transformer over patches of an image.
    VisionTransformer,
    /// Residual convolutional network for images.
    ResidualNetwork,
    /// Products and shifts, for images.
    ShiftMixer,
    /// Transformer over pieces of a signal.
    SignalTransformer,
    /// Residual convolutional network for signals.
    SignalNetwork,
}

/// Sizes of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Under a million weights: minutes on two cores.
    #[default]
    Tiny,
    /// A few million: an hour on two cores.
    Small,
    /// Tens of millions: for a graphics card.
    Base,
}

impl Size {
    fn pick<T>(self, tiny: T, small: T, base: T) -> T {
        match self {
            Self::Tiny => tiny,
            Self::Small => small,
            Self::Base => base,
        }
    }

    /// Width, layers and heads of a transformer.
    fn transformer(self) -> (usize, usize, usize) {
        self.pick((128, 4, 4), (256, 6, 8), (512, 12, 8))
    }

    /// A transformer over tokens of so many words and positions, which are given a window of so
    /// many before its first layer.
    pub fn tokens(
        self,
        vocabulary: usize,
        max_tokens: usize,
        causal: bool,
        window: usize,
    ) -> Architecture {
        let (width, layers, heads) = self.transformer();
        Architecture::TokenTransformer(TokenTransformer {
            vocabulary,
            max_tokens,
            width,
            layers,
            heads,
            hidden: 4 * width,
            causal,
            positions: Positions::Rotary,
            window,
        })
    }

    /// An encoder of images `[height, width, channels]`. For families of other kinds, the
    /// vision transformer.
    pub fn image(
        self,
        family: Family,
        size: [usize; 3],
        normalization: Normalization,
    ) -> Architecture {
        let side = size[0].min(size[1]);
        let fine = side <= 64;
        match family {
            Family::ResidualNetwork => Architecture::ResidualNetwork(ResidualNetwork {
                size,
                stages: self.pick(vec![32, 64, 128], vec![64, 128, 256], vec![64, 128, 256, 512]),
                blocks: self.pick(1, 2, 2),
                normalization,
            }),
            Family::ShiftMixer => Architecture::ShiftMixer(ShiftMixer {
                size,
                patch: if fine {
                    dividing(&[4, 2], size[0], size[1])
                } else {
                    dividing(&[8, 4, 2], size[0], size[1])
                },
                stages: self.pick(vec![64, 128], vec![128, 256, 384], vec![192, 384, 768]),
                blocks: self.pick(vec![2, 2], vec![3, 4, 3], vec![4, 8, 4]),
                expansion: 2,
                normalization,
            }),
            _ => {
                let (width, layers, heads) = self.transformer();
                let patch = if fine {
                    dividing(&[4, 2, 7], size[0], size[1])
                } else {
                    dividing(&[16, 8, 14, 4], size[0], size[1])
                };
                let hidden = self.pick(2, 4, 4) * width;
                Architecture::VisionTransformer(VisionTransformer {
                    size,
                    patch,
                    layers: PatchLayers { width, layers, heads, hidden },
                    normalization,
                })
            }
        }
    }

    /// An encoder of signals `[channels, length]`. For families of other kinds, the residual
    /// network.
    pub fn signal(
        self,
        family: Family,
        size: [usize; 2],
        normalization: Normalization,
    ) -> Architecture {
        match family {
            Family::SignalTransformer => {
                let (width, layers, heads) = self.transformer();
                let patch = dividing(&[10, 8, 6, 5, 4, 7, 3, 2], size[1], size[1]);
                Architecture::SignalTransformer(SignalTransformer {
                    size,
                    patch,
                    layers: PatchLayers { width, layers, heads, hidden: 2 * width },
                    normalization,
                })
            }
            _ => Architecture::SignalNetwork(SignalNetwork {
                size,
                stages: self.pick(vec![32, 64, 128], vec![64, 128, 256], vec![128, 256, 512]),
                blocks: self.pick(1, 2, 2),
                window: 7,
                normalization,
            }),
        }
    }
}

/// The first of the sizes that divides both numbers; 1 when none does.
fn dividing(sizes: &[usize], a: usize, b: usize) -> usize {
    let fits = |&&size: &&usize| a.is_multiple_of(size) && b.is_multiple_of(size);
    sizes.iter().find(fits).copied().unwrap_or(1)
}

impl Family {
    /// All families.
    pub const ALL: [Self; 7] = [
        Self::Transformer,
        Self::CausalTransformer,
        Self::VisionTransformer,
        Self::ResidualNetwork,
        Self::ShiftMixer,
        Self::SignalTransformer,
        Self::SignalNetwork,
    ];

    /// Its name, as files and commands write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::CausalTransformer => "causal-transformer",
            Self::VisionTransformer => "vision-transformer",
            Self::ResidualNetwork => "residual-network",
            Self::ShiftMixer => "shift-mixer",
            Self::SignalTransformer => "signal-transformer",
            Self::SignalNetwork => "signal-network",
        }
    }

    /// What its encoders read.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Transformer | Self::CausalTransformer => Kind::Text,
            Self::VisionTransformer | Self::ResidualNetwork | Self::ShiftMixer => Kind::Image,
            Self::SignalTransformer | Self::SignalNetwork => Kind::Signal,
        }
    }
}
