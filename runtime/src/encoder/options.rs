//! How inputs are embedded.

use std::num::NonZeroUsize;

use crate::tokenizer::Truncation;

/// Text put before every input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Prompt {
    /// The encoder's default prompt, where it has one.
    #[default]
    Default,
    /// None, even where the encoder has a default.
    None,
    /// One of the encoder's prompts, by name.
    Named(String),
    /// This text.
    Text(String),
}

/// Tokens of one run of the graph, padding included, unless
/// [`EmbedOptions::batch_tokens`] says otherwise: enough rows to keep the
/// processor's units busy, few enough that what a layer computes stays in its
/// cache (measured: BENCHMARKS.md).
pub const BATCH_TOKENS: usize = 1024;

/// Images or signals of one run of the graph, unless [`EmbedOptions::batch_rows`] says
/// otherwise. Small convolutional networks and transformers of patches gain nothing by
/// more, and little from 8 on.
pub const BATCH_ROWS: usize = 32;

/// How inputs are embedded. The defaults are those of
/// [`Encoder::embed`](crate::Encoder::embed),
/// [`embed_images`](crate::Encoder::embed_images) and
/// [`embed_signals`](crate::Encoder::embed_signals).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedOptions {
    /// Text put before every input. Of no effect on images and signals.
    pub prompt: Prompt,
    /// What is done with texts that are too long. Of no effect on images and signals.
    pub truncation: Truncation,
    /// Keep only this many leading dimensions of an embedding (Matryoshka
    /// representations, Kusupati et al., 2022, arXiv:2205.13147); an encoder of
    /// unit vectors gives unit vectors again. Sensible only for encoders trained
    /// for it.
    pub dimensions: Option<NonZeroUsize>,
    /// Most tokens of one run of the graph on texts, padding included. Bounds the
    /// memory that a call takes.
    pub batch_tokens: usize,
    /// Most images or signals of one run of the graph; large ones are fewer. Bounds
    /// the memory that a call takes.
    pub batch_rows: usize,
    /// Compute on one thread, beside other calls that do so too. For programs that make
    /// as many calls at once as the encoder has threads, each of about one batch: together
    /// they do more than one call after another on all threads.
    pub narrow: bool,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self {
            prompt: Prompt::Default,
            truncation: Truncation::Cut,
            dimensions: None,
            batch_tokens: BATCH_TOKENS,
            batch_rows: BATCH_ROWS,
            narrow: false,
        }
    }
}
