//! Images as encoders read them.

use crate::error::{Error, Result};

/// Most pixels of an image that is decoded: 64 million. A small file may claim any size.
pub const MAX_PIXELS: u64 = 64 << 20;

/// An image of 8-bit samples, `[height, width, channels]`, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// An image of `pixels` `[height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Argument`] when a size is 0, there are more than 4 channels, or `pixels` has
    /// another length than the sizes say.
    pub fn new(height: usize, width: usize, channels: usize, pixels: Vec<u8>) -> Result<Self> {
        let expected =
            height.checked_mul(width).and_then(|n| n.checked_mul(channels)).filter(|&n| n > 0);
        if expected != Some(pixels.len()) || channels > 4 {
            return Err(Error::Argument(format!(
                "{} bytes are no image of {width} by {height} pixels and {channels} channels of \
                 one byte; an image has at least one pixel and 1 to 4 channels",
                pixels.len()
            )));
        }
        Ok(Self { height, width, channels, pixels })
    }

    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pixels of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Samples of a pixel: 1 for grey, 2 for grey and alpha, 3 for red, green and blue, 4 for
    /// these and alpha.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The samples, `[height, width, channels]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The samples, to be changed in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The samples, without the image.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

#[cfg(feature = "images")]
mod decode {
    use std::io::Cursor;

    use image::imageops::FilterType;
    use image::{DynamicImage, ImageDecoder, ImageReader};

    use super::{Image, MAX_PIXELS};
    use crate::error::{Error, Result};

    impl Image {
        /// Decodes a file's bytes: PNG, JPEG, WebP or BMP, turned as its orientation says.
        /// Samples of 16 bits and floats become 8 bits; palettes become colours.
        ///
        /// # Errors
        /// [`Error::Argument`] when the bytes are none of these, are damaged, or have more
        /// than [`MAX_PIXELS`] pixels.
        pub fn decode(bytes: &[u8]) -> Result<Self> {
            let bad = |error: image::ImageError| {
                Error::Argument(format!("the image cannot be decoded: {error}"))
            };
            let reader = ImageReader::new(Cursor::new(bytes))
                .with_guessed_format()
                .map_err(|error| Error::Argument(format!("the image cannot be read: {error}")))?;
            let mut decoder = reader.into_decoder().map_err(bad)?;
            let (width, height) = decoder.dimensions();
            if u64::from(width) * u64::from(height) > MAX_PIXELS {
                return Err(Error::Argument(format!(
                    "the image has {width} by {height} pixels, more than {MAX_PIXELS}; make it \
                     smaller first"
                )));
            }
            let orientation = decoder.orientation().map_err(bad)?;
            let mut decoded = DynamicImage::from_decoder(decoder).map_err(bad)?;
            decoded.apply_orientation(orientation);
            let (width, height) = (decoded.width() as usize, decoded.height() as usize);
            let color = decoded.color();
            let (channels, pixels) = match (color.has_color(), color.has_alpha()) {
                (false, false) => (1, decoded.into_luma8().into_raw()),
                (false, true) => (2, decoded.into_luma_alpha8().into_raw()),
                (true, false) => (3, decoded.into_rgb8().into_raw()),
                (true, true) => (4, decoded.into_rgba8().into_raw()),
            };
            Self::new(height, width, channels, pixels)
        }

        /// The image with `channels` of 1 (grey, by ITU-R BT.709 luma) or 3; what is behind
        /// a transparent pixel is white.
        ///
        /// # Errors
        /// [`Error::Argument`] for another number of channels.
        pub fn with_channels(&self, channels: usize) -> Result<Self> {
            if channels == self.channels {
                return Ok(self.clone());
            }
            if !matches!(channels, 1 | 3) {
                return Err(Error::Argument(format!(
                    "an image cannot be given {channels} channels, only 1 or 3"
                )));
            }
            let color = self.channels > 2;
            let alpha = self.channels.is_multiple_of(2);
            let mut pixels = Vec::with_capacity(self.height * self.width * channels);
            for pixel in self.pixels.chunks_exact(self.channels) {
                let over = |sample: u8| match pixel.last() {
                    Some(&cover) if alpha => {
                        let cover = u32::from(cover);
                        ((u32::from(sample) * cover + 255 * (255 - cover) + 127) / 255) as u8
                    }
                    _ => sample,
                };
                match (color, channels) {
                    (false, _) => pixels.extend(std::iter::repeat_n(over(pixel[0]), channels)),
                    (true, 3) => pixels.extend(pixel[..3].iter().map(|&sample| over(sample))),
                    (true, _) => {
                        let [r, g, b] = [0, 1, 2].map(|i| u32::from(over(pixel[i])));
                        pixels.push(((2126 * r + 7152 * g + 722 * b + 5000) / 10_000) as u8);
                    }
                }
            }
            Self::new(self.height, self.width, channels, pixels)
        }

