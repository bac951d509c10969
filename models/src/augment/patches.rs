//! Which patches a masked autoencoder sees (He and others, 2021, arXiv:2111.06377).

use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// Patches in two: those that the encoder is given and those that it is not. For images and
/// signals alike; patches are counted along rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchMask {
    /// Numbers of the patches that are kept, ascending.
    pub kept: Vec<usize>,
    /// Numbers of those that are masked, ascending.
    pub masked: Vec<usize>,
    /// Where each patch is in the sequence of the kept and then the masked ones: gathering
    /// that sequence by it brings the patches back in order.
    pub restore: Vec<usize>,
}

impl PatchMask {
    /// Draws `round(share · patches)` patches to be masked, at least one and fewer than all;
    /// each choice is as likely as any other. The number depends on nothing random, so that
    /// masks of a batch have one shape.
    ///
    /// # Errors
    /// [`Error::Argument`] when there are fewer than two patches, or the share is not between
    /// 0 and 1.
    pub fn draw(patches: usize, share: f32, random: &mut SplitMix64) -> Result<Self> {
        if patches < 2 || !(share > 0.0 && share < 1.0) {
            return Err(Error::Argument(format!(
                "a share of {share} of {patches} patches cannot be masked; at least one must be \
                 masked and one kept"
            )));
        }
        let count = ((patches as f64 * f64::from(share)).round() as usize).clamp(1, patches - 1);
        let mut order: Vec<usize> = (0..patches).collect();
        // The first steps of a shuffle choose the masked ones.
        for at in 0..count {
            order.swap(at, at + random.below(patches - at));
        }
        let mut kept = order.split_off(count);
        kept.sort_unstable();
        order.sort_unstable();
        let mut restore = vec![0; patches];
        for (place, &patch) in kept.iter().chain(&order).enumerate() {
            restore[patch] = place;
        }
        Ok(Self { kept, masked: order, restore })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_a_partition_that_restore_undoes() {
        let mut random = SplitMix64::new(1);
        let mut masked = [0u32; 16];
        for _ in 0..8000 {
            let mask = PatchMask::draw(16, 0.75, &mut random).unwrap();
            assert_eq!((mask.kept.len(), mask.masked.len()), (4, 12));
            assert!(mask.kept.is_sorted() && mask.masked.is_sorted());
            let sequence = [mask.kept.clone(), mask.masked.clone()].concat();
            let back: Vec<usize> = mask.restore.iter().map(|&place| sequence[place]).collect();
            assert_eq!(back, (0..16).collect::<Vec<_>>());
            mask.masked.iter().for_each(|&patch| masked[patch] += 1);
        }
        // Each with probability 0.75: deviation 39 of 6000.
        assert!(masked.iter().all(|&n| n.abs_diff(6000) < 160), "{masked:?}");
        assert_eq!(PatchMask::draw(2, 0.99, &mut random).unwrap().kept.len(), 1);
        assert!(PatchMask::draw(1, 0.5, &mut random).is_err());
        assert!(PatchMask::draw(9, 1.0, &mut random).is_err());
    }
}
