//! From examples to what an objective's graph is fed.

use ndarray::{Array1, Array2, Array3, Array4};
use offshoot::trainer::Tensor;

use super::{Batch, Rows, Tokens};
use crate::augment::tokens::{Masking, drop_tokens, span_of};
use crate::augment::{
    AugmentationSettings, ImageAugmentation, SignalAugmentation, TokenAugmentation,
};
use crate::data::Kind;
use crate::encoders::{Architecture, Normalization};
use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// Names and values of a graph's inputs.
pub type Feed = Vec<(String, Tensor<'static>)>;

/// Random numbers of one step: a stream for every purpose and row.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The step, from 0.
    pub step: u64,
    /// What the numbers are for, such as the objective's name.
    pub purpose: &'a str,
}

impl Draw<'_> {
    /// The stream of a purpose within the step, and of further numbers.
    pub fn stream(&self, purpose: &str, within: &[u64]) -> SplitMix64 {
        let purpose = format!("{}.{purpose}", self.purpose);
        SplitMix64::stream(self.seed, &purpose, &[&[self.step][..], within].concat())
    }
}

/// How examples become what an encoder reads, and how views of them are drawn.
#[derive(Debug, Clone)]
pub struct Preparation {
    encoder: Architecture,
    tokens: Option<Tokens>,
    /// Views of images.
    pub images: ImageAugmentation,
    /// Views of signals.
    pub signals: SignalAugmentation,
    /// Views of texts.
    pub texts: TokenAugmentation,
}

impl Preparation {
    /// The preparation for an encoder; `tokens` are those of an encoder of tokens.
    pub fn new(encoder: Architecture, tokens: Option<Tokens>) -> Self {
        let grey = matches!(encoder.image_size(), Some([_, _, 1]));
        Self {
            encoder,
            tokens,
            images: if grey {
                ImageAugmentation::grey_shapes()
            } else {
                ImageAugmentation::natural()
            },
            signals: SignalAugmentation::sensors(),
            texts: TokenAugmentation::default(),
        }
    }

    /// The same with other views of the encoder's kind of data.
    ///
    /// # Errors
    /// [`Error::Argument`] when the settings do not suit it.
    pub fn augmented(mut self, settings: &AugmentationSettings) -> Result<Self> {
        if self.encoder.image_size().is_some() {
            self.images = settings.images(&self.images)?;
        } else if self.encoder.signal_size().is_some() {
            self.signals = settings.signals(&self.signals)?;
        } else {
            self.texts = settings.tokens(self.texts)?;
        }
        Ok(self)
    }

    /// The encoder.
    pub fn encoder(&self) -> &Architecture {
        &self.encoder
    }

    /// What the tokenizer's ids mean.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when the encoder is not one of tokens.
    pub fn token_rules(&self) -> Result<&Tokens> {
        self.tokens.as_ref().ok_or_else(|| Error::Pretrain("there is no tokenizer".into()))
    }

    /// The texts of a batch; of one that is longer than the encoder takes a part that begins
    /// anywhere.
    pub(super) fn texts(&self, batch: &Batch, draw: &Draw) -> Result<Vec<Vec<u32>>> {
        let Rows::Texts(rows) = &batch.rows else {
            return Err(wrong(batch, Kind::Text));
        };
        let part = |(row, text): (usize, &Vec<u32>)| {
            self.part_of(text, 1.0, &mut draw.stream("part", &[row as u64]))
        };
        rows.iter().enumerate().map(part).collect()
    }

    /// A part of a text that begins anywhere, of this share of its tokens or of as many as the
    /// encoder takes.
    pub(super) fn part_of(
        &self,
        text: &[u32],
        share: f32,
        random: &mut SplitMix64,
    ) -> Result<Vec<u32>> {
        let rules = self.token_rules()?;
        let special = |id| rules.special.contains(&id);
        let kept = text.iter().filter(|&&id| special(id)).count();
        let fits = text.len().min(rules.max_tokens).saturating_sub(kept);
        let length = ((fits as f32 * share).ceil() as usize).clamp(1, fits.max(1));
        Ok(span_of(text, length, special, random))
    }