        /// The image stretched to other sizes, each output pixel the mean of what it covers
        /// (a triangle filter).
        ///
        /// # Errors
        /// [`Error::Argument`] when a size is 0 or too large.
        pub fn resized(&self, height: usize, width: usize) -> Result<Self> {
            if (height, width) == (self.height, self.width) {
                return Ok(self.clone());
            }
            let too_large = || {
                Error::Argument(format!("an image cannot be resized to {width} by {height} pixels"))
            };
            let size = |n: usize| u32::try_from(n).ok().filter(|&n| n > 0).ok_or_else(too_large);
            let (to_height, to_width) = (size(height)?, size(width)?);
            if u64::from(to_height) * u64::from(to_width) > MAX_PIXELS {
                return Err(too_large());
            }
            let (from_height, from_width) = (size(self.height)?, size(self.width)?);
            let pixels = self.pixels.clone();
            let image = match self.channels {
                1 => image::GrayImage::from_raw(from_width, from_height, pixels)
                    .map(DynamicImage::ImageLuma8),
                2 => image::GrayAlphaImage::from_raw(from_width, from_height, pixels)
                    .map(DynamicImage::ImageLumaA8),
                3 => image::RgbImage::from_raw(from_width, from_height, pixels)
                    .map(DynamicImage::ImageRgb8),
                _ => image::RgbaImage::from_raw(from_width, from_height, pixels)
                    .map(DynamicImage::ImageRgba8),
            };
            let image = image.ok_or_else(too_large)?;
            let resized = image.resize_exact(to_width, to_height, FilterType::Triangle);
            Self::new(height, width, self.channels, resized.into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert!(Image::new(2, 2, 1, vec![0; 4]).is_ok());
        for (h, w, c, n) in [(0, 2, 1, 0), (2, 2, 5, 20), (2, 2, 3, 4), (usize::MAX, 2, 1, 2)] {
            assert!(Image::new(h, w, c, vec![0; n]).is_err(), "{h} {w} {c} {n}");
        }
    }

    #[cfg(feature = "images")]
    #[test]
    fn grey_colour_and_transparency() {
        let grey = Image::new(1, 2, 2, vec![10, 255, 10, 0]).unwrap().with_channels(3).unwrap();
        assert_eq!(grey.pixels(), [10, 10, 10, 255, 255, 255]);
        let red = Image::new(1, 1, 3, vec![255, 0, 0]).unwrap();
        assert_eq!(red.with_channels(1).unwrap().pixels(), [54]);
        assert!(red.with_channels(2).is_err());
    }

    #[cfg(feature = "images")]
    #[test]
    fn shrinking_averages_and_bombs_are_refused() {
        let board = Image::new(4, 4, 1, (0..16).map(|i| 255 * ((i + i / 4) % 2) as u8).collect());
        let small = board.unwrap().resized(2, 2).unwrap();
        assert!(small.pixels().iter().all(|p| (110..=145).contains(p)), "{:?}", small.pixels());
        // A bitmap header that claims 20,000 by 20,000 pixels.
        let mut bomb = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bomb.extend(20_000i32.to_le_bytes());
        bomb.extend(20_000i32.to_le_bytes());
        bomb.extend([1, 0, 24, 0]);
        bomb.extend([0; 24]);
        let error = Image::decode(&bomb).unwrap_err().to_string();
        assert!(error.contains("20000 by 20000"), "{error}");
        assert!(Image::decode(b"no image").is_err());
    }
}
