//! What a run settles before its first step: sizes, normalisation, tokenizer.

use std::path::Path;
use std::sync::Arc;

use super::init::{self, Origin};
use super::options::{PretrainOptions, Start};
use super::tokenizer::{self, Prepared, TokenizerKind};
use crate::data::{Dataset, Kind, Moments, Report, check, moments};
use crate::encoders::{Architecture, Family, Normalization, Weights};
use crate::error::{Error, Result};
use crate::objectives::Tokens;

/// Examples that sizes and normalisation are taken from.
const SAMPLE: usize = 2000;
/// Largest share of the data that may be unreadable.
const MOST_UNREADABLE: f64 = 0.1;
/// Images are brought to at most this side unless another is asked for.
const SIDE: usize = 224;
/// The same for the length of signals.
const LENGTH: usize = 1024;

/// Residues that an encoder of proteins is given around each before its first layer.
const WINDOW: usize = 5;

/// A network for the data, with the tokenizer of an encoder of texts.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) encoder: Architecture,
    pub(super) tokenizer: Option<Arc<Prepared>>,
    /// Channels of images and signals.
    pub(super) channels: usize,
    /// What the encoder is continued from.
    pub(super) origin: Option<Arc<Origin>>,
}

impl Setup {
    /// The first weights: those of the encoder that is continued from, all others drawn.
    pub(super) fn weights(&self, seed: u64) -> Weights {
        match &self.origin {
            Some(origin) => Weights::partly(origin.weights.clone(), seed),
            None => Weights::random(seed),
        }
    }
}

/// Settles everything by the data and the options.
pub(super) fn settle(data: &dyn Dataset, options: &PretrainOptions) -> Result<Setup> {
    let family = match &options.start {
        Start::Init { bundle } => {
            look(data)?;
            return init::read(bundle, data.kind(), options);
        }
        Start::Fresh { family } => options.family(*family, data.kind())?,
    };
    match data.kind() {
        Kind::Text => {
            let wordless = || {
                Error::Pretrain(
                    "no text has a word to learn from; look at the data, and at the column that \
                     is read"
                        .into(),
                )
            };
            let report = look(data)?;
            if report.empty + report.unreadable == report.sampled {
                return Err(wordless());
            }
            let json = tokenizer::train(data, options.tokenizer, options.vocabulary, options.seed)?;
            let prepared = tokenizer::open(json, options.max_tokens, Path::new("tokenizer.json"))?;
            let Tokens { vocabulary, special, .. } = &prepared.tokens;
            if *vocabulary <= special.len() {
                return Err(wordless());
            }
            let causal = family == Family::CausalTransformer;
            let window = if options.tokenizer == TokenizerKind::Residues { WINDOW } else { 1 };
            let encoder = options.size.tokens(*vocabulary, options.max_tokens, causal, window);
            let encoder = encoder.configured(&options.configuration)?;
            Ok(Setup { encoder, tokenizer: Some(Arc::new(prepared)), channels: 0, origin: None })
        }
        Kind::Image => {
            let (size, normalization) = sample_images(data, options)?;
            let encoder = options.size.image(family, size, normalization);
            let encoder = encoder.configured(&options.configuration)?;
            Ok(Setup { encoder, tokenizer: None, channels: size[2], origin: None })
        }
        Kind::Signal => {
            let (size, normalization) = sample_signals(data, options)?;
            let encoder = options.size.signal(family, size, normalization);
            let encoder = encoder.configured(&options.configuration)?;
            Ok(Setup { encoder, tokenizer: None, channels: size[0], origin: None })
        }
    }
}

/// The setup of a run that goes on.
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
    Ok(Setup { encoder, tokenizer, channels, origin: None })
}

impl PretrainOptions {
    /// The family that was asked for, or that suits the kind and the objectives best.
    fn family(&self, family: Option<Family>, kind: Kind) -> Result<Family> {
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

/// Side of square images, or of what others are cropped and stretched to.
fn image_sides(report: &Report) -> usize {
    let ((low_height, height), (low_width, width)) =
        (report.heights.unwrap_or((SIDE, SIDE)), report.widths.unwrap_or((SIDE, SIDE)));
    if low_height == height && low_width == width && height == width && height <= SIDE {
        // A multiple of 4 has patches.
        return height.next_multiple_of(4);
    }
    (low_height.min(low_width).min(SIDE) / 32 * 32).max(32)
}

fn sample_images(
    data: &dyn Dataset,
    options: &PretrainOptions,
) -> Result<([usize; 3], Normalization)> {
    let report = look(data)?;
    let side = options.image_size.unwrap_or_else(|| image_sides(&report));
    let channels = if report.channels.keys().any(|&channels| channels > 2) { 3 } else { 1 };
    let Moments { means, deviations } = moments(data, SAMPLE, channels)?;
    let bytes = |values: Vec<f32>| values.into_iter().map(|v| 255.0 * v).collect();
    let normalization = Normalization { mean: bytes(means), deviation: bytes(deviations) };
    Ok(([side, side, channels], normalization))
}

fn sample_signals(
    data: &dyn Dataset,
    options: &PretrainOptions,
) -> Result<([usize; 2], Normalization)> {
    let report = look(data)?;
    let most = report.channels.iter().max_by_key(|(_, count)| **count);
    let channels = most.map_or(1, |(channels, _)| *channels);
    let length = report.lengths.map_or(2, |(_, middle, _)| middle.min(LENGTH));
    let length = options.signal_length.unwrap_or(length).max(2);
    let Moments { means, deviations } = moments(data, SAMPLE, channels)?;
    Ok(([channels, length], Normalization { mean: means, deviation: deviations }))
}

/// A look at a sample; refused where too much of it cannot be read.
fn look(data: &dyn Dataset) -> Result<Report> {
    let report = check(data, SAMPLE);
    let share = report.unreadable_share();
    if share > MOST_UNREADABLE {
        return Err(Error::Pretrain(format!(
            "{:.0} % of the data cannot be read; the first: {}",
            100.0 * share,
            report.named.first().or(report.left_out.named.first()).map_or("", String::as_str)
        )));
    }
    Ok(report)
}
