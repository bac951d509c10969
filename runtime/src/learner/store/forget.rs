//! Forgetting: examples go for ever, from the tables, the history, the head and the bytes.

use rusqlite::{Transaction, params};

use super::undo::Action;
use super::update::record;
use super::{ExampleId, Store};
use crate::error::{Error, Result};

impl Store {
    /// Forgets examples for ever: all of them or, if one does not exist, none.
    ///
    /// When this returns, nothing of them is in the file: not in the history, so that no undo
    /// brings them back, not in the kept head, which is fitted anew when it is next needed, and
    /// not in unused parts of the file, which is written anew.
    ///
    /// # Errors
    /// [`Error::NoExample`]; [`Error::NotErased`] when they are forgotten but the file could not
    /// be written anew yet; [`Error::Busy`], [`Error::Io`], [`Error::Store`].
    pub fn forget(&mut self, ids: &[ExampleId]) -> Result<usize> {
        if ids.is_empty() {
            return Ok(0);
        }
        let (failed, path) = (self.failure("write"), self.path.clone());
        self.forget_by(|transaction| {
            let mut delete =
                transaction.prepare("DELETE FROM example WHERE id = ?1").map_err(&failed)?;
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids.dedup();
            for id in &ids {
                if delete.execute([id.0]).map_err(&failed)? == 0 {
                    return Err(Error::NoExample { what: id.to_string(), path });
                }
            }
            Ok(ids.len())
        })
    }

    /// Forgets a class: every example with this label, and the label wherever the history
    /// mentions it. Gives the number of examples.
    ///
    /// # Errors
    /// [`Error::NoExample`] when there is none; as [`Store::forget`].
    pub fn forget_class(&mut self, label: &str) -> Result<usize> {
        let (failed, path) = (self.failure("write"), self.path.clone());
        self.forget_by(|transaction| {
            let work = || -> rusqlite::Result<(usize, usize)> {
                let examples =
                    transaction.execute("DELETE FROM example WHERE label = ?1", [label])?;
                let mentions =
                    transaction.execute("DELETE FROM change WHERE label = ?1", [label])?;
                Ok((examples, mentions))
            };
            match work().map_err(failed)? {
                (0, 0) => Err(Error::NoExample { what: format!("with the label {label:?}"), path }),
                (examples, _) => Ok(examples),
            }
        })
    }

    /// Forgets every example of a source. Gives their number.
    ///
    /// # Errors
    /// [`Error::NoExample`] when there is none; as [`Store::forget`].
    pub fn forget_source(&mut self, source: &str) -> Result<usize> {
        let (failed, path) = (self.failure("write"), self.path.clone());
        self.forget_by(|transaction| {
            match transaction
                .execute("DELETE FROM example WHERE source = ?1", [source])
                .map_err(failed)?
            {
                0 => Err(Error::NoExample { what: format!("of the source {source:?}"), path }),
                examples => Ok(examples),
            }
        })
    }

    fn forget_by(
        &mut self,
        delete: impl FnOnce(&Transaction<'_>) -> Result<usize>,
    ) -> Result<usize> {
        let failed = self.failure("write");
        let forgotten = self.update(|transaction, revision| {
            // Their part of the history goes with them, by its foreign key.
            let forgotten = delete(transaction)?;
            let rest = || -> rusqlite::Result<()> {
                transaction.execute(
                    "DELETE FROM history WHERE action <> ?1 AND NOT EXISTS
                         (SELECT 1 FROM change WHERE change.revision = history.revision)",
                    [Action::Forget.name()],
                )?;
                // A head holds means of examples; of a class of one, the example itself.
                transaction.execute("DELETE FROM head", [])?;
                transaction.execute("UPDATE learner SET erasing = ?1", params![revision])?;
                record(transaction, revision, Action::Forget, forgotten)
            };
            rest().map_err(failed)?;
            Ok(forgotten)
        })?;
        self.finish_erasing()?;
        Ok(forgotten)
    }

    /// Overwrites what forgetting left in unused parts of the file, if that is not done yet.
    ///
    /// `secure_delete` overwrites rows where they lie, but not the copies that stay in a page
    /// when its rows are moved to another one. Only writing the file anew leaves none.
    ///
    /// # Errors
    /// [`Error::NotErased`].
    pub fn finish_erasing(&mut self) -> Result<()> {
        let failed = self.failure("write");
        let work = || -> rusqlite::Result<()> {
            let erasing: Option<i64> =
                self.connection.query_row("SELECT erasing FROM learner", [], |row| row.get(0))?;
            if let Some(revision) = erasing {
                self.connection.execute_batch("VACUUM")?;
                // Unless something else was deleted meanwhile.
                self.connection
                    .execute("UPDATE learner SET erasing = NULL WHERE erasing = ?1", [revision])?;
            }
            Ok(())
        };
        work().map_err(failed).map_err(|source| Error::NotErased {
            path: self.path.clone(),
            source: Box::new(source),
        })
    }
}
