//! The history: what was done last, and taking it back.

use std::fmt;

use rusqlite::{OptionalExtension, Transaction};

use super::Store;
use crate::error::{Error, Result};

/// Updates that are remembered.
pub const HISTORY_UPDATES: usize = 1_000;
/// Changes of single examples that are remembered, however few updates they belong to; the
/// last update always is.
pub const HISTORY_CHANGES: usize = 100_000;

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Added examples.
    Teach,
    /// Changed the label of an example.
    Relabel,
    /// Changed the weight of an example.
    Weight,
    /// Lowered the weights of all examples.
    Age,
    /// Forgot examples. Cannot be undone.
    Forget,
}

impl Action {
    const ALL: [Self; 5] = [Self::Teach, Self::Relabel, Self::Weight, Self::Age, Self::Forget];

    /// The one of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Its name in the file and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Teach => "teach",
            Self::Relabel => "relabel",
            Self::Weight => "weight",
            Self::Age => "age",
            Self::Forget => "forget",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What [`Store::undo`] took back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    /// What the update had done.
    pub action: Action,
    /// To how many examples that are still there, or were until now.
    pub examples: usize,
}

impl Store {
    /// Takes back the last update: an added example is removed, with its bytes, and a label or
    /// a weight is again what it was. What was undone is not remembered.
    ///
    /// What was forgotten stays so. When the last update was a `forget`, this is an error,
    /// unless `past_forget` is set: then the update before it is taken back.
    ///
    /// # Errors
    /// [`Error::NothingToUndo`], [`Error::Forgotten`], [`Error::NotErased`]; [`Error::Busy`],
    /// [`Error::Io`], [`Error::Store`].
    pub fn undo(&mut self, past_forget: bool) -> Result<Undone> {
        let (failed, path) = (self.failure("write"), self.path.clone());
        let bad = |reason| Error::Store { path: path.clone(), reason };
        let undone = self.update(|transaction, now| {
            let (revision, action) = loop {
                let Some((revision, name, examples)) = last(transaction).map_err(&failed)? else {
                    return Err(Error::NothingToUndo { path: path.clone() });
                };
                match Action::of(&name) {
                    None => return Err(bad(format!("its history has an update {name:?}"))),
                    Some(Action::Forget) if !past_forget => {
                        return Err(Error::Forgotten { path: path.clone(), examples });
                    }
                    Some(Action::Forget) => drop_update(transaction, revision).map_err(&failed)?,
                    Some(action) => break (revision, action),
                }
            };
            let examples = take_back(transaction, revision, action, now).map_err(&failed)?;
            Ok(Undone { action, examples })
        })?;
        if undone.action == Action::Teach {
            self.finish_erasing()?;
        }
        Ok(undone)
    }
}

/// Revision, action and number of examples of the last update.
fn last(transaction: &Transaction<'_>) -> rusqlite::Result<Option<(i64, String, u64)>> {
    transaction
        .query_row(
            "SELECT revision, action, examples FROM history ORDER BY revision DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs())),
        )
        .optional()
}

fn take_back(
    transaction: &Transaction<'_>,
    revision: i64,
    action: Action,
    now: i64,
) -> rusqlite::Result<usize> {
    let examples = match action {
        Action::Teach => {
            transaction.execute("UPDATE learner SET erasing = ?1", [now])?;
            transaction.execute("DELETE FROM head", [])?;
            transaction.execute(
                "DELETE FROM example
                 WHERE id IN (SELECT example FROM change WHERE revision = ?1)",
                [revision],
            )?
        }
        Action::Relabel => transaction.execute(
            "UPDATE example SET label = change.label FROM change
             WHERE change.revision = ?1 AND change.example = example.id",
            [revision],
        )?,
        Action::Weight | Action::Age => transaction.execute(
            "UPDATE example SET weight = change.weight FROM change
             WHERE change.revision = ?1 AND change.example = example.id
               AND change.weight IS NOT NULL",
            [revision],
        )?,
        Action::Forget => 0,
    };
    drop_update(transaction, revision)?;
    Ok(examples)
}

/// Removes an update from the history, with its changes.
fn drop_update(transaction: &Transaction<'_>, revision: i64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM history WHERE revision = ?1", [revision]).map(drop)
}

/// Lets the oldest updates go when there are too many.
pub(super) fn prune(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction
        .execute(
            "DELETE FROM history WHERE revision IN (
                 SELECT revision FROM (
                     SELECT revision,
                            row_number() OVER newest AS updates,
                            sum(examples) OVER newest AS changes
                     FROM history
                     WINDOW newest AS (ORDER BY revision DESC))
                 WHERE updates > ?1 OR (updates > 1 AND changes > ?2))",
            (HISTORY_UPDATES as i64, HISTORY_CHANGES as i64),
        )
        .map(drop)
}