    /// The labels of a batch.
    pub(super) fn labels(&self, batch: &Batch) -> Result<Vec<i64>> {
        if batch.labels.len() != batch.len() {
            return Err(Error::Pretrain(
                "this objective reads labels and the data has none; name their column, or choose \
                 an objective without labels"
                    .into(),
            ));
        }
        Ok(batch.labels.clone())
    }

    /// Ids and mask of rows of tokens, filled up to the longest.
    pub(super) fn tokens(&self, prefix: &str, rows: &[Vec<u32>]) -> Result<Feed> {
        let rules = self.token_rules()?;
        let width = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let mut ids = Array2::from_elem((rows.len(), width), i64::from(rules.pad));
        let mut mask = Array2::<i64>::zeros((rows.len(), width));
        for (row, tokens) in rows.iter().enumerate() {
            for (at, &token) in tokens.iter().enumerate() {
                ids[[row, at]] = i64::from(token);
                mask[[row, at]] = 1;
            }
        }
        Ok(vec![
            (format!("{prefix}input_ids"), ids.into()),
            (format!("{prefix}attention_mask"), mask.into()),
        ])
    }

    /// Rows with a share of their tokens hidden, flat places of those and what they were. Of
    /// the hidden ones `shares` are the mask token and random tokens, the rest stays.
    pub(super) fn masked(
        &self,
        prefix: &str,
        batch: &Batch,
        draw: &Draw,
        share: f32,
        shares: [f32; 2],
    ) -> Result<Feed> {
        let rules = self.token_rules()?;
        let mut rows = self.texts(batch, draw)?;
        let width = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        let vocabulary = rules.vocabulary as u32;
        let mut masking = Masking::new(rules.mask, vocabulary, &rules.special)?;
        (masking.rate, masking.to_mask, masking.to_random) = (share, shares[0], shares[1]);
        for (row, tokens) in rows.iter_mut().enumerate() {
            let mut random = draw.stream("masked", &[row as u64]);
            for (at, label) in masking.mask_row(tokens, &mut random) {
                positions.push((row * width + at) as i64);
                labels.push(i64::from(label));
            }
        }
        if positions.is_empty() {
            // A batch of empty texts: one place that is ignored keeps the graph's shapes.
            positions.push(0);
            labels.push(-100);
        }
        let mut feed = self.tokens(prefix, &rows)?;
        feed.push(integers(&format!("{prefix}positions"), positions));
        feed.push(integers(&format!("{prefix}labels"), labels));
        Ok(feed)
    }

