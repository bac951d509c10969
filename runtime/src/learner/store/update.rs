//! Updates: each is one transaction, recorded so that it can be undone.

use std::time::SystemTime;

use rusqlite::{Transaction, TransactionBehavior, params};

use super::example::{
    MIN_WEIGHT, NewExample, label_problem, to_blob, to_milliseconds, weight_problem,
};
use super::undo::{Action, prune};
use super::{ExampleId, Store};
use crate::error::{Error, Result};

const INSERT: &str = "INSERT INTO example (embedding, label, weight, time, source, text)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

impl Store {
    /// Adds an example and gives its number.
    ///
    /// # Errors
    /// [`Error::Example`] for one that no store takes; [`Error::Busy`], [`Error::Io`],
    /// [`Error::Store`]. On an error nothing was changed.
    pub fn teach(&mut self, example: &NewExample) -> Result<ExampleId> {
        let ids = self.teach_many(std::slice::from_ref(example))?;
        ids.first().copied().ok_or_else(|| self.bad("it gave an example no number".into()))
    }

    /// Adds examples in one update: all of them or none. Undone together.
    ///
    /// # Errors
    /// As [`Store::teach`].
    pub fn teach_many(&mut self, examples: &[NewExample]) -> Result<Vec<ExampleId>> {
        if examples.is_empty() {
            return Ok(Vec::new());
        }
        self.check_all(examples, 0)?;
        let (failed, keeps_text) = (self.failure("write"), self.info.keeps_text);
        self.update(|transaction, revision| {
            record(transaction, revision, Action::Teach, examples.len()).map_err(&failed)?;
            let ids = insert(transaction, examples, keeps_text).map_err(&failed)?;
            let mut change = transaction
                .prepare("INSERT INTO change (revision, example) VALUES (?1, ?2)")
                .map_err(&failed)?;
            for id in &ids {
                change.execute((revision, id.0)).map_err(&failed)?;
            }
            Ok(ids)
        })
    }

    /// Gives an example another label, or none.
    ///
    /// # Errors
    /// [`Error::NoExample`]; [`Error::Argument`] for a label that is none; as [`Store::teach`].
    pub fn relabel(&mut self, id: ExampleId, label: Option<&str>) -> Result<()> {
        if let Some(problem) = label.and_then(label_problem) {
            return Err(Error::Argument(format!("example {id} cannot be relabelled: {problem}")));
        }
        self.change(id, Action::Relabel, "label", label)
    }

    /// Gives one column of an example another value, and remembers the one it had.
    fn change(
        &mut self,
        id: ExampleId,
        action: Action,
        column: &'static str,
        value: impl rusqlite::ToSql,
    ) -> Result<()> {
        let (failed, path) = (self.failure("write"), self.path.clone());
        self.update(|transaction, revision| {
            record(transaction, revision, action, 1).map_err(&failed)?;
            let remember = format!(
                "INSERT INTO change (revision, example, {column})
                 SELECT ?1, id, {column} FROM example WHERE id = ?2"
            );
            if transaction.execute(&remember, (revision, id.0)).map_err(&failed)? == 0 {
                return Err(Error::NoExample { what: id.to_string(), path });
            }
            let replace = format!("UPDATE example SET {column} = ?1 WHERE id = ?2");
            transaction.execute(&replace, (value, id.0)).map_err(&failed)?;
            Ok(())
        })
    }

    /// Sets how much an example counts.
    ///
    /// # Errors
    /// [`Error::NoExample`]; [`Error::Argument`] for a weight out of range; as
    /// [`Store::teach`].
    pub fn set_weight(&mut self, id: ExampleId, weight: f64) -> Result<()> {
        if let Some(problem) = weight_problem(weight) {
            return Err(Error::Argument(format!("example {id} cannot be weighted: {problem}")));
        }
        self.change(id, Action::Weight, "weight", weight)
    }

