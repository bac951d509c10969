//! Images: brought to the encoder's size and channels, and batches of them.

use std::borrow::Cow;

use ort::value::{DynValue, Tensor};

use super::batch::{Batch, Inputs, fixed_budget};
use super::{EmbedOptions, Encoder};
use crate::bundle::{ImageConfig, Modality};
use crate::embeddings::Embeddings;
use crate::error::{Error, Result, engine};
use crate::image::Image;

impl Encoder {
    /// Embeds images with the default options: row `i` is image `i`.
    ///
    /// # Errors
    /// As [`Self::embed_images_with`].
    pub fn embed_images(&self, images: &[Image]) -> Result<Embeddings> {
        self.embed_images_with(images, &EmbedOptions::default())
    }

    /// Embeds images: row `i` is image `i`, whatever batches were formed. Images of another
    /// size or other channels are brought to the encoder's ([`ImageConfig::fit`]).
    ///
    /// ```no_run
    /// use offshoot::{Encoder, Image};
    ///
    /// let encoder = Encoder::open("photos.offshoot")?;
    /// let image = Image::decode(&std::fs::read("wren.jpg")?)?;
    /// let embeddings = encoder.embed_images(&[image])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] when the encoder reads no images, or for more dimensions than
    /// there are; [`Error::Engine`] when ONNX Runtime fails.
    pub fn embed_images_with(
        &self,
        images: &[Image],
        options: &EmbedOptions,
    ) -> Result<Embeddings> {
        self.check(Modality::Image, options)?;
        let Some(config) = self.manifest().image else {
            return Err(self.reads_other(Modality::Image));
        };
        let inputs = Images { images, config, batch_rows: options.batch_rows };
        let vectors = self.embed_inputs(&*self.inner.loaded()?, &inputs, options)?;
        Ok(Embeddings::new(vectors, 0, vec![0; images.len()]))
    }
}

impl ImageConfig {
    /// The image as the encoder reads it: first with its number of channels
    /// ([`Image::with_channels`]), then stretched to its size ([`Image::resized`]).
    ///
    /// # Errors
    /// [`Error::Argument`] when the sizes cannot be. Without the feature `images`, for every
    /// image that has other sizes or channels.
    pub fn fit<'a>(&self, image: &'a Image) -> Result<Cow<'a, Image>> {
        if (image.height(), image.width(), image.channels())
            == (self.height, self.width, self.channels)
        {
            return Ok(Cow::Borrowed(image));
        }
        #[cfg(feature = "images")]
        return image
            .with_channels(self.channels)?
            .resized(self.height, self.width)
            .map(Cow::Owned);
        #[cfg(not(feature = "images"))]
        Err(Error::Argument(format!(
            "the image has {} by {} pixels of {} channels and the encoder reads {} by {} of {}; \
             resize it, or build with the feature `images`",
            image.width(),
            image.height(),
            image.channels(),
            self.width,
            self.height,
            self.channels
        )))
    }

    /// Samples of an image.
    fn values(&self) -> usize {
        self.height * self.width * self.channels
    }
}

/// Images as the graph reads them. Their length is in samples.
struct Images<'a> {
    images: &'a [Image],
    config: ImageConfig,
    batch_rows: usize,
}

impl Inputs for Images<'_> {
    fn lengths(&self) -> Vec<usize> {
        vec![self.config.values(); self.images.len()]
    }

    fn budget(&self) -> usize {
        fixed_budget(self.config.values(), self.batch_rows)
    }

    fn large(&self) -> usize {
        1 << 14
    }

    fn tensors(&self, batch: &Batch) -> Result<Vec<(&'static str, DynValue)>> {
        let mut pixels = Vec::with_capacity(batch.size());
        for &row in &batch.rows {
            let fitted = self.config.fit(&self.images[row]).map_err(|error| match error {
                Error::Argument(reason) => Error::Argument(format!("image {row}: {reason}")),
                other => other,
            })?;
            pixels.extend_from_slice(fitted.pixels());
        }
        let ImageConfig { height, width, channels } = self.config;
        let tensor = Tensor::from_array(([batch.rows.len(), height, width, channels], pixels))
            .map_err(engine("make the inputs of images"))?;
        Ok(vec![("pixels", tensor.into_dyn())])
    }
}
