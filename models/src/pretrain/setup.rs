//! What a run settles before its first step: sizes, normalisation, tokenizer.

use std::path::Path;
use std::sync::Arc;

use super::options::{PretrainOptions, Start};
use super::tokenizer::{self, Prepared};
use crate::data::{Dataset, Example, Kind, Permutation};
use crate::encoders::{Architecture, Family, Normalization};
use crate::error::{Error, Result};

/// Examples that sizes and normalisation are taken from.
const SAMPLE: usize = 2000;
/// Images are brought to at most this side unless another is asked for.
const SIDE: usize = 224;
/// The same for the length of signals.
const LENGTH: usize = 1024;

/// A network for the data, with the tokenizer of an encoder of texts.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) encoder: Architecture,
    pub(super) tokenizer: Option<Arc<Prepared>>,
    /// Channels of images and signals.
    pub(super) channels: usize,
}

/// Settles everything by the data and the options.
pub(super) fn settle(data: &dyn Dataset, options: &PretrainOptions) -> Result<Setup> {
    let family = options.family(data.kind())?;
    match data.kind() {
        Kind::Text => {
            let json = tokenizer::train(
                data,
                options.tokenizer,
                options.vocabulary,
                options.seed,
            )?;
            let prepared = tokenizer::open(json, options.max_tokens, Path::new("tokenizer.json"))?;
            let causal = family == Family::CausalTransformer;
            let encoder =
                options.size.tokens(prepared.tokens.vocabulary, options.max_tokens, causal);
            Ok(Setup { encoder, tokenizer: Some(Arc::new(prepared)), channels: 0 })
        }
        Kind::Image => {
            let found = sample_images(data, options)?;
            let size = [found.height, found.width, found.channels];
            let encoder = options.size.image(family, size, found.normalization);
            Ok(Setup { encoder, tokenizer: None, channels: found.channels })
        }
        Kind::Signal => {
            let found = sample_signals(data, options)?;
            let size = [found.channels, found.length];
            let encoder = options.size.signal(family, size, found.normalization);
            Ok(Setup { encoder, tokenizer: None, channels: found.channels })
        }
    }
}

/// The setup of an encoder that is there already.
pub(super) fn resumed(
    encoder: Architecture,
    tokenizer_json: Option<Vec<u8>>,
    path: &Path,
) -> Result<Setup> {
    let tokenizer = match (&encoder, tokenizer_json) {
        (Architecture::TokenTransformer(t), Some(json)) => {
            Some(Arc::new(tokenizer::open(json, t.max_tokens, path)?))
        }
        (Architecture::TokenTransformer(_), None) => {
            return Err(Error::Pretrain(format!("{} has no tokenizer", path.display())));
        }
        _ => None,
    };
    let channels = encoder.normalization().map_or(0, |n| n.mean.len());
    Ok(Setup { encoder, tokenizer, channels })
}

impl PretrainOptions {
    /// The family that was asked for, or that suits the kind and the objectives best.
    fn family(&self, kind: Kind) -> Result<Family> {
        let Start::Fresh { family } = self.start else {
            return Err(Error::Pretrain("the encoder is there already".into()));
        };
        let wants = |name: &str| self.objectives.iter().any(|o| o.objective.name() == name);
        let suits = match kind {
            Kind::Text if wants("autoregressive") => Family::CausalTransformer,
            Kind::Text => Family::Transformer,
            Kind::Image if wants("masked-patches") => Family::VisionTransformer,
            Kind::Image => Family::ShiftMixer,
            Kind::Signal if wants("masked-patches") => Family::SignalTransformer,
            Kind::Signal => Family::SignalNetwork,
        };
        let family = family.unwrap_or(suits);
        if family.kind() != kind {
            return Err(Error::Pretrain(format!(
                "a {} reads {} and the data has {}",
                family.name(),
                family.kind().plural(),
                kind.plural()
            )));
        }
        Ok(family)
    }
}

/// Sums of values by channel.
struct Moments {
    count: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn new(channels: usize) -> Self {
        let zeros = || vec![0.0; channels];
        Self { count: zeros(), sum: zeros(), squares: zeros() }
    }