    /// Multiplies the weight of every example by a factor from 0 (exclusive) to 1, so that
    /// those taught afterwards count for more. Weights stop at
    /// [`MIN_WEIGHT`](super::MIN_WEIGHT). Gives the number of examples.
    ///
    /// # Errors
    /// [`Error::Argument`] for another factor; as [`Store::teach`].
    pub fn age(&mut self, factor: f64) -> Result<usize> {
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(Error::Argument(format!(
                "examples cannot be aged by {factor}; give a factor above 0 and up to 1"
            )));
        }
        let failed = self.failure("write");
        self.update(|transaction, revision| {
            let work = || -> rusqlite::Result<usize> {
                let count: i64 =
                    transaction.query_row("SELECT count(*) FROM example", [], |row| row.get(0))?;
                let count = usize::try_from(count).unwrap_or(0);
                record(transaction, revision, Action::Age, count)?;
                transaction.execute(
                    "INSERT INTO change (revision, example, weight)
                     SELECT ?1, id, weight FROM example",
                    [revision],
                )?;
                transaction.execute(
                    "UPDATE example SET weight = max(weight * ?1, ?2)",
                    (factor, MIN_WEIGHT),
                )?;
                Ok(count)
            };
            work().map_err(&failed)
        })
    }

    /// Chooses another kind of head. Not part of the history.
    ///
    /// # Errors
    /// As [`Store::teach`].
    pub fn set_head(&mut self, head: &str) -> Result<()> {
        let failed = self.failure("write");
        self.update(|transaction, _| {
            transaction
                .execute("UPDATE learner SET head = ?1", [head])
                .and_then(|_| transaction.execute("DELETE FROM head", []))
                .map_err(&failed)
        })?;
        self.info.head = head.to_owned();
        Ok(())
    }

    /// Adds examples to a store that is being made: no history. `row` is the place of the
    /// first, for messages.
    pub(super) fn insert_unrecorded(&mut self, examples: &[NewExample], row: usize) -> Result<()> {
        self.check_all(examples, row)?;
        let (failed, keeps_text) = (self.failure("write"), self.info.keeps_text);
        self.update(|transaction, _| {
            insert(transaction, examples, keeps_text).map(drop).map_err(failed)
        })
    }

    fn check_all(&self, examples: &[NewExample], first: usize) -> Result<()> {
        let dimensions = self.info.encoder.dimensions;
        examples
            .iter()
            .enumerate()
            .try_for_each(|(i, example)| example.check(first + i, dimensions))
    }

    /// Runs one update, which gets its revision, and makes it durable.
    pub(super) fn update<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, i64) -> Result<T>,
    ) -> Result<T> {
        let failed = self.failure("write");
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&failed)?;
        let revision = transaction
            .query_row("UPDATE learner SET revision = revision + 1 RETURNING revision", [], |row| {
                row.get(0)
            })
            .map_err(&failed)?;
        // Dropped on an error, the transaction is rolled back.
        let result = work(&transaction, revision)?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }
}

/// Adds an update to the history, and lets the oldest ones go.
pub(super) fn record(
    transaction: &Transaction<'_>,
    revision: i64,
    action: Action,
    examples: usize,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO history (revision, action, examples, time) VALUES (?1, ?2, ?3, ?4)",
        (revision, action.name(), examples as i64, to_milliseconds(SystemTime::now())),
    )?;
    prune(transaction)
}

fn insert(
    transaction: &Transaction<'_>,
    examples: &[NewExample],
    keeps_text: bool,
) -> rusqlite::Result<Vec<ExampleId>> {
    let mut statement = transaction.prepare(INSERT)?;
    examples
        .iter()
        .map(|example| {
            let text = example.text.as_deref().filter(|_| keeps_text);
            statement
                .insert(params![
                    to_blob(&example.embedding),
                    example.label,
                    example.weight,
                    to_milliseconds(example.time),
                    example.source,
                    text,
                ])
                .map(ExampleId)
        })
        .collect()
}
