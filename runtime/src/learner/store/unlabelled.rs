//! Examples without a label, and whether they help to predict.

use ndarray::Array2;
use offshoot_adapters::Classes;

use super::{Labelled, Store};
use crate::error::Result;

/// Most examples without a label that help to predict: the latest ones. Joining them with their
/// neighbours takes about a second for each 5,000 of 384 dimensions, once a revision, and four
/// times as long for twice as many.
pub const MAX_UNLABELLED: usize = 10_000;

impl Store {
    /// Whether examples without a label help [`Learner::predict`](crate::Learner::predict).
    ///
    /// # Errors
    /// As [`Store::len`].
    pub fn uses_unlabelled(&self) -> Result<bool> {
        self.connection
            .query_row("SELECT uses_unlabelled FROM learner", [], |row| row.get(0))
            .map_err(self.failure("read"))
    }

    /// Lets examples without a label help to predict, or not. Not part of the history.
    ///
    /// # Errors
    /// As [`Store::teach`].
    pub fn set_uses_unlabelled(&mut self, uses: bool) -> Result<()> {
        let failed = self.failure("write");
        self.update(|transaction, _| {
            transaction
                .execute("UPDATE learner SET uses_unlabelled = ?1", [uses])
                .map(drop)
                .map_err(failed)
        })
    }

    /// Embeddings of the latest examples without a label, at most `limit`,
    /// `[examples, dimensions]`, in the order in which they were taught.
    ///
    /// # Errors
    /// As [`Store::example`].
    pub fn unlabelled(&self, limit: usize) -> Result<Array2<f32>> {
        let failed = self.failure("read");
        let sql = format!(
            "SELECT {} FROM example WHERE id IN (
                 SELECT id FROM example WHERE label IS NULL ORDER BY id DESC LIMIT ?1)
             ORDER BY id",
            super::read::COLUMNS_TO_FIT
        );
        let mut statement = self.connection.prepare(&sql).map_err(&failed)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query([limit]).map_err(&failed)?;
        let (mut values, mut count) = (Vec::new(), 0);
        while let Some(row) = rows.next().map_err(&failed)? {
            values.extend(self.checked(row)?.embedding);
            count += 1;
        }
        Array2::from_shape_vec((count, self.info.encoder.dimensions), values)
            .map_err(|error| self.bad(error.to_string()))
    }

    /// What the learner predicts by, at one moment: labelled examples and, where they are used,
    /// those without a label.
    pub(in crate::learner) fn pool(&self) -> Result<(Labelled, Option<Array2<f32>>)> {
        // Reads within a transaction see one moment.
        let transaction = self.connection.unchecked_transaction().map_err(self.failure("read"))?;
        let uses = self.uses_unlabelled()?;
        let labelled = self.read_labelled()?;
        let pool = match uses {
            true => Some(self.unlabelled(MAX_UNLABELLED)?).filter(|pool| pool.nrows() > 0),
            false => None,
        };
        drop(transaction);
        Ok((labelled, pool))
    }
}

impl Labelled {
    /// The classes, and the class of each example.
    pub(in crate::learner) fn classes(&self) -> Result<(Classes, Vec<usize>)> {
        Ok(Classes::from_labels(&self.labels)?)
    }
}