    fn add(&mut self, channel: usize, value: f32) {
        let value = f64::from(value);
        self.count[channel] += 1.0;
        self.sum[channel] += value;
        self.squares[channel] += value * value;
    }

    fn normalization(&self) -> Normalization {
        let each = self.count.iter().zip(&self.sum).zip(&self.squares);
        let (mean, deviation) = each
            .map(|((count, sum), squares)| {
                let count = count.max(1.0);
                let mean = sum / count;
                let variance = (squares / count - mean * mean).max(0.0);
                let deviation = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
                (mean as f32, deviation as f32)
            })
            .unzip();
        Normalization { mean, deviation }
    }
}

struct Images {
    height: usize,
    width: usize,
    channels: usize,
    normalization: Normalization,
}

fn numbers(data: &dyn Dataset, seed: u64) -> impl Iterator<Item = usize> {
    let order = Permutation::new(data.len(), seed, "sample", 0);
    (0..data.len().min(SAMPLE)).map(move |at| order.at(at))
}

fn sample_images(data: &dyn Dataset, options: &PretrainOptions) -> Result<Images> {
    let mut images = Vec::new();
    for index in numbers(data, options.seed) {
        if let Ok(Example::Image(image)) = data.get(index) {
            // Small copies are enough for means, and a sample of photographs fits memory.
            let (height, width) = (image.height(), image.width());
            let side = height.min(64);
            let small = image.resized(side, (width * side / height).clamp(1, 256))?;
            images.push((height, width, small));
        }
    }
    let middle = |mut sizes: Vec<usize>| {
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).copied().unwrap_or(0)
    };
    if images.is_empty() {
        return Err(Error::Pretrain("no image of a sample could be read".into()));
    }
    let color = images.iter().any(|(_, _, image)| image.channels() > 2);
    let channels = if color { 3 } else { 1 };
    let (height, width) = match options.image_size {
        Some(side) => (side, side),
        None => {
            let height = middle(images.iter().map(|(height, ..)| *height).collect());
            let width = middle(images.iter().map(|(_, width, _)| *width).collect());
            if height == width && height <= SIDE {
                // A multiple of 4 has patches.
                let side = height.next_multiple_of(4);
                (side, side)
            } else {
                let side = height.min(width).min(SIDE) / 32 * 32;
                (side.max(32), side.max(32))
            }
        }
    };
    let mut moments = Moments::new(channels);
    for (_, _, image) in images {
        let image = image.with_channels(channels)?;
        for (at, &sample) in image.pixels().iter().enumerate() {
            moments.add(at % channels, f32::from(sample));
        }
    }
    Ok(Images { height, width, channels, normalization: moments.normalization() })
}

struct Signals {
    channels: usize,
    length: usize,
    normalization: Normalization,
}

fn sample_signals(data: &dyn Dataset, options: &PretrainOptions) -> Result<Signals> {
    let mut signals = Vec::new();
    for index in numbers(data, options.seed) {
        if let Ok(Example::Signal(signal)) = data.get(index)
            && signal.iter().all(|v| v.is_finite())
            && signal.ncols() > 1
        {
            signals.push(signal);
        }
    }
    let Some(first) = signals.first() else {
        return Err(Error::Pretrain(
            "no signal of a sample could be read and was finite".into(),
        ));
    };
    let channels = first.nrows();
    let mut lengths: Vec<usize> = signals.iter().map(|signal| signal.ncols()).collect();
    lengths.sort_unstable();
    let middle = lengths.get(lengths.len() / 2).copied().unwrap_or(2);
    let length = options.signal_length.unwrap_or_else(|| middle.min(LENGTH));
    let mut moments = Moments::new(channels);
    for signal in signals.iter().filter(|signal| signal.nrows() == channels) {
        for (channel, samples) in signal.outer_iter().enumerate() {
            samples.iter().for_each(|&sample| moments.add(channel, sample));
        }
    }
    Ok(Signals { channels, length: length.max(2), normalization: moments.normalization() })
}
