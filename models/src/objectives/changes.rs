//! Examples changed for objectives that ask what was done to them, or how they were.

use ndarray::{Array2, Axis, Slice};
use offshoot::{Image, resample};

use super::feed::{pixels_feed, signals_feed, wrong};
use super::{Batch, Draw, Feed, Preparation, Rows};
use crate::augment::ImageAugmentation;
use crate::data::Kind;
use crate::error::Result;

impl Preparation {
    /// One view of every image, changed by `change`.
    pub(super) fn images(
        &self,
        prefix: &str,
        batch: &Batch,
        draw: &Draw,
        change: &mut dyn FnMut(usize, &Image) -> Result<Image>,
    ) -> Result<Feed> {
        let Rows::Images(images) = &batch.rows else { return Err(wrong(batch, Kind::Image)) };
        let size = self.image_size()?;
        let mut pixels = Vec::with_capacity(images.len() * size.iter().product::<usize>());
        for (row, image) in images.iter().enumerate() {
            let mut random = draw.stream("view", &[row as u64]);
            let mut view = vec![0; size.iter().product()];
            self.images.apply(image, size[0], size[1], size[2], &mut random, &mut view)?;
            let view = Image::new(size[0], size[1], size[2], view)?;
            pixels.extend(change(row, &view)?.into_pixels());
        }
        pixels_feed(prefix, images.len(), size, pixels)
    }

    /// Every signal at the encoder's length, changed by `change`.
    pub(super) fn signals(
        &self,
        prefix: &str,
        batch: &Batch,
        change: &mut dyn FnMut(usize, Array2<f32>) -> Result<Array2<f32>>,
    ) -> Result<Feed> {
        let Rows::Signals(signals) = &batch.rows else { return Err(wrong(batch, Kind::Signal)) };
        let size = self.signal_size()?;
        let mut samples = Vec::with_capacity(signals.len() * size[0] * size[1]);
        for (row, signal) in signals.iter().enumerate() {
            samples.extend(change(row, resample(signal.view(), size[1]))?);
        }
        signals_feed(prefix, signals.len(), size, samples)
    }

    /// `count` pieces of every signal, of half its length or more, brought to the encoder's
    /// length; first pieces first.
    pub(super) fn pieces(
        &self,
        prefix: &str,
        batch: &Batch,
        draw: &Draw,
        count: usize,
    ) -> Result<Feed> {
        let Rows::Signals(signals) = &batch.rows else { return Err(wrong(batch, Kind::Signal)) };
        let size = self.signal_size()?;
        let mut samples = Vec::with_capacity(count * signals.len() * size[0] * size[1]);
        for view in 0..count as u64 {
            for (row, signal) in signals.iter().enumerate() {
                let mut random = draw.stream("piece", &[row as u64, view]);
                let whole = signal.ncols();
                let length = whole.div_ceil(2) + random.below(whole / 2 + 1);
                let start = random.below(whole - length.min(whole) + 1);
                let piece =
                    signal.slice_axis(Axis(1), Slice::from(start..start + length.min(whole)));
                samples.extend(resample(piece, size[1]));
            }
        }
        signals_feed(prefix, count * signals.len(), size, samples)
    }

    /// Every example cropped and mirrored, its values left as they are.
    pub(super) fn cropped(&self, prefix: &str, batch: &Batch, draw: &Draw) -> Result<Feed> {
        match &batch.rows {
            Rows::Images(images) => {
                let size = self.image_size()?;
                let mild = ImageAugmentation {
                    crop_scale: self.images.crop_scale,
                    crop_ratio: self.images.crop_ratio,
                    flip: self.images.flip,
                    ..ImageAugmentation::none()
                };
                let bytes: usize = size.iter().product();
                let mut pixels = vec![0; images.len() * bytes];
                for ((row, image), out) in
                    images.iter().enumerate().zip(pixels.chunks_exact_mut(bytes))
                {
                    let mut random = draw.stream("crop", &[row as u64]);
                    mild.apply(image, size[0], size[1], size[2], &mut random, out)?;
                }
                pixels_feed(prefix, images.len(), size, pixels)
            }
            _ => self.pieces(prefix, batch, draw, 1),
        }
    }

    /// Every example damaged: noise of a quarter of the values' deviation, and a third of it
    /// replaced by the mean, in blocks.
    pub(super) fn damaged(&self, prefix: &str, batch: &Batch, draw: &Draw) -> Result<Feed> {
        let normalization = self.normalization()?.clone();
        match &batch.rows {
            Rows::Images(images) => {
                let size = self.image_size()?;
                let [height, width, channels] = size;
                let block = (height.min(width) / 7).max(1);
                let mut pixels = Vec::with_capacity(images.len() * size.iter().product::<usize>());
                for (row, image) in images.iter().enumerate() {
                    let mut random = draw.stream("damage", &[row as u64]);
                    let across = width.div_ceil(block);
                    let gone: Vec<bool> = (0..across * height.div_ceil(block))
                        .map(|_| random.chance(1.0 / 3.0))
                        .collect();
                    let clean = image.resized(height, width)?;
                    for (at, &sample) in clean.pixels().iter().enumerate() {
                        let (place, channel) = (at / channels, at % channels);
                        let (y, x) = (place / width, place % width);
                        let hidden = gone[y / block * across + x / block];
                        let value =
                            if hidden { normalization.mean[channel] } else { f32::from(sample) };
                        let noise = 0.25 * normalization.deviation[channel] * random.normal();
                        pixels.push((value + noise).round().clamp(0.0, 255.0) as u8);
                    }
                }
                pixels_feed(prefix, images.len(), size, pixels)
            }
            _ => self.signals(prefix, batch, &mut |row, mut signal| {
                let mut random = draw.stream("damage", &[row as u64]);
                let length = signal.ncols();
                let block = (length / 10).max(1);
                let gone: Vec<bool> =
                    (0..length.div_ceil(block)).map(|_| random.chance(1.0 / 3.0)).collect();
                for (channel, mut samples) in signal.outer_iter_mut().enumerate() {
                    let (mean, deviation) =
                        (normalization.mean[channel], normalization.deviation[channel]);
                    for (at, sample) in samples.iter_mut().enumerate() {
                        if gone[at / block] {
                            *sample = mean;
                        }
                        *sample += 0.25 * deviation * random.normal();
                    }
                }
                Ok(signal)
            }),
        }
    }

    /// Normalised values of every example, at other sizes.
    pub(super) fn shrunk(&self, batch: &Batch, sizes: &[usize]) -> Result<Vec<f32>> {
        let normalization = self.normalization()?;
        let normal = |value: f32, channel: usize| {
            (value - normalization.mean[channel]) / normalization.deviation[channel].max(1e-12)
        };
        let mut values = Vec::with_capacity(batch.len() * sizes.iter().product::<usize>());
        match (&batch.rows, sizes) {
            (Rows::Images(images), &[height, width, channels]) => {
                for image in images {
                    let small = image.resized(height, width)?;
                    let samples = small.pixels().iter().enumerate();
                    values.extend(samples.map(|(at, &v)| normal(f32::from(v), at % channels)));
                }
            }
            (Rows::Signals(signals), &[_, length]) => {
                for signal in signals {
                    let small = resample(signal.view(), length);
                    for (channel, samples) in small.outer_iter().enumerate() {
                        values.extend(samples.iter().map(|&v| normal(v, channel)));
                    }
                }
            }
            _ => return Err(wrong(batch, self.encoder().kind())),
        }
        Ok(values)
    }
}
