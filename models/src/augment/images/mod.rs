//! Random views of images: where each output pixel looks is one affine map, drawn once and
//! followed once (`geometry`, `resample`); brightness, contrast and saturation are one affine
//! map of the samples (`colour`); then blur and cut-out (`blur`).

mod blur;
mod colour;
mod geometry;
mod presets;
mod resample;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use offshoot::Image;

use crate::error::{Error, Result};
use crate::random::SplitMix64;
use geometry::Map;

/// How a view of an image is drawn. A probability of 0 and a range that is one value switch a
/// step off; [`none`](Self::none) has all of them off.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageAugmentation {
    /// Share of the image's area that the crop has, smallest and largest. `(1, 1)` is the
    /// whole image, whatever [`crop_ratio`](Self::crop_ratio) says.
    pub crop_scale: (f32, f32),
    /// Width of the crop over its height, smallest and largest, drawn on a logarithmic scale.
    pub crop_ratio: (f32, f32),
    /// Probability of a mirror image, left for right.
    pub flip: f32,
    /// Probability of rotation, translation, scale and shear, all together.
    pub affine: f32,
    /// Largest rotation either way, in radians.
    pub rotation: f32,
    /// Largest translation either way, as a share of the view's width and height.
    pub translation: f32,
    /// Factor of size, smallest and largest; above 1 the content grows.
    pub scale: (f32, f32),
    /// Largest angle of shear either way, in radians.
    pub shear: f32,
    /// Probability of a change of brightness, contrast, saturation and hue, all together.
    pub colour: f32,
    /// Samples are multiplied by a factor between `1 - brightness` and `1 + brightness`.
    pub brightness: f32,
    /// The distance from the view's mean grey is multiplied by a factor between
    /// `1 - contrast` and `1 + contrast`.
    pub contrast: f32,
    /// The distance from a pixel's own grey is multiplied by a factor between
    /// `1 - saturation` and `1 + saturation`. Only for colour.
    pub saturation: f32,
    /// Largest turn of the hue either way, in turns: at most 0.5. Only for colour.
    pub hue: f32,
    /// Probability that colour is taken away. Only for colour.
    pub grey: f32,
    /// Probability of a Gaussian blur.
    pub blur: f32,
    /// Its standard deviation as a share of the view's shorter side, smallest and largest.
    pub blur_sigma: (f32, f32),
    /// Probability that samples of 128 and more are inverted.
    pub solarise: f32,
    /// Probability that a rectangle is painted over with the view's mean.
    pub cutout: f32,
    /// Share of the view's area that it has, smallest and largest.
    pub cutout_scale: (f32, f32),
}

impl ImageAugmentation {
    /// Checks that probabilities are between 0 and 1 and ranges are in order.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the setting.
    pub fn validate(&self) -> Result<()> {
        let bad = |name: &str, must: &str| {
            Err(Error::Argument(format!("augmentation of images: `{name}` must be {must}")))
        };
        for (name, p) in [
            ("flip", self.flip),
            ("affine", self.affine),
            ("colour", self.colour),
            ("grey", self.grey),
            ("blur", self.blur),
            ("solarise", self.solarise),
            ("cutout", self.cutout),
        ] {
            if !(0.0..=1.0).contains(&p) {
                return bad(name, "a probability, from 0 to 1");
            }
        }
        for (name, value, most) in [
            ("rotation", self.rotation, f32::MAX),
            ("translation", self.translation, 1.0),
            ("shear", self.shear, 1.5),
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("saturation", self.saturation, 1.0),
            ("hue", self.hue, 0.5),
        ] {
            if !(0.0..=most).contains(&value) {
                return bad(name, &format!("from 0 to {most}"));
            }
        }
        for (name, (low, high), least, most) in [
            ("crop_scale", self.crop_scale, f32::MIN_POSITIVE, 1.0),
            ("crop_ratio", self.crop_ratio, 1e-3, 1e3),
            ("scale", self.scale, 1e-3, 1e3),
            ("blur_sigma", self.blur_sigma, 0.0, 1.0),
            ("cutout_scale", self.cutout_scale, 0.0, 1.0),
        ] {
            if !(low >= least && low <= high && high <= most) {
                return bad(name, &format!("two numbers in order between {least} and {most}"));
            }
        }
        Ok(())
    }

