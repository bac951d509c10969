//! Whether a file is a learner through and through, wherever it came from.

use rusqlite::{Connection, OptionalExtension};

use super::undo::Action;
use super::{ExampleFilter, MAX_TEXT_BYTES, Store, schema};
use crate::error::Result;

impl Store {
    /// Reads every page, compares every index with its table, and checks that tables, history
    /// and examples are those of a learner. O(bytes).
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) with the first thing that is wrong;
    /// [`Error::Io`](crate::Error::Io), [`Error::Busy`](crate::Error::Busy).
    pub fn check(&self) -> Result<()> {
        let failed = self.failure("read");
        // First, as what an unknown index computes is not to be run.
        if definitions(&self.connection).map_err(&failed)? != expected().map_err(&failed)? {
            return Err(self.bad("its tables are not those of a learner".into()));
        }
        let found: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(&failed)?;
        if found != "ok" {
            return Err(self.bad(format!("it is damaged ({found}); restore a copy of it")));
        }
        let orphan = self
            .connection
            .query_row("PRAGMA foreign_key_check", [], |row| row.get::<_, String>(0))
            .optional()
            .map_err(&failed)?;
        if let Some(table) = orphan {
            return Err(self.bad(format!("rows of its table {table} belong to nothing")));
        }
        self.check_values()?;
        self.examples(&ExampleFilter::default()).try_for_each(|row| row.map(drop))
    }

    /// Checks what is only read when it is needed.
    fn check_values(&self) -> Result<()> {
        let failed = self.failure("read");
        let most = MAX_TEXT_BYTES as i64;
        let long = self
            .connection
            .query_row("SELECT id FROM example WHERE octet_length(text) > ?1", [most], |row| {
                row.get::<_, i64>(0)
            })
            .optional()
            .map_err(&failed)?;
        if let Some(id) = long {
            return Err(self.bad(format!("the text of example {id} has more than {most} bytes")));
        }
        let mut statement =
            self.connection.prepare("SELECT DISTINCT action FROM history").map_err(&failed)?;
        let mut rows = statement.query([]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let name: String = row.get(0).map_err(&failed)?;
            if Action::of(&name).is_none() {
                return Err(self.bad(format!("its history has an update {name:?}")));
            }
        }
        Ok(())
    }
}

/// Kind, name, table and text of everything that a file defines.
fn definitions(connection: &Connection) -> rusqlite::Result<Vec<[Option<String>; 4]>> {
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let row = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
    statement.query_map([], row)?.collect()
}

/// What a learner of the newest version defines.
fn expected() -> rusqlite::Result<Vec<[Option<String>; 4]>> {
    let mut connection = Connection::open_in_memory()?;
    schema::migrate(&mut connection, schema::STEPS)?;
    definitions(&connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_took_the_steps_one_by_one_defines_the_same() {
        let mut connection = Connection::open_in_memory().unwrap();
        for steps in 1..=schema::STEPS.len() {
            schema::migrate(&mut connection, &schema::STEPS[..steps]).unwrap();
        }
        assert_eq!(definitions(&connection).unwrap(), expected().unwrap());
    }
}
