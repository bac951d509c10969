//! Heads with the encoder that they belong to.

use std::num::NonZeroUsize;
use std::path::Path;

use offshoot::bundle::Bundle;
use offshoot::{EmbedOptions, Encoder, Prompt};
use offshoot_adapters::{Error, HeadFile};

use crate::encoder::{EncoderArgs, Truncate, bundle_failure};
use crate::failure::Result;

/// A head and its encoder, open, and how the head wants texts embedded.
#[derive(Debug)]
pub(crate) struct Classifier {
    pub(crate) encoder: Encoder,
    pub(crate) file: HeadFile,
    pub(crate) options: EmbedOptions,
}

impl Classifier {
    /// Opens both. The head is refused before the encoder is opened if it belongs to
    /// another one.
    pub(crate) fn open(
        bundle: &Path,
        head: &Path,
        encoder: &EncoderArgs,
        truncate: Truncate,
    ) -> Result<Self> {
        let file = HeadFile::load(head)?;
        let found = Bundle::open(bundle).map_err(|error| bundle_failure(bundle, error))?;
        if file.encoder.digest != found.digest() {
            return Err(Error::OtherEncoder {
                path: head.to_owned(),
                encoder: file.encoder.name,
                found: file.encoder.digest,
                wanted: found.digest().to_owned(),
            }
            .into());
        }
        let encoder = encoder.open(bundle)?;
        let width = file.encoder.dimensions;
        let options = EmbedOptions {
            prompt: file.encoder.prompt.clone().map_or(Prompt::None, Prompt::Text),
            dimensions: NonZeroUsize::new(width).filter(|_| width != encoder.dimensions()),
            truncation: truncate.into(),
            ..EmbedOptions::default()
        };
        Ok(Self { encoder, file, options })
    }
}
