//! What encoders are compared on.

use ndarray::{Array2, Array3, Axis};
use offshoot::bundle::{Modality, SignalConfig};
use offshoot::{Embeddings, Encoder, Image};

use crate::error::{Error, Result};

/// An input of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A text.
    Text(String),
    /// An image of any size.
    Image(Image),
    /// A window of a signal as the encoder reads it, `[channels, length]`.
    Signal(Array2<f32>),
}

impl Input {
    fn modality(&self) -> Modality {
        match self {
            Self::Text(_) => Modality::Text,
            Self::Image(_) => Modality::Image,
            Self::Signal(_) => Modality::Signal,
        }
    }
}

/// An input to compare encoders on.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its row in the table that it came from, for messages.
    pub row: u64,
    /// The input.
    pub input: Input,
    /// Its class, where it is known.
    pub label: Option<String>,
}

/// Inputs together, as one call embeds them.
pub(crate) enum Inputs<'a> {
    Texts(Vec<&'a str>),
    Images(Vec<Image>),
    Signals(Array3<f32>),
}

impl<'a> Inputs<'a> {
    /// Gathers inputs for `encoder`.
    pub(crate) fn of(
        encoder: &Encoder,
        inputs: impl IntoIterator<Item = &'a Input>,
    ) -> Result<Self> {
        let manifest = encoder.manifest();
        let other = |input: &Input| {
            Error::Quantize(format!(
                "the encoder {:?} reads {} and cannot be compared on {}",
                manifest.name,
                manifest.modality.plural(),
                input.modality().plural()
            ))
        };
        let inputs = inputs.into_iter();
        if let Some(config) = manifest.image {
            let image = |input: &Input| match input {
                Input::Image(image) => Ok(config.fit(image)?.into_owned()),
                _ => Err(other(input)),
            };
            return Ok(Self::Images(inputs.map(image).collect::<Result<_>>()?));
        }
        if let Some(config) = &manifest.signal {
            let signal = |input: &'a Input| match input {
                Input::Signal(signal) => Ok(signal),
                _ => Err(other(input)),
            };
            let signals: Vec<&Array2<f32>> = inputs.map(signal).collect::<Result<_>>()?;
            return Ok(Self::Signals(stacked(&signals, config)?));
        }
        let text = |input: &'a Input| match input {
            Input::Text(text) => Ok(text.as_str()),
            _ => Err(other(input)),
        };
        Ok(Self::Texts(inputs.map(text).collect::<Result<_>>()?))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Images(images) => images.len(),
            Self::Signals(windows) => windows.len_of(Axis(0)),
        }
    }

    /// Embeds them.
    pub(crate) fn embed(&self, encoder: &Encoder) -> Result<Embeddings> {
        Ok(match self {
            Self::Texts(texts) => encoder.embed(texts)?,
            Self::Images(images) => encoder.embed_images(images)?,
            Self::Signals(windows) => encoder.embed_signals(windows.view())?,
        })
    }
}

fn stacked(signals: &[&Array2<f32>], config: &SignalConfig) -> Result<Array3<f32>> {
    let mut windows = Array3::zeros((signals.len(), config.channels, config.length));
    for (mut window, signal) in windows.outer_iter_mut().zip(signals) {
        if signal.dim() != window.dim() {
            return Err(Error::Quantize(format!(
                "a signal has {} channels of {} samples and the encoder reads {} of {}",
                signal.nrows(),
                signal.ncols(),
                config.channels,
                config.length
            )));
        }
        window.assign(signal);
    }
    Ok(windows)
}
