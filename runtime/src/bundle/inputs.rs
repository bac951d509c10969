//! What encoders read, and what turns it into the inputs of their graphs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Most pixels on a side of an image that an encoder reads.
pub const MAX_SIDE: usize = 4096;

/// Most samples of a window, and most channels, that an encoder of signals reads.
pub const MAX_SAMPLES: usize = 1 << 20;

/// What an encoder reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Modality {
    /// Text, through a tokenizer. Inputs `input_ids` and `attention_mask`, both
    /// int64 `[batch, tokens]`; output `embedding`, float32 `[batch, width]`.
    Text,
    /// Images. Input `pixels`, uint8 `[batch, height, width, channels]`, which the
    /// graph normalises; output `embedding`, float32 `[batch, width]`.
    Image,
    /// Windows of signals. Input `signals`, float32 `[batch, channels, length]`, which
    /// the graph normalises; output `embedding`, float32 `[batch, width]`.
    Signal,
}

impl Modality {
    /// Its name in a manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Signal => "signal",
        }
    }

    /// What one calls several of its inputs.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Image => "images",
            Self::Signal => "signals",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What turns text into a graph's inputs, besides `tokenizer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Most tokens of a sequence, special tokens included.
    pub max_tokens: usize,
    /// Whether text is lower-cased before the tokenizer sees it.
    #[serde(default)]
    pub lower_case: bool,
    /// Text put before an input, by the prompt's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, String>,
    /// Name of the prompt that is used when none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_prompt: Option<String>,
    /// Token id that fills a row up to the longest of its batch.
    pub pad_id: u32,
    /// The token of [`pad_id`](Self::pad_id).
    pub pad_token: String,
}

/// The images that a graph reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Rows of pixels, 1 to 4096.
    pub height: usize,
    /// Pixels of a row, 1 to 4096.
    pub width: usize,
    /// Samples of a pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
}

/// The windows of signals that a graph reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalConfig {
    /// Number of channels.
    pub channels: usize,
    /// Samples of each channel.
    pub length: usize,
    /// What the channels are, in order; empty where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channel_names: Vec<String>,
    /// Samples a second, in hertz, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling_rate: Option<f64>,
}

impl TextConfig {
    /// What is impossible about it, naming the key.
    pub(super) fn check(&self) -> Result<(), String> {
        within("text.max_tokens", self.max_tokens, 1 << 20)?;
        match &self.default_prompt {
            Some(name) if !self.prompts.contains_key(name) => {
                Err(format!("`text.default_prompt` is `{name}`, which `text.prompts` lacks"))
            }
            _ => Ok(()),
        }
    }
}

impl ImageConfig {
    /// What is impossible about it, naming the key.
    pub(super) fn check(&self) -> Result<(), String> {
        within("image.height", self.height, MAX_SIDE)?;
        within("image.width", self.width, MAX_SIDE)?;
        match self.channels {
            1 | 3 => Ok(()),
            other => Err(format!("`image.channels` is {other}, not 1 or 3")),
        }
    }
}

impl SignalConfig {
    /// What is impossible about it, naming the key.
    pub(super) fn check(&self) -> Result<(), String> {
        within("signal.channels", self.channels, MAX_SAMPLES)?;
        within("signal.length", self.length, MAX_SAMPLES)?;
        if self.channels.saturating_mul(self.length) > MAX_SAMPLES {
            return Err(format!(
                "`signal` has windows of {} channels of {} samples, more than {MAX_SAMPLES} together",
                self.channels, self.length
            ));
        }
        if !self.channel_names.is_empty() && self.channel_names.len() != self.channels {
            return Err(format!(
                "`signal.channel_names` has {} names for {} channels",
                self.channel_names.len(),
                self.channels
            ));
        }
        let unfit = |name: &&String| name.trim().is_empty() || name.chars().any(char::is_control);
        if let Some(name) = self.channel_names.iter().find(unfit) {
            return Err(format!(
                "`signal.channel_names` has {name:?}, which is empty or has control characters"
            ));
        }
        match self.sampling_rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                Err(format!("`signal.sampling_rate` is {rate}, not a number of hertz above 0"))
            }
            _ => Ok(()),
        }
    }

    /// What channel `index` is called: its name or, where it has none, its place from 0.
    pub fn channel(&self, index: usize) -> String {
        match self.channel_names.get(index) {
            Some(name) => format!("{index} ({name})"),
            None => index.to_string(),
        }
    }
}

fn within(key: &str, value: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("`{key}` is {value}, not in 1 to {most}"))
    }
}
