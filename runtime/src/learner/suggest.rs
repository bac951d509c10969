//! Which texts of a pool are best labelled next.

use ndarray::Array2;
use offshoot_adapters::Classes;
use offshoot_adapters::selection::{Diverse, Uncertainty, uncertain};

use super::{Judged, Learner, Prediction, prediction};
use crate::error::Result;

/// A text of a pool that is worth a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// Its place in the pool.
    pub row: usize,
    /// How unsure the head is of it, from 0 to 1.
    pub uncertainty: f64,
    /// What the head says of it now.
    pub prediction: Prediction,
}

impl Learner {
    /// The texts of a pool of which the head is most unsure, the most unsure first; at most
    /// `n`.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn suggest(
        &self,
        pool: &[impl AsRef<str> + Sync],
        n: usize,
        measure: Uncertainty,
    ) -> Result<Vec<Suggestion>> {
        let Judged { classes, probabilities, .. } = self.judge(pool)?;
        let doubts = measure.of(probabilities.view())?;
        let rows = uncertain(probabilities.view(), measure)?.take(n);
        Ok(rows.map(|row| suggestion(&classes, &probabilities, &doubts, row)).collect())
    }

    /// Texts of a pool that are unsure and also unlike each other, to be labelled in one
    /// go: k-means++ sampling weighted by the doubt ([`Diverse`]), in the order of the picks; at
    /// most `n`. The same seed picks the same.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn suggest_diverse(
        &self,
        pool: &[impl AsRef<str> + Sync],
        n: usize,
        measure: Uncertainty,
        seed: u64,
    ) -> Result<Vec<Suggestion>> {
        let Judged { classes, embeddings, probabilities } = self.judge(pool)?;
        let doubts = measure.of(probabilities.view())?;
        let rows = Diverse::new(embeddings.view(), Some(&doubts), seed)?.take(n);
        Ok(rows.map(|row| suggestion(&classes, &probabilities, &doubts, row)).collect())
    }
}

fn suggestion(
    classes: &Classes,
    probabilities: &Array2<f64>,
    doubts: &[f64],
    row: usize,
) -> Suggestion {
    let prediction = prediction(classes, probabilities.row(row));
    Suggestion { row, uncertainty: doubts[row], prediction }
}
