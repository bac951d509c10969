//! Heads and learners with the encoder that they belong to.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use offshoot::learner::Store;
use offshoot::{EmbedOptions, Encoder, Learner, Prompt};
use offshoot_adapters::semi_supervised::SemiSupervisedHead;
use offshoot_adapters::{EncoderTag, Error, Fitted, FittedFile, HeadFile};

use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::files::shell_path;

/// A head and its encoder, open, and how the head wants texts embedded.
#[derive(Debug)]
pub(crate) struct Classifier {
    pub(crate) encoder: Encoder,
    pub(crate) file: HeadFile,
    pub(crate) options: EmbedOptions,
    /// The learner, if the head is one's.
    pub(crate) learner: Option<Learner>,
    /// What smooths the head's answers, if the learner uses examples without a label.
    smoothed: Option<Arc<SemiSupervisedHead>>,
}

impl Classifier {
    /// Opens a head, or a learner with its head as it is now, and the encoder. A head or
    /// learner of another encoder is refused before the encoder is opened.
    pub(crate) fn open(
        bundle: &Path,
        head: &Path,
        encoder: &EncoderArgs,
        truncate: Truncate,
    ) -> Result<Self> {
        let (file, encoder, learner, smoothed) = if is_learner(head) {
            let learner = open_learner(bundle, head, encoder, EncoderArgs::open)?;
            let file = learner.head()?.as_ref().clone();
            let smoothed = learner.semi_supervised()?;
            if smoothed.as_ref().is_some_and(|head| head.classes() != file.head.classes()) {
                return Err(Failure::data(format!(
                    "{} was changed meanwhile; run the command again",
                    shell_path(head)
                )));
            }
            (file, learner.encoder().clone(), Some(learner), smoothed)
        } else {
            let file = HeadFile::load(head)?;
            let encoder = open_encoder(bundle, head, &file.encoder, encoder)?;
            (file, encoder, None, None)
        };
        let options = embed_options(&file.encoder, &encoder, truncate);
        Ok(Self { encoder, file, options, learner, smoothed })
    }
}

/// A head of numbers or of several labels and its encoder, open, and how inputs are embedded.
#[derive(Debug)]
pub(crate) struct Opened<T> {
    pub(crate) encoder: Encoder,
    pub(crate) fitted: T,
    pub(crate) options: EmbedOptions,
}

impl<T: Fitted> Opened<T> {
    /// Opens a head and its encoder; one of another encoder is refused before that is opened.
    pub(crate) fn open(
        bundle: &Path,
        head: &Path,
        encoder: &EncoderArgs,
        truncate: Truncate,
    ) -> Result<Self> {
        let file = FittedFile::<T>::load(head)?;
        let encoder = open_encoder(bundle, head, &file.encoder, encoder)?;
        let options = embed_options(&file.encoder, &encoder, truncate);
        Ok(Self { encoder, fitted: file.fitted, options })
    }
}

/// Opens the encoder that a head belongs to, and refuses another one before it is opened.
fn open_encoder(
    bundle: &Path,
    head: &Path,
    tag: &EncoderTag,
    encoder: &EncoderArgs,
) -> Result<Encoder> {
    let wanted = encoder.digest(bundle)?;
    if tag.digest != wanted {
        return Err(Error::OtherEncoder {
            path: head.to_owned(),
            encoder: tag.name.clone(),
            found: tag.digest.clone(),
            wanted,
        }
        .into());
    }
    encoder.open(bundle)
}

/// How a head wants inputs embedded.
fn embed_options(tag: &EncoderTag, encoder: &Encoder, truncate: Truncate) -> EmbedOptions {
    let width = tag.dimensions;
    EmbedOptions {
        prompt: tag.prompt.clone().map_or(Prompt::None, Prompt::Text),
        dimensions: NonZeroUsize::new(width).filter(|_| width != encoder.dimensions()),
        truncation: truncate.into(),
        ..EmbedOptions::default()
    }
}

impl Classifier {
    /// Probabilities `[rows, classes]`: the head's or, where the learner uses examples without
    /// a label, the learner's.
    pub(crate) fn predict_proba(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        Ok(match &self.smoothed {
            Some(head) => head.predict_proba(x)?,
            None => self.file.head.predict_proba(x)?,
        })
    }
}

/// Opens a learner and its encoder. A learner of another encoder is refused before that is
/// opened.
pub(crate) fn open_learner(
    bundle: &Path,
    learner: &Path,
    encoder: &EncoderArgs,
    open: impl FnOnce(&EncoderArgs, &Path) -> Result<Encoder>,
) -> Result<Learner> {
    let store = open_store(learner)?;
    let wanted = encoder.digest(bundle)?;
    let tag = &store.info().encoder;
    if tag.digest != wanted {
        return Err(offshoot::Error::OtherEncoder {
            path: learner.to_owned(),
            encoder: tag.name.clone(),
            found: tag.digest.clone(),
            wanted,
        }
        .into());
    }
    Ok(Learner::of(store, &open(encoder, bundle)?)?)
}

/// Opens a learner's examples, with advice when there is no such file.
pub(crate) fn open_store(learner: &Path) -> Result<Store> {
    Store::open(learner).map_err(|error| {
        let missing = matches!(&error, offshoot::Error::Io { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound);
        let failure = Failure::from(error);
        if missing {
            failure.advise("`offshoot learn BUNDLE EXAMPLES -o NAME.learner` makes a learner")
        } else {
            failure
        }
    })
}

/// Whether a file begins as learners do, which are SQLite's. What cannot be read is none; the
/// reason is told by whoever opens it next.
pub(crate) fn is_learner(path: &Path) -> bool {
    let mut start = [0; 16];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && &start == b"SQLite format 3\0"
}
