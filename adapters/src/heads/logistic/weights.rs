//! How much the examples of each class count.

use crate::classes::Classes;
use crate::error::{Error, Result};

/// How much the loss of an example counts by its class, scikit-learn's `class_weight`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeights {
    /// All the same.
    #[default]
    Equal,
    /// `n / (K nₖ)`: every class counts as much as any other, however many examples it has.
    Balanced,
    /// One positive number a class, in the order of the classes.
    Each(Vec<f64>),
}

impl ClassWeights {
    /// The weight of each class, from the number of its examples.
    pub(super) fn of(&self, classes: &Classes, counts: &[usize]) -> Result<Vec<f64>> {
        let (n, k) = (counts.iter().sum::<usize>() as f64, counts.len());
        match self {
            Self::Equal => Ok(vec![1.0; k]),
            Self::Balanced => {
                Ok(counts.iter().map(|&count| n / (k as f64 * count as f64)).collect())
            }
            Self::Each(weights) if weights.len() != classes.len() => {
                Err(Error::Columns { found: weights.len(), expected: classes.len() })
            }
            Self::Each(weights) => {
                if let Some(&value) = weights.iter().find(|w| !(**w > 0.0 && w.is_finite())) {
                    let expected = "it must be a positive number";
                    return Err(Error::Setting { name: "class_weights", value, expected });
                }
                Ok(weights.clone())
            }
        }
    }
}
