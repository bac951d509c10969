//! Examples as a run reads them: tokenised, with the encoder's channels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tokenizer::Prepared;
use crate::data::{Dataset, Example, fill_missing};
use crate::error::{Error, Result};
use crate::objectives::{Batch, Rows};

/// Examples that stand in for one that cannot be read, at most.
const SUBSTITUTES: usize = 64;

/// A data set, read as the encoder wants it.
#[derive(Clone)]
pub(super) struct Source {
    data: Arc<dyn Dataset>,
    tokenizer: Option<Arc<Prepared>>,
    /// Channels of images and signals.
    channels: usize,
    /// Whether texts are read beyond what the encoder takes.
    longer: bool,
    /// The number of each label.
    classes: Arc<BTreeMap<String, i64>>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("data", &self.data).finish_non_exhaustive()
    }
}

/// One example, ready for a batch.
enum Ready {
    Text(Vec<u32>),
    Image(offshoot::Image),
    Signal(ndarray::Array2<f32>),
}

impl Source {
    pub(super) fn new(
        data: Arc<dyn Dataset>,
        tokenizer: Option<Arc<Prepared>>,
        channels: usize,
    ) -> Self {
        let mut classes = BTreeMap::new();
        for index in 0..data.len() {
            if let Some(label) = data.label(index) {
                let next = classes.len() as i64;
                classes.entry(label.to_owned()).or_insert(next);
            }
        }
        Self { data, tokenizer, channels, longer: false, classes: Arc::new(classes) }
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// The same with another part of the data.
    pub(super) fn of(&self, data: Arc<dyn Dataset>) -> Self {
        Self { data, ..self.clone() }
    }

    /// The same with texts of up to 8 times the tokens that the encoder takes.
    pub(super) fn longer(self) -> Self {
        Self { longer: true, ..self }
    }

    /// The class of an example, -1 where it has no label.
    pub(super) fn class(&self, index: usize) -> i64 {
        self.data.label(index).and_then(|label| self.classes.get(label)).copied().unwrap_or(-1)
    }

    /// Whether any example has a label.
    pub(super) fn has_labels(&self) -> bool {
        !self.classes.is_empty()
    }

    /// The examples of these numbers. One that cannot be read is replaced by the next that
    /// can; how many were is the second result.
    pub(super) fn batch(&self, indices: &[usize]) -> Result<(Batch, u64)> {
        let mut unreadable = 0;
        let (mut texts, mut images, mut signals) = (Vec::new(), Vec::new(), Vec::new());
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let mut last = None;
            let found = (0..SUBSTITUTES.min(self.len())).find_map(|further| {
                let index = (index + further) % self.len();
                match self.read(index) {
                    Ok(ready) => Some((index, ready)),
                    Err(error) => {
                        unreadable += 1;
                        last = Some(error);
                        None
                    }
                }
            });
            let Some((index, ready)) = found else {
                let reason = last.map_or_else(|| "there are no examples".into(), |e| e.to_string());
                return Err(Error::Pretrain(format!(
                    "{SUBSTITUTES} examples in a row cannot be read; the last: {reason}"
                )));
            };
            labels.push(self.class(index));
            match ready {
                Ready::Text(tokens) => texts.push(tokens),
                Ready::Image(image) => images.push(image),
                Ready::Signal(signal) => signals.push(signal),
            }
        }
        let rows = if !images.is_empty() {
            Rows::Images(images)
        } else if !signals.is_empty() {
            Rows::Signals(signals)
        } else {
            Rows::Texts(texts)
        };
        let labels = if self.has_labels() { labels } else { Vec::new() };
        Ok((Batch { rows, labels }, unreadable))
    }

    fn read(&self, index: usize) -> Result<Ready> {
        match self.data.get(index)? {
            Example::Text(text) => {
                let tokenizer = self
                    .tokenizer
                    .as_ref()
                    .ok_or_else(|| Error::Pretrain("texts need a tokenizer".into()))?;
                Ok(Ready::Text(match self.longer {
                    true => tokenizer.encode_longer(&text)?,
                    false => tokenizer.encode(&text)?,
                }))
            }
            Example::Image(image) => Ok(Ready::Image(image.with_channels(self.channels)?)),
            Example::Signal(signal) => {
                if signal.nrows() != self.channels || signal.ncols() == 0 {
                    return Err(Error::Pretrain(format!(
                        "{}: a signal of {} channels and {} samples where the others have {} \
                         channels",
                        self.data.locate(index),
                        signal.nrows(),
                        signal.ncols(),
                        self.channels
                    )));
                }
                let mut signal = signal;
                fill_missing(&mut signal);
                Ok(Ready::Signal(signal))
            }
        }
    }
}
