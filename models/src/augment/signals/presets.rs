//! Settings that work for common kinds of signals.

use super::SignalAugmentation;

impl Default for SignalAugmentation {
    fn default() -> Self {
        Self::none()
    }
}

impl SignalAugmentation {
    /// Every step off: the whole signal, normalised and brought to the wanted length.
    pub const fn none() -> Self {
        Self {
            crop: (1.0, 1.0),
            time_warp: 0.0,
            permutation: 0.0,
            segments: 1,
            scaling: 0.0,
            magnitude_warp: 0.0,
            jitter: 0.0,
            dropout: 0.0,
            mask: 0.0,
            mask_share: (0.0, 0.0),
        }
    }

    /// For windows of sensors that are worn or mounted: where the window starts and how fast
    /// it runs says nothing.
    pub const fn sensors() -> Self {
        Self {
            crop: (0.6, 1.0),
            time_warp: 0.2,
            scaling: 0.2,
            magnitude_warp: 0.15,
            jitter: 0.1,
            dropout: 0.1,
            mask: 0.3,
            mask_share: (0.05, 0.2),
            ..Self::none()
        }
    }

    /// For single movements and shapes that are aligned, such as gestures and outlines: the
    /// order of events is what they are.
    pub const fn shapes() -> Self {
        Self {
            crop: (0.8, 1.0),
            time_warp: 0.15,
            scaling: 0.15,
            magnitude_warp: 0.1,
            jitter: 0.05,
            mask: 0.2,
            mask_share: (0.05, 0.15),
            ..Self::none()
        }
    }
}