    /// Draws a view of `image` and writes it to `out` `[height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Argument`] when `channels` is neither 1 nor 3, or `out` has another length.
    pub fn apply(
        &self,
        image: &Image,
        height: usize,
        width: usize,
        channels: usize,
        random: &mut SplitMix64,
        out: &mut [u8],
    ) -> Result<()> {
        let size = height.checked_mul(width).and_then(|n| n.checked_mul(channels));
        if size != Some(out.len()) || out.is_empty() {
            return Err(Error::Argument(format!(
                "a view of {width} by {height} pixels and {channels} channels does not fit a \
                 buffer of {} bytes",
                out.len()
            )));
        }
        let image = if image.channels() == channels {
            Cow::Borrowed(image)
        } else {
            Cow::Owned(image.with_channels(channels)?)
        };
        let map = self.draw_map(&image, height, width, random);
        match channels {
            1 => resample::resample::<1>(&image, &map, height, width, out),
            3 => resample::resample::<3>(&image, &map, height, width, out),
            _ => {
                return Err(Error::Argument(format!(
                    "a view cannot have {channels} channels, only 1 or 3"
                )));
            }
        }
        self.change_colours(channels, random, out);
        if random.chance(self.blur) {
            let share = random.between(self.blur_sigma.0, self.blur_sigma.1);
            blur::gaussian(out, height, width, channels, share * height.min(width) as f32);
        }
        if random.chance(self.solarise) {
            for sample in out.iter_mut() {
                *sample = if *sample < 128 { *sample } else { 255 - *sample };
            }
        }
        if random.chance(self.cutout) {
            self.cut_out(height, width, channels, random, out);
        }
        Ok(())
    }

    /// The composed map of crop, mirror image and affine change.
    fn draw_map(&self, image: &Image, height: usize, width: usize, random: &mut SplitMix64) -> Map {
        let crop = geometry::draw_crop(
            image.height() as f32,
            image.width() as f32,
            self.crop_scale,
            self.crop_ratio,
            random,
        );
        let mut map = Map::crop(crop, height as f32, width as f32);
        if random.chance(self.flip) {
            map = map.after(&Map::mirror(width as f32));
        }
        if random.chance(self.affine) {
            let either = |most: f32, random: &mut SplitMix64| random.between(-most, most);
            let angle = either(self.rotation, random);
            let shear = either(self.shear, random);
            let scale = (random.between(self.scale.0.ln(), self.scale.1.ln())).exp();
            let shift = (
                either(self.translation, random) * height as f32,
                either(self.translation, random) * width as f32,
            );
            map = map.after(&Map::affine(angle, shear, scale, shift, height as f32, width as f32));
        }
        map
    }

    fn change_colours(&self, channels: usize, random: &mut SplitMix64, out: &mut [u8]) {
        let mut change = colour::Change::default();
        if random.chance(self.colour) {
            let factor =
                |most: f32, random: &mut SplitMix64| random.between(1.0 - most, 1.0 + most);
            change.brightness = factor(self.brightness, random);
            change.contrast = factor(self.contrast, random);
            change.saturation = factor(self.saturation, random);
            change.hue = random.between(-self.hue, self.hue);
        }
        if channels == 3 && random.chance(self.grey) {
            change.saturation = 0.0;
            change.hue = 0.0;
        }
        match channels {
            1 => change.apply_grey(out),
            _ => change.apply_colour(out),
        }
    }

    fn cut_out(
        &self,
        height: usize,
        width: usize,
        channels: usize,
        random: &mut SplitMix64,
        out: &mut [u8],
    ) {
        let share = random.between(self.cutout_scale.0, self.cutout_scale.1).sqrt();
        // The rectangle's shape varies like that of a crop.
        let ratio = random.between(-0.3, 0.3).exp();
        let side = |n: usize, factor: f32| ((n as f32 * share * factor).round() as usize).min(n);
        let (rows, columns) = (side(height, 1.0 / ratio), side(width, ratio));
        let top = random.below(height - rows + 1);
        let left = random.below(width - columns + 1);
        let mean = colour::means(out, channels);
        for row in out.chunks_exact_mut(width * channels).skip(top).take(rows) {
            for pixel in row.chunks_exact_mut(channels).skip(left).take(columns) {
                pixel.copy_from_slice(&mean[..channels]);
            }
        }
    }
}
