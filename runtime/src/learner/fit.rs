//! From the examples of a store to a head.

use offshoot_adapters::{Classes, EncoderTag, HeadFile, HeadKind};

use super::store::Labelled;
use crate::error::{Error, Result};

/// Fits the head that the store names to its examples.
pub(super) fn fit(examples: &Labelled, encoder: &EncoderTag) -> Result<HeadFile> {
    let kind: HeadKind = examples.head.parse()?;
    let (classes, y) = Classes::from_labels(&examples.labels)?;
    if let Some(first) = examples.weights.first()
        && examples.weights.iter().any(|weight| weight != first)
    {
        return Err(Error::Weights { head: examples.head.clone() });
    }
    let head = kind.fit(examples.embeddings.view(), &y, classes)?;
    Ok(HeadFile::new(encoder.clone(), head, &y))
}
