//! One example, and what an example must be to get into a store.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_adapters::Classes;

use crate::error::{Error, Result};

/// Number of an example in its store. Never given twice, so that a forgotten one stays
/// forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExampleId(pub i64);

impl fmt::Display for ExampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Smallest weight of an example; ageing stops there.
pub const MIN_WEIGHT: f64 = 1e-6;
/// Largest weight of an example.
pub const MAX_WEIGHT: f64 = 1e6;
/// Longest name of a source, in bytes of UTF-8.
pub const MAX_SOURCE_BYTES: usize = 1024;
/// Longest text that is kept with an example, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 16 << 20;

/// An example as it is put into a store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExample {
    /// Its embedding, as wide as the store's.
    pub embedding: Vec<f32>,
    /// The name of its class, or none: an unlabelled example says how the data lie.
    pub label: Option<String>,
    /// How much it counts, from [`MIN_WEIGHT`] to [`MAX_WEIGHT`]; usually 1.
    pub weight: f64,
    /// When it was taught; kept in milliseconds.
    pub time: SystemTime,
    /// Where it came from: a file, a person, a device. Examples of a source can be forgotten
    /// together.
    pub source: Option<String>,
    /// What was embedded, where it is to be kept.
    pub text: Option<String>,
}

impl NewExample {
    /// An example of weight 1, taught now.
    #[must_use]
    pub fn new(embedding: Vec<f32>, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..Self::unlabelled(embedding) }
    }

    /// An example of weight 1 without a label, taught now.
    #[must_use]
    pub fn unlabelled(embedding: Vec<f32>) -> Self {
        let time = SystemTime::now();
        Self { embedding, label: None, weight: 1.0, time, source: None, text: None }
    }

    /// The same with the text that was embedded.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same with its source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Refuses what no store takes. `row` is its place in the call, for the message.
    pub(super) fn check(&self, row: usize, dimensions: usize) -> Result<()> {
        let refuse = |reason| Err(Error::Example { row, reason });
        if self.embedding.len() != dimensions {
            return refuse(format!(
                "its embedding has {} dimensions and the learner's have {dimensions}; use the \
                 learner's own encoder, cut to the same dimensions",
                self.embedding.len()
            ));
        }
        if let Some((column, value)) =
            self.embedding.iter().enumerate().find(|(_, value)| !value.is_finite())
        {
            return refuse(format!(
                "its embedding is not finite: column {column} holds {value}; embed it again"
            ));
        }
        if let Some(reason) = self.label.as_deref().and_then(label_problem) {
            return refuse(reason);
        }
        if let Some(reason) = self.source.as_deref().and_then(source_problem) {
            return refuse(reason);
        }
        if let Some(reason) = weight_problem(self.weight) {
            return refuse(reason);
        }
        match &self.text {
            Some(text) if text.len() > MAX_TEXT_BYTES => refuse(format!(
                "its text is {} bytes long and at most {MAX_TEXT_BYTES} are kept; teach a part of \
                 it",
                text.len()
            )),
            _ => Ok(()),
        }
    }
}

/// An example as it lies in a store.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Its number.
    pub id: ExampleId,
    /// Its embedding.
    pub embedding: Vec<f32>,
    /// The name of its class, if it has one.
    pub label: Option<String>,
    /// How much it counts.
    pub weight: f64,
    /// When it was taught.
    pub time: SystemTime,
    /// Where it came from.
    pub source: Option<String>,
    /// What was embedded, where it was kept.
    pub text: Option<String>,
}

/// Why a label is none that a learner takes, with what to do; `None` for a good one.
pub fn label_problem(label: &str) -> Option<String> {
    name_problem("label", label, Classes::MAX_NAME_BYTES)
}

/// Why a source is none, with what to do.
pub(super) fn source_problem(source: &str) -> Option<String> {
    name_problem("source", source, MAX_SOURCE_BYTES)
}

fn name_problem(what: &str, name: &str, limit: usize) -> Option<String> {
    if name.trim().is_empty() {
        return Some(format!("its {what} is empty; give it a name, or none at all"));
    }
    let start = || name.chars().take(40).collect::<String>();
    if name.len() > limit {
        return Some(format!(
            "its {what} is {} bytes long (it starts {:?}) and at most {limit} are allowed; shorten \
             it",
            name.len(),
            start()
        ));
    }
    // The two separators end a line for many programs.
    let unfit = |c: &char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    name.chars().find(unfit).map(|c| {
        format!(
            "its {what} {:?} holds the character {:?}; use a name of one line without control \
             characters",
            start(),
            c
        )
    })
}

