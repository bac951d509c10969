//! The head that was fitted last, kept so that it need not be fitted at each start.

use rusqlite::OptionalExtension;

use super::Store;
use crate::error::{Error, Result};

/// A head that is larger is fitted anew instead.
const MAX_BYTES: usize = 256 << 20;

impl Store {
    /// The bytes of the head that was kept for this revision, if there is one.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Io`], [`Error::Busy`].
    pub fn kept_head(&self, revision: i64) -> Result<Option<Vec<u8>>> {
        self.connection
            .query_row("SELECT bytes FROM head WHERE revision = ?1", [revision], |row| row.get(0))
            .optional()
            .map_err(self.failure("read"))
    }

    /// Keeps a head that was fitted on the examples of `revision`, and says whether it was
    /// kept: not when an update came meanwhile, when it is very large, or when the file may
    /// only be read.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Io`], [`Error::Busy`].
    pub fn keep_head(&mut self, revision: i64, bytes: &[u8]) -> Result<bool> {
        if self.read_only || bytes.len() > MAX_BYTES {
            return Ok(false);
        }
        let failed = self.failure("write");
        let kept = self
            .connection
            .execute(
                "INSERT OR REPLACE INTO head (id, revision, bytes)
                 SELECT 1, revision, ?2 FROM learner WHERE revision = ?1",
                (revision, bytes),
            )
            .map_err(failed)?;
        Ok(kept > 0)
    }
}

/// Whether the head could not be kept for a reason that does not matter to its use.
pub(in crate::learner) fn may_be_ignored(error: &Error) -> bool {
    matches!(error, Error::Busy { .. } | Error::Io { .. })
}
