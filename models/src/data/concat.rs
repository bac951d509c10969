//! Several sets, one after another.

use super::records::no_example;
use super::{Dataset, Example, Kind, LeftOut, digest};
use crate::error::{Error, Result};

/// Sets of one kind as one set.
#[derive(Debug)]
pub struct Concat {
    parts: Vec<Box<dyn Dataset>>,
    /// Examples up to the end of each part.
    ends: Vec<usize>,
    kind: Kind,
    digest: String,
}

impl Concat {
    /// Joins sets.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none or their kinds differ.
    pub fn new(parts: Vec<Box<dyn Dataset>>) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::Argument("no data was given".into()));
        };
        let kind = first.kind();
        if let Some(other) = parts.iter().find(|part| part.kind() != kind) {
            return Err(Error::Argument(format!(
                "{} holds {}s and {} {}s; one run takes one kind",
                first.locate(0),
                kind.name(),
                other.locate(0),
                other.kind().name()
            )));
        }
        let mut total = 0usize;
        let mut ends = Vec::with_capacity(parts.len());
        for part in &parts {
            total = total.saturating_add(part.len());
            ends.push(total);
        }
        let digest = digest::of_parts(parts.iter().map(|part| part.digest()));
        Ok(Self { parts, ends, kind, digest })
    }

    /// The part that example `index` is in, and its number there.
    fn part(&self, index: usize) -> Option<(&dyn Dataset, usize)> {
        let part = self.ends.partition_point(|&end| end <= index);
        let before = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some((self.parts.get(part)?.as_ref(), index - before))
    }
}

impl Dataset for Concat {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn get(&self, index: usize) -> Result<Example> {
        let (part, index) = self.part(index).ok_or_else(|| no_example(index, self.len()))?;
        part.get(index)
    }

    fn label(&self, index: usize) -> Option<&str> {
        let (part, index) = self.part(index)?;
        part.label(index)
    }

    fn locate(&self, index: usize) -> String {
        self.part(index).map_or_else(String::new, |(part, index)| part.locate(index))
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn left_out(&self) -> LeftOut {
        let mut all = LeftOut::default();
        self.parts.iter().for_each(|part| all.extend(part.left_out()));
        all
    }
}