/// Why a weight is none, with what would be one.
pub(super) fn weight_problem(weight: f64) -> Option<String> {
    // NaN is in no range.
    (!(MIN_WEIGHT..=MAX_WEIGHT).contains(&weight))
        .then(|| format!("its weight is {weight}; give one from {MIN_WEIGHT} to {MAX_WEIGHT}"))
}

/// Little-endian bytes of an embedding.
pub(super) fn to_blob(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The embedding of bytes that were read, or what is wrong with them.
pub(super) fn from_blob(blob: &[u8], dimensions: usize) -> Result<Vec<f32>, String> {
    let (values, rest) = blob.as_chunks::<4>();
    if values.len() != dimensions || !rest.is_empty() {
        return Err(format!(
            "its embedding has {} bytes, not 4 for each of {dimensions} dimensions",
            blob.len()
        ));
    }
    let embedding: Vec<f32> = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
    match embedding.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(format!("its embedding holds {value}")),
        None => Ok(embedding),
    }
}

/// Milliseconds since 1970, negative before.
pub(super) fn to_milliseconds(time: SystemTime) -> i64 {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

/// The time of milliseconds since 1970, if the system can express it.
pub(super) fn from_milliseconds(millis: i64) -> Option<SystemTime> {
    let span = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut NewExample)) -> String {
        let mut example = NewExample::new(vec![0.5, -0.5], "a");
        example.check(0, 2).unwrap();
        change(&mut example);
        let error = example.check(3, 2).unwrap_err().to_string();
        assert!(error.starts_with("example 3 cannot be taught: "), "{error}");
        assert!(error.len() < 300, "{error}");
        error
    }

    #[test]
    fn unfit_examples_are_refused_with_what_to_do() {
        assert!(problem(|e| e.embedding.push(0.0)).contains("3 dimensions"));
        assert!(problem(|e| e.embedding[1] = f32::NAN).contains("column 1 holds NaN"));
        assert!(problem(|e| e.embedding[0] = f32::NEG_INFINITY).contains("column 0 holds -inf"));
        for label in ["two\nlines", "a\r", "tab\t", "\0", "\u{7f}", "a\u{85}b", "x\u{2028}y"] {
            assert!(problem(|e| e.label = Some(label.into())).contains("one line"), "{label:?}");
        }
        assert!(problem(|e| e.label = Some("x".repeat(10_000_000))).contains("10000000 bytes"));
        assert!(problem(|e| e.label = Some("é".repeat(513))).contains("1026 bytes"));
        assert!(problem(|e| e.label = Some(" ".into())).contains("is empty"));
        assert!(problem(|e| e.source = Some("a\nb".into())).contains("source"));
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7, 1e-7] {
            assert!(problem(|e| e.weight = weight).contains("weight"), "{weight}");
        }
        assert!(problem(|e| e.text = Some("x".repeat(MAX_TEXT_BYTES + 1))).contains("text"));
        NewExample::new(vec![0.0; 2], "é".repeat(512)).with_text("a\n\0b").check(0, 2).unwrap();
    }

    #[test]
    fn embeddings_and_times_come_back_bit_for_bit() {
        let embedding = [0.1, -0.0, f32::MIN_POSITIVE, f32::MAX];
        let back = from_blob(&to_blob(&embedding), 4).unwrap();
        assert!(back.iter().zip(embedding).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert!(from_blob(&[0; 15], 4).is_err() && from_blob(&[0; 16], 3).is_err());
        assert!(from_blob(&[0xff; 16], 4).unwrap_err().contains("NaN"));
        for millis in [0, 1, -1, 1_700_000_000_123, -62_000_000_000_000] {
            assert_eq!(to_milliseconds(from_milliseconds(millis).unwrap()), millis);
        }
        // Whatever a file says, reading it is no panic.
        let _ = (from_milliseconds(i64::MIN), from_milliseconds(i64::MAX));
    }
}
