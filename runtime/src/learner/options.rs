//! What a new learner is told, and what it is taught.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use offshoot_adapters::{EncoderTag, HeadKind};

use super::store::{NewExample, StoreInfo};
use crate::encoder::{EmbedOptions, Encoder, Prompt};
use crate::error::{Error, Result};
use crate::tokenizer::Truncation;

/// How a learner is made. It keeps what is said here.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerOptions {
    /// Kind of the head. Weights that differ are used by `nearest-mean`, `ridge` and
    /// `discriminant` only.
    pub head: HeadKind,
    /// Text put before every input. Its words are kept, not its name.
    pub prompt: Prompt,
    /// Leading dimensions of embeddings that are kept, as
    /// [`EmbedOptions::dimensions`]; none for all.
    pub dimensions: Option<NonZeroUsize>,
    /// Whether the texts of examples are kept beside their embeddings: for people who look at
    /// them, and to embed them again with another encoder.
    pub keep_text: bool,
}

impl Default for LearnerOptions {
    fn default() -> Self {
        Self { head: HeadKind::Auto, prompt: Prompt::Default, dimensions: None, keep_text: true }
    }
}

impl LearnerOptions {
    /// What the store of a learner with these options says.
    pub(super) fn info(&self, encoder: &Encoder) -> Result<StoreInfo> {
        let prompt = encoder.prompt(&self.prompt)?.filter(|prompt| !prompt.is_empty());
        let width = encoder.dimensions();
        let dimensions = self.dimensions.map_or(width, NonZeroUsize::get);
        if dimensions > width {
            return Err(Error::Argument(format!(
                "{dimensions} dimensions were asked for and the encoder has {width}"
            )));
        }
        Ok(StoreInfo {
            encoder: EncoderTag {
                digest: encoder.digest().to_owned(),
                name: encoder.manifest().name.clone(),
                dimensions,
                prompt: prompt.map(str::to_owned),
            },
            head: self.head.name().to_owned(),
            keeps_text: self.keep_text,
        })
    }
}

/// How the learner's texts are embedded, from what its store says.
pub(super) fn embed_options(tag: &EncoderTag, encoder: &Encoder) -> EmbedOptions {
    let width = tag.dimensions;
    EmbedOptions {
        prompt: tag.prompt.clone().map_or(Prompt::None, Prompt::Text),
        dimensions: NonZeroUsize::new(width).filter(|_| width != encoder.dimensions()),
        truncation: Truncation::Cut,
        ..EmbedOptions::default()
    }
}

/// A text with its label, to be taught.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson<'a> {
    /// The text.
    pub text: &'a str,
    /// The name of its class, or none.
    pub label: Option<&'a str>,
    /// How much it counts; usually 1.
    pub weight: f64,
    /// Where it comes from. All examples of a source can be forgotten together.
    pub source: Option<&'a str>,
    /// When it was labelled; now, if not said.
    pub time: Option<SystemTime>,
}

impl<'a> Lesson<'a> {
    /// A text with its label, of weight 1.
    #[must_use]
    pub fn new(text: &'a str, label: &'a str) -> Self {
        Self { text, label: Some(label), weight: 1.0, source: None, time: None }
    }

    pub(super) fn example(&self, embedding: Vec<f32>, now: SystemTime) -> NewExample {
        NewExample {
            embedding,
            label: self.label.map(str::to_owned),
            weight: self.weight,
            time: self.time.unwrap_or(now),
            source: self.source.map(str::to_owned),
            text: Some(self.text.to_owned()),
        }
    }
}
