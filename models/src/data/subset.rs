//! Parts of a set.

use std::sync::Arc;

use super::records::no_example;
use super::{Dataset, Example, Kind, LeftOut, Permutation, digest};
use crate::error::{Error, Result};

/// Some examples of a set, in a given order.
#[derive(Debug)]
pub struct Subset {
    of: Arc<dyn Dataset>,
    /// Numbers in the whole set.
    indices: Vec<u64>,
    digest: String,
}

impl Subset {
    /// The examples of these numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] when one does not exist.
    pub fn new(of: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self> {
        if let Some(&index) = indices.iter().find(|&&index| index >= of.len()) {
            return Err(no_example(index, of.len()));
        }
        let indices: Vec<u64> = indices.into_iter().map(|index| index as u64).collect();
        let numbers: Vec<u8> = indices.iter().flat_map(|index| index.to_le_bytes()).collect();
        let digest = digest::of_parts([of.digest().as_bytes(), &numbers]);
        Ok(Self { of, indices, digest })
    }

    /// The number in the whole set of example `index`.
    pub fn number(&self, index: usize) -> Option<usize> {
        self.indices.get(index).map(|&number| number as usize)
    }
}

/// Cuts a set in two: a random share that is held out, at least one example and fewer than
/// all, and the rest; `(rest, held out)`. Both are in the order of the data.
///
/// # Errors
/// [`Error::Argument`] when the share is not between 0 and 1 or there are fewer than two
/// examples.
pub fn split(of: &Arc<dyn Dataset>, share: f32, seed: u64) -> Result<(Subset, Subset)> {
    let len = of.len();
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::Argument(format!(
            "{share} is no share to hold out; give a number between 0 and 1"
        )));
    }
    if len < 2 {
        return Err(Error::Argument(format!(
            "of {len} examples none can be held out; at least two are needed"
        )));
    }
    let held = ((len as f64 * f64::from(share)).round() as usize).clamp(1, len - 1);
    let order = Permutation::new(len, seed, "held out", 0);
    let mut all: Vec<usize> = (0..len).map(|at| order.at(at)).collect();
    let mut rest = all.split_off(held);
    all.sort_unstable();
    rest.sort_unstable();
    Ok((Subset::new(of.clone(), rest)?, Subset::new(of.clone(), all)?))
}

impl Dataset for Subset {
    fn kind(&self) -> Kind {
        self.of.kind()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<Example> {
        let number = self.number(index).ok_or_else(|| no_example(index, self.len()))?;
        self.of.get(number)
    }

    fn label(&self, index: usize) -> Option<&str> {
        self.of.label(self.number(index)?)
    }

    fn locate(&self, index: usize) -> String {
        self.number(index).map_or_else(String::new, |number| self.of.locate(number))
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn left_out(&self) -> LeftOut {
        self.of.left_out()
    }
}