    /// `count` views of every row, first views first.
    pub(super) fn views(
        &self,
        name: &str,
        batch: &Batch,
        draw: &Draw,
        count: usize,
    ) -> Result<Feed> {
        let prefix = format!("{name}.");
        match &batch.rows {
            Rows::Texts(texts) => {
                let rules = self.token_rules()?;
                let mut rows = Vec::with_capacity(count * texts.len());
                for view in 0..count as u64 {
                    for (row, text) in texts.iter().enumerate() {
                        let mut random = draw.stream("view", &[row as u64, view]);
                        let special = |id| rules.special.contains(&id);
                        let share = random.between(self.texts.span, 1.0);
                        let part = self.part_of(text, share, &mut random)?;
                        rows.push(drop_tokens(&part, self.texts.dropout, special, &mut random));
                    }
                }
                self.tokens(&prefix, &rows)
            }
            Rows::Images(images) => {
                let size = self.image_size()?;
                let bytes: usize = size.iter().product();
                let mut pixels = vec![0; count * images.len() * bytes];
                let places = pixels.chunks_exact_mut(bytes);
                let rows = (0..count as u64)
                    .flat_map(|view| images.iter().enumerate().map(move |row| (view, row)));
                for (out, (view, (row, image))) in places.zip(rows) {
                    let mut random = draw.stream("view", &[row as u64, view]);
                    self.images.apply(image, size[0], size[1], size[2], &mut random, out)?;
                }
                pixels_feed(&prefix, count * images.len(), size, pixels)
            }
            Rows::Signals(signals) => {
                let size = self.signal_size()?;
                let numbers = size[0] * size[1];
                let mut samples = vec![0.0; count * signals.len() * numbers];
                let places = samples.chunks_exact_mut(numbers.max(1));
                let rows = (0..count as u64)
                    .flat_map(|view| signals.iter().enumerate().map(move |row| (view, row)));
                for (out, (view, (row, signal))) in places.zip(rows) {
                    let mut random = draw.stream("view", &[row as u64, view]);
                    let Normalization { mean, deviation } = self.normalization()?;
                    let view = signal.view();
                    self.signals.apply(view, size[1], mean, deviation, &mut random, out)?;
                    // The graph normalises what it is given.
                    let channels = mean.iter().zip(deviation).zip(out.chunks_exact_mut(size[1]));
                    for ((mean, deviation), samples) in channels {
                        samples.iter_mut().for_each(|v| *v = *v * deviation + mean);
                    }
                }
                signals_feed(&prefix, count * signals.len(), size, samples)
            }
        }
    }

    /// Every example without changes, as the encoder reads it when it is used.
    pub fn plain(&self, prefix: &str, batch: &Batch) -> Result<Feed> {
        match &batch.rows {
            Rows::Texts(texts) => self.tokens(prefix, texts),
            Rows::Images(images) => {
                let size = self.image_size()?;
                let mut pixels = Vec::with_capacity(images.len() * size.iter().product::<usize>());
                for image in images {
                    pixels.extend(image.resized(size[0], size[1])?.into_pixels());
                }
                pixels_feed(prefix, images.len(), size, pixels)
            }
            Rows::Signals(_) => self.signals(prefix, batch, &mut |_, signal| Ok(signal)),
        }
    }

    pub(super) fn image_size(&self) -> Result<[usize; 3]> {
        self.encoder
            .image_size()
            .ok_or_else(|| Error::Pretrain("the encoder does not read images".into()))
    }

    pub(super) fn signal_size(&self) -> Result<[usize; 2]> {
        self.encoder
            .signal_size()
            .ok_or_else(|| Error::Pretrain("the encoder does not read signals".into()))
    }

    pub(super) fn normalization(&self) -> Result<&Normalization> {
        self.encoder
            .normalization()
            .ok_or_else(|| Error::Pretrain("the encoder does not read numbers".into()))
    }
}

pub(super) fn pixels_feed(
    prefix: &str,
    rows: usize,
    size: [usize; 3],
    pixels: Vec<u8>,
) -> Result<Feed> {
    let array = Array4::from_shape_vec((rows, size[0], size[1], size[2]), pixels);
    let array = array.map_err(|error| Error::Pretrain(format!("a batch of images: {error}")))?;
    Ok(vec![(format!("{prefix}pixels"), array.into())])
}

pub(super) fn signals_feed(
    prefix: &str,
    rows: usize,
    size: [usize; 2],
    samples: Vec<f32>,
) -> Result<Feed> {
    let array = Array3::from_shape_vec((rows, size[0], size[1]), samples);
    let array = array.map_err(|error| Error::Pretrain(format!("a batch of signals: {error}")))?;
    Ok(vec![(format!("{prefix}signals"), array.into())])
}

pub(super) fn wrong(batch: &Batch, wanted: Kind) -> Error {
    Error::Pretrain(format!(
        "the batch has {} and the objective wants {}",
        batch.kind().plural(),
        wanted.plural()
    ))
}

/// A row of integers as an input.
pub(crate) fn integers(name: &str, values: Vec<i64>) -> (String, Tensor<'static>) {
    (name.into(), Array1::from(values).into())
}
